"""Samples enter and leave: audio files, sample rates, channels, levels.

Samples are float32 from -1 to 1. soundfile reads and writes files (WAV, FLAC, Ogg, Opus, raw GSM and more),
torchaudio's windowed-sinc resampler changes rates.

Notebook: 04_data
"""

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from ..files import write_whole
from .checks import check_finite, check_format, check_mono, check_samples, check_suits
from .errors import AudioError
from .fingerprints import Fingerprints, fingerprint
from .folders import (
    AUDIO_ENDINGS,
    FOREIGN_ENDINGS,
    LOSSLESS_ENDINGS,
    FolderContent,
    audio_files,
    folder_content,
    is_passed_over,
    subfolders,
    unread_text,
)
from .opening import AudioInfo, audio_info, opened
from .rates import SAMPLE_RATE, input_part, rate_ratio, resample, resampler
from .reading import LONG_BYTES, read_audio, read_frames, read_mono, read_mono_cached, read_mono_part

__all__ = [
    "AUDIO_ENDINGS",
    "FOREIGN_ENDINGS",
    "LONG_BYTES",
    "LOSSLESS_ENDINGS",
    "SAMPLE_RATE",
    "AudioError",
    "AudioInfo",
    "Fingerprints",
    "FolderContent",
    "as_samples",
    "audio_files",
    "audio_info",
    "check_finite",
    "check_format",
    "check_samples",
    "check_suits",
    "clipped_share",
    "correlation",
    "encode_audio",
    "fingerprint",
    "folder_content",
    "input_part",
    "is_passed_over",
    "opened",
    "peak",
    "rate_ratio",
    "read_audio",
    "read_frames",
    "read_mono",
    "read_mono_cached",
    "read_mono_part",
    "resample",
    "resampler",
    "rms",
    "rms_db",
    "subfolders",
    "to_mono",
    "to_pcm16",
    "unread_text",
    "write_audio",
]

PEAK = 0.9  # that mixtures and estimates are scaled to, below the 1.0 at which PCM clips


def write_audio(path: str | os.PathLike, samples: torch.Tensor, sample_rate: int) -> Path:
    """Write ``[T]`` or ``[channels, T]`` as 16-bit PCM; the file's ending selects the format.

    The write is atomic, and missing folders are made.

    Raises:
        AudioError: samples over 1 (they would clip), NaN or infinite, or an ending that soundfile does not know.
    """
    path = Path(path)
    samples = torch.as_tensor(samples).detach().float().cpu()
    check_finite(samples, str(path))
    if samples.dim() not in (1, 2) or not samples.numel():
        raise AudioError(f"{path}: samples have shape {list(samples.shape)}, expected [T] or [channels, T]")
    if peak(samples) > 1:
        raise AudioError(
            f"{path}: the peak is {peak(samples):.2f}, PCM files end at 1.00 and would clip; "
            "scale the samples down first (dprnn_lab.separate does it by default)"
        )
    kind = path.suffix.lstrip(".").upper()
    if kind not in soundfile.available_formats() or not soundfile.default_subtype(kind):
        raise AudioError(f"{path}: unknown ending {path.suffix!r}; use .wav or .flac")
    try:
        return write_whole(path, encode_audio(samples, sample_rate, kind))
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path}: {list(samples.shape)} samples at {sample_rate} Hz can't be written as {kind}: "
            f"{error.error_string} Use .wav, and a sample rate above 0"
        ) from error


def encode_audio(samples: torch.Tensor, sample_rate: int, kind: str = "WAV") -> bytes:
    """The content of a 16-bit PCM file of ``[T]`` or ``[channels, T]``; samples over 1 clip."""
    file = io.BytesIO()
    soundfile.write(file, to_pcm16(samples).numpy().T, int(sample_rate), format=kind)
    return file.getvalue()


def to_pcm16(samples: torch.Tensor) -> torch.Tensor:
    """Samples of -1 to 1 as int16, rounded (libsndfile rounds for FLAC and truncates for WAV); louder ones clip."""
    return (samples * 2**15).round().clamp(-(2**15), 2**15 - 1).to(torch.int16)


def as_samples(value: Any, name: str) -> torch.Tensor:
    """An array or tensor of any shape as float32 on the CPU; int16 and int32 are scaled to -1 to 1.

    Raises:
        AudioError: numbers of another kind.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind not in "fiubc":
        raise AudioError(
            f"{name} has dtype {value.dtype}, which are no samples: give an array of numbers [T] or [channels, T], all "
            "channels equally long"
        )
    if isinstance(value, np.ndarray):
        # A copy: torch takes neither negative strides nor a foreign byte order.
        value = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
    try:
        samples = torch.as_tensor(value).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise AudioError(
            f"{name} is {type(value).__name__} and no samples ({error}): give an array or tensor of numbers"
        ) from error
    scale = {torch.int16: 2**15, torch.int32: 2**31}.get(samples.dtype)
    if scale is None and not samples.is_floating_point():
        kind = str(samples.dtype).removeprefix("torch.")
        raise AudioError(f"{name} has dtype {kind}: give floating point in -1 to 1, or int16 or int32 PCM")
    return samples.float() / (scale or 1)


def to_mono(samples: torch.Tensor, mode: str | None) -> torch.Tensor:
    """``[channels, T]`` to ``[T]``: the "mean" of the channels, or the "left" or "right" one.

    Channels of opposite polarity cancel in the mean, so the caller must choose.

    Raises:
        AudioError: another shape or mode, or "right" of a single channel.
    """
    if samples.dim() != 2:
        raise AudioError(f"samples have shape {list(samples.shape)}, expected [channels, T]")
    check_mono(mode)
    if mode == "mean":
        return samples.mean(0)
    if mode == "right" and len(samples) < 2:
        raise AudioError("mono is 'right', and there is one channel only: choose 'left' or 'mean'")
    return samples[0 if mode == "left" else 1]


def rms(samples: torch.Tensor) -> torch.Tensor:
    """Root mean square along the last axis."""
    return samples.square().mean(-1).sqrt()


def rms_db(samples: torch.Tensor) -> torch.Tensor:
    """Root mean square along the last axis in dB relative to full scale (dBFS); -120 for silence."""
    return 20 * torch.log10(rms(samples).clamp(min=1e-6))


def peak(samples: torch.Tensor) -> float:
    """Largest absolute sample; 0 without samples."""
    return float(samples.abs().max()) if samples.numel() else 0.0


def clipped_share(samples: torch.Tensor) -> torch.Tensor:
    """Share of samples that are clipped, along the last axis: at the maximum or minimum, in runs of two and more.

    >>> clipped_share(torch.tensor([0.0, 0.5, 1.0, 1.0, 1.0, -0.2, -1.0, 0.3]))
    tensor(0.2500)
    """
    high, low = samples.amax(-1, keepdim=True), samples.amin(-1, keepdim=True)
    at_high = (samples >= 0.9999 * high) & (high > 0)
    at_low = (samples <= 0.9999 * low) & (low < 0)
    runs = (at_high[..., 1:] & at_high[..., :-1]) | (at_low[..., 1:] & at_low[..., :-1])
    return runs.sum(-1) / samples.shape[-1]


def correlation(signals: torch.Tensor, undefined: float = math.nan) -> float:
    """Pearson correlation of the first two of ``[S, T]``; ``undefined`` where one is constant, or there is only one."""
    value = float(torch.corrcoef(signals[:2])[0, 1]) if len(signals) > 1 else math.nan
    return undefined if math.isnan(value) else value
