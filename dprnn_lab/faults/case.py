"""A case: what a user has on the table. Faults change it, :func:`dprnn_lab.diagnose` is given it.

Notebook: 06_failures_at_inference
"""

import tempfile
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch
from torch import nn

from ..audio import SAMPLE_RATE
from ..checkpoint import load_model
from ..diagnosis.evidence import best_order
from ..separation.in_memory import scale_to_mixture

__all__ = ["Case"]

_OWN = ("truth", "voices", "folder", "fault", "variant")  # not the user's to show


@dataclass
class Case:
    """Everything :func:`dprnn_lab.diagnose` takes, and what only the course knows about it."""

    model: nn.Module | None = None
    checkpoint: Path | None = None
    mixture: object = None  # path, [T], or as the user has it
    sample_rate: float | None = SAMPLE_RATE
    references: torch.Tensor | None = None  # [S, T]
    estimates: torch.Tensor | None = None  # [S, T], as the user saved them
    config: dict = field(default_factory=dict)
    speakers: int | None = None
    reported: float | None = None  # dB
    run: object = None
    batch: tuple | None = None
    loss: object = None
    data: object = None
    scores: object = None
    # What the course knows
    truth: torch.Tensor | None = None  # the sources [S, T] of the healthy mixture
    voices: tuple[str, ...] = ()
    folder: Path | None = None  # where a fault may write
    fault: str = ""
    variant: str = ""

    def evidence(self) -> dict:
        """The arguments of :func:`dprnn_lab.diagnose`."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _OWN}

    def change(self, **changes) -> "Case":
        """A copy with other values."""
        return replace(self, **changes)

    def diagnose(self):
        """The report on this case."""
        from ..diagnosis.engine import diagnose

        return diagnose(**self.evidence())

    @torch.no_grad()
    def separated(self, ordered: bool = True) -> torch.Tensor | None:
        """What the user's model makes of the mixture, scaled to it: ``[S, T]``; None when it can't run.

        ``ordered`` puts the estimates in the order of the references, as a careful user does.
        """
        model = self.model
        if model is None and self.checkpoint is not None:
            try:
                model = load_model(self.checkpoint, report=True, **self.config)[0]
            except (ValueError, TypeError):
                return None
        mixture = self.mixture
        if model is None or not isinstance(mixture, torch.Tensor) or mixture.dim() != 1:
            return None
        training = model.training
        estimates = model.eval()(mixture)
        model.train(training)
        if not estimates.isfinite().all() or not mixture.isfinite().all():
            return estimates
        estimates = scale_to_mixture(estimates, mixture)
        known = self.references
        if ordered and known is not None and known.shape == estimates.shape and known.isfinite().all():
            estimates = best_order(estimates, known)
        return estimates

    def served(self) -> "Case":
        """The case with the estimates that its own model gives."""
        return self.change(estimates=self.separated())

    def file(self, name: str) -> Path:
        """A path in the case's own folder."""
        folder = self.folder or Path(tempfile.mkdtemp(prefix="dprnn-lab-"))
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name
