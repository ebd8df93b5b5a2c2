"""Training with Lightning: the module, the data, and what a resumable run keeps.

Notebook: 05_training
"""

import itertools
import logging
import time
import warnings
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader, DistributedSampler

from .checkpoint import save_model
from .loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from .mixing import DynamicMixing, FixedMixtures
from .model import DPRNNTasNet
from .optimizer import MuonAdam

# Lightning advertises other products at every start; what matters to a run is said by _EpochLine.
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
warnings.filterwarnings(
    "ignore",
    module="lightning",
    message=".*(LeafSpec|num_workers|log_every_n_steps|litlogger|Experiment logs).*",
)

__all__ = ["SeparationModule", "MixingData", "train"]


class SeparationModule(L.LightningModule):
    """The training step: mixture in, estimates out, PIT loss on negative SI-SDR, one step of Muon and Adam.

    The learning rate warms up over ``warmup`` steps, stays at ``lr``, and goes straight down to zero over
    the last ``cooldown`` steps of ``max_steps``. A run can be prolonged: resume it with a larger
    ``max_steps`` from a checkpoint made before the cooldown.
    """

    def __init__(
        self,
        model: DPRNNTasNet,
        lr: float = 1e-3,
        warmup: int = 200,
        cooldown: int = 0,
        max_steps: int = 1_000_000,
    ):
        super().__init__()
        self.model = model
        self.loss = PITLossWrapper(pairwise_neg_sisdr)
        self.lr, self.warmup, self.cooldown, self.max_steps = lr, warmup, cooldown, max_steps

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["model_config"] = dict(self.model.config)  # what no weight's shape tells load_model

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        mixture, sources = batch
        loss = self.loss(self.model(mixture), sources)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(mixture), sync_dist=True)
        return loss

    def on_train_start(self) -> None:
        # A resumed schedule would bring back the rate that it was saved with; the one asked for now counts.
        schedule = self.lr_schedulers()
        schedule.base_lrs = [self.lr] * len(schedule.base_lrs)

    def on_before_optimizer_step(self, optimizer) -> None:
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))
        self.log("grad_norm", norm, on_step=False, on_epoch=True)

    def learning_rate_factor(self, step: int) -> float:
        """Warm-up, constant, cooldown: 0 to 1."""
        rise = (step + 1) / max(1, self.warmup)
        fall = (self.max_steps - step) / max(1, self.cooldown) if self.cooldown else 1.0
        return max(0.0, min(1.0, rise, fall))

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor, list[str]]) -> None:
        mixture, sources, kinds = batch
        estimates = self.model(mixture)
        losses, _ = self.loss.best_permutation(estimates, sources)
        gains = -losses - si_sdr(mixture.unsqueeze(1), sources).mean(1)
        for kind in sorted(set(kinds)):
            chosen = gains[[k == kind for k in kinds]]
            self.log(f"si_sdri_{kind}", chosen.mean(), batch_size=len(chosen), sync_dist=True)
        self.log("valid_loss", losses.mean(), batch_size=len(losses), sync_dist=True)

    def configure_optimizers(self):
        optimizer = MuonAdam(self.model, self.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.learning_rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Share(DistributedSampler):
    """One rank's share of a dataset, less its first ``seen`` items; its length counts them all the same."""

    seen = 0

    def __iter__(self):
        return itertools.islice(super().__iter__(), self.seen, None)


class MixingData(L.LightningDataModule):
    """Dynamic mixtures for training, fixed ones for validation; each rank reads its own share of both."""

    def __init__(self, train: DynamicMixing, valid: FixedMixtures, batch_size: int):
        super().__init__()
        self.train, self.valid, self.batch_size = train, valid, batch_size
        self.started = False

    def _sampler(self, dataset) -> "_Share":
        # Dynamic mixtures are random in themselves: the sampler only divides them among the ranks.
        return _Share(dataset, self.trainer.world_size, self.trainer.global_rank, shuffle=False)

    def train_dataloader(self) -> DataLoader:
        # The trainer asks again at every epoch (reload_dataloaders_every_n_epochs=1).
        self.train.set_epoch(self.trainer.current_epoch)
        loader = DataLoader(self.train, self.batch_size, sampler=self._sampler(self.train), drop_last=True)
        if not self.started:
            # A run stopped within an epoch goes on behind the batches it has seen (all of them: with the next epoch).
            self.started = True
            seen = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
            loader.sampler.seen = seen * self.batch_size
        return loader

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.valid, 8, sampler=self._sampler(self.valid), collate_fn=_stack)


