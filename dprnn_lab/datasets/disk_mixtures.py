"""Mixtures on disk: LibriMix, WHAM!, wsj0-2mix, or any folders laid out like them.

All of these have one folder of mixtures and one per source, with the same file name in each::

    wav8k/min/tt/mix_clean/447o030v_0.1232_050c0109_-0.1232.wav     # or mix_both, mix
    wav8k/min/tt/s1/447o030v_0.1232_050c0109_-0.1232.wav
    wav8k/min/tt/s2/447o030v_0.1232_050c0109_-0.1232.wav

Asteroid's recipes describe the same files with a CSV of the columns ``mixture_ID, mixture_path, source_1_path,
source_2_path, ...``. Both are read here; files are opened one at a time, on access.

``torchaudio.datasets.LibriMix`` reads the same tree, from one folder further up (a test compares the files). From
torchaudio 2.9 on it needs TorchCodec and FFmpeg; here soundfile reads them.

For training, :class:`RandomSegments` cuts another segment from each mixture in each epoch; for validation,
:class:`FixedSegments` cuts the same one every time.

Notebook: 04_data
"""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ..audio import SAMPLE_RATE, AudioError, audio_files, opened, read_audio
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

    Raises:
        FileNotFoundError: nothing at the path, or another layout; the message names both.
        ValueError: several folders of mixtures and no ``mix``, or files without counterparts.
    """

    def __init__(
        self, path: str | os.PathLike, sample_rate: float | None = None, mix: str | None = None
    ) -> None:
        path = Path(path)
        if path.suffix == ".csv" and path.is_file():
            rows = _rows_of_csv(path)
        elif path.is_dir():
            rows = _rows_of_folders(path, mix)
        else:
            raise FileNotFoundError(f"{path}: neither a folder nor a CSV file; give one of them")
        if sample_rate is None:
            sample_rate = read_audio(rows[0][2])[1]
        self.path, self.sample_rate = path, sample_rate
        self.specs = [DiskMixture(*row, sample_rate) for row in rows]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, DiskMixture]]:
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, DiskMixture]:
        spec = self.specs[index]
        signals = [self._read(file) for file in (spec.mixture, *spec.sources)]
        lengths = {len(s) for s in signals}
        if len(lengths) > 1:
            raise AudioError(
                f"{spec.id}: the mixture and its sources have {sorted(lengths)} samples: they must be equally long "
                "(the 'min' version of LibriMix and WHAM!, or 'max' with padded sources)"
            )
        return signals[0], torch.stack(signals[1:]), spec

    def _read(self, file: Path) -> torch.Tensor:
        samples, rate = read_audio(file)
        if rate != self.sample_rate:
            raise AudioError(
                f"{file} is at {rate} Hz, expected {self.sample_rate} Hz: use the version of the data set at that "
                "rate (wav8k or wav16k), or resample the files"
            )
        if len(samples) > 1:
            raise AudioError(f"{file} has {len(samples)} channels, expected one: mix it down first")
        return samples[0]


class _Segments(Dataset):
    """The mixtures that are long enough, and the place to cut a segment."""

    def __init__(self, mixtures: DiskMixtures, segments: SegmentLengths) -> None:
        self.mixtures, self.segments = mixtures, segments
        samples = segments.longest
        lengths = [_length(spec.mixture) for spec in mixtures.specs]
        self.kept = [i for i, length in enumerate(lengths) if length >= samples]
        self.skipped = len(lengths) - len(self.kept)
        if not self.kept:
            raise ValueError(
                f"{mixtures.path}: none of its {len(lengths)} mixtures has {samples} samples, the longest has "
                f"{max(lengths)}: choose shorter segments"
            )

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

    Raises:
        ValueError: no mixture is long enough.
    """

    def __init__(
        self,
        mixtures: DiskMixtures,
        samples: int | Sequence[int] = SAMPLE_RATE,
        seed: int = 0,
        per_step: int = 1,
    ) -> None:
        super().__init__(mixtures, SegmentLengths(samples, per_step, seed))
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Select the epoch of the items."""
        self.epoch = epoch
        self.order = np.random.default_rng((self.seed, epoch)).permutation(self.kept)

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
    return best


def _length(file: Path) -> int:
    with opened(file) as audio:
        return audio.frames


def _audio_files(folder: Path) -> dict[str, Path]:
    return {f.stem: f for f in audio_files(folder)}


def _rows_of_folders(root: Path, mix: str | None) -> list[tuple[str, str, Path, tuple[Path, ...]]]:
    inside = sorted(f.name for f in root.iterdir() if f.is_dir())
    mixes = [n for n in inside if n == "mix" or n.startswith("mix_")]
    sources = [f"s{i}" for i in range(1, 10) if f"s{i}" in inside]
    if not mixes or not sources or (mix is not None and mix not in inside):
        wanted = mix or "mix, mix_clean or mix_both"
        raise FileNotFoundError(
            f"{root} holds the folders {', '.join(inside) or '(none)'}: expected {wanted}, and s1, s2, ... beside it "
            "(wav8k/min/tt of WHAM! and wsj0-2mix, wav8k/min/test of LibriMix)"
        )
    if mix is None and len(mixes) > 1:
        raise ValueError(f"{root} holds {', '.join(mixes)}: choose one with mix=... (--mix)")
    mix = mix or mixes[0]
    files = {name: _audio_files(root / name) for name in (mix, *sources)}
    if not files[mix]:
        raise FileNotFoundError(f"{root / mix} holds no .wav or .flac file")
    for name in sources:
        odd = sorted(files[mix].keys() ^ files[name].keys())
        if odd:
            raise ValueError(
                f"{len(odd)} files are in only one of {mix} and {name} ({odd[0]}, ...): every mixture needs a file of "
                "its name in each source's folder"
            )
    return [(stem, mix, file, tuple(files[s][stem] for s in sources)) for stem, file in files[mix].items()]


def _rows_of_csv(path: Path) -> list[tuple[str, str, Path, tuple[Path, ...]]]:
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        columns: Sequence[str] = table.fieldnames or []
        sources = [f"source_{i}_path" for i in range(1, 10) if f"source_{i}_path" in columns]
        if "mixture_path" not in columns or not sources:
            raise ValueError(
                f"{path} has the columns {', '.join(columns) or '(none)'}: expected mixture_path, source_1_path, "
                "source_2_path, ... and, for the names, mixture_ID"
            )
        rows = [
            (
                row.get("mixture_ID") or Path(row["mixture_path"]).stem,
                path.stem,
                path.parent / row["mixture_path"],  # an absolute path stays absolute
                tuple(path.parent / row[s] for s in sources),
            )
            for row in table
        ]
    if not rows:
        raise ValueError(f"{path} has no rows: it must list at least one mixture")
    return rows
