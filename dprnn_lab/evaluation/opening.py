"""The mixtures that an evaluation runs on, by name or path.

Notebook: 08_evaluation
"""

import inspect
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..audio import SAMPLE_RATE
from ..datasets.disk_mixtures import DiskMixtures
from ..datasets.in_rooms import InRooms
from ..datasets.mixing import FixedMixtures
from ..error_texts import near_name
from ..files import data_folder

__all__ = ["ROOMS", "JoinedMixtures", "open_mixtures"]

ROOMS = "unseen-rooms"


class JoinedMixtures:
    """Several sets of mixtures one after the other; ``specs`` are all of theirs in order.

    Raises:
        ValueError: two mixtures have the same id.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        self.specs = [spec for part in self.parts for spec in part.specs]
        self.left_out = [item for part in self.parts for item in getattr(part, "left_out", ())]
        ids = [spec.id for spec in self.specs]
        if len(set(ids)) < len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise ValueError(f"two mixtures have the id {twice!r}: give each set once")

    def __len__(self) -> int:
        return len(self.specs)

    def __iter__(self) -> Iterator[tuple]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> tuple:
        for part in self.parts:
            if index < len(part.specs):
                return part[index]
            index -= len(part.specs)
        raise IndexError(f"index is {index + len(self)}: there are {len(self)} mixtures")


Mixtures = FixedMixtures | DiskMixtures | InRooms | JoinedMixtures


def open_mixtures(
    data: str | os.PathLike,
    mix: str | None = None,
    sample_rate: float | None = None,
    skip_bad: bool = False,
) -> Mixtures:
    """Mixtures to evaluate on: bundled lists, a folder of mixtures, or a CSV of either kind.

    Args:
        data: "unseen" (people whom no network here was trained on), "unseen-rooms" (some of them in rooms, with noise),
            "test" and "valid" (voices of the bundled models' training); several of these with commas between them; or
            the path of a folder or CSV.
        mix: name of the mixtures' folder, if ``data`` has several.
        sample_rate: Hz that the files on disk must have, and to which the bundled voices are converted.
        skip_bad: leave out files that can't be read.

    Raises:
        FileNotFoundError, ValueError: nothing there, or as :class:`FixedMixtures` and :class:`DiskMixtures` do.
    """
    if sample_rate is not None and not (math.isfinite(sample_rate) and 1 <= sample_rate <= 1e6):
        raise ValueError(f"sample_rate is {sample_rate!r}: give a number of Hz, such as 8000 or 16000")
    rate = SAMPLE_RATE if sample_rate is None else sample_rate  # of the bundled voices
    names = [name.strip() for name in str(data).split(",")]
    if len(names) > 1 and not Path(data).exists():
        return JoinedMixtures([open_mixtures(name, mix, sample_rate, skip_bad) for name in names])
    if str(data) == ROOMS:
        if rate != SAMPLE_RATE:
            raise ValueError(
                f"{ROOMS} is at {SAMPLE_RATE} Hz only, and sample_rate is {rate:g}: leave it out"
            )
        return InRooms(FixedMixtures("unseen"))
    path = Path(data)
    lists = [*sorted(file.stem for file in (data_folder() / "mixtures").glob("*.csv")), ROOMS]
    if not path.exists() and str(data) not in lists:
        near = near_name(path)
        hint = f"did you mean {near}?" if near else f"give a folder, a CSV, or one of {', '.join(lists)}"
        raise FileNotFoundError(
            f"{data}: no such folder or file, and no mixture list of the bundled voices: {hint}"
        )
    if path.suffix == ".csv" and path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            header = file.readline().replace("\0", "")  # of UTF-16
        if "mixture_path" not in header:
            return _made(FixedMixtures, skip_bad, path, sample_rate=rate)
        return _made(DiskMixtures, skip_bad, path, sample_rate)
    if path.is_dir():
        return _made(DiskMixtures, skip_bad, path, sample_rate, mix)
    return _made(FixedMixtures, skip_bad, data, sample_rate=rate)


def _made(kind: Callable, skip_bad: bool, *arguments: Any, **options: Any) -> Any:
    """The mixtures, told to leave out bad files where they look at files before the first is opened."""
    if skip_bad and "skip_bad" in inspect.signature(kind).parameters:
        options["skip_bad"] = True
    return kind(*arguments, **options)
