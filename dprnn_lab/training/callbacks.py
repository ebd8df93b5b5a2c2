"""What happens around the steps of a run: its last validation, the moving average of its weights, the record of epochs.

Notebook: 05_training
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback

from ..files import write_whole
from .checkpoints import run_was_removed
from .signals import StopAfterStep

__all__ = [
    "EpochCallback",
    "EpochRecord",
    "FixResumedStepCount",
    "StopAfterStep",
    "ValidateLastStep",
    "ValidationLogger",
    "moving_average",
    "print_line",
]


def moving_average(decay: float) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
    """For Lightning's WeightAveraging: the averaging window grows with the run, so that the random start fades."""

    def average(averaged: torch.Tensor, current: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        share = max(1 - decay, 9 / (10 + float(updates)))
        return averaged.lerp(current, share)

    return average


class ValidateLastStep(Callback):
    """Validate after the last step of a session, wherever in an epoch it falls.

    Lightning (2.6) does so neither within an epoch nor in an epoch that ``valid_every`` leaves out, and then the last
    scores would be those of other weights than the model has. It follows :class:`StopAfterStep` in the list.
    """

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
        if trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True
        if trainer.should_stop:
            trainer.check_val_every_n_epoch = 1


class FixResumedStepCount(Callback):
    """Log the curve at the optimiser's step: Lightning (2.6) counts one too many after a resume."""

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step


@dataclass(frozen=True)
class EpochRecord:
    """The results of an epoch that ended with a validation; losses and SI-SDR in dB."""

    step: int
    epoch: int
    minutes: float  # since this session began
    train_loss: float  # mean over the epoch's mixtures
    valid_loss: float
    grad_norm: float  # mean over the epoch, before clipping
    learning_rate: float
    examples_per_second: float  # of training, without validations
    silent_share: float  # of the training sources: 0 to 1
    correlation: float  # absolute, between the two outputs, mean over the validation mixtures
    examples: pd.DataFrame  # a row per validation mixture: id, kind, si_sdr, si_sdr_in, si_sdri, correlation
    sounds: dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    """Id to (mixture ``[T]``, sources ``[S, T]``, estimates ``[S, T]``): one mixture of each of two kinds."""
    network: dict[str, object] = field(default_factory=dict)  # the arguments of the network that is trained

    def by_kind(self, column: str = "si_sdri") -> dict[str, float]:
        """The mean of a column of ``examples`` by pair kind."""
        return self.examples.groupby("kind", sort=False)[column].mean().to_dict()


EpochCallback = Callable[[EpochRecord], None]


def print_line(record: EpochRecord) -> None:
    """Print a record as one line of text, for logs and terminals."""
    kinds = "  ".join(f"{kind} {gain:.2f}" for kind, gain in record.by_kind().items())
    print(
        f"step {record.step}  {record.minutes:.1f} min  loss {record.train_loss:.2f} (valid {record.valid_loss:.2f})  "
        f"SI-SDRi {kinds}  correlation {record.correlation:.2f}  gradient {record.grad_norm:.1f}  "
        f"{record.examples_per_second:.0f} mixtures/s",
        flush=True,
    )


class ValidationLogger(Callback):
    """Make a record after each validation, pass it to the callbacks, and save its scores in the run's folder.

    Args:
        run: the run's folder; the tables are ``validation/step0000300.csv`` in it.
        callbacks: called on the first process only. They can't stop the run.
    """

    def __init__(self, run: str | os.PathLike, callbacks: Sequence[EpochCallback] = (print_line,)):
        self.folder, self.callbacks = Path(run) / "validation", callbacks
        self.started = self.epoch_started = self.last_step = 0.0
        self.seen = 0

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        self.started = time.monotonic()
        # Sounds are kept of the first validation mixture of each of the first two kinds.
        first: dict[str, str] = {}
        for spec in _specs(trainer.datamodule.valid):
            first.setdefault(spec.kind, spec.id)
        module.tracked_ids = set(list(first.values())[:2])

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        for file in self.folder.glob("step*.csv") if trainer.is_global_zero else ():
            if int(file.stem.removeprefix("step")) > trainer.global_step:
                file.unlink()  # the resumed run repeats this step

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.seen = 0

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
        if not self.seen:  # a run that is resumed within an epoch gets no on_train_epoch_start
            self.epoch_started = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, outputs, batch, *_) -> None:
        self.seen += len(batch[0]) * trainer.world_size
        self.last_step = time.monotonic()  # the validation comes after it, within the epoch

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        if not self.seen:
            return  # Lightning ends an epoch a second time that was complete when the run was resumed
        speed = self.seen / max(1e-9, self.last_step - self.epoch_started)
        module.log("examples_per_second", speed)
        if (trainer.current_epoch + 1) % trainer.check_val_every_n_epoch or not trainer.is_global_zero:
            return
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if not module.scores or "train_loss" not in values:
            return  # stopped before its first validation
        if not self.folder.parent.is_dir():
            raise run_was_removed(self.folder.parent)
        examples = pd.DataFrame(module.scores)
        write_whole(
            self.folder / f"step{trainer.global_step:07d}.csv",
            examples.round(4).to_csv(index=False, lineterminator="\n").encode(),
        )
        record = EpochRecord(
            step=trainer.global_step, epoch=trainer.current_epoch, minutes=(time.monotonic() - self.started) / 60,
            train_loss=values["train_loss"], valid_loss=values["valid_loss"], grad_norm=values["grad_norm"],
            learning_rate=trainer.optimizers[0].param_groups[0]["lr"], examples_per_second=speed,
            silent_share=values["silent_share"], correlation=values["output_correlation"],
            examples=examples, sounds=dict(module.tracked_sounds),
            network=dict(getattr(module.model, "config", {})),
        )  # fmt: skip
        for callback in self.callbacks:
            callback(record)


def _specs(valid: Any) -> list:
    return valid.specs if hasattr(valid, "specs") else [item[2] for item in valid]
