"""Healthy cases, for faults to change.

Notebook: 06_failures_at_inference
"""

import os
from pathlib import Path

from torch import nn

from ..audio import SAMPLE_RATE
from ..checkpoint import load_model
from ..datasets.mixing import FixedMixtures, mix
from ..files import data_folder
from ..loss import si_sdr
from ..model import DPRNNTasNet
from .case import Case

__all__ = ["HEALTHY_DB", "healthy_case", "healthy_training"]

HEALTHY_DB = 5.0  # SI-SDRi with which a mixture counts as separated


def healthy_case(
    seed: int = 0,
    kind: str = "man-woman",
    model: str | os.PathLike | DPRNNTasNet | None = None,
    folder: str | os.PathLike | None = None,
    seconds: float = 4.0,
    level_db: float | None = None,
) -> Case:
    """A trained model on a mixture of the test list, with references and estimates.

    Args:
        seed: which mixture of the kind, modulo their number. The bundled model does not separate all of them: with it,
            the first from there on that it improves by :data:`HEALTHY_DB`.
        kind: "man-woman", "woman-woman" or "seen-unseen".
        model: a file or a model, for exactly this mixture; None for the bundled one.
        folder: where faults may write files; None for a temporary one.
        seconds: length, at most 4.
        level_db: level of the first voice over the second, for another mixture of both; None for the list's own.

    Raises:
        LookupError: the bundled model separates no mixture of the kind.
    """
    mixtures = FixedMixtures("test", kind=kind)
    path = None
    if not isinstance(model, nn.Module):
        path = Path(model) if model is not None else data_folder() / "model" / "small.safetensors"
        network = load_model(path)
    else:
        network = model
    samples = int(seconds * SAMPLE_RATE)
    for index in range(seed, seed + len(mixtures)):
        mixture, sources, spec = mixtures[index % len(mixtures)]
        if level_db is not None:
            mixture, sources = mix(sources[0], sources[1], level_db)
        case = Case(
            model=network,
            checkpoint=path,
            mixture=mixture[:samples].clone(),
            references=sources[:, :samples].clone(),
            truth=sources[:, :samples].clone(),
            voices=(Path(spec.first).parts[0], Path(spec.second).parts[0]),
            folder=None if folder is None else Path(folder),
        ).with_own_estimates()
        if model is not None or _improvement(case) >= HEALTHY_DB:
            return case
    raise LookupError(f"the bundled model improves no {kind} mixture of {seconds:g} s by {HEALTHY_DB:g} dB")


def _improvement(case: Case) -> float:
    """SI-SDRi of the case's estimates, which are in the order of its references, in dB."""
    after, before = (
        si_sdr(signal, case.references).mean() for signal in (case.estimates, case.mixture[None])
    )
    return float(after - before)


def healthy_training(seed: int = 0) -> Case:
    """A healthy training: a run's curve, a batch, the loss, lists of training and test, scores.

    Args:
        seed: of the batch, lists and scores; it also chooses one of the three recorded healthy runs.
    """
    from ..loss import PITLossWrapper, pairwise_neg_sisdr
    from .curves import recorded_curve
    from .data import healthy_batch, healthy_lists
    from .scores import healthy_scores

    return Case(
        config=dict(chunk_size=32, kernel_size=64, stride=32),
        run=recorded_curve(f"healthy-{seed % 3}"),
        batch=healthy_batch(seed),
        loss=PITLossWrapper(pairwise_neg_sisdr),
        data=healthy_lists(seed),
        scores=healthy_scores(seed),
    )
