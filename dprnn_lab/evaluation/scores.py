"""The scores of one mixture: how close the estimates are to the sources, and how close the mixture was.

SI-SDR is always computed; its best permutation assigns the estimates to the sources for all other scores. On request:
SDR, SIR and SAR (E. Vincent, R. Gribonval and C. Fevotte, "Performance measurement in blind audio source separation",
2006) with fast-bss-eval; STOI (intelligibility, 0 to 1) and narrow-band PESQ (quality, 1 to 4.5) with torchmetrics.

Notebook: 08_evaluation
"""

import importlib.util
import math
import warnings
from collections.abc import Mapping, Sequence

import fast_bss_eval
import numpy as np
import torch

from ..audio import SAMPLE_RATE, correlation
from ..loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr

__all__ = ["COLUMNS", "METRICS", "check_metrics", "score", "score_mixture"]

METRICS = ("si_sdr", "bss", "stoi", "pesq")
# The columns of a table that each metric fills, beside those of SI-SDR.
COLUMNS = {"bss": ("sdr", "sdri", "sir", "sar"), "stoi": ("stoi", "stoi_in"), "pesq": ("pesq", "pesq_in")}
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
        A score that is not defined is NaN. SDR, SIR and SAR: a source or an estimate is silent, two sources are
        copies of each other (up to their gain), or the mixture is no longer than the 512 taps of their distortion
        filter. STOI and PESQ: a source is silent, or there is too little speech (PESQ needs a quarter of a second,
        STOI 0.4 s).

    Raises:
        ValueError: shapes that do not fit, an unknown metric, or one whose package is missing.
    """
    before = score_mixture(sources, mixture, metrics, sample_rate) if before is None else before
    if estimates.shape != sources.shape:
        raise ValueError(
            f"the estimates have shape {list(estimates.shape)} and the sources {list(sources.shape)}: expected one "
            "estimate for each source (n_src of the model), as long as the source"
        )
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
    """SDR, SIR and SAR, means over the sources in the order given; NaN where they are not defined."""
    undefined = math.nan, math.nan, math.nan
    if sources.shape[1] <= _FILTER_TAPS or _has_silence(estimates) or _has_silence(sources):
        return undefined
    if len(sources) > 1:
        alike = torch.corrcoef(sources.double()).abs() - torch.eye(len(sources), dtype=torch.float64)
        if alike.max() > 1 - 1e-9:  # of two copies, neither is the interference of the other
            return undefined
    try:
        values = fast_bss_eval.bss_eval_sources(
            sources.double().cpu(),
            estimates.double().cpu(),
            filter_length=_FILTER_TAPS,
            compute_permutation=False,
        )
    except RuntimeError:  # a singular matrix: delayed copies, a constant
        return undefined
    sdr, sir, sar = (float(v.mean()) for v in values)
    return sdr, sir, sar


def _has_silence(signals: torch.Tensor) -> bool:
    """Whether one of ``[S, T]`` is all zero."""
    return bool((signals.abs().amax(1) == 0).any())


def _stoi(estimates: torch.Tensor, sources: torch.Tensor, sample_rate: float) -> float:
    from torchmetrics.functional.audio.stoi import short_time_objective_intelligibility

    if _has_silence(sources):
        return math.nan
    with warnings.catch_warnings():
        # pystoi returns 1e-5 after this warning.
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
        try:
            return float(short_time_objective_intelligibility(estimates, sources, int(sample_rate)).mean())
        except (RuntimeWarning, np.exceptions.AxisError):  # the latter: not even one frame
            return math.nan


def _pesq(estimates: torch.Tensor, sources: torch.Tensor, sample_rate: float) -> float:
    from torchmetrics.functional.audio.pesq import perceptual_evaluation_speech_quality

    if sample_rate not in (8000, 16000):
        raise ValueError(f"sample_rate is {sample_rate} Hz: PESQ is defined at 8000 and 16000 Hz")
    if _has_silence(sources):
        return math.nan
    try:
        return float(perceptual_evaluation_speech_quality(estimates, sources, int(sample_rate), "nb").mean())
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "pesq":
            raise
        return math.nan  # no utterance found, or under a quarter of a second


_PERCEPTUAL = {"stoi": _stoi, "pesq": _pesq}
