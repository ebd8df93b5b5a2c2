"""A case: the inputs to one diagnosis, which faults change, and the ground truth behind them.

Notebook: 06_failures_at_inference
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..audio import SAMPLE_RATE
from ..checkpoint import load_model
from ..diagnosis import Inputs, Report, diagnose
from ..diagnosis.evidence import best_order, evaluation_mode
from ..separation.in_memory import scale_to_mixture

__all__ = ["Case"]


@dataclass
class Case(Inputs):
    """The arguments of :func:`dprnn_lab.diagnose`, and what it must not see."""

    sample_rate: float | None = SAMPLE_RATE
    config: Mapping = field(default_factory=dict)
    # Hidden from diagnose()
    truth: torch.Tensor | None = None  # the sources [S, T] of the healthy mixture
    voices: tuple[str, ...] = ()  # names of the speakers
    folder: Path | None = None  # where a fault may write
    fault: str = ""
    variant: str = ""

    def change(self, **changes: Any) -> "Case":
        """A copy with other values."""
        return replace(self, **changes)

    def diagnose(self) -> Report:
        """The report on this case."""
        return diagnose(**{f.name: getattr(self, f.name) for f in fields(Inputs)})

    @torch.no_grad()
    def separated(self, ordered: bool = True) -> torch.Tensor | None:
        """The model's estimates ``[S, T]`` of the mixture, scaled to it; None when it can't run.

        ``ordered`` puts them in the order of the references.
        """
        model = self.model
        if model is None and self.checkpoint is not None:
            try:
                model = load_model(self.checkpoint, report=True, **self.config)[0]
            except (ValueError, TypeError):
                return None
        mixture = self.mixture
        if not isinstance(model, nn.Module) or not isinstance(mixture, torch.Tensor) or mixture.dim() != 1:
            return None
        with evaluation_mode(model):
            estimates = model(mixture)
        if not estimates.isfinite().all() or not mixture.isfinite().all():
            return estimates
        estimates = scale_to_mixture(estimates, mixture)
        known = self.references
        if ordered and known is not None and known.shape == estimates.shape and known.isfinite().all():
            estimates = best_order(estimates, known)
        return estimates

    def with_own_estimates(self) -> "Case":
        """The case with the estimates of its own model."""
        return self.change(estimates=self.separated())

    def file(self, name: str) -> Path:
        """A path in the case's own folder."""
        folder = self.folder or Path(tempfile.mkdtemp(prefix="dprnn-lab-"))
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name
