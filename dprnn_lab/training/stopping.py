"""How a run ends, by hand or at its last step, so that nothing is lost; and its steps counted truly when it goes on.

Notebook: 05_training
"""

import signal
import threading

import lightning as L
from lightning.pytorch.callbacks import Callback

__all__ = ["StopAfterStep", "TrueSteps", "ValidateLastStep"]


class StopAfterStep(Callback):
    """The first interrupt (Ctrl-C, or the stop button of JupyterLab) ends the run after the step at work.

    It is validated and saved then like a run that is over, and goes on from there. A second interrupt breaks off at
    once.
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
        if trainer.strategy.reduce_boolean_decision(self.stopped, all=False):
            trainer.should_stop = True

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._restore()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None


class ValidateLastStep(Callback):
    """What a run has reached is validated where its last step falls within an epoch, too, unless ``valid_every`` leaves
    that epoch out; Lightning (2.6) by itself ends it without.
    """

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
        if trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True


class TrueSteps(Callback):
    """Rows of the curve bear the optimiser's step; Lightning (2.6) counts one too many after a resume."""

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step
