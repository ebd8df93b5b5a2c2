"""Mixtures on disk: LibriMix, WHAM!, wsj0-2mix, or any folders laid out like them.

All of these have one folder of mixtures and one per source, with the same file name in each::

    wav8k/min/tt/mix_clean/447o030v_0.1232_050c0109_-0.1232.wav     # or mix_both, mix
    wav8k/min/tt/s1/447o030v_0.1232_050c0109_-0.1232.wav
    wav8k/min/tt/s2/447o030v_0.1232_050c0109_-0.1232.wav

Asteroid's recipes describe the same files with a CSV of the columns ``mixture_ID, mixture_path, source_1_path,
source_2_path, ...``. Both are read here; files are opened one at a time, on access. A list may come from any program
and system (:mod:`dprnn_lab.datasets.tables`).

``torchaudio.datasets.LibriMix`` reads the same tree, from one folder further up (a test compares the files). From
torchaudio 2.9 on it needs TorchCodec and FFmpeg; here soundfile reads them.

For training, :class:`RandomSegments` cuts another segment from each mixture in each epoch; for validation,
:class:`FixedSegments` cuts the same one every time.

Notebook: 04_data
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ..audio import (
    SAMPLE_RATE,
    AudioError,
    audio_info,
    check_samples,
    read_audio,
)
from ..error_texts import printable
from .mixture_files import MixtureFiles, find_mixtures
from .notes import SKIP_BAD, note
from .segment_lengths import SegmentLengths

__all__ = ["DiskMixture", "DiskMixtures", "RandomSegments", "FixedSegments"]


@dataclass(frozen=True)
class DiskMixture:
    """One mixture and its files."""

    id: str
    kind: str  # the name of the mixtures' folder, or of the CSV
    mixture: Path
    sources: tuple[Path, ...]
    sample_rate: float


class DiskMixtures(Dataset):
    """Mixtures and their sources from folders or from a CSV.

    Item ``i`` is ``(mixture [T], sources [S, T], DiskMixture)``, float32.

    Args:
        path: the folder that holds the mixtures' folder and ``s1, s2, ...``; or a CSV in Asteroid's style.
        sample_rate: Hz that the files must have; None for the first file's.
        mix: name of the mixtures' folder; needed only where there are several.
        skip_bad: leave out mixtures with a file that can't be used. Every file is read once for that, at the start.

    Attributes:
        left_out: (file, reason) of the mixtures that ``skip_bad`` left out.
        notes: remarks on the folder, which are warnings too: files that are not read.

    Raises:
        FileNotFoundError: nothing at the path, or another layout; the message names both, and folders that fit.
        ValueError: several folders of mixtures and no ``mix``, files without counterparts, a list with a row that
            can't be read, or nothing left.
        AudioError: for an item, a file that can't be used: the message names it, and the sample if one is not finite.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        sample_rate: float | None = None,
        mix: str | None = None,
        skip_bad: bool = False,
    ) -> None:
        path = Path(path)
        self.path, self.skip_bad = path, skip_bad
        found = find_mixtures(path, mix, skip_bad)
        rows, self.left_out, self.notes = found.rows, found.left_out, found.notes
        if sample_rate is None:
            sample_rate = self._first_rate(rows)
        self.sample_rate = sample_rate
        specs = [DiskMixture(*row, sample_rate) for row in rows]
        self.specs = [spec for spec in specs if self._usable(spec)] if skip_bad else specs
        if not self.specs:
            raise ValueError(
                f"{printable(path)}: none of its {len(self.left_out)} mixtures can be used, the first because: "
                f"{self.left_out[0][1]}"
            )

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, DiskMixture]]:
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, DiskMixture]:
        spec = self.specs[index]
        try:
            signals = self._signals(spec)
        except AudioError as error:
            if self.skip_bad:
                raise
            raise AudioError(f"{error}{SKIP_BAD}") from error
        return signals[0], torch.stack(signals[1:]), spec

    def _signals(self, spec: DiskMixture) -> list[torch.Tensor]:
        """The mixture and its sources, each ``[T]``."""
        signals = [self._read(file) for file in (spec.mixture, *spec.sources)]
        lengths = {len(s) for s in signals}
        if len(lengths) > 1:
            raise AudioError(
                f"{spec.id}: the mixture and its sources have {sorted(lengths)} samples: they must be equally long "
                "(the 'min' version of LibriMix and WHAM!, or 'max' with padded sources)"
            )
        return signals

    def _read(self, file: Path) -> torch.Tensor:
        samples, rate = read_audio(file)
        if rate != self.sample_rate:
            raise AudioError(
                f"{file} is at {rate} Hz, expected {self.sample_rate} Hz: use the version of the data set at that "
                "rate (wav8k or wav16k), or resample the files"
            )
        if len(samples) > 1:
            raise AudioError(f"{file} has {len(samples)} channels, expected one: mix it down first")
        check_samples(samples, str(file), rate)
        return samples[0]

    def _usable(self, spec: DiskMixture) -> bool:
        """Whether all files of a mixture can be used; one that can't goes to ``left_out``."""
        for file in (spec.mixture, *spec.sources):
            try:
                self._read(file)
            except AudioError as error:
                self.left_out.append((file, str(error)))
                return False
        try:
            self._signals(spec)
        except AudioError as error:
            self.left_out.append((spec.mixture, str(error)))
            return False
        return True

    def _first_rate(self, rows: list[MixtureFiles]) -> float:
        """Hz, of the first mixture; with ``skip_bad`` of the first that can be opened."""
        for row in rows:
            try:
                return audio_info(row[2]).rate
            except AudioError as error:
                if not self.skip_bad:
                    raise AudioError(f"{error}{SKIP_BAD}") from error
        return SAMPLE_RATE


