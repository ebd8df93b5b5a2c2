"""Files that are whole or absent, and results that one process writes at a time."""

import json
import os
import signal
import subprocess
import sys

import pytest

from dprnn_lab.files import InUseError, locked

HOLD = """
import sys, time
from dprnn_lab.files import locked
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
