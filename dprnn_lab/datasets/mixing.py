"""Mixtures of two sources at a level difference: one at a time, and fixed lists for evaluation.

The sources sum exactly to the mixture: levels are set first, the sum is taken last.

Notebook: 04_data
"""

import itertools
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.data import Dataset

from ..audio import PEAK, SAMPLE_RATE, AudioError, read_mono_cached, resample, rms
from ..error_texts import printable
from ..files import data_folder
from .tables import Row, read_table, table_columns

__all__ = [
    "FixedMixtures",
    "MixtureSpec",
    "PAIR_KINDS",
    "mix",
    "pair_kind",
    "pairs_by_kind",
    "under_peak",
]

PAIR_KINDS = ("man-woman", "woman-woman", "seen-unseen")  # of the bundled test mixtures
MEAN_RMS = (
    0.05  # -26 dBFS, a usual speech level: the geometric mean of both sources' RMS, before `under_peak`
)


def pair_kind(first_sex: str | None, second_sex: str | None) -> str:
    """One of "man-woman", "woman-woman" and "man-man"; "any" where a sex is not known (None).

    >>> pair_kind("f", "m")
    'man-woman'
    """
    if not {first_sex, second_sex} <= {"f", "m", None}:
        raise ValueError(
            f"the sexes are {first_sex!r} and {second_sex!r}: each must be 'f' or 'm', or None where not known"
        )
    if first_sex is None or second_sex is None:
        return "any"
    return {"ff": "woman-woman", "mm": "man-man"}.get(first_sex + second_sex, "man-woman")


def pairs_by_kind(
    sexes: Mapping[str, str | None], unseen: Collection[str] = ()
) -> dict[str, list[tuple[str, str]]]:
    """Every pair of different speakers, by its kind.

    Args:
        sexes: speaker to "f", "m" or None.
        unseen: speakers whose pairs with all others are "seen-unseen", whatever their sexes.

    >>> pairs_by_kind({"ada": "f", "bea": "f", "carl": "m"}, unseen={"bea"})
    {'seen-unseen': [('ada', 'bea'), ('bea', 'carl')], 'man-woman': [('ada', 'carl')]}
    """
    pairs: dict[str, list[tuple[str, str]]] = {}
    for a, b in itertools.combinations(sorted(sexes), 2):
        kind = "seen-unseen" if (a in unseen) != (b in unseen) else pair_kind(sexes[a], sexes[b])
        pairs.setdefault(kind, []).append((a, b))
    return pairs


