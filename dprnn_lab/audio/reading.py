"""Reading audio files: whole, in parts, and the short ones kept in memory.

Notebook: 04_data
"""

import os
import threading
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import soundfile
import torch

from ..error_texts import printable
from .checks import check_format, check_samples
from .errors import AudioError
from .opening import opened
from .rates import LARGEST_SIGNAL, input_part, rate_ratio, resampler

__all__ = [
    "KEPT_BYTES",
    "LONG_BYTES",
    "read_audio",
    "read_frames",
    "read_mono",
    "read_mono_cached",
    "read_mono_part",
]

KEPT_BYTES = 128 * 2**20  # of the files that are kept in memory, in each process
LONG_BYTES = 4 * 2**20  # of a file in memory, over which it is read in parts: 131 s at 8 kHz
BLOCK = 2**20  # samples of all channels, read at once where a header is not trusted


def read_audio(path: str | os.PathLike) -> tuple[torch.Tensor, int]:
    """Read an audio file as float32 ``[channels, T]`` and its sample rate in Hz.

    Raises:
        AudioError: no such file, not an audio file, one without samples, one that was cut off, or one too large to be
            held in memory at once.
    """
    with opened(path) as file:
        frames, rate, channels = file.frames, file.samplerate, file.channels
        if not frames:
            raise AudioError(f"{path}: the file holds no samples; record or export it again")
        if frames * channels > LARGEST_SIGNAL:
            hours, gigabytes = frames / rate / 3600, frames * channels * 4 / 1e9
            raise AudioError(
                f"{path}: {hours:.1f} hours of {channels} channels are {gigabytes:.0f} GB in memory: split the file, "
                "or separate it from file to file (dprnn-lab separate, separate_file)"
            )
        # The header of an MP3 may be an estimate; FLAC's is exact.
        return _read(file, path, 0, frames, exact=file.format == "FLAC"), rate


def read_frames(path: str | os.PathLike, start: int, stop: int) -> torch.Tensor:
    """Part of a file at its own rate, float32 ``[channels, stop - start]``; of an hour, only this part is decoded.

    Raises:
        AudioError: as for :func:`read_audio`, or a file that ends before ``stop``.
    """
    with opened(path) as file:
        return _read(file, path, start, stop)


def _read(
    file: soundfile.SoundFile, path: str | os.PathLike, start: int, stop: int, exact: bool = True
) -> torch.Tensor:
    """Samples ``start`` to ``stop`` of an opened file; not ``exact``: fewer with a warning, if it ends before."""
    if start and file.can_seek:  # type: ignore[attr-defined]
        file.seek(start)
    elif start:  # GSM, say: decoded from the beginning
        left = start
        while left and (read := len(file.read(min(left, BLOCK), dtype="int16", always_2d=True))):
            left -= read
    wanted = stop - start
    if wanted * file.channels <= 16 * BLOCK:
        samples = file.read(wanted, dtype="float32", always_2d=True)
    else:  # memory for what is there, and not for what a header promises
        blocks, step = [], max(1, BLOCK // file.channels)
        while wanted > 0:
            blocks.append(file.read(min(step, wanted), dtype="float32", always_2d=True))
            wanted -= len(blocks[-1])
            if len(blocks[-1]) < step:
                break
        samples = np.concatenate(blocks)
    if 0 < len(samples) < stop - start and not exact:
        warnings.warn(
            f"{printable(path)}: ends after {start + len(samples)} of {file.frames} samples: it may have been cut off, "
            "and is used as it is",
            stacklevel=3,
        )
    elif len(samples) < stop - start:
        raise AudioError(
            f"{path}: ends after {start + len(samples)} of {file.frames} samples: it was cut off; copy or record it "
            "again"
        )
    return torch.from_numpy(np.ascontiguousarray(samples.T))


def read_mono(path: str | os.PathLike, sample_rate: float, *, resample: bool = False) -> torch.Tensor:
    """Read a file of one channel as float32 ``[T]`` at a rate in Hz.

    Args:
        resample: convert a file that is at another rate.

    Raises:
        AudioError: not readable, several channels, another rate and ``resample`` is False, or samples that are not
            finite: the message has the first one's place and time.
    """
    samples, rate = read_audio(path)
    check_format(path, len(samples), rate, sample_rate, resample)
    check_samples(samples, str(path), rate)
    return samples[0] if rate == sample_rate else resampler(*rate_ratio(rate, sample_rate))(samples[0])


def read_mono_part(
    path: str | os.PathLike, sample_rate: float, start: int, stop: int, *, resample: bool = False
) -> torch.Tensor:
    """Samples ``start`` to ``stop`` of :func:`read_mono`, float32 ``[stop - start]``, without reading the rest.

    A file at ``sample_rate`` gives the same bits, a resampled one the same to rounding (1e-6).

    Raises:
        AudioError: as for :func:`read_mono`.
    """
    with opened(path) as file:
        rate = file.samplerate
        check_format(path, file.channels, rate, sample_rate, resample)
        if rate == sample_rate:
            samples = _read(file, path, start, stop)
            check_samples(samples, str(path), rate, start)
            return samples[0]
        ratio = rate_ratio(rate, sample_rate)
        first, last, skipped = input_part(start, stop, *ratio)
        inside = max(first, 0), min(last, file.frames)
        samples = _read(file, path, *inside)
        check_samples(samples, str(path), rate, inside[0])
    padded = torch.nn.functional.pad(samples[0], (inside[0] - first, last - inside[1]))
    return resampler(*ratio)(padded)[skipped:][: stop - start]


class _Kept:
    """Decoded files, the least recently used ones dropped where they exceed a number of bytes in all."""

    def __init__(self) -> None:
        self.samples: OrderedDict[tuple, torch.Tensor] = OrderedDict()
        self.bytes = 0
        self.lock = threading.Lock()

    def get(self, key: tuple) -> torch.Tensor | None:
        with self.lock:
            if key in self.samples:
                self.samples.move_to_end(key)
            return self.samples.get(key)

    def put(self, key: tuple, samples: torch.Tensor) -> None:
        with self.lock:
            if key in self.samples or samples.nbytes > LONG_BYTES:
                return
            self.samples[key] = samples
            self.bytes += samples.nbytes
            while self.bytes > KEPT_BYTES:
                self.bytes -= self.samples.popitem(last=False)[1].nbytes


_kept = _Kept()


def read_mono_cached(path: Path, sample_rate: float, resample: bool = False) -> torch.Tensor:
    """:func:`read_mono` that keeps the short files used last in memory (128 MB); do not change the tensor in place.

    A file that was replaced is read again.
    """
    try:
        status = os.stat(path)
        key = (os.fspath(path), status.st_size, status.st_mtime_ns, sample_rate, resample)
    except (OSError, ValueError):
        return read_mono(path, sample_rate, resample=resample)  # which says what it is
    samples = _kept.get(key)
    if samples is None:
        samples = read_mono(path, sample_rate, resample=resample)
        _kept.put(key, samples)
    return samples
