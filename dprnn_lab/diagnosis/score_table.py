"""The scores of single examples: the table of an evaluation, or arrays.

Notebook: 07_failures_in_training
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["NAMES", "ExampleScores", "Split", "last_validation", "read_scores", "two_clusters"]

NAMES = {"si_sdri": "SI-SDRi", "si_sdr": "SI-SDR"}  # columns; the first that exists is used
ALL = "all"  # the kind of unnamed examples


@dataclass(frozen=True)
class ExampleScores:
    """One system's scores: columns ``kind``, and ``si_sdri`` or ``si_sdr`` or both (dB), a row per example."""

    table: pd.DataFrame
    undefined: int = 0  # examples left out: their score is NaN

    @property
    def metric(self) -> str:
        """The column that is judged."""
        return next(m for m in NAMES if m in self.table)

    @property
    def values(self) -> pd.Series:
        """The scores, dB."""
        return self.table[self.metric]

    @property
    def by_kind(self) -> dict[str, pd.Series]:
        """The scores of each kind of pair, in the order of the table."""
        return {str(kind): group for kind, group in self.values.groupby(self.table["kind"], sort=False)}


def read_scores(scores: object) -> ExampleScores:
    """A table of :func:`dprnn_lab.evaluation.evaluate`, its ``scores.csv`` or the folder with it, or SI-SDRi as arrays.

    Uses the first system if the table has several. Arrays: ``{"man-woman": [...], ...}``, or one for all.

    Raises:
        ValueError: no such file, no scores in it, or no column of scores.
        TypeError: another type.
    """
    if isinstance(scores, ExampleScores):
        return scores
    if isinstance(scores, (str, os.PathLike)):
        table = _read_file(Path(scores))
    elif isinstance(scores, pd.DataFrame):
        table = scores
    elif isinstance(scores, Mapping):
        parts = [pd.DataFrame({"kind": str(kind), "si_sdri": _numbers(v)}) for kind, v in scores.items()]
        table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"si_sdri": []})
    else:
        table = pd.DataFrame({"si_sdri": _numbers(scores)})
    if "system" in table and len(table):
        table = table[table["system"] == table["system"].iloc[0]]
    found = [m for m in NAMES if m in table]
    if not found:
        where = f"{scores}: " if isinstance(scores, (str, os.PathLike)) else ""
        raise ValueError(
            f"{where}the scores have the columns {', '.join(map(str, table.columns))}: 'si_sdri' (or 'si_sdr') is "
            "missing; give the scores.csv of dprnn-lab evaluate --out, or name that column so"
        )
    kinds = table["kind"].astype(str) if "kind" in table else ALL
    numbers = table[found].apply(pd.to_numeric, errors="coerce").replace([np.inf, -np.inf], np.nan)
    whole = numbers.assign(kind=kinds).dropna().reset_index(drop=True)
    if whole.empty:
        where = f"{scores}: " if isinstance(scores, (str, os.PathLike)) else ""
        raise ValueError(f"{where}there are no scores: evaluate at least one example")
    return ExampleScores(whole, len(numbers) - len(whole))


def last_validation(run: object) -> Path | None:
    """The file of the last validation's scores per example, in a run's folder; None when there is none."""
    if not isinstance(run, (str, os.PathLike)):
        return None
    return max((Path(run) / "validation").glob("step*.csv"), key=lambda path: path.name, default=None)


def _read_file(path: Path) -> pd.DataFrame:
    file = path / "scores.csv" if path.is_dir() else path
    if not file.is_file():
        raise ValueError(
            f"{file}: no such file; give the scores.csv of dprnn-lab evaluate --out, or its folder"
        )
    try:
        return pd.read_csv(file)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: not a table of comma-separated values: {error}") from error


def _numbers(values: Any) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float).reshape(-1)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"scores are {type(values).__name__}: give a table, a CSV file, or SI-SDRi per example as numbers"
        ) from error


@dataclass(frozen=True)
class Split:
    """Scores split into a lower and an upper cluster."""

    low: float  # mean of the lower cluster, dB
    high: float  # mean of the upper cluster, dB
    share: float  # of the examples, in the lower cluster
    explained: float  # share of the variance that lies between the clusters


def two_clusters(values: Iterable[float], min_share: float = 0.2) -> Split | None:
    """The split into two clusters that explains most of the variance (N. Otsu, 1979).

    One normal distribution cut in half explains 2 / pi = 64 %, a uniform one 75 %; distant clusters nearly all.

    Args:
        values: ``[n]``.
        min_share: of the values, that each cluster must have at least.

    Returns:
        None for fewer than five values, and for values that are all equal.

    >>> two_clusters([0, 1, 2, 10, 11, 12]).low
    1.0
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    count, spread = len(ordered), float(((ordered - ordered.mean()) ** 2).sum()) if len(ordered) else 0.0
    smallest = max(1, int(np.ceil(min_share * count)))
    if count < 5 or spread <= 1e-9:
        return None
    sizes = np.arange(smallest, count - smallest + 1)  # of the lower cluster
    sums = ordered.cumsum()
    low, high = sums[sizes - 1] / sizes, (sums[-1] - sums[sizes - 1]) / (count - sizes)
    between = sizes * (count - sizes) / count * (high - low) ** 2
    best = int(between.argmax())
    return Split(
        float(low[best]), float(high[best]), float(sizes[best] / count), float(between[best] / spread)
    )
