"""The scores of one mixture: how close the estimates are to the sources, and how close the mixture was.

SI-SDR is always computed; its best permutation assigns the estimates to the sources for all other scores. On request:
SDR, SIR and SAR (E. Vincent, R. Gribonval and C. Fevotte, "Performance measurement in blind audio source separation",
2006) with fast-bss-eval; STOI (intelligibility, 0 to 1) and narrow-band PESQ (quality, 1 to 4.5) with torchmetrics.

Notebook: 08_evaluation
"""

import importlib.util
import math
from collections.abc import Mapping, Sequence

import fast_bss_eval
import torch

from ..audio import SAMPLE_RATE, correlation
from ..loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr

__all__ = ["METRICS", "check_metrics", "score", "score_mixture"]

METRICS = ("si_sdr", "bss", "stoi", "pesq")
_PACKAGES = {"stoi": "pystoi", "pesq": "pesq"}  # torchmetrics calls them
_FILTER_TAPS = 512  # of the distortion filter that SDR allows: BSS Eval's default
_PIT = PITLossWrapper(pairwise_neg_sisdr)


def check_metrics(metrics: Sequence[str]) -> None:
    """Raise ValueError for an unknown metric, and for one whose package is not installed."""
    for name in metrics:
        if name not in METRICS:
            raise ValueError(f"metric is {name!r}: choose from {', '.join(METRICS)}")
        package = _PACKAGES.get(name)
        if package and importlib.util.find_spec(package) is None:
            raise ValueError(f"metric {name!r} needs the package {package}: pip install {package}")


def score(
    estimates: torch.Tensor,
    sources: torch.Tensor,
    mixture: torch.Tensor,
    metrics: Sequence[str] = ("si_sdr",),
    sample_rate: float = SAMPLE_RATE,
    before: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """The scores of one mixture's estimates, means over the sources.

    Args:
        before: the result of :func:`score_mixture` for this mixture and these metrics; saves time if several systems
            are scored on it.

    Shape:
        - estimates, sources: ``[S, T]``; estimates may come in any order
        - mixture: ``[T]``

    Returns:
        ``si_sdr``, ``si_sdr_in`` (the mixture in place of the estimates), ``si_sdri`` (their difference), dB;
        ``correlation``: absolute, between the first two estimates, near 1 if they sound alike, NaN if one
        is silent. With "bss": ``sdr, sdri, sir, sar`` in dB; with "stoi" and "pesq": the score and ``..._in``.
        SDR, SIR and SAR are NaN when a source or an estimate is silent: they are undefined then.

    Raises:
        ValueError: shapes that do not fit, an unknown metric, or one whose package is missing.
    """
    before = score_mixture(sources, mixture, metrics, sample_rate) if before is None else before
    losses, order = _PIT.best_permutation(estimates[None], sources[None])
    estimates = estimates[order[0]]
    scores = {
        "si_sdr": -float(losses[0]),
        "si_sdr_in": before["si_sdr"],
        "si_sdri": -float(losses[0]) - before["si_sdr"],
        "correlation": abs(correlation(estimates)),
    }
    if "bss" in metrics:
        sdr, sir, sar = _bss(estimates, sources)
        scores |= {"sdr": sdr, "sdri": sdr - before["sdr"], "sir": sir, "sar": sar}
    for name, function in _PERCEPTUAL.items():
        if name in metrics:
            scores[name] = function(estimates, sources, sample_rate)
            scores[f"{name}_in"] = before[name]
    return scores


def score_mixture(
    sources: torch.Tensor,
    mixture: torch.Tensor,
    metrics: Sequence[str] = ("si_sdr",),
    sample_rate: float = SAMPLE_RATE,
) -> dict[str, float]:
    """The scores of the mixture itself, in place of every estimate, means over the sources.

    Shape:
        - sources: ``[S, T]``, mixture: ``[T]``

    Returns:
        ``si_sdr``; with "bss" ``sdr``; with "stoi" and "pesq" the score.

    Raises:
        ValueError: as :func:`score`.
    """
    check_metrics(metrics)
    if mixture.shape != sources.shape[1:]:
        raise ValueError(
            f"the mixture has shape {list(mixture.shape)} and the sources {list(sources.shape)}: expected [T], [S, T]"
        )
    copies = mixture.expand_as(sources)
    scores = {"si_sdr": float(si_sdr(copies, sources).mean())}
    if "bss" in metrics:
        scores["sdr"] = _bss(copies, sources)[0]
    return scores | {n: f(copies, sources, sample_rate) for n, f in _PERCEPTUAL.items() if n in metrics}


def _bss(estimates: torch.Tensor, sources: torch.Tensor) -> tuple[float, float, float]:
    """SDR, SIR and SAR, means over the sources in the order given."""
    if min(estimates.abs().amax(1).min(), sources.abs().amax(1).min()) == 0:
        return math.nan, math.nan, math.nan
    values = fast_bss_eval.bss_eval_sources(
        sources.double().cpu(),
        estimates.double().cpu(),
        filter_length=_FILTER_TAPS,
        compute_permutation=False,
    )
    sdr, sir, sar = (float(v.mean()) for v in values)
    return sdr, sir, sar


def _stoi(estimates: torch.Tensor, sources: torch.Tensor, sample_rate: float) -> float:
    from torchmetrics.functional.audio.stoi import short_time_objective_intelligibility

    return float(short_time_objective_intelligibility(estimates, sources, int(sample_rate)).mean())


def _pesq(estimates: torch.Tensor, sources: torch.Tensor, sample_rate: float) -> float:
    from torchmetrics.functional.audio.pesq import perceptual_evaluation_speech_quality

    if sample_rate not in (8000, 16000):
        raise ValueError(f"sample_rate is {sample_rate} Hz: PESQ is defined at 8000 and 16000 Hz")
    return float(perceptual_evaluation_speech_quality(estimates, sources, int(sample_rate), "nb").mean())


_PERCEPTUAL = {"stoi": _stoi, "pesq": _pesq}
