"""SIGINT, SIGTERM and SIGHUP: a run stops after its step, a second signal aborts, and no process stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from dprnn_lab import cli, load_model
from dprnn_lab.training.ending import Ending, read_ending, write_ending

posix = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no POSIX signals")
pytestmark = posix


class Signalled(torch.utils.data.Dataset):
    """A dataset that sends this process signals while the given items, counted from 1, are read."""

    def __init__(self, dataset, number, at):
        self.dataset, self.number, self.at, self.read = dataset, number, at, 0

    def __len__(self):
        return len(self.dataset)

    def set_epoch(self, epoch):
        self.dataset.set_epoch(epoch)

    def __getitem__(self, index):
        self.read += 1
        if self.read in self.at:
            os.kill(os.getpid(), self.number)
        return self.dataset[index]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_after_its_step_with_its_averaged_model(noise_run, number):
    before = signal.getsignal(number)
    model, folder = noise_run("run", 12, wrap=lambda d: Signalled(d, number, (7,)))
    assert signal.getsignal(number) is before
    ended = read_ending(folder)
    assert (ended.state, ended.step, ended.signal) == ("interrupted", 4, number)
    saved = load_model(folder / "checkpoints" / "last.ckpt").state_dict()
    for kept in (model, load_model(folder / "model.safetensors")):
        assert all(torch.equal(value, saved[name]) for name, value in kept.state_dict().items())
    noise_run("run", 12, resume=True)
    noise_run("whole", 12)
    for name, value in load_model(folder / "model.safetensors").state_dict().items():
        other = load_model(folder.parent / "whole" / "model.safetensors").state_dict()[name]
        torch.testing.assert_close(value, other, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_second_signal_aborts_and_the_run_can_be_resumed(noise_run, tmp_path, number, error):
    with pytest.raises(error) as caught:
        noise_run("run", 12, wrap=lambda d: Signalled(d, number, (9, 10)))
    if number == signal.SIGTERM:
        assert caught.value.code == 143
    ended = read_ending(tmp_path / "run")
    assert (ended.state, ended.step, ended.saved_step, ended.signal) == ("interrupted", 4, 3, number)
    assert "aborted in step 5, resume from step 3" in ended.sentence
    noise_run("run", 12, resume=True)
    assert read_ending(tmp_path / "run").state == "finished"


def test_a_run_under_nohup_goes_on_after_the_terminal_is_closed(noise_run):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        _, folder = noise_run("run", 6, wrap=lambda d: Signalled(d, signal.SIGHUP, (3,)))
        assert read_ending(folder).state == "finished"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_reading_processes_leave_signals_of_the_terminal_to_their_parent(noise_run, tmp_path):
    class AllOfUs(Signalled):  # as Ctrl-C in a terminal reaches every process
        def __getitem__(self, index):
            if index == 3 and not (tmp_path / "once").exists():
                (tmp_path / "once").touch()
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getppid(), signal.SIGINT)
            return self.dataset[index]

    _, folder = noise_run("run", 60, workers=1, wrap=lambda d: AllOfUs(d, 0, ()))
    assert read_ending(folder).state == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_command_exits_with_the_code_of_the_signal(tmp_path, monkeypatch, number):
    def stopped(settings, run, resume, progress):
        Path(run).mkdir()
        write_ending(run, Ending("interrupted", 4, 12, "stopped after step 4 of 12", 4, int(number)))

    monkeypatch.setattr("dprnn_lab.training.run.train_run", stopped)
    result = CliRunner().invoke(cli.app, ["train", str(tmp_path / "run")])
    assert result.exit_code == 128 + number
    assert "stopped after step 4 of 12" in result.output


# In processes of their own

OPTIONS = [
    "--n-filters", "4", "--kernel-size", "32", "--chunk-size", "20", "--n-repeats", "1", "--bn-chan", "4",
    "--hid-size", "3", "--seconds", "0.2", "--warmup", "1", "--batch", "2", "--epoch-size", "40",
    "--steps", "100000",
]  # fmt: skip


def processes(folder):
    """The processes of a run: their command lines name its folder, or their parents' do."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in entry.read_bytes() and int(entry.parent.name) != os.getpid():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("more", [["--workers", "2"], ["--devices", "2"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_stays(tmp_path, more, number):
    run = tmp_path / "a-run-of-this-test"
    with subprocess.Popen(
        [sys.executable, "-m", "dprnn_lab.cli", "train", str(run), *OPTIONS, *more],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 200
        while not list(run.glob("validation/*.csv")):
            assert process.poll() is None, "the run ended before its signal"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(number)
        code = process.wait(timeout=100)
    assert code == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    deadline = time.monotonic() + 20
    while processes(run) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes(run) == []
    assert read_ending(run).state == ("interrupted" if number == signal.SIGTERM else "killed")
    assert (run / "model.safetensors").is_file() == (number == signal.SIGTERM)
