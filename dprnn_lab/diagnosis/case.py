"""A case: what a user has on the table. Faults change it, :func:`dprnn_lab.diagnose` is given it.

Notebook: 06_failures_at_inference
"""

import os
import tempfile
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch
from torch import nn

from ..checkpoint import load_model
from ..mixing import FixedMixtures, mix
from ..model import DPRNNTasNet
from ..separation import scale_to_mixture
from ..speech import SAMPLE_RATE, data_folder
from .evidence import best_order

__all__ = ["Case", "healthy_case", "healthy_training"]

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
        from .engine import diagnose

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


def healthy_case(
    seed: int = 0,
    kind: str = "man-woman",
    model: str | os.PathLike | DPRNNTasNet | None = None,
    folder: str | os.PathLike | None = None,
    seconds: float = 4.0,
    level_db: float | None = None,
) -> Case:
    """A trained model on a mixture of the test list, with references and estimates: nothing is wrong.

    Args:
        seed: which mixture of the kind, modulo their number.
        kind: "man-woman", "woman-woman" or "seen-unseen".
        model: a file or a model; the bundled one when None.
        folder: where faults may write files; a temporary one when None.
        seconds: length, at most 4.
        level_db: mix anew with the first voice so much over the second; as in the list when None.
    """
    mixtures = FixedMixtures("test", kind=kind)
    mixture, sources, spec = mixtures[seed % len(mixtures)]
    if level_db is not None:
        mixture, sources = mix(sources[0], sources[1], level_db)
    samples = int(seconds * SAMPLE_RATE)
    path = None
    if not isinstance(model, nn.Module):
        path = Path(model) if model is not None else data_folder() / "model" / "small.safetensors"
        model = load_model(path)
    case = Case(
        model=model,
        checkpoint=path,
        mixture=mixture[:samples].clone(),
        references=sources[:, :samples].clone(),
        truth=sources[:, :samples].clone(),
        voices=(Path(spec.first).parts[0], Path(spec.second).parts[0]),
        folder=None if folder is None else Path(folder),
    )
    return case.served()


def healthy_training(seed: int = 0) -> Case:
    """A training in which nothing is wrong: a run's curve, a batch, the loss, lists of training and test, scores.

    Args:
        seed: of the batch, lists and scores; chooses among the three recorded healthy runs.
    """
    from ..loss import PITLossWrapper, pairwise_neg_sisdr
    from .faults.curves import recorded_curve
    from .faults.data import healthy_batch, healthy_lists
    from .faults.scores import healthy_scores

    return Case(
        config=dict(chunk_size=32, kernel_size=64, stride=32),
        run=recorded_curve(f"healthy-{seed % 3}"),
        batch=healthy_batch(seed),
        loss=PITLossWrapper(pairwise_neg_sisdr),
        data=healthy_lists(seed),
        scores=healthy_scores(seed),
    )
