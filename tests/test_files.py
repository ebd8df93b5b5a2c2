"""Files that are whole or absent, and results that one process writes at a time."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dprnn_lab.error_texts import explained, near_name, printable
from dprnn_lab.files import (
    InUseError,
    locked,
    made_folder,
    read_yaml,
    write_whole,
)

HOLD = """
import signal, sys, time
from dprnn_lab.files import locked
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, if the tests run in the background of a shell
with locked(sys.argv[1], "a long test", file=sys.argv[1].endswith(".wav")):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Starts a process that holds ``run`` until it is killed."""
    started = []

    def hold(path):
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("name", ["run", "talk.wav"])
def test_a_second_process_is_refused_and_told_who_the_first_is(tmp_path, holder, name):
    process = holder(tmp_path / name)
    with (
        pytest.raises(InUseError, match=f"a long test .process {process.pid} on .*, since 20"),
        locked(tmp_path / name, "x", file=name == "talk.wav"),
    ):
        pass


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_lock_of_a_killed_process_is_no_obstacle(tmp_path, holder, sent):
    process = holder(tmp_path / "run")
    process.send_signal(sent)
    process.wait()
    with locked(tmp_path / "run", "the next"):
        assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == os.getpid()
    assert os.listdir(tmp_path / "run") == []


def test_one_process_cannot_hold_it_twice_and_can_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path, "first"):
        with pytest.raises(InUseError, match="first"), locked(tmp_path, "second"):
            pass
        raise ZeroDivisionError
    with locked(tmp_path, "third"):
        pass


def test_files_of_one_folder_are_locked_one_by_one(tmp_path):
    with locked(tmp_path / "a.wav", "one", file=True), locked(tmp_path / "b.wav", "other", file=True):
        pass


# YAML


def bomb(levels, line):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [line.format(i=i, items=", ".join([f"*a{i - 1}"] * 9)) for i in range(1, levels)]
    return "\n".join(lines)


MUCH = {
    "aliases": (bomb(12, "a{i}: &a{i} [{items}]"), "values, more than 10,000"),
    "merged keys": (
        bomb(12, "a{i}: &a{i} {{<<: [{items}]}}").replace("[1, 1, 1, 1, 1, 1, 1, 1, 1]", "{k: 1}"),
        "values, more than 10,000",
    ),
    "itself": ("a: &a [*a]", "lists in lists"),
    "lists in lists": ("a: " + "[" * 3000 + "]" * 3000, "lists in lists"),
    "long": ("a: " + "b" * 2**20, "bytes; settings have at most"),
    "long number": ("a: " + "9" * 5000, "is not YAML: Exceeds the limit"),
    "no date": ("a: 2001-99-99", "is not YAML: month must be in 1..12"),
    "object": ("a: !!python/object/apply:os.system [ls]", "is not YAML: could not determine a constructor"),
    "not UTF-8": (b"a: \xff", "is not YAML: 'utf-8' codec"),
}


@pytest.mark.parametrize("kind", MUCH)
def test_yaml_of_few_bytes_and_many_values_is_refused_at_once(tmp_path, kind):
    text, message = MUCH[kind]
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    start = time.monotonic()
    with pytest.raises(ValueError, match=message) as error:
        read_yaml(path)
    assert str(path) in str(error.value)
    assert time.monotonic() - start < 5


def test_ordinary_aliases_are_read(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("small: &small {steps: 5}\nlarge: {<<: *small, lr: 0.1}\nboth: [*small, *small]\n")
    small = {"steps": 5}
    assert read_yaml(path) == {"small": small, "large": {"steps": 5, "lr": 0.1}, "both": [small, small]}
    path.write_text("")
    assert read_yaml(path) is None


# Failures


def test_a_write_that_fails_names_its_target_and_leaves_nothing(tmp_path):
    (tmp_path / "x.csv").mkdir()
    (tmp_path / "x.csv" / "inside").touch()
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "x.csv", b"content")
    assert caught.value.filename == str(tmp_path / "x.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_names_the_file(tmp_path):
    code = (
        "import resource, sys; from dprnn_lab.error_texts import explained; from dprnn_lab.files import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: write_whole(sys.argv[1], bytes(1000))\n"
        "except OSError as error: print(explained(error))"
    )
    target = tmp_path / "scores.csv"
    printed = subprocess.run(
        [sys.executable, "-c", code, target], capture_output=True, text=True, check=True
    ).stdout
    assert printed.startswith(f"{target}: file too large")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kept", [False, True])
def test_folders_made_for_work_that_failed_are_removed_if_they_are_empty(tmp_path, kept):
    (tmp_path / "old").mkdir()
    with pytest.raises(RuntimeError), made_folder(tmp_path / "old" / "a" / "b") as folder:
        if kept:
            (folder / "result").touch()
        raise RuntimeError
    assert (tmp_path / "old" / "a" / "b").exists() == kept
    assert (tmp_path / "old" / "a").exists() == kept
    assert (tmp_path / "old").exists()


def test_an_error_of_the_system_is_a_sentence_with_its_path_and_notes():
    error = PermissionError(13, "Permission denied", "out/x")
    error.add_note("3 rows are kept")
    expected = "out/x: permission denied; check its permissions, or choose another place; 3 rows are kept"
    assert explained(error) == expected
    assert explained(MemoryError()).startswith("out of memory")


# Names


def test_a_near_name(tmp_path):
    (tmp_path / "Libri2Mix" / "test").mkdir(parents=True)
    assert near_name(tmp_path / "libri2mix" / "test") == tmp_path / "Libri2Mix" / "test"
    assert near_name(tmp_path / "Libri2Mix" / "tset") == tmp_path / "Libri2Mix" / "test"
    assert near_name(tmp_path / "voices") is None
    assert near_name("") is None


def test_what_a_terminal_would_obey_is_escaped():
    assert printable("\x1b[31mred\x07\u202e \udcff \x9b") == r"\x1b[31mred\x07\u202e \xff \x9b"
    assert printable("one\ntwo") == r"one\ntwo"
    assert printable("one\ntwo", lines=True) == "one\ntwo"
    assert printable("Füße – 声 →") == "Füße – 声 →"
