"""Separate a file, an array or a tensor, or a list of them.

Notebooks: 00_start_here, 09_long_audio
"""

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import Any, TypedDict, Unpack, overload

import numpy as np
import torch
from torch import nn

from .. import audio
from ..audio import AudioError, as_samples, check_finite, check_suits, read_audio, to_mono
from ..model import DPRNNTasNet
from .parallel import check_compute, estimates_of
from .remarks import cancelling_channels
from .rescaling import check_scale, rescale, scale_to_mixture
from .speaker_tracking import check_tracking, track_speakers
from .windows import WINDOW_SECONDS, Progress, Window, overlap_add, reporting, windows_for

__all__ = ["scale_to_mixture", "separate"]

Audio = str | os.PathLike | np.ndarray | torch.Tensor


class Options(TypedDict, total=False):
    """The keyword arguments of :func:`separate`."""

    resample: bool
    mono: str | None
    scale: str
    window: float | None
    tracking: str
    workers: int | None
    precision: str
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
    workers: int | None = None,
    precision: str = "float32",
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
        workers: windows computed at a time, also those of several mixtures of a list, each on one core; None for all
            cores that the process may use, 1 for one after the other. The estimates are the same to the bit. A single
            window uses all of PyTorch's threads. On a GPU windows go in batches instead.
        precision: "float32", "bfloat16" (faster where the processor or GPU computes in it, and a little less exact:
            tests/benchmarks/precision.md), or "auto": bfloat16 where it is faster. The default is float32, so that a
            score of the estimates is the same on every machine; :func:`separate_file
            <dprnn_lab.separation.file_to_file.separate_file>`, which writes files for listening, has "auto".
        progress: True shows a tqdm bar of the windows; a function is called after each with the number done and
            the total. For a list both count its mixtures.

    Returns:
        ``[S, T]`` float32 on the CPU, at the model's sample rate; for a list, a list of them. T is the input's
        length (after resampling).

    Raises:
        AudioError: audio that does not suit the model, or an unknown option, with the remedy.
        TypeError: ``model``, ``wav`` or ``progress`` is none of the accepted types.

    Warns:
        UserWarning: channels that cancel each other in their mean.
    """
    if not isinstance(model, nn.Module):
        given = (
            f"model is {model!r}"
            if isinstance(model, (str, os.PathLike))
            else f"model is {type(model).__name__}"
        )
        raise TypeError(f"{given}: give a network, such as load_model('small')")
    check_scale(scale)
    check_tracking(tracking)
    check_compute(workers, precision)
    if sample_rate is not None and not (isinstance(sample_rate, Real) and 0 < sample_rate < math.inf):
        raise AudioError(f"sample_rate is {sample_rate!r}: give a number above 0 Hz, or leave it out")
    several = isinstance(wav, (list, tuple))
    named: list[tuple[Any, str]] = [(wav, "wav")]
    if isinstance(wav, (list, tuple)):
        named = [(item, f"wav[{i}]") for i, item in enumerate(wav)]

    def mixture(item: Any, name: str) -> _Mixture:
        samples, name, remark = _mono_at_rate(item, name, sample_rate, model.sample_rate, mono, resample)
        return _Mixture(samples, name, windows_for(model, len(samples), window), remark)

    finished: list[torch.Tensor] = []
    with (
        reporting(progress) as report,
        closing(estimates_of(model, _windows(named, mixture), workers, precision)) as results,
    ):
        for current, result in results:
            estimates = result.result()
            if current.remark:
                warnings.warn(f"{current.name}: {current.remark}", stacklevel=2)
                current.remark = None
            check_finite(estimates, f"the model's output for {current.name}")
            current.parts.append(estimates)
            if not several:
                report(len(current.parts), len(current.plan))
            if len(current.parts) == len(current.plan):
                finished.append(current.separated(model.sample_rate, scale, tracking))
                if several:
                    report(len(finished), len(named))
    return finished if several else finished[0]


@dataclass(eq=False)
class _Mixture:
    """A mixture under way: samples ``[T]`` at the model's rate, and the windows' estimates so far."""

    samples: torch.Tensor
    name: str
    plan: list[Window]
    remark: str | None = None  # for the user
    parts: list[torch.Tensor] = field(default_factory=list)

    def separated(self, rate: float, scale: str, tracking: str) -> torch.Tensor:
        """The estimates ``[S, T]``, when all windows are there."""
        if len(self.plan) == 1:
            estimates = self.parts[0]
        else:
            orders = track_speakers(self.parts, self.plan, rate, tracking).orders
            estimates = torch.cat(list(overlap_add(self.parts, self.plan, orders)), dim=-1)
        return rescale(estimates, self.samples, scale)


def _windows(
    named: Sequence[tuple[Any, str]], mixture: Callable[[Any, str], _Mixture]
) -> Iterator[tuple[_Mixture, Callable[[], torch.Tensor]]]:
    """Each window of each mixture in turn; an item that can't be read raises when it is its turn, and ends it."""
    for item, name in named:
        try:
            current = mixture(item, name)
        except Exception as error:
            yield _Mixture(torch.empty(0), name, []), partial(_raise, error)
            return
        for start, stop in current.plan:
            yield current, partial(current.samples.__getitem__, slice(start, stop))


def _raise(error: Exception) -> torch.Tensor:
    raise error


def _mono_at_rate(
    wav: Audio, name: str, sample_rate: float | None, model_rate: float, mono: str | None, resample: bool
) -> tuple[torch.Tensor, str, str | None]:
    """Read, check, mix down, resample: float32 ``[T]`` at the model's rate, the name for messages, and a remark."""
    samples, rate, name = _read(wav, model_rate if sample_rate is None else sample_rate, name)
    if isinstance(wav, (str, os.PathLike)) and sample_rate is not None and sample_rate != rate:
        raise AudioError(
            f"{name} is at {rate} Hz and sample_rate says {sample_rate} Hz: leave sample_rate out"
        )
    check_finite(samples, name, rate)
    check_suits(name, len(samples), rate, model_rate, mono, resample)
    remark = cancelling_channels(samples) if mono == "mean" and len(samples) > 1 else None
    samples = to_mono(samples, mono) if len(samples) > 1 else samples[0]
    return audio.resample(samples, rate, model_rate), name, remark


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
