"""The handler around all commands: one sentence, the exit code, --debug, signals, closed pipes."""

import errno
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
import torch
import typer
from typer.testing import CliRunner

from dprnn_lab import cli, files
from dprnn_lab.audio import AudioError
from dprnn_lab.checkpoint import CheckpointError
from dprnn_lab.cli import errors
from dprnn_lab.cli.common import app as real

COMMANDS = (
    "train",
    "preflight",
    "evaluate",
    "sweep",
    "separate",
    "info",
    "convert",
    "export",
    "diagnose",
    "checklist",
)


def run(app, *arguments, **environment):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "1000", "TERM": "dumb"} | environment)


@pytest.fixture
def failing():
    """An application of one command, which does what it is given: ``failing(function)``."""

    def make(function, name="fail"):
        app = typer.Typer(cls=errors.Commands, pretty_exceptions_enable=False)
        app.callback()(cli.common.common)
        app.command("other")(lambda: None)

        @app.command(name)
        def fail(mix: str = "", float_samples: bool = typer.Option(False, "--float")) -> None:
            function()

        return app

    return make


def raiser(error):
    def function():
        raise error

    # In a module of the package, whose own errors are meant for users.
    return type(function)(function.__code__, {"__name__": "dprnn_lab.x"}, "f", None, function.__closure__)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (AudioError("talk.wav: no such file"), "talk.wav: no such file"),
        (CheckpointError("a.pth: a web page"), "a.pth: a web page"),
        (OSError(errno.ENOSPC, "No space left on device", "out/x"), "out/x: no space left on device; free some space"),
        (FileExistsError(errno.EEXIST, "File exists", "out"), "out: file exists; a file is there where a folder"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), "out: permission denied; check its permissions"),
        (files.InUseError("out is in use by training"), "out is in use by training"),
        (MemoryError(), "out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"), "out of memory"),
        (RecursionError("maximum recursion depth"), "nested too deeply"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "convert the file to UTF-8"),
        (ValueError("choose one with mix=..."), "choose one with --mix"),
        (ValueError("line one\nline two"), "line one line two"),
        (ValueError("esc \x1b[31m \udce9"), r"esc \x1b[31m \xe9"),
    ],
)  # fmt: skip
def test_what_a_user_can_cause_is_one_sentence(failing, error, sentence):
    result = run(failing(raiser(error)), "fail")
    assert result.exit_code == 1
    assert result.stderr.startswith("dprnn-lab: ")
    assert sentence in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "bug" not in result.stderr
    assert result.stdout == ""


def test_a_missing_package_is_named(failing):
    result = run(failing(lambda: __import__("no_such_package")), "fail")
    assert (
        result.stderr == "dprnn-lab: No module named 'no_such_package': install the package no_such_package\n"
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda: {}["missing"],
        lambda: None.x,
        lambda: int("x"),  # a ValueError, but nothing that this package raised
        lambda: torch.zeros(2) + torch.zeros(3),
        raiser(AssertionError("lost")),
    ],
)
def test_a_bug_is_called_one(failing, function):
    result = run(failing(function), "fail")
    assert result.exit_code == 1
    assert "this looks like a bug in dprnn-lab: the same command with --debug shows where" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--debug", "fail"), ("fail", "--debug")])
def test_debug_shows_the_traceback_before_the_sentence(failing, arguments):
    result = run(failing(lambda: {}["missing"]), *arguments)
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("dprnn-lab: ")
    assert "Traceback" in run(failing(lambda: {}["missing"]), "fail", DPRNN_LAB_DEBUG="1").stderr


def test_notes_of_an_error_are_part_of_its_sentence(failing):
    error = AudioError("cut off")
    error.add_note("3 windows are kept in out")
    assert run(failing(raiser(error)), "fail").stderr == "dprnn-lab: cut off; 3 windows are kept in out\n"


def test_diagnose_ends_with_2_since_1_means_warnings(failing):
    assert run(failing(raiser(AudioError("x")), "diagnose"), "diagnose").exit_code == 2
    assert run(failing(lambda: 1 / 0, "diagnose"), "diagnose").exit_code == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), errors.Terminated()])
def test_an_interruption_is_no_traceback(failing, error):
    result = run(failing(raiser(error)), "fail")
    assert result.exit_code == (143 if isinstance(error, errors.Terminated) else 130)
    assert "Traceback" not in result.stderr


def test_a_closed_pipe_is_no_message(failing):
    result = run(failing(raiser(BrokenPipeError(errno.EPIPE, "Broken pipe"))), "fail")
    assert result.exit_code == 141
    assert result.stderr == ""


def test_a_wrong_option_is_still_explained_by_typer(failing):
    result = run(failing(lambda: None), "fail", "--none")
    assert result.exit_code == 2
    assert "No such option" in result.stderr


def test_warnings_of_the_package_are_sentences(failing):
    result = run(failing(lambda: warnings.warn("rows were dropped", stacklevel=1)), "fail")
    assert result.stderr == "dprnn-lab: rows were dropped\n"
    assert result.exit_code == 0


def test_all_commands_are_behind_the_handler():
    group = typer.main.get_command(real)
    assert isinstance(group, errors.Commands)
    assert sorted(group.commands) == sorted(COMMANDS)


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")
@pytest.mark.slow
class TestProcesses:
    def start(self, *arguments, **options):
        command = [sys.executable, "-m", "dprnn_lab.cli", *map(str, arguments)]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)

    def test_head_ends_a_long_list_quietly(self):
        child = self.start("checklist", stdout=subprocess.PIPE)
        child.stdout.close()  # before it prints
        assert child.communicate()[1] == ""
        assert child.returncode == 141

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
    def test_a_full_disk_behind_the_output_is_a_sentence(self):
        with open("/dev/full", "w") as full:
            child = self.start("checklist", stdout=full)
            text = child.communicate()[1]
        assert (child.returncode, len(text.splitlines())) == (1, 1)
        assert "no space left on device" in text

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_signals_stop_a_separation_that_continues_later(self, tmp_path, tiny, number, code):
        from dprnn_lab import save_model
        from dprnn_lab.audio import write_audio

        model = save_model(tiny(bn_chan=32, hid_size=32), tmp_path / "model.safetensors")
        talk = write_audio(tmp_path / "in" / "talk.wav", 0.1 * torch.randn(8000 * 600), 8000)
        out = tmp_path / "out"
        child = self.start("separate", talk, "--model", model, "--window", "1", "--out", out)
        deadline = time.monotonic() + 120
        while not list(out.glob(".talk.separation/window-*.npy")):
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.02)
        child.send_signal(number)
        text = child.communicate()[1]
        assert child.returncode == code
        assert "give the same command again to continue" in text
        assert f"windows are kept in {out}" in text
        assert "Traceback" not in text
        assert [path.name for path in out.iterdir()] == [".talk.separation"]