def _stack(items: list) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    mixtures, sources, specs = zip(*items, strict=True)
    return torch.stack(mixtures), torch.stack(sources), [s.kind for s in specs]


def _ema(decay: float):
    """Moving average of the weights; its memory grows with the run, so that it forgets the random start."""

    def average(averaged: torch.Tensor, current: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        share = max(1 - decay, 9 / (10 + float(updates)))
        return averaged.lerp(current, share)

    return average


class _TrueSteps(Callback):
    """Rows of the curve bear the optimiser's step; Lightning (2.6) counts one too many after a resume."""

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step


class _EpochLine(Callback):
    """One line of text per validation, for logs and terminals."""

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not trainer.is_global_zero or (trainer.current_epoch + 1) % trainer.check_val_every_n_epoch:
            return
        values = {k: float(v) for k, v in trainer.callback_metrics.items()}
        if "valid_loss" in values:
            minutes = (time.monotonic() - self.started) / 60
            scores = "  ".join(
                f"{name} {values[name]:.2f}"
                for name in sorted(values)
                if name in ("train_loss", "grad_norm") or name.startswith("si_sdri")
            )
            print(f"step {trainer.global_step}  {minutes:.1f} min  {scores}", flush=True)


def train(
    model: DPRNNTasNet,
    data: MixingData,
    run: Path,
    max_steps: int,
    lr: float = 1e-3,
    warmup: int = 200,
    cooldown: int = 0,
    ema: float = 0.999,
    devices: int = 1,
    accelerator: str = "cpu",
    valid_every: int = 1,
    max_minutes: float | None = None,
    resume: Path | None = None,
    seed: int = 0,
) -> DPRNNTasNet:
    """Train, and leave in ``run``: ``model.safetensors`` (EMA weights), ``checkpoints/``,
    and ``curves/version_N/metrics.csv`` for the N-th sitting of the run.

    Args:
        max_steps: optimiser steps in the whole run, resumed parts included.
        ema: decay per step of the averaged weights, which are validated and saved.
        devices: processes (CPU) or GPUs; ``data.batch_size`` is per process.
        valid_every: epochs between validations.
        max_minutes: stop early, at a resumable point.
        resume: a file of ``checkpoints/``; goes on with its step, optimiser, schedule and mixtures.
    """
    L.seed_everything(seed, verbose=False)
    torch.set_flush_denormal(True)  # padding decays to denormal numbers in the RNNs, and those are slow
    # A loaded model is in evaluation mode, in which dropout is off and a GPU refuses to train RNNs.
    module = SeparationModule(model.train(), lr, warmup, cooldown, max_steps)
    keep = ModelCheckpoint(
        run / "checkpoints",
        "step{step:07d}",
        monitor="step",
        mode="max",
        save_top_k=2,
        save_last=True,
        # A run folder that was moved or begun from a copied checkpoint must not get a last-v1.ckpt, which
        # nobody would resume from.
        enable_version_counter=False,
        auto_insert_metric_name=False,
        save_on_train_epoch_end=True,
    )
    trainer = L.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy=DDPStrategy(process_group_backend="gloo" if accelerator == "cpu" else "nccl")
        if devices > 1
        else "auto",
        max_steps=max_steps,
        max_epochs=-1,
        max_time=None if max_minutes is None else {"minutes": max_minutes},
        gradient_clip_val=5.0,
        reload_dataloaders_every_n_epochs=1,
        check_val_every_n_epoch=valid_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[WeightAveraging(avg_fn=_ema(ema)), keep, _TrueSteps(), _EpochLine()],
        logger=CSVLogger(run, name="curves"),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data, ckpt_path=resume)
    if trainer.is_global_zero:
        save_model(model, run / "model.safetensors", training={"steps": trainer.global_step, "seed": seed})
    return model