class _Segments(Dataset):
    """The mixtures that are long enough, and the place to cut a segment."""

    def __init__(self, mixtures: DiskMixtures, segments: SegmentLengths) -> None:
        self.mixtures, self.segments = mixtures, segments
        samples = segments.longest
        lengths = [self._length(spec.mixture) for spec in mixtures.specs]
        self.kept = [i for i, length in enumerate(lengths) if length >= samples]
        self.skipped = len(lengths) - len(self.kept)
        self.notes: list[str] = []
        if not self.kept:
            raise ValueError(
                f"{printable(mixtures.path)}: none of its {len(lengths)} mixtures has {samples} samples, the longest "
                f"has {max(lengths)}: choose shorter segments (seconds, --seconds; validation takes 4 s)"
            )
        if self.skipped:
            note(
                self.notes,
                f"{mixtures.path}: {self.skipped} of {len(lengths)} mixtures are shorter than "
                f"{samples / mixtures.sample_rate:g} s and left out",
            )

    def _length(self, file: Path) -> int:
        try:
            return audio_info(file).frames
        except AudioError as error:
            raise AudioError(f"{error}{SKIP_BAD}") from error

    def __len__(self) -> int:
        return len(self.kept)

    def _cut(
        self, index: int, samples: int, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, DiskMixture]:
        mixture, sources, spec = self.mixtures[index]
        start = active_segment(sources, samples, rng)
        part = slice(start, start + samples)
        # Copies: a view would keep the whole file in memory.
        return mixture[part].clone(), sources[:, part].clone(), spec


