"""How a run is ended from outside: Ctrl-C, SIGTERM, SIGHUP, a limit of time; and how its processes end with it.

Notebook: 05_training
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from ..processes import end_with_parent

__all__ = ["SIGNALS", "StopAfterStep", "start_worker"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopAfterStep(Callback):
    """A signal, or the end of the time, ends the run after the current step.

    The signals are Ctrl-C and the stop button of JupyterLab (SIGINT), SIGTERM, and SIGHUP unless it is ignored (nohup).
    The run is then validated and saved like a finished one, and can be resumed. A second signal aborts at once, and so
    does a first one before training begins.

    Args:
        minutes: the limit of time of this session; None for none.

    Attributes:
        stopped: whether a signal ended the run, in this process or another of the run.
        signal: the number of the signal, if this process got it.
        time_is_up: whether the limit of time ended it.
    """

    def __init__(self, minutes: float | None = None):
        self.minutes = minutes
        self.stopped = self.time_is_up = self.aborted = False
        self.signal: int | None = None
        self._trainer: L.Trainer | None = None
        self._deadline = float("inf")

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Handle the signals while it lasts; outside the main thread, which alone may do so, nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {n: signal.getsignal(n) for n in SIGNALS}
        self._handled = [
            n for n in SIGNALS if n != getattr(signal, "SIGHUP", 0) or before[n] is not signal.SIG_IGN
        ]
        self._install()
        try:
            yield
        finally:
            for number in SIGNALS:
                signal.signal(number, before[number] if before[number] is not None else signal.SIG_DFL)

    def _install(self) -> None:
        for number in self._handled:
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        first, self.signal = self.signal is None, number
        if first and self._trainer is not None:
            self.stopped = True
            if self._trainer.is_global_zero:
                print("stopping after this step; interrupt again to abort", flush=True)
            return
        self.aborted = True
        for each in self._handled:
            signal.signal(each, signal.SIG_IGN)  # cleaning up is not interrupted
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._trainer = trainer
        if self.minutes is not None:
            self._deadline = time.monotonic() + 60 * self.minutes
        if threading.current_thread() is threading.main_thread() and hasattr(self, "_handled"):
            self._install()  # Lightning has put a handler of its own in the place of SIGTERM's

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        # Decided by all processes together: if they stopped at different steps, they would wait for each other forever.
        late = time.monotonic() > self._deadline
        if trainer.strategy.reduce_boolean_decision(self.stopped or late, all=False):
            trainer.should_stop = True
            self.time_is_up = late and not self.stopped
            self.stopped = not self.time_is_up

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_trainer": None}


def start_worker(number: int) -> None:
    """What a process that reads data does first: Ctrl-C in a terminal reaches it too, and is its parent's to handle."""
    for each in SIGNALS:
        if each != signal.SIGTERM:  # PyTorch handles it in its workers
            with suppress(ValueError):
                signal.signal(each, signal.SIG_IGN)
    end_with_parent()
