"""Training a model on data: Lightning's trainer, set up so that a run can be resumed and read afterwards.

Notebook: 05_training
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from ..checkpoint import load_model, save_model
from ..model import DPRNNTasNet
from .callbacks import (
    EpochCallback,
    FixResumedStepCount,
    StopAfterStep,
    ValidateLastStep,
    ValidationLogger,
    moving_average,
    print_line,
)
from .datamodule import MixingData
from .module import SeparationModule

__all__ = ["PRECISIONS", "train"]

PRECISIONS = ("32-true", "bf16-mixed")
IGNORED = (
    ".*(LeafSpec|num_workers|log_every_n_steps|litlogger|Experiment logs|dirpath has changed"
    "|exists and is not empty|not resumable|could not find the monitored key|sync_dist=True).*"
)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's advertisements and the warnings that do not apply to these runs, as long as one lasts."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning", message=IGNORED)
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _flush_denormals() -> Iterator[None]:
    """Round denormal numbers to zero while it lasts: padding decays to them in the RNNs, where they are slow.

    The mode belongs to the whole process (NumPy's and Python's numbers too), so it is put back.
    """
    flushed = float(torch.tensor([1e-40]) * 1) == 0  # PyTorch has no function that tells
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)


@_quiet_lightning()
@_flush_denormals()
def train(
    model: DPRNNTasNet,
    data: MixingData,
    run: str | os.PathLike,
    max_steps: int,
    lr: float = 1e-3,
    warmup: int = 200,
    cooldown: int = 0,
    optimizer: str = "muon",
    halve_after: int | None = None,
    stop_after: int | None = None,
    clip: float = 5.0,
    ema: float = 0.999,
    devices: int = 1,
    num_nodes: int = 1,
    accelerator: str = "cpu",
    precision: str = "32-true",
    compile_model: bool = False,
    valid_every: int = 1,
    max_minutes: float | None = None,
    resume: str | os.PathLike | None = None,
    seed: int = 0,
    callbacks: Sequence[EpochCallback] = (print_line,),
    progress: bool = False,
    settings: Mapping | None = None,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
) -> DPRNNTasNet:
    """Train a model. The folder ``run`` then holds ``model.safetensors`` (averaged weights); ``checkpoints/``;
    ``validation/``, a table per validation; and for each session N of the run ``curves/version_N/metrics.csv`` and
    ``tensorboard/version_N``.

    Args:
        max_steps: optimiser steps in the whole run, resumed sessions included.
        lr to valid_every, and seed: the settings of the same names, see :class:`Settings`. ``data.batch_size`` is per
            process; with ``stop_after`` the model is the best one; notebook 05 measures ``precision``.
        max_minutes: stop after this time; the run can be resumed.
        resume: a file of ``checkpoints/``; continues with its step, optimiser, schedule and mixtures.
        callbacks: functions of an :class:`EpochRecord`, called after each validation.
        progress: show a progress bar for each epoch.
        settings: saved beside the curves.
        loss: of estimates and sources ``[B, S, T]``, a scalar, instead of the PIT loss.

    Returns:
        ``model`` with the averaged weights, in evaluation mode.

    Raises:
        ValueError: settings that contradict each other, or an epoch smaller than a batch.
    """
    run = Path(run)
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}: choose {' or '.join(PRECISIONS)}")
    L.seed_everything(seed, verbose=False)
    # A loaded model is in evaluation mode, in which dropout is off and a GPU refuses to train RNNs.
    module = SeparationModule(
        model.train(), lr, warmup, cooldown, max_steps, optimizer, halve_after, valid_every, loss
    )
    if compile_model:
        model.compile()
    stop = StopAfterStep()
    # Buffers are copied, not averaged: batch norms count their batches in whole numbers.
    average = WeightAveraging(use_buffers=False, avg_fn=moving_average(ema))
    trainer_callbacks = [average, *_checkpointing(run), FixResumedStepCount(), ValidateLastStep(), stop]
    if stop_after is not None:
        trainer_callbacks.append(EarlyStopping("valid_loss", patience=stop_after, verbose=False))
    if progress:
        trainer_callbacks.append(TQDMProgressBar(leave=False))
    loggers = [CSVLogger(run, name="curves"), TensorBoardLogger(run, name="tensorboard")]
    for logger in loggers:
        logger.log_hyperparams(dict(settings or {}))
    trainer = L.Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=num_nodes,
        strategy=DDPStrategy(process_group_backend="gloo" if accelerator == "cpu" else "nccl")
        if devices * num_nodes > 1
        else "auto",
        precision=precision,  # type: ignore[arg-type]
        max_steps=max_steps,
        max_epochs=-1,
        max_time=None if max_minutes is None else timedelta(minutes=max_minutes),
        gradient_clip_val=clip or None,
        reload_dataloaders_every_n_epochs=1,
        check_val_every_n_epoch=valid_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[*trainer_callbacks, ValidationLogger(run, callbacks)],
        logger=loggers,
        enable_progress_bar=progress,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data, ckpt_path=None if resume is None else os.fspath(resume))
    best = run / "checkpoints" / "best.ckpt"
    if stop_after is not None and best.is_file() and not stop.stopped:
        model.load_state_dict(load_model(best).state_dict())
    if trainer.is_global_zero:
        save_model(model, run / "model.safetensors", training={"steps": trainer.global_step, "seed": seed})
    return model.eval()


def _checkpointing(run: Path) -> list[ModelCheckpoint]:
    """Keep the last two checkpoints by step, ``last.ckpt`` (to resume from), and ``best.ckpt`` by validation loss."""
    # Without the version counter: a folder that was moved, or started from a copied checkpoint, would get a
    # last-v1.ckpt beside the last.ckpt that a resumed run reads.
    same: dict[str, Any] = {"enable_version_counter": False, "auto_insert_metric_name": False}
    return [
        ModelCheckpoint(
            run / "checkpoints", "step{step:07d}", monitor="step", mode="max", save_top_k=2, save_last=True,
            save_on_train_epoch_end=True, **same,
        ),
        ModelCheckpoint(run / "checkpoints", "best", monitor="valid_loss", mode="min", save_top_k=1, **same),
    ]  # fmt: skip
