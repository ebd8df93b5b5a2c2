"""The training step and the validation step, as a LightningModule.

Notebook: 05_training
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import lightning as L
import torch

from ..audio import correlation
from ..loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from ..model import DPRNNTasNet
from .finite import check_scores, check_step, check_weights
from .muon import MuonAdam

__all__ = ["OPTIMIZERS", "SeparationModule", "freeze", "silent_share"]

OPTIMIZERS = ("muon", "adam")
SILENT_DB = -50.0  # dB under the mixture; below it rounding errors make SI-SDR numerically meaningless


class SeparationModule(L.LightningModule):
    """Mixture in, estimates out, PIT loss on negative SI-SDR, one step of the optimiser.

    The learning rate warms up over ``warmup`` steps, stays at ``lr``, and falls linearly to zero over the last
    ``cooldown`` steps of ``max_steps``. To extend a run, resume it with a larger ``max_steps`` from a checkpoint made
    before the cooldown. With ``halve_after`` the rate is ``lr`` from the start, and is halved whenever the validation
    loss has not fallen for this many validations: the schedule of the papers (Y. Luo, Z. Chen and T. Yoshioka,
    arXiv 1910.06379).

    Args:
        loss: of estimates and sources ``[B, S, T]``, a scalar; None for the PIT loss.
            Validation always uses SI-SDR under the best permutation.
        optimizer: "muon" (Muon for matrices, Adam for the rest) or "adam".
        halve_after: validations without progress before the rate is halved; None for warm-up and cooldown.
        valid_every: epochs between validations.

    Raises:
        ValueError: an unknown optimiser, a cooldown together with ``halve_after``, or a model without a parameter to
            train.

    A step whose loss or gradient is not finite, weights that a step has made so, and such validation scores raise
    :class:`~dprnn_lab.training.finite.NotFiniteError`.

    Attributes:
        scores: a row per validation mixture of the last validation: ``id, kind, si_sdr, si_sdr_in,
            si_sdri, correlation``, as :func:`dprnn_lab.evaluation.evaluate` names them.
        tracked_ids: ids of the validation mixtures whose estimates are kept in ``tracked_sounds``.
        tracked_sounds: id to (mixture ``[T]``, sources ``[S, T]``, estimates ``[S, T]`` in the sources' order).
    """

    def __init__(
        self,
        model: DPRNNTasNet,
        lr: float = 1e-3,
        warmup: int = 200,
        cooldown: int = 0,
        max_steps: int = 1_000_000,
        optimizer: str = "muon",
        halve_after: int | None = None,
        valid_every: int = 1,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    ):
        super().__init__()
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is {optimizer!r}: choose {' or '.join(OPTIMIZERS)}")
        if halve_after is not None and cooldown:
            raise ValueError(
                f"halve_after is {halve_after} and cooldown {cooldown}: both set the learning rate, leave one out"
            )
        trained = [p.requires_grad for p in model.parameters()]
        if trained and not any(trained):
            raise ValueError(
                "every parameter of the model is frozen: nothing is left to train; freeze fewer parts"
            )
        self.model = model
        self.pit = PITLossWrapper(pairwise_neg_sisdr)
        self.loss = self.pit if loss is None else loss
        self.lr, self.warmup, self.cooldown, self.max_steps = lr, warmup, cooldown, max_steps
        self.optimizer, self.halve_after, self.valid_every = optimizer, halve_after, valid_every
        self.scores: list[dict] = []
        self.tracked_ids: set[str] = set()
        self.tracked_sounds: dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["model_config"] = dict(self.model.config)  # no weight's shape tells load_model all of it

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        mixture, sources = batch
        loss = self.loss(self.model(mixture), sources)
        per_epoch: Any = {"on_step": False, "on_epoch": True, "batch_size": len(mixture), "sync_dist": True}
        self._step = (batch, loss.detach())
        self.log("train_loss", loss, **per_epoch)
        self.log("silent_share", silent_share(mixture, sources), **per_epoch)
        return loss

    def on_train_start(self) -> None:
        schedule: Any = self.lr_schedulers()
        if self.halve_after is None:
            # Lightning restores the rate in the checkpoint; the rate of this session replaces it.
            schedule.base_lrs = [self.lr] * len(schedule.base_lrs)
        for part in self.model.modules():
            if isinstance(part, torch.nn.RNNBase) and not part.training and next(part.parameters()).is_cuda:
                # A frozen one: a GPU passes gradients through RNNs in training mode only.
                part.dropout, part.training = 0.0, True

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Before clipping.
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))
        batch, loss = self._step
        check_step(self, batch, loss, norm)
        self.log("grad_norm", norm, on_step=False, on_epoch=True)

    def on_train_batch_end(self, *_: Any) -> None:
        check_weights(self)

    def learning_rate_factor(self, step: int) -> float:
        """Warm-up, constant, cooldown: 0 to 1."""
        rise = (step + 1) / max(1, self.warmup)
        fall = (self.max_steps - step) / max(1, self.cooldown) if self.cooldown else 1.0
        return max(0.0, min(1.0, rise, fall))

    def on_validation_epoch_start(self) -> None:
        self.scores, self.tracked_sounds = [], {}

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor, list[str], list[str]]) -> None:
        mixture, sources, ids, kinds = batch
        estimates = self.model(mixture)
        losses, order = self.pit.best_permutation(estimates, sources)
        before = si_sdr(mixture.unsqueeze(1), sources).mean(1)
        for i, (name, kind) in enumerate(zip(ids, kinds, strict=True)):
            estimate = estimates[i, order[i]]
            self.scores.append({
                "id": name, "kind": kind, "si_sdr": -float(losses[i]), "si_sdr_in": float(before[i]),
                "si_sdri": -float(losses[i]) - float(before[i]),
                "correlation": abs(correlation(estimate.float())) if len(estimate) > 1 else 0.0,
            })  # fmt: skip
            if name in self.tracked_ids:
                self.tracked_sounds[name] = (mixture[i].cpu(), sources[i].cpu(), estimate.float().cpu())

    def on_validation_epoch_end(self) -> None:
        if self.trainer.world_size > 1:
            # Ranks may hold different kinds: after gathering, every rank logs the same names. A rank without a mixture
            # of its own scores one a second time; it counts once.
            parts: list = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(parts, (self.scores, self.tracked_sounds))
            self.scores = list({row["id"]: row for rows, _ in parts for row in rows}.values())
            self.tracked_sounds = {name: sounds for _, tracked in parts for name, sounds in tracked.items()}
        if not self.scores:
            return
        check_scores(self)
        self.log("valid_loss", -_mean(self.scores, "si_sdr"))
        self.log("output_correlation", _mean(self.scores, "correlation"))
        for kind in sorted({row["kind"] for row in self.scores}):
            rows = [row for row in self.scores if row["kind"] == kind]
            self.log(f"si_sdr_{kind}", _mean(rows, "si_sdr"))
            self.log(f"si_sdri_{kind}", _mean(rows, "si_sdri"))

    def configure_optimizers(self) -> Any:
        optimizer: torch.optim.Optimizer
        schedule: torch.optim.lr_scheduler.LRScheduler
        if self.optimizer == "muon":
            optimizer = MuonAdam(self.model, self.lr)
        else:
            optimizer = torch.optim.Adam([p for p in self.model.parameters() if p.requires_grad], self.lr)
        if self.halve_after is None:
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.learning_rate_factor)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
        # ReduceLROnPlateau acts on validation patience + 1. Its default threshold is relative to the loss, which is
        # wrong for a negative one.
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=self.halve_after - 1, threshold_mode="abs"
        )
        when = {"interval": "epoch", "frequency": self.valid_every, "monitor": "valid_loss"}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule} | when}


def _mean(rows: list[dict], column: str) -> float:
    return sum(row[column] for row in rows) / len(rows)


@torch.no_grad()
def silent_share(mixture: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """Share of the sources that are more than 50 dB under their mixture: 0 to 1, a scalar.

    Shape:
        - mixture: ``[B, T]``, sources: ``[B, S, T]``
    """
    level = sources.square().mean(-1) / mixture.square().mean(-1, keepdim=True).clamp(min=1e-12)
    return (level < 10 ** (SILENT_DB / 10)).float().mean()


def freeze(model: torch.nn.Module, parts: Collection[str]) -> int:
    """Exclude the named parts of a model from training; returns the number of parameters that are still trained.

    A frozen part also stays in evaluation mode when the model is put in training mode: otherwise dropout would act in
    it, and the statistics of its batch norms would move.

    Args:
        parts: names of parameters or of modules, such as "encoder" or "separator.blocks.0".

    Raises:
        ValueError: a part that the model does not have, or nothing left to train.
    """
    names = [name for name, _ in model.named_parameters()]
    for part in parts:
        if not any(name == part or name.startswith(f"{part}.") for name in names):
            known = sorted({".".join(name.split(".")[:depth]) for name in names for depth in (1, 2)})
            raise ValueError(
                f"freeze names {part!r}, which the model does not have: choose from {', '.join(known)}"
            )
    frozen = {name for name in names if any(name == part or name.startswith(f"{part}.") for part in parts)}
    left = sum(p.numel() for name, p in model.named_parameters() if name not in frozen)
    if not left:
        raise ValueError(f"freeze names {', '.join(parts)}: nothing is left to train; freeze fewer parts")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    for module in model.modules():
        own = list(module.parameters())
        if own and not any(p.requires_grad for p in own):
            # An attribute of the object hides the method of its class, for its parents' train() too.
            module.train = partial(_stay_in_evaluation, module)  # type: ignore[method-assign]
            module.eval()
        elif "train" in module.__dict__:  # frozen before, and no longer
            del module.train
    return left


def _stay_in_evaluation(module: torch.nn.Module, mode: bool = True) -> torch.nn.Module:
    """``train`` of a frozen module."""
    return torch.nn.Module.train(module, False)
