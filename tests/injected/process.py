"""Commands in processes of their own: started, ended at any moment, and nothing left of them."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Ended", "Started", "start"]

ROOT = Path(__file__).resolve().parents[2]
MARK = "DPRNN_LAB_INJECTED"  # in the environment of a command and of all that it starts
GRACE_SECONDS = 20  # for helpers of a killed process to see that it is gone


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (negative: the signal), its output, processes that outlived it."""

    code: int
    output: str
    errors: str
    survivors: list[str]
    seconds: float

    def problems(self, failed: bool = False) -> list[str]:
        """What a user would complain about; ``failed``: the command had to fail, with one sentence."""
        found = [f"still running: {name}" for name in self.survivors]
        if "Traceback" in self.output + self.errors:
            found.append("traceback: " + self.errors.strip().splitlines()[-1][:200])
        if failed and self.code == 0:
            found.append("exit code 0")
        if failed and self.code < 0:
            found.append(f"ended by signal {-self.code}")
        if failed and self.code > 0:
            said = [line for line in self.errors.splitlines() if line.startswith("dprnn-lab:")]
            if len(said) != 1:
                found.append(f"{len(said)} sentences: {self.errors.strip()[-300:]!r}")
        if not failed and self.code != 0:
            found.append(f"exit code {self.code}: {self.errors.strip()[-300:]}")
        return found


class Started:
    """A running ``dprnn-lab`` command."""

    def __init__(self, process: subprocess.Popen, mark: str):
        self.process, self.mark, self.begun = process, mark, time.monotonic()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def running(self) -> bool:
        return self.process.poll() is None

    def end(self, timeout: float = 900) -> Ended:
        """Wait for the end, and for all that the command started."""
        try:
            output, errors = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, errors = self.process.communicate()
            errors += f"\nended after {timeout} s"
        seconds = time.monotonic() - self.begun
        left = self._marked()
        waited = time.monotonic() + GRACE_SECONDS
        while left and time.monotonic() < waited:
            time.sleep(0.2)
            left = self._marked()
        names = [" ".join(process.cmdline())[:120] for process in left if process.is_running()]
        for process in left:
            process.kill()
        return Ended(self.process.returncode, output, errors, names, seconds)

    def _marked(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found


def start(
    arguments: Sequence[object],
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Started:
    """Start ``dprnn-lab ARGUMENTS`` with one thread."""
    mark = secrets.token_hex(8)
    python_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
        "TERM": "dumb",
        "PYTHONPATH": python_path,
        MARK: mark,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "dprnn_lab.cli", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=os.environ | settings | (environment or {}),
        cwd=cwd,
    )
    return Started(process, mark)


SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
