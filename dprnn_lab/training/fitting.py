"""Training a model on data: Lightning's trainer, set up so that a run can be resumed and read afterwards.

Notebook: 05_training
"""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import TQDMProgressBar, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from ..model import DPRNNTasNet
from ..processes import end_with_parent
from .callbacks import (
    EpochCallback,
    FixResumedStepCount,
    ValidateLastStep,
    ValidationLogger,
    moving_average,
    print_line,
)
from .checkpoints import ConfinedCheckpoint, OwnEarlyStopping, Resumed, RunCheckpoints, read_checkpoint
from .curves import Curves
from .datamodule import MixingData
from .finishing import check_optimizer, explained, finish, leave_finished, save_last_good, what_ended
from .finite import NotFiniteError
from .machine import PRECISIONS, check_machine, is_first_process, lightning_precision
from .module import SeparationModule
from .session import BeginSession, Session, end_badly, open_session, process_state
from .signals import StopAfterStep

__all__ = ["PRECISIONS", "fit", "train"]

IGNORED = (
    ".*(LeafSpec|num_workers|log_every_n_steps|litlogger|Experiment logs|dirpath has changed"
    "|exists and is not empty|not resumable|could not find the monitored key|sync_dist=True"
    "|in eval mode|Total length of).*"
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
        max_minutes: stop this session after this time; the run can be resumed.
        resume: a file of ``checkpoints/``; continues with its step, optimiser, schedule and mixtures. If no step is
            left, nothing is trained, and the model is that of the run.
        callbacks: functions of an :class:`EpochRecord`, called after each validation.
        progress: show a progress bar for each epoch.
        settings: saved beside the curves.
        loss: of estimates and sources ``[B, S, T]``, a scalar, instead of the PIT loss.

    Returns:
        ``model`` with the averaged weights, in evaluation mode.

    Raises:
        ValueError: settings that contradict each other, that this machine does not have, or that do not fit the
            checkpoint; an epoch smaller than a batch.
        NotFiniteError: NaN or infinity in the data, the loss, the gradient or the weights (a ValueError).
        InUseError: another process trains in this folder.
        OSError: the folder can't be written, is a file, or was removed meanwhile.

    Ctrl-C, SIGTERM and SIGHUP end the run after the current step, as if it were finished; ``ended.json`` says so
    (:func:`dprnn_lab.training.ending.read_ending`). A second signal aborts at once.
    """
    with open_session(run) as session:
        return fit(
            session, model, data, max_steps,
            lr=lr, warmup=warmup, cooldown=cooldown, optimizer=optimizer, halve_after=halve_after,
            stop_after=stop_after, clip=clip, ema=ema, devices=devices, num_nodes=num_nodes,
            accelerator=accelerator, precision=precision, compile_model=compile_model,
            valid_every=valid_every, max_minutes=max_minutes, resume=resume, seed=seed,
            callbacks=callbacks, progress=progress, settings=settings, loss=loss,
        )  # fmt: skip


@_quiet_lightning()
@_flush_denormals()
@process_state()
def fit(
    session: Session,
    model: DPRNNTasNet,
    data: MixingData,
    max_steps: int,
    *,
    lr: float,
    warmup: int,
    cooldown: int,
    optimizer: str,
    halve_after: int | None,
    stop_after: int | None,
    clip: float,
    ema: float,
    devices: int,
    num_nodes: int,
    accelerator: str,
    precision: str,
    compile_model: bool,
    valid_every: int,
    max_minutes: float | None,
    resume: str | os.PathLike | Resumed | None,
    seed: int,
    callbacks: Sequence[EpochCallback],
    progress: bool,
    settings: Mapping | None,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None,
) -> DPRNNTasNet:
    """:func:`train` in a session that is open already; ``resume`` may be a checkpoint that was read already."""
    run = session.run
    check_machine(accelerator, devices, num_nodes, precision)
    if not is_first_process():
        end_with_parent()
    L.seed_everything(seed, verbose=False)
    # A loaded model is in evaluation mode, in which dropout is off and a GPU refuses to train RNNs.
    module = SeparationModule(
        model.train(), lr, warmup, cooldown, max_steps, optimizer, halve_after, valid_every, loss
    )
    resumed = resume if isinstance(resume, Resumed) or resume is None else read_checkpoint(Path(resume))
    if resumed is not None:
        over = what_ended(resumed, max_steps, stop_after)
        if over:
            return leave_finished(model, session, resumed, max_steps, stop_after, seed, over)
        check_optimizer(module, resumed)
    if compile_model:
        model.compile()
    stop = StopAfterStep(max_minutes)
    # Buffers are copied, not averaged: batch norms count their batches in whole numbers.
    average = WeightAveraging(use_buffers=False, avg_fn=moving_average(ema))
    trainer_callbacks = [
        BeginSession(session, max_steps), average, *_checkpointing(run), FixResumedStepCount(), stop,
        ValidateLastStep(),
    ]  # fmt: skip
    if stop_after is not None:
        trainer_callbacks.append(OwnEarlyStopping("valid_loss", patience=stop_after, verbose=False))
    if progress:
        trainer_callbacks.append(TQDMProgressBar(leave=False))
    loggers = [Curves(run), TensorBoardLogger(run, name="tensorboard")]
    on_cpu = not (accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available())
    trainer = L.Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=num_nodes,
        strategy=DDPStrategy(process_group_backend="gloo" if on_cpu else "nccl")
        if devices * num_nodes > 1
        else "auto",
        precision=lightning_precision(precision, accelerator),  # type: ignore[arg-type]
        max_steps=max_steps,
        max_epochs=-1,
        gradient_clip_val=clip or None,
        reload_dataloaders_every_n_epochs=1,
        check_val_every_n_epoch=valid_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[*trainer_callbacks, ValidationLogger(run, callbacks)],
        plugins=[RunCheckpoints(run, resumed)],
        logger=loggers,
        enable_progress_bar=progress,
        enable_model_summary=False,
        default_root_dir=run,
    )
    try:
        with stop.handling():
            for logger in loggers:
                logger.log_hyperparams(dict(settings or {}))
            trainer.fit(
                module, datamodule=data, ckpt_path=None if resumed is None else os.fspath(resumed.path)
            )
        return finish(model, session, trainer, stop, stop_after, seed)
    except BaseException as error:
        failure = explained(error, module, session, resumed)
        end_badly(failure, session, trainer.global_step, max_steps, stop, on_cpu)
        if isinstance(failure, NotFiniteError) and trainer.is_global_zero:
            save_last_good(session, seed)
        if stop.aborted:
            raise (
                KeyboardInterrupt if stop.signal == signal.SIGINT else SystemExit(128 + (stop.signal or 0))
            ) from None
        if failure is error:
            raise
        raise failure from error


def _checkpointing(run: Path) -> list[ConfinedCheckpoint]:
    """Keep the last two checkpoints by step, ``last.ckpt`` (to resume from), and ``best.ckpt`` by validation loss."""
    # Without the version counter: a folder that was moved, or started from a copied checkpoint, would get a
    # last-v1.ckpt beside the last.ckpt that a resumed run reads.
    same: dict[str, Any] = {"enable_version_counter": False, "auto_insert_metric_name": False}
    return [
        ConfinedCheckpoint(
            run / "checkpoints", "step{step:07d}", monitor="step", mode="max", save_top_k=2, save_last=True,
            save_on_train_epoch_end=True, **same,
        ),
        ConfinedCheckpoint(run / "checkpoints", "best", monitor="valid_loss", mode="min", save_top_k=1, **same),
    ]  # fmt: skip
