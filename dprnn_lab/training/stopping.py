"""Stopping a run by hand so that nothing is lost, and counting its steps truly when it goes on.

Notebook: 05_training
"""

import signal
import threading

import lightning as L
from lightning.pytorch.callbacks import Callback

__all__ = ["StopAfterStep", "TrueSteps"]


class StopAfterStep(Callback):
    """The first interrupt (Ctrl-C, or the stop button of JupyterLab) ends the run after the step at work.

    It is saved then like a run that is over, and goes on from there. A second interrupt breaks off at once. However it
    ends, what the run has reached is validated, unless ``valid_every`` leaves the epoch out.
    """

    def __init__(self):
        self.stopped = False
        self._before = None

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread of a program may say what a signal does

        def stop(signum, frame):
            self.stopped = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if trainer.is_global_zero:
                print("stopping after this step; interrupt again to break off", flush=True)

        self._before = signal.signal(signal.SIGINT, stop)

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
        # Asked of all processes at once: they must not stop at different steps and wait for each other for ever.
        asked = trainer.strategy.reduce_boolean_decision(self.stopped, all=False)
        # Of its own accord Lightning ends a run whose last step falls within an epoch without a validation.
        if asked or trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._restore()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None


class TrueSteps(Callback):
    """Rows of the curve bear the optimiser's step; Lightning (2.6) counts one too many after a resume."""

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step