def mix(
    first: torch.Tensor, second: torch.Tensor, level_db: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix two sources so that the first is ``level_db`` dB over the second (RMS).

    The geometric mean of the two levels is :data:`MEAN_RMS`, unless a sample would exceed :data:`PEAK
    <dprnn_lab.audio.PEAK>`: then all is scaled down.

    Shape:
        - first, second: ``[T]``
        - output: mixture ``[T]``, sources ``[2, T]`` with ``sources.sum(0)`` equal to the mixture

    Raises:
        ValueError: different lengths, or a source that is silent or not finite.

    >>> mixture, sources = mix(torch.randn(8000), torch.randn(8000), level_db=2.5)
    >>> torch.equal(mixture, sources.sum(0))
    True
    """
    if first.shape != second.shape or first.dim() != 1 or not len(first):
        raise ValueError(
            f"sources have shapes {list(first.shape)} and {list(second.shape)}, expected two equal [T]: "
            "give two signals of one channel, cut to one length"
        )
    sources = torch.stack((first, second))
    levels = rms(sources)
    if not levels.isfinite().all() or levels.min() < 1e-5:
        raise ValueError(
            f"a source is silent or not finite (RMS {levels.tolist()}): its level can't be set, choose another segment"
        )
    gains = MEAN_RMS / levels * torch.tensor([10 ** (level_db / 40), 10 ** (-level_db / 40)])
    sources = under_peak(sources * gains.unsqueeze(-1))
    return sources.sum(0), sources


def under_peak(sources: torch.Tensor) -> torch.Tensor:
    """Sources ``[S, T]``, scaled down together where one of them or their sum exceeds the peak of 0.9."""
    loudest = max(sources.sum(0).abs().max(), sources.abs().max())
    return sources * (PEAK / loudest) if loudest > PEAK else sources


@dataclass(frozen=True)
class MixtureSpec:
    """One row of a mixture list: two segments of utterances and their level difference."""

    id: str
    kind: str
    first: str  # file, relative to the corpus folder
    first_offset: int  # samples
    second: str
    second_offset: int
    level_db: float  # of the first over the second
    samples: int
    sample_rate: float = SAMPLE_RATE  # Hz, of the item; offsets and samples are at the recordings' own rate


class FixedMixtures(Dataset):
    """The mixtures of a list such as ``data/mixtures/test.csv``, on which every number of the course is measured.

    Item ``i`` is ``(mixture [T], sources [2, T], spec)``.

    Args:
        name: "test" or "valid", or the path of a CSV file.
        kind: only this pair kind.
        limit: only the first ``limit`` mixtures *of each kind*.
        sample_rate: Hz that the sources are resampled to, for a model at another rate; they hold nothing over 4 kHz.

    Raises:
        FileNotFoundError, ValueError: no such list, no mixture of that kind.
    """

    def __init__(
        self,
        name: str | os.PathLike = "test",
        kind: str | None = None,
        limit: int | None = None,
        sample_rate: float = SAMPLE_RATE,
    ) -> None:
        path = Path(name) if Path(name).suffix else data_folder() / "mixtures" / f"{name}.csv"
        if not path.is_file():
            raise FileNotFoundError(
                f"no mixture list {printable(path)}: use 'test', 'valid' or the path of a CSV file"
            )
        columns, expected = (
            table_columns(path),
            [n for n in MixtureSpec.__dataclass_fields__ if n != "sample_rate"],
        )
        if sorted(columns) != sorted(expected):
            raise ValueError(
                f"a mixture list has the columns {', '.join(columns)}, expected {', '.join(expected)} "
                f"({printable(path)})"
            )
        specs = [
            replace(_parse_spec(row), sample_rate=sample_rate) for row in read_table(path, what="mixtures")
        ]
        kinds = list(dict.fromkeys(s.kind for s in specs))
        if kind is not None and kind not in kinds:
            raise ValueError(f"kind is {kind!r}: {path.name} has {', '.join(kinds)}")
        kinds = [kind] if kind else kinds
        self.specs = [s for k in kinds for s in [s for s in specs if s.kind == k][:limit]]
        self.folder = data_folder() / "speech"

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, MixtureSpec]]:
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, MixtureSpec]:
        spec = self.specs[index]
        first, second = (
            read_mono_cached(self.folder / file, SAMPLE_RATE)[offset:][: spec.samples]
            for file, offset in ((spec.first, spec.first_offset), (spec.second, spec.second_offset))
        )
        for file, segment in ((spec.first, first), (spec.second, second)):
            if len(segment) < spec.samples:
                raise AudioError(
                    f"{spec.id}: {self.folder / file} ends before the {spec.samples} samples that the list asks for; "
                    "correct the offset or the samples in its row"
                )
        mixture, sources = mix(first, second, spec.level_db)
        if spec.sample_rate != SAMPLE_RATE:
            sources = resample(sources, SAMPLE_RATE, spec.sample_rate)
            mixture = sources.sum(0)
        return mixture, sources, spec


def _parse_spec(row: Row) -> MixtureSpec:
    first_offset, second_offset, samples = (
        int(row.number(name, int)) for name in ("first_offset", "second_offset", "samples")
    )
    if min(first_offset, second_offset) < 0 or samples < 1:
        raise ValueError(
            f"{row.where()}: the offsets are {first_offset} and {second_offset} and samples {samples}; offsets "
            "must be 0 or more, and samples above 0"
        )
    first, second = (row.required(name).replace("\\", "/") for name in ("first", "second"))
    return MixtureSpec(
        row.required("id"), row.required("kind"), first, first_offset, second, second_offset, row.number("level_db"),
        samples,
    )  # fmt: skip
