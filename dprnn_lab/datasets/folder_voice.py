"""The recordings of one speaker on disk, as one signal of which parts are read.

Notebook: 04_data
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..audio import LONG_BYTES, AudioError, read_mono_cached, read_mono_part, rms
from .notes import SKIP_BAD

__all__ = ["PART", "FolderUtterance", "FolderVoice"]

PART = 2**20  # samples that are read at once


@dataclass(frozen=True)
class FolderUtterance:
    """One audio file of one speaker."""

    file: Path
    speaker: str
    split: str  # "train" or "valid"
    samples: int  # at the corpus' sample rate


class FolderVoice:
    """One speaker's utterances concatenated: has a length and slices like a tensor ``[T]``, read from disk."""

    def __init__(self, utterances: Sequence[FolderUtterance], sample_rate: float, resample: bool) -> None:
        self.files = [u.file for u in utterances]
        self.ends = np.cumsum([u.samples for u in utterances])
        self.sample_rate, self.resample = sample_rate, resample

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, part: slice) -> torch.Tensor:
        start, stop, step = part.indices(len(self))
        if step != 1 or stop <= start:
            raise IndexError(f"the part is {part}: give [start:stop] with at least one sample")
        first, last = np.searchsorted(self.ends, (start, stop - 1), side="right")
        begin = int(self.ends[first - 1]) if first else 0
        pieces = []
        for index in range(first, last + 1):
            pieces.append(self._read(index, max(start - begin, 0), min(stop, int(self.ends[index])) - begin))
            begin = int(self.ends[index])
        return torch.cat(pieces)

    def rms(self) -> torch.Tensor:
        """Root mean square of about ten of its utterances."""
        some = range(0, len(self.files), -(-len(self.files) // 10))
        if not any(map(self._is_long, some)):
            return rms(torch.cat([self._read(index, 0, self._length(index)) for index in some]))
        energy = 0.0
        for index in some:
            for part in self._parts(index):
                energy += float(part.double().square().sum())
        return torch.tensor(energy / sum(map(self._length, some))).sqrt()

    def check(self) -> None:
        """Read all of it, a part at a time.

        Raises:
            AudioError: a file that can't be decoded to its end, or a sample that is not finite.
        """
        for index in range(len(self.files)):
            for _ in self._parts(index):
                pass

    def _length(self, index: int) -> int:
        return int(self.ends[index] - (self.ends[index - 1] if index else 0))

    def _is_long(self, index: int) -> bool:
        return 4 * self._length(index) > LONG_BYTES

    def _parts(self, index: int) -> Iterator[torch.Tensor]:
        """The samples of a file, a million at a time."""
        length = self._length(index)
        for start in range(0, length, PART):
            yield self._read(index, start, min(start + PART, length))

    def _read(self, index: int, start: int, stop: int) -> torch.Tensor:
        """Samples ``start`` to ``stop`` of a file."""
        file = self.files[index]
        try:
            if self._is_long(index):
                return read_mono_part(file, self.sample_rate, start, stop, resample=self.resample)
            whole = read_mono_cached(file, self.sample_rate, self.resample)
        except AudioError as error:
            raise AudioError(f"{error}{SKIP_BAD}") from error
        if len(whole) != self._length(index):
            raise AudioError(
                f"{file} has {len(whole)} samples, and had {self._length(index)} when it was listed: it was replaced; "
                "start again"
            )
        return whole[start:stop]
