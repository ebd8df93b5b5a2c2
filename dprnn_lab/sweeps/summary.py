"""Results of a sweep: the mean over the seeds with its interval, and the difference between two settings.

The seed is the unit of repetition. A run on a hundred test mixtures is still *one* run: another seed would have
trained another network.

Notebook: 10_experiments
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from ..evaluation.statistics import Interval, student_mean
from .plan import SEED

__all__ = [
    "SWEEP_COLUMNS",
    "choose_metric",
    "compare_runs",
    "has_value",
    "need_runs",
    "read_axes",
    "reported",
    "summarise_runs",
]

SWEEP_COLUMNS = ("status", "seconds", "cell", "error", "notebook")  # those that a sweep adds


def read_axes(out: str | os.PathLike) -> dict[str, list]:
    """The parameters of the sweep in a folder, with their values; the seeds are among them."""
    return json.loads((Path(out) / "settings.json").read_text(encoding="utf-8"))["grid"]


def reported(table: pd.DataFrame, parameters: Sequence[str]) -> list[str]:
    """The columns of numbers that the runs reported, in their order."""
    return [
        name
        for name in table
        if name not in parameters and name not in SWEEP_COLUMNS and pd.api.types.is_numeric_dtype(table[name])
    ]


def choose_metric(table: pd.DataFrame, parameters: Sequence[str], metric: str | None) -> str:
    """The metric itself, or the first reported column of numbers for None and where no run has finished.

    Raises:
        ValueError: no such column of numbers.
    """
    numbers = reported(table, parameters)
    if metric is None or not (table["status"] == "ok").any():
        return numbers[0] if numbers else "seconds"
    if metric not in [*numbers, "seconds"]:
        raise ValueError(f"metric is {metric!r}: the runs report {', '.join(map(str, numbers)) or 'nothing'}")
    return metric


def need_runs(table: pd.DataFrame, parameters: Sequence[str]) -> None:
    """Raise ValueError for a table without the columns of a sweep, or without the notebook of each run."""
    _need(table, [*parameters, "status", "seconds", "notebook"] if len(table) else parameters)
    for value in table["notebook"] if len(table) else ():
        if not isinstance(value, str):
            raise ValueError(f"the table's column notebook has {value!r}: take it as in results.csv")


def has_value(column: pd.Series, value: object) -> pd.Series:
    """Where a column has a value; None, which a column of numbers holds as NaN, is a value too."""
    return column.isna() if pd.isna(value) else column == value


def summarise_runs(table: pd.DataFrame, by: str | Sequence[str], metric: str) -> pd.DataFrame:
    """A row per setting: ``runs`` (finished), ``failed``, ``mean`` with the ends ``low`` and ``high`` of its 95 %
    Student interval over the seeds, ``std``, ``worst``, ``best``.

    Args:
        table: of :func:`sweep`.
        by: the parameters whose values define a setting.
        metric: a reported column.

    Raises:
        ValueError: no such columns.
    """
    by = [by] if isinstance(by, str) else list(by)
    _need(table, [*by, metric])
    rows = []
    for key, group in table.groupby(by, sort=False, dropna=False):
        values = _finished(group)[metric].dropna()
        interval = student_mean(values) if len(values) else Interval(*[float("nan")] * 3)
        rows.append(
            dict(zip(by, key, strict=True))
            | {"runs": len(values), "failed": len(group) - len(values), "mean": interval.mean}
            | {"low": interval.low, "high": interval.high, "std": values.std()}
            | {"worst": values.min(), "best": values.max()}
        )
    return pd.DataFrame(rows)


def compare_runs(
    table: pd.DataFrame, parameter: str, first: object, second: object, metric: str, confidence: float = 0.95
) -> Interval:
    """Second minus first, paired by seed: the mean difference of ``metric`` with its Student interval.

    Runs of one seed share their training mixtures, so a part of the random variation cancels in the difference. A seed
    that failed in either setting is left out.

    Raises:
        ValueError: no such columns or values; no common seed; a seed twice, since other parameters vary, too.
    """
    _need(table, [parameter, metric, SEED])
    parts = []
    for value in (first, second):
        part = _finished(table[has_value(table[parameter], value)]).dropna(subset=[metric])
        if part.empty:
            raise ValueError(
                f"no finished run has {parameter}={value!r}: the table has {_all(table[parameter])}"
            )
        if part[SEED].duplicated().any():
            raise ValueError(
                f"{parameter}={value!r} has a seed twice: other parameters vary, too. Keep the rows of one of "
                "their values first"
            )
        parts.append(part.set_index(SEED)[metric])
    difference = (parts[1] - parts[0]).dropna()
    if difference.empty:
        raise ValueError(f"{parameter}={first!r} and {second!r} have no seed in common: there are no pairs")
    return student_mean(difference, confidence)


def _finished(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["status"] == "ok"] if "status" in table else table


def _need(table: pd.DataFrame, columns: Sequence[str]) -> None:
    for name in columns:
        if name not in table:
            raise ValueError(f"the table has no column {name!r}: choose of {_all(table.columns)}")


def _all(values: Iterable) -> str:
    return ", ".join(map(str, dict.fromkeys(values)))
