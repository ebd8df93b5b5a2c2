"""One run, as a value: the notebook's text and parameters go to a worker, the executed notebook and report come back.

Notebook: 10_experiments
"""

import errno
import logging
import os
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

from ..processes import end_worker_with_parent
from .failure import find_failure
from .plan import REPORT, SOUNDS
from .sounds import collect_sounds

__all__ = ["Outcome", "Task", "execute", "stop_runs"]

# One thread per run: runs do not compete for cores, and sums have the same last digit on every machine.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS}
# The death of a kernel is told in its run's record; without a handler, Python would print it too.
logging.getLogger("papermill").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Task:
    """What a worker needs for a run.

    Attributes:
        name: of the run, for the notebook's file.
        notebook: its text (JSON).
        folder: where the run works, if the worker has this folder: the notebook's; otherwise in an empty one.
        parameters: names to values.
        reports: the notebook has the parameter ``report``.
        sweep: the same for all runs of a sweep, for :func:`stop_runs`.
        scratch: folder for the files of a run while it lasts; None for the system's.
        sounds: the notebook has the parameter ``sounds``.
    """

    name: str
    notebook: str
    folder: str
    parameters: dict
    reports: bool
    sweep: str
    scratch: str | None = None
    sounds: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a run gave: ``notebook`` as executed; the bytes of its ``report``; ``failure`` as :func:`find_failure`;
    ``sounds``, file name to content.
    """

    notebook: bytes
    report: bytes | None
    failure: dict | None
    seconds: float
    sounds: dict[str, bytes] = field(default_factory=dict)


def execute(task: Task) -> Outcome:
    """Execute a notebook in a kernel of its own, which ends with this process.

    Runs in any thread, several at a time: nothing of the process is changed, neither its folder nor its environment.

    Raises:
        OSError: the files of the run can't be written, such as on a full disk.
    """
    end_worker_with_parent()
    import papermill

    with tempfile.TemporaryDirectory(prefix="run-", dir=task.scratch) as name:
        folder = Path(name)
        begun, executed = folder / "begun.ipynb", folder / f"{task.name}.ipynb"
        report, sounds = folder / "report.json", folder / SOUNDS
        sounds.mkdir()
        begun.write_text(task.notebook, encoding="utf-8")
        started, error = time.monotonic(), None
        _here.sweep = task.sweep
        try:
            papermill.execute_notebook(
                begun,
                executed,
                task.parameters
                | ({REPORT: str(report)} if task.reports else {})
                | ({SOUNDS: str(sounds)} if task.sounds else {}),
                kernel_name="python3",
                progress_bar=False,
                kernel_manager_class=_RunKernel,
                # The kernel's folder. Papermill's own argument would change that of this process.
                resources={"metadata": {"path": task.folder if Path(task.folder).is_dir() else name}},
            )
        except Exception as caught:
            # A full disk is no failure of the notebook: papermill could not write it.
            if isinstance(caught, OSError) and caught.errno in FULL:
                raise OSError(
                    caught.errno, f"{os.strerror(caught.errno)}, at the notebook of a run", str(folder)
                ) from caught
            error = caught
        seconds = time.monotonic() - started
        notebook = executed.read_bytes() if executed.is_file() else task.notebook.encode()
        failure, collected = None, {}
        if error is not None:
            failure = find_failure(notebook, error)
        else:
            try:
                collected = collect_sounds(sounds)
            except ValueError as problem:
                failure = {"cell": None, "source": "", "error": str(problem)}
        content = report.read_bytes() if report.is_file() else None
        return Outcome(notebook, content, failure, seconds, collected)


def stop_runs(sweep: str) -> None:
    """End the kernels of a sweep's runs in this process, now and of runs that begin later."""
    with _lock:
        _stopped.add(sweep)
        for kernel in [kernel for kernel in _running if kernel.sweep == sweep]:
            kernel.end_now()


_here = threading.local()  # .sweep: of the run that this thread executes
_lock = threading.Lock()
_running: list["_RunKernel"] = []
_stopped: set[str] = set()


class _RunKernel(AsyncKernelManager):
    """A kernel with one thread, whose process writes nothing on the terminal, and which :func:`stop_runs` finds."""

    sweep = ""

    async def _async_start_kernel(self, **options: Any) -> None:
        self.sweep = getattr(_here, "sweep", "")
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        await super()._async_start_kernel(env=os.environ | ONE_THREAD, **silent, **options)
        with _lock:
            _running.append(self)
            if self.sweep in _stopped:
                self.end_now()

    start_kernel = _async_start_kernel

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        with _lock:
            if self in _running:
                _running.remove(self)
        await super()._async_cleanup_resources(restart)

    cleanup_resources = _async_cleanup_resources

    def end_now(self) -> None:
        """Kill the process of the kernel, and those that it has started."""
        process = getattr(self.provisioner, "process", None)
        if process is None or process.poll() is not None:
            return
        group = getattr(self.provisioner, "pgid", None)
        try:
            if group is None:
                process.kill()
            else:
                os.killpg(group, signal.SIGKILL)
        except OSError:  # it has ended meanwhile
            process.kill()
