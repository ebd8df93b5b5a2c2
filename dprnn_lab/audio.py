"""Samples enter and leave: audio files, sample rates, channels, levels.

Samples are float32 from -1 to 1. soundfile reads and writes files (WAV, FLAC, Ogg, Opus, raw GSM and more),
torchaudio's windowed-sinc resampler changes rates.

Notebook: 04_data
"""

import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from .files import write_whole

__all__ = [
    "AUDIO_ENDINGS",
    "LOSSLESS_ENDINGS",
    "SAMPLE_RATE",
    "AudioError",
    "as_samples",
    "audio_files",
    "check_finite",
    "check_suits",
    "clipped_share",
    "correlation",
    "encode_audio",
    "peak",
    "read_audio",
    "read_mono",
    "resample",
    "rms",
    "rms_db",
    "to_mono",
    "to_pcm16",
    "write_audio",
]

SAMPLE_RATE = 8000  # Hz, of the bundled speech and models
PEAK = 0.9  # that mixtures and estimates are scaled to, below the 1.0 at which PCM clips
LOSSLESS_ENDINGS = frozenset({".wav", ".flac"})  # of corpora and data sets
# Of formats whose header says all; soundfile names a format by one of its endings.
AUDIO_ENDINGS = frozenset(
    {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw", ".mat4", ".mat5"}
    | {".aif", ".oga", ".opus", ".wave", ".gsm", ".sph"}
)
MONO_MODES = ("mean", "left", "right")
LARGEST_FILTER = (
    10_000_000  # taps over all phases: 44 100 to 8000 Hz needs 35 thousand, 44 101 Hz 350 million
)


class AudioError(ValueError):
    """Audio that can't be used as it is; the message names the value, the reason and the remedy."""


def read_audio(path: str | os.PathLike) -> tuple[torch.Tensor, int]:
    """Read an audio file as float32 ``[channels, T]`` and its sample rate in Hz.

    Raises:
        AudioError: no such file, not an audio file, or one without samples.
    """
    with opened(path) as file:
        samples, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    if not len(samples):
        raise AudioError(f"{path}: the file holds no samples; record or export it again")
    return torch.from_numpy(np.ascontiguousarray(samples.T)), rate


def read_mono(path: str | os.PathLike, sample_rate: float, *, resample: bool = False) -> torch.Tensor:
    """Read a file of one channel as float32 ``[T]`` at a rate in Hz.

    Args:
        resample: convert a file that is at another rate.

    Raises:
        AudioError: not readable, several channels, or another rate and ``resample`` is False.
    """
    samples, rate = read_audio(path)
    check_format(path, len(samples), rate, sample_rate, resample)
    return samples[0] if rate == sample_rate else resampler(*rate_ratio(rate, sample_rate))(samples[0])


@lru_cache(maxsize=128)
def read_mono_cached(path: Path, sample_rate: float, resample: bool = False) -> torch.Tensor:
    """:func:`read_mono` that keeps the 128 files used last in memory; do not change the tensor in place."""
    return read_mono(path, sample_rate, resample=resample)


def check_format(
    path: str | os.PathLike, channels: int, rate: float, sample_rate: float, resample: bool
) -> None:
    """Raise AudioError where :func:`read_mono` would, from what a file's header says."""
    if channels > 1:
        raise AudioError(f"{path} has {channels} channels, expected one: mix it down first")
    if rate != sample_rate and not resample:
        raise AudioError(
            f"{path} is at {rate:g} Hz, expected {sample_rate:g} Hz: pass resample=True to convert it as it is read"
        )


@lru_cache(maxsize=16)
def resampler(from_rate: int, to_rate: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A resampler with its filter, cached: computing the filter takes longer than resampling an utterance."""
    import torchaudio.transforms  # imported here: it takes 0.1 s

    return torchaudio.transforms.Resample(from_rate, to_rate)


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[soundfile.SoundFile]:
    """An audio file opened for reading; an error of soundfile inside the block becomes an AudioError."""
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: no such file; give the path of an audio file")
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless .raw
        with path.open("rb") as content:
            head = content.read(4)
        raise AudioError(
            f"{path}: not readable as audio ({path.stat().st_size} bytes, beginning with {head!r}): "
            f"{getattr(error, 'error_string', error)} Convert it to WAV or FLAC first"
        ) from error


def audio_files(folder: str | os.PathLike, recursive: bool = False) -> list[Path]:
    """The .wav and .flac files of a folder, sorted; ``recursive``: of its subfolders too."""
    folder = Path(folder)
    inside = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(f for f in inside if f.suffix.lower() in LOSSLESS_ENDINGS and f.is_file())


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
    if isinstance(value, np.ndarray):
        # A copy: torch takes neither negative strides nor a foreign byte order.
        value = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
    samples = torch.as_tensor(value).detach().cpu()
    scale = {torch.int16: 2**15, torch.int32: 2**31}.get(samples.dtype)
    if scale is None and not samples.is_floating_point():
        kind = str(samples.dtype).removeprefix("torch.")
        raise AudioError(f"{name} has dtype {kind}: give floating point in -1 to 1, or int16 or int32 PCM")
    return samples.float() / (scale or 1)


def resample(samples: torch.Tensor, from_rate: float, to_rate: float) -> torch.Tensor:
    """Change the sample rate (Hz) along the last axis; equal rates return ``samples`` itself.

    Raises:
        AudioError: a rate of 0 or less, or a ratio that :func:`rate_ratio` refuses.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise AudioError(f"sample rates are {from_rate} and {to_rate} Hz: both must be above 0")
    if from_rate == to_rate:
        return samples
    import torchaudio.functional  # imported here: it takes 0.1 s

    return torchaudio.functional.resample(samples, *rate_ratio(from_rate, to_rate))


def rate_ratio(from_rate: float, to_rate: float) -> tuple[int, int]:
    """Two rates (Hz) in lowest terms: the first number of samples is resampled to the second.

    Raises:
        AudioError: the terms are so large that a filter between the rates would not fit in memory.

    >>> rate_ratio(44100, 8000)
    (441, 80)
    """
    from_rate, to_rate = int(from_rate), int(to_rate)
    divisor = math.gcd(from_rate, to_rate)
    ratio = from_rate // divisor, to_rate // divisor
    if ratio[0] * ratio[1] > LARGEST_FILTER:
        raise AudioError(
            f"from {from_rate} Hz to {to_rate} Hz {ratio[0]} samples become {ratio[1]}: the filter would need "
            "gigabytes; convert the file to a usual rate with sox or ffmpeg first"
        )
    return ratio


def to_mono(samples: torch.Tensor, mode: str | None) -> torch.Tensor:
    """``[channels, T]`` to ``[T]``: the "mean" of the channels, or the "left" or "right" one.

    Channels of opposite polarity cancel in the mean, so the caller must choose.

    Raises:
        AudioError: another shape or mode, or "right" of a single channel.
    """
    if samples.dim() != 2:
        raise AudioError(f"samples have shape {list(samples.shape)}, expected [channels, T]")
    if mode not in MONO_MODES:
        raise AudioError(f"mono is {mode!r}: choose 'mean', 'left' or 'right'")
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


def check_finite(samples: torch.Tensor, name: str) -> None:
    """Raise AudioError when there is a NaN or an infinity among the samples."""
    bad = int((~torch.isfinite(samples)).sum())
    if bad:
        raise AudioError(
            f"{name}: {bad} of {samples.numel()} samples are NaN or infinite; find out what produced them, or "
            "replace them with torch.nan_to_num"
        )


def check_suits(
    name: str, channels: int, rate: float, model_rate: float, mono: str | None, resample: bool
) -> None:
    """Raise an AudioError for channels or a rate that the model does not take, naming the option that converts them."""
    if channels > 1 and mono is None:
        raise AudioError(
            f"{name} has {channels} channels, the model takes one: choose mono='mean', 'left' or 'right' "
            "(--mono)"
        )
    if rate != model_rate and not resample:
        raise AudioError(
            f"{name} is at {rate} Hz, the model was trained at {model_rate} Hz: pass "
            "resample=True (--resample) to convert it"
        )
