"""Checks of audio before it is used: finite samples, one channel, the rate that is expected.

Notebook: 04_data
"""

import os

import torch

from .errors import AudioError
from .rates import check_convertible

__all__ = ["MONO_MODES", "check_finite", "check_format", "check_mono", "check_samples", "check_suits"]

MONO_MODES = ("mean", "left", "right")
LARGEST_SAMPLE = 1e6  # float files of 16-bit numbers reach 32 768; the square of 1e20 is infinite


def check_finite(samples: torch.Tensor, name: str, rate: float | None = None, start: int = 0) -> None:
    """Raise AudioError when there is a NaN or an infinity among the samples.

    Args:
        samples: ``[..., T]``.
        name: of the file or signal, for the message.
        rate: Hz; the message then says the time too.
        start: index in the file of the first sample.
    """
    if samples.numel() and not samples.isfinite().all():
        finite = samples.isfinite()
        bad = samples.numel() - int(finite.sum())
        *channel, index = (~finite).nonzero()[0].tolist() if samples.dim() else (0,)
        value = float(samples[(*channel, index)]) if samples.dim() else float(samples)
        place = f"channel {channel[-1] + 1}, " if channel else ""
        time = f" ({(start + index) / rate:.3f} s)" if rate else ""
        raise AudioError(
            f"{name}: {bad} of {samples.numel()} samples are NaN or infinite, the first one ({value}) at {place}sample "
            f"{start + index}{time}; find out what produced them, or replace them with torch.nan_to_num"
        )


def check_format(
    path: str | os.PathLike, channels: int, rate: float, sample_rate: float, resample: bool
) -> None:
    """Raise AudioError where :func:`read_mono <dprnn_lab.audio.read_mono>` would, from what a file's header says."""
    if channels > 1:
        raise AudioError(f"{path} has {channels} channels, expected one: mix it down first")
    check_convertible(str(path), rate, sample_rate)
    if rate != sample_rate and not resample:
        raise AudioError(
            f"{path} is at {rate:g} Hz, expected {sample_rate:g} Hz: pass resample=True (--resample) to convert it as "
            "it is read"
        )


def check_mono(mode: str | None) -> None:
    """Raise an AudioError unless this is a way to make one channel of several."""
    if mode not in MONO_MODES:
        raise AudioError(f"mono is {mode!r}: choose 'mean', 'left' or 'right'")


def check_suits(
    name: str, channels: int, rate: float, model_rate: float, mono: str | None, resample: bool
) -> None:
    """Raise an AudioError for channels or a rate that the model does not take, naming the option that converts them."""
    if mono is not None:  # whatever the number of channels: another file may have more
        check_mono(mono)
    if channels > 1 and mono is None:
        raise AudioError(
            f"{name} has {channels} channels, the model takes one: choose mono='mean', mono='left' or mono='right'"
        )
    check_convertible(name, rate, model_rate)
    if rate != model_rate and not resample:
        raise AudioError(
            f"{name} is at {rate} Hz, the model was trained at {model_rate} Hz: pass "
            "resample=True (--resample) to convert it"
        )


def check_samples(samples: torch.Tensor, name: str, rate: float, start: int = 0) -> None:
    """:func:`check_finite` for samples read from a file, and an AudioError for values that no recording has."""
    check_finite(samples, name, rate, start)
    if samples.numel() and (largest := float(samples.abs().max())) > LARGEST_SAMPLE:
        index = start + int(samples.abs().flatten().argmax()) % samples.shape[-1]
        raise AudioError(
            f"{name}: sample {index} ({index / rate:.3f} s) is {largest:.3g}, and full scale is 1: the file is "
            "damaged; export it again"
        )
