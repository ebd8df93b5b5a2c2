"""Separate a file, an array or a tensor, or a list of them.

Notebooks: 00_start_here, 09_long_audio
"""

import math
import os
import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, TypedDict, Unpack, overload

import numpy as np
import torch

from .. import audio
from ..audio import AudioError, as_samples, check_finite, check_suits, read_audio, to_mono
from ..model import DPRNNTasNet
from .remarks import cancelling_channels
from .rescaling import check_scale, rescale, scale_to_mixture
from .speaker_tracking import check_tracking, track_speakers
from .windows import WINDOW_SECONDS, Progress, estimate_window, overlap_add, reporting, run_model, windows_for

__all__ = ["scale_to_mixture", "separate"]

Audio = str | os.PathLike | np.ndarray | torch.Tensor


class Options(TypedDict, total=False):
    """The keyword arguments of :func:`separate`."""

    resample: bool
    mono: str | None
    scale: str
    window: float | None
    tracking: str
    progress: bool | Progress


@overload
def separate(  # type: ignore[overload-overlap]  # a str is a Sequence too
    model: DPRNNTasNet, wav: Audio, sample_rate: float | None = None, **options: Unpack[Options]
) -> torch.Tensor: ...


@overload
def separate(
    model: DPRNNTasNet, wav: Sequence[Audio], sample_rate: float | None = None, **options: Unpack[Options]
) -> list[torch.Tensor]: ...


def separate(
    model: DPRNNTasNet,
    wav: Audio | Sequence[Audio],
    sample_rate: float | None = None,
    *,
    resample: bool = False,
    mono: str | None = None,
    scale: str = "mixture",
    window: float | None = WINDOW_SECONDS,
    tracking: str = "profiles",
    progress: bool | Progress = False,
) -> torch.Tensor | list[torch.Tensor]:
    """Separate a mixture, or each of a list of mixtures, into its sources.

    Audio is not converted unless asked: another sample rate, or more than one channel, is an error whose message
    names the option that converts it.

    A mixture longer than ``window`` is separated in windows that overlap by a quarter, and the speakers are
    tracked from one to the next (:mod:`dprnn_lab.separation.speaker_tracking`). The network then needs memory
    for one window; mixture and estimates are held whole. :func:`separate_file
    <dprnn_lab.separation.file_to_file.separate_file>` goes from file to file and holds neither.

    Args:
        model: the model; evaluated without gradients, its training mode is left as it was.
        wav: path of an audio file; or samples ``[T]`` or ``[channels, T]``, as an array or tensor, floating point
            in -1 to 1, or int16 or int32 PCM. Or a list of these, of any lengths; two axes are always channels,
            never a batch.
        sample_rate: of ``wav`` in Hz. A file has its own; for samples None means the model's rate.
        resample: convert another rate to the model's. The estimates have the model's rate.
        mono: "mean", "left" or "right": how several channels become one.
        scale: "mixture" gives each estimate the gain with which their sum is closest to the mixture (least
            squares): SI-SDR training leaves the gains arbitrary, and only this choice keeps the level of one
            speaker relative to the other. "peak" then scales all to a common peak of 0.9; "none" leaves the
            network's own output. One gain per speaker holds for all windows: a window's own gain is
            ill-conditioned where a speaker is silent, and would step at the seams.
        window: seconds; None to separate everything at once.
        tracking: "profiles", "overlap" or "none": how speakers are tracked across windows.
        progress: True shows a tqdm bar of the windows; a function is called after each with the number done and
            the total. For a list both count its mixtures.

    Returns:
        ``[S, T]`` float32 on the CPU, at the model's sample rate; for a list, a list of them. T is the input's
        length (after resampling).

    Raises:
        AudioError: audio that does not suit the model, or an unknown option, with the remedy.
        TypeError: ``wav`` or ``progress`` is none of the accepted types.

    Warns:
        UserWarning: channels that cancel each other in their mean.
    """
    check_scale(scale)
    check_tracking(tracking)
    if sample_rate is not None and not (isinstance(sample_rate, Real) and 0 < sample_rate < math.inf):
        raise AudioError(f"sample_rate is {sample_rate!r}: give a number above 0 Hz, or leave it out")

    def one(item: Any, name: str, report: Progress) -> torch.Tensor:
        samples, name = _mono_at_rate(item, name, sample_rate, model.sample_rate, mono, resample)
        return _separate(model, samples, name, scale, window, tracking, report)

    with reporting(progress) as report:
        if not isinstance(wav, (list, tuple)):
            return one(wav, "wav", report)
        estimates = []
        for i, item in enumerate(wav):
            estimates.append(one(item, f"wav[{i}]", lambda done, total: None))
            report(i + 1, len(wav))
        return estimates


def _separate(
    model: DPRNNTasNet,
    samples: torch.Tensor,
    name: str,
    scale: str,
    window: float | None,
    tracking: str,
    report: Progress,
) -> torch.Tensor:
    """Estimates ``[S, T]`` of samples ``[T]`` at the model's rate."""
    plan = windows_for(model, len(samples), window)
    if len(plan) == 1:
        estimates = run_model(model, samples)
        check_finite(estimates, f"the model's output for {name}")
        report(1, 1)
    else:
        parts = []
        for start, stop in plan:
            parts.append(estimate_window(model, samples[start:stop], name))
            report(len(parts), len(plan))
        orders = track_speakers(parts, plan, model.sample_rate, tracking).orders
        estimates = torch.cat(list(overlap_add(parts, plan, orders)), dim=-1)
    return rescale(estimates, samples, scale)


def _mono_at_rate(
    wav: Audio, name: str, sample_rate: float | None, model_rate: float, mono: str | None, resample: bool
) -> tuple[torch.Tensor, str]:
    """Read, check, mix down, resample: float32 ``[T]`` at the model's rate, and the name for messages."""
    samples, rate, name = _read(wav, model_rate if sample_rate is None else sample_rate, name)
    if isinstance(wav, (str, os.PathLike)) and sample_rate is not None and sample_rate != rate:
        raise AudioError(
            f"{name} is at {rate} Hz and sample_rate says {sample_rate} Hz: leave sample_rate out"
        )
    check_finite(samples, name, rate)
    check_suits(name, len(samples), rate, model_rate, mono, resample)
    if mono == "mean" and len(samples) > 1 and (cancelled := cancelling_channels(samples)):
        warnings.warn(f"{name}: {cancelled}", stacklevel=4)
    samples = to_mono(samples, mono) if len(samples) > 1 else samples[0]
    return audio.resample(samples, rate, model_rate), name


def _read(wav: Audio, rate: float, name: str) -> tuple[torch.Tensor, float, str]:
    """Samples as float32 ``[channels, T]``, their rate in Hz, and the name for messages."""
    if isinstance(wav, (str, os.PathLike)):
        samples, rate = read_audio(wav)
        return samples, rate, str(wav)
    if not isinstance(wav, (np.ndarray, torch.Tensor)):
        raise TypeError(f"{name} is {type(wav).__name__}: give a path, a numpy array or a torch tensor")
    samples = as_samples(wav, name)
    if samples.dim() == 1:
        samples = samples.unsqueeze(0)
    if samples.dim() != 2 or 0 in samples.shape:
        raise AudioError(
            f"{name} has shape {list(samples.shape)}: give [T] or [channels, T] with samples in it"
        )
    if samples.shape[0] > samples.shape[1]:
        raise AudioError(
            f"{name} has shape {list(samples.shape)}: {samples.shape[0]} channels of {samples.shape[1]} samples look "
            "transposed; give [channels, T] (wav.T)"
        )
    return samples, rate, name
