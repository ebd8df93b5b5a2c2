"""The mixture as the user has it, and a cleaned version on which a model can be judged.

Notebook: 06_failures_at_inference
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import torch

from ..audio import AudioError, as_samples, read_audio, resample

__all__ = ["Recording", "Signals", "as_signals", "as_tensor", "read_recording", "read_signals"]

MAX_CHANNELS = 8
SILENT_PEAK = 1e-5  # -100 dBFS: below the last bit of 16
FAINT_PEAK = 1e-3  # -60 dBFS: near the EPS in the model's norms
MAX_PEAK = 1.5  # floating-point samples beyond are not audio in -1 to 1


@dataclass
class Recording:
    """Samples ``[channels, T]`` float32 as given, their rate, and how that rate is known."""

    samples: torch.Tensor
    rate: float  # Hz
    rate_from: str  # "file", "given" or "assumed"
    transposed: bool = False  # given as [T, channels]
    steps: list[str] = field(default_factory=list)  # of :meth:`cleaned`, in words

    def cleaned(self, rate: float) -> torch.Tensor:
        """``[T]``: finite, the loudest channel, without DC offset, at a usual level, at ``rate`` Hz."""
        self.steps = []
        samples = self.samples
        if not samples.isfinite().all():
            self.steps.append("NaN and infinity set to zero")
            samples = samples.nan_to_num(0.0, 0.0, 0.0)
        if len(samples) > 1:
            self.steps.append("loudest channel taken")
            samples = samples[samples.square().sum(-1).argmax()][None]
        samples = samples[0]
        largest = float(samples.abs().max())
        offset = float(samples.mean())
        if abs(offset) > 0.05 * largest:
            self.steps.append("mean subtracted")
            samples = samples - offset
            largest = float(samples.abs().max())
        if largest > MAX_PEAK or SILENT_PEAK < largest < FAINT_PEAK:
            self.steps.append("peak set to 0.5")
            samples = samples * (0.5 / largest)
        if self.rate != rate and self.rate_from != "assumed":
            self.steps.append(f"resampled from {self.rate:g} to {rate:g} Hz")
            samples = resample(samples, self.rate, rate)
        return samples


def read_recording(
    mixture: str | os.PathLike | np.ndarray | torch.Tensor | Sequence,
    sample_rate: float | None,
    model_rate: float | None,
) -> Recording:
    """A path, array or tensor as a :class:`Recording`; integers become floating point in -1 to 1.

    Without ``sample_rate`` (Hz), samples are assumed to be at ``model_rate``, or at 8 kHz.

    Raises:
        AudioError: not readable, no samples, or a shape that is not a recording.
        TypeError: neither path, array nor tensor.
    """
    if sample_rate is not None and not (isinstance(sample_rate, Real) and sample_rate > 0):
        raise AudioError(f"sample_rate is {sample_rate!r}: give a number above 0 Hz, or leave it out")
    if isinstance(mixture, (str, os.PathLike)):
        samples, rate = read_audio(mixture)
        return Recording(samples, rate, "file")
    samples = as_tensor(mixture, "mixture")
    if samples.dim() == 3 and samples.shape[:2] == (1, 1):
        samples = samples[0]
    if samples.dim() == 1:
        samples = samples.unsqueeze(0)
    if samples.dim() != 2 or 0 in samples.shape:
        raise AudioError(
            f"mixture has shape {list(samples.shape)}: give [T] or [channels, T] with samples in it"
        )
    transposed = samples.shape[1] <= MAX_CHANNELS < samples.shape[0]
    samples = samples.T if transposed else samples
    if samples.shape[0] > MAX_CHANNELS:
        raise AudioError(
            f"mixture has shape {list(samples.shape)}: {samples.shape[0]} rows are not the channels of one "
            "recording; diagnose one mixture at a time"
        )
    assumed_rate = sample_rate or model_rate or 8000
    return Recording(samples.contiguous(), assumed_rate, "given" if sample_rate else "assumed", transposed)


@dataclass(frozen=True)
class Signals:
    """References or estimates: ``[S, T]`` float32, cut to the shortest, and what they were before."""

    samples: torch.Tensor
    lengths: tuple[int, ...]  # samples of each, uncut
    rates: tuple[float | None, ...]  # Hz, of the files; None for arrays

    @property
    def rate(self) -> float | None:
        """Of all files, Hz; None for arrays, or when the files differ."""
        return self.rates[0] if len(set(self.rates)) == 1 else None


def as_signals(value: Any, name: str) -> torch.Tensor:
    """References or estimates, ``[S, T]`` float32: the samples of :func:`read_signals`."""
    return read_signals(value, name).samples


def read_signals(value: Any, name: str) -> Signals:
    """References or estimates from a tensor, an array, or a list of paths or arrays.

    Raises:
        AudioError, TypeError: a value that can't be converted.
    """
    if isinstance(value, (str, os.PathLike)):
        raise AudioError(f"{name} is one path ({value}): give a list with one file per source")
    if isinstance(value, (list, tuple)):
        parts: list[torch.Tensor] = []
        rates: list[float | None] = []
        for v in value:
            samples, rate = read_audio(v) if isinstance(v, (str, os.PathLike)) else (as_tensor(v, name), None)
            parts.append(samples.squeeze() if rate is None else samples[0])
            rates.append(rate)
        if not parts or any(p.dim() != 1 or not len(p) for p in parts):
            raise AudioError(
                f"{name} are {[list(p.shape) for p in parts]}: give one signal [T] per source, with samples in it"
            )
        lengths = tuple(map(len, parts))
        return Signals(torch.stack([p[: min(lengths)] for p in parts]), lengths, tuple(rates))
    signals = as_tensor(value, name)
    if signals.dim() == 3 and signals.shape[0] == 1:
        signals = signals[0]
    if signals.dim() == 1:
        signals = signals.unsqueeze(0)
    if signals.dim() != 2 or 0 in signals.shape or signals.shape[0] > signals.shape[1]:
        raise AudioError(
            f"{name} has shape {list(signals.shape)}: give [S, T], one row of samples per source"
        )
    return Signals(signals, (signals.shape[1],) * len(signals), (None,) * len(signals))


def as_tensor(value: Any, name: str) -> torch.Tensor:
    """Numbers of any kind as float32; int16 and int32 are scaled to -1 to 1.

    Raises:
        AudioError, TypeError: not numbers, or not audio.
    """
    if not isinstance(value, (np.ndarray, torch.Tensor, list, tuple)):
        raise TypeError(f"{name} is {type(value).__name__}: give a path, a numpy array or a torch tensor")
    try:
        return as_samples(value, name)
    except AudioError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise AudioError(f"{name} can't be read as numbers: {error}") from error
