"""Any part of a long audio file, as mono samples at a given rate.

Notebook: 09_long_audio
"""

import os

import torch

from .. import audio
from ..audio import (
    AudioError,
    audio_info,
    check_finite,
    check_suits,
    input_part,
    rate_ratio,
    read_frames,
    to_mono,
)

__all__ = ["AudioStream"]


class AudioStream:
    """The samples of a file, read in parts.

    Each part equals the same part of the whole file mixed down and resampled (to rounding): the resampler gets as
    many samples before and after as its filter is long.

    Args:
        path: a file in a format in which soundfile can seek.
        sample_rate: Hz, of the samples returned.
        mono, resample: as for :func:`separate <dprnn_lab.separate>`.

    Attributes:
        samples: T, at ``sample_rate``.
        path: the file.

    Raises:
        AudioError: not readable, or it does not suit (:func:`check_suits`); when reading, samples that are not
            finite, or a file that ends before the length in its header.
    """

    def __init__(
        self, path: str | os.PathLike, sample_rate: float, *, mono: str | None = None, resample: bool = False
    ) -> None:
        self.path, self.mono = path, mono
        self.frames, self.rate, channels, seekable = audio_info(path)
        if not self.frames:
            raise AudioError(f"{path}: the file holds no samples; record or export it again")
        if not seekable:
            raise AudioError(f"{path}: parts of this format can't be read; convert it to WAV or FLAC first")
        check_suits(str(path), channels, self.rate, sample_rate, mono, resample)
        if channels > 1:
            to_mono(
                torch.zeros(channels, 1), mono
            )  # an unknown mode is an error before any window is computed
        # `step` samples of the file map to `made` output samples.
        self.step, self.made = (1, 1) if self.rate == sample_rate else rate_ratio(self.rate, sample_rate)
        self.samples = -(-self.frames * self.made // self.step)

    def read(self, start: int, stop: int) -> torch.Tensor:
        """Samples ``start`` to ``stop`` as float32 ``[stop - start]``."""
        if self.step == self.made:
            return self._source(start, stop)
        first, last, skipped = input_part(start, stop, self.step, self.made)
        inside = self._source(max(first, 0), min(last, self.frames))
        padded = torch.nn.functional.pad(inside, (max(-first, 0), max(last - self.frames, 0)))
        return audio.resample(padded, self.step, self.made)[skipped:][: stop - start]

    def check_end(self) -> None:
        """Raise AudioError for a file that was cut off, before its samples are used; reading says so only there."""
        read_frames(self.path, self.frames - 1, self.frames)

    def _source(self, start: int, stop: int) -> torch.Tensor:
        """Part of the file at its own rate, mono."""
        samples = read_frames(self.path, start, stop)
        check_finite(samples, str(self.path), self.rate, start)
        return samples[0] if len(samples) == 1 else to_mono(samples, self.mono)