class RandomSegments(_Segments):
    """For training: a new segment of every mixture in each epoch, in a new order.

    Item ``i`` is ``(mixture [T], sources [S, T])``; it depends on (seed, epoch, i) alone. Noise in the mixture
    stays in its segment; the sources are clean.

    Args:
        mixtures: on disk.
        samples: T; of several, every ``per_step`` segments in a row draw one (:class:`.SegmentLengths`). Mixtures
            shorter than the longest are skipped and counted in ``skipped``: padding would train silence.
        seed: of the segments and their order.
        per_step: segments in a row of equal length, if there are several lengths.
        size: segments per epoch, each of another mixture; None for all mixtures.

    Raises:
        ValueError: no mixture is long enough, or fewer are than ``size``.
    """

    def __init__(
        self,
        mixtures: DiskMixtures,
        samples: int | Sequence[int] = SAMPLE_RATE,
        seed: int = 0,
        per_step: int = 1,
        size: int | None = None,
    ) -> None:
        super().__init__(mixtures, SegmentLengths(samples, per_step, seed))
        if size is not None and not 1 <= size <= len(self.kept):
            raise ValueError(
                f"size is {size} (epoch_size, --epoch-size), and {len(self.kept)} mixtures can be used: an epoch takes "
                "each at most once; leave it out for all of them"
            )
        self.seed, self.size = seed, size
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Select the epoch of the items."""
        self.epoch = epoch
        self.order = np.random.default_rng((self.seed, epoch)).permutation(self.kept)

    def __len__(self) -> int:
        return len(self.kept) if self.size is None else self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rng = np.random.default_rng((self.seed, self.epoch, index))
        return self._cut(int(self.order[index]), self.segments.of(self.epoch, index), rng)[:2]


class FixedSegments(_Segments):
    """For validation: the same segment of the same mixtures every time.

    Item ``i`` is ``(mixture [T], sources [S, T], DiskMixture)``.

    Args:
        mixtures: on disk.
        samples: T. Shorter mixtures are skipped and counted in ``skipped``.
        limit: at most this many mixtures, evenly spread over the list.

    Raises:
        ValueError: no mixture is long enough, or a limit under 1.
    """

    def __init__(self, mixtures: DiskMixtures, samples: int = SAMPLE_RATE, limit: int | None = None) -> None:
        super().__init__(mixtures, SegmentLengths(samples))
        if limit is not None and limit < 1:
            raise ValueError(f"limit is {limit}: give 1 or more, or None for all")
        count = min(limit or len(self.kept), len(self.kept))
        self.kept = [self.kept[i * len(self.kept) // count] for i in range(count)]
        self.specs = [mixtures.specs[i] for i in self.kept]

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, DiskMixture]:
        return self._cut(self.kept[index], self.segments.longest, np.random.default_rng(self.kept[index]))


def active_segment(sources: torch.Tensor, samples: int, rng: np.random.Generator) -> int:
    """Start of a segment of ``samples`` samples of ``[S, T]`` in which every source is active.

    Of ten random places, the first in which each source is at most 12 dB under its own level, else the one with the
    least drop of the weakest source: SI-SDR against a silent source is meaningless.
    """
    level = sources.square().mean(-1).clamp(min=1e-12)
    best, weakest = 0, -1.0
    for start in rng.integers(sources.shape[-1] - samples + 1, size=10):
        share = float((sources[:, start : start + samples].square().mean(-1) / level).min())
        if share > weakest:
            best, weakest = int(start), share
        if share >= 10**-1.2:
            break
    return best if weakest > 0 else _start_in_common(sources, samples, best)


def _start_in_common(sources: torch.Tensor, samples: int, otherwise: int) -> int:
    """Start of the segment in which the weakest source of ``[S, T]`` has most energy; ``otherwise`` if there is none.

    For long digital silence, which ten places can all lie in.
    """
    total = torch.nn.functional.pad(sources.double().square().cumsum(-1), (1, 0))
    starts = torch.arange(0, sources.shape[-1] - samples + 1, max(1, samples // 8))
    energy = total[:, starts + samples] - total[:, starts]
    weakest = (energy / total[:, -1:].clamp(min=1e-12)).amin(0)
    return int(starts[weakest.argmax()]) if weakest.max() > 1e-9 else otherwise
