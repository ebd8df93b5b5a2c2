"""How sure a mean is: bootstrap, cluster bootstrap and Student intervals, paired comparison, the worst cases.

Forty mixtures are a sample: another forty of the same kind give another mean. The bootstrap (B. Efron, 1979)
estimates how much it varies by resampling the forty with replacement. Mixtures that share voices are not independent:
:func:`cluster_bootstrap` resamples the voices. Two systems are compared on the *same* mixtures:
the variation between mixtures, which both share, cancels in the difference.

Notebook: 08_evaluation
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

__all__ = ["Interval", "bootstrap_mean", "cluster_bootstrap", "compare", "student_mean", "worst"]

RESAMPLES = 5000
BLOCK = 500  # resamples in memory at a time


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that covers it."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def bootstrap_mean(values: ArrayLike, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Mean of the values with its bootstrap interval (percentiles); NaNs are left out.

    With fewer than two values the interval is NaN. With few values it is too narrow: a 95 % interval from 10 values
    misses the true mean about one time in eight (notebook 08 counts it), from 40 values one time in twelve.

    Raises:
        ValueError: no values, or a confidence that is not between 0 and 1.
    """
    values = _numbers(values, confidence)
    if len(values) < 2:
        return Interval(float(values[0]), float("nan"), float("nan"))
    result = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(values.mean()), float(result.low), float(result.high))


def cluster_bootstrap(
    values: ArrayLike, clusters: Sequence, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Mean of values that come in clusters, with its bootstrap interval (percentiles); NaNs are left out.

    Values of one cluster share a cause: a pair of voices that is easy is easy in all of its mixtures. The clusters are
    resampled with replacement, with all of their values. If each value has several labels, such as the two voices of a
    mixture, the labels are resampled, and a value counts as often as the product of its labels' counts: A. B. Owen,
    "The pigeonhole bootstrap", 2007. That interval is not too narrow for large samples, and up to 1.7 times too wide
    where the labels matter little. Where no two values share a label, the values are resampled.

    Args:
        values: ``[n]``.
        clusters: a label per value, or a tuple of labels per value, all from one population.
        confidence: of the interval.
        seed: of the resampling.

    With fewer than two clusters the interval is NaN; with fewer than about ten it is too narrow.

    Raises:
        ValueError: no values, not one label (or tuple) per value, or a confidence that is not between 0 and 1.

    >>> values = [1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 9.0, 9.0, 9.0]
    >>> print(bootstrap_mean(values), "|", cluster_bootstrap(values, list("aaabbbccc")))
    5.00 [2.78, 7.22] | 5.00 [1.00, 9.00]
    """
    numbers = _as_numbers(values, "value")
    if len(clusters) != len(numbers):
        raise ValueError(
            f"there are {len(numbers)} values and {len(clusters)} clusters: give a label for each value"
        )
    rows = [tuple(dict.fromkeys(label)) if isinstance(label, tuple) else (label,) for label in clusters]
    kept = [row for row, number in zip(rows, numbers, strict=True) if not np.isnan(number)]
    numbers = _numbers(numbers, confidence)
    mean = float(numbers.mean())
    if len({label for row in kept for label in row}) == sum(map(len, kept)):
        kept = [row[:1] for row in kept]  # nothing is shared
    index = {label: i for i, label in enumerate(dict.fromkeys(label for row in kept for label in row))}
    if len(index) < 2 or not all(kept):
        return Interval(mean, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(RESAMPLES // BLOCK):
        drawn = rng.multinomial(len(index), [1 / len(index)] * len(index), size=BLOCK)  # [resample, label]
        weights = np.stack([drawn[:, [index[label] for label in row]].prod(1) for row in kept], axis=1)
        total = weights.sum(1)
        means.append((weights @ numbers)[total > 0] / total[total > 0])  # a draw may hold no value at all
    edges = (1 - confidence) / 2, (1 + confidence) / 2
    low, high = np.quantile(np.concatenate(means), edges)
    return Interval(mean, float(low), float(high))


def student_mean(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of a few values with its Student interval: mean ± t s / sqrt(n); NaNs are left out.

    For three to ten runs, where the bootstrap interval is far too narrow. The factor t accounts for the unknown
    standard deviation: 4.3 for three values, 2.8 for five, 2.3 for ten, compared with 1.96 for a known one
    (W. S. Gosset, "Student", 1908). Exact for normally distributed values, a good approximation for one cluster.

    With fewer than two values the interval is NaN.

    Raises:
        ValueError: no values, or a confidence that is not between 0 and 1.

    >>> print(student_mean([4.0, 5.0, 6.0]))
    5.00 [2.52, 7.48]
    """
    values = _numbers(values, confidence)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return Interval(mean, float(mean - half), float(mean + half))


def _numbers(values: ArrayLike, confidence: float) -> np.ndarray:
    """The values without NaNs, at least one; the confidence is checked, too."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: it must be between 0 and 1, such as 0.95")
    numbers = _as_numbers(values, "value")
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        raise ValueError("no values: a mean needs at least one that is a number and not NaN")
    return numbers


def _as_numbers(values: ArrayLike, name: str, rows: ArrayLike | None = None) -> np.ndarray:
    """Values as float64 ``[n]``; ``rows`` are the names of their rows, otherwise they are counted from 0."""
    values = np.asarray(values)
    try:
        return values.astype(float)
    except (TypeError, ValueError):
        for row, value in zip(range(len(values)) if rows is None else np.asarray(rows), values, strict=True):
            try:
                float(value)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{name} of the row {row} is {value!r}, expected a number: correct it, or leave the row out"
                ) from None
        raise


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    metric: str = "si_sdri",
    confidence: float = 0.95,
    seed: int = 0,
    clusters: Mapping[str, tuple[str, ...]] | None = None,
) -> pd.DataFrame:
    """Second minus first on the same mixtures, by pair kind and over all.

    Args:
        first, second: tables of :func:`evaluate` with the same mixtures, in any order.
        metric: a column of both.
        clusters: labels of each mixture by its id (:func:`.clusters_of`), for an interval that allows for shared
            voices.

    Returns:
        A row per kind and one for "all": ``mixtures``, ``difference`` (mean), ``low`` and ``high`` (its
        bootstrap interval), ``better`` and ``worse`` (mixtures on which the second scores above or below the
        first), ``p`` (two-sided sign test: the probability of so uneven a split by chance). With ``clusters`` also
        ``cluster_low`` and ``cluster_high``, the interval of :func:`cluster_bootstrap`.

    Raises:
        ValueError: different mixtures, or no such column.
    """
    for name, table in (("first", first), ("second", second)):
        if metric not in table or table.empty:
            raise ValueError(
                f"the {name} table has no {metric!r}: its columns are {', '.join(table.columns)}"
            )
        if table["id"].duplicated().any():
            raise ValueError(f"the {name} table has a mixture twice: give the rows of one system")
    first, second = (
        table.assign(**{metric: _as_numbers(table[metric], metric, table["id"])}) for table in (first, second)
    )
    if set(first["id"]) != set(second["id"]):
        only = sorted(set(first["id"]) ^ set(second["id"]))
        raise ValueError(
            f"{len(only)} mixtures are in only one of the tables ({only[0]}, ...): "
            "evaluate both systems on the same list"
        )
    pairs = first[["id", "kind", metric]].merge(second[["id", metric]], on="id", suffixes=("_1", "_2"))
    pairs["difference"] = pairs[f"{metric}_2"] - pairs[f"{metric}_1"]
    rows = []
    for kind in [*pairs["kind"].unique(), "all"]:
        group = pairs[(pairs["kind"] == kind) | (kind == "all")].dropna(subset="difference")
        difference = group["difference"]
        if difference.empty:
            continue
        interval = bootstrap_mean(difference, confidence, seed)
        wider = {}
        if clusters:
            found = cluster_bootstrap(difference, [clusters[name] for name in group["id"]], confidence, seed)
            wider = {"cluster_low": found.low, "cluster_high": found.high}
        better, worse = int((difference > 0).sum()), int((difference < 0).sum())
        rows.append({
            "kind": kind, "mixtures": len(difference),
            "difference": interval.mean, "low": interval.low, "high": interval.high, **wider,
            "better": better, "worse": worse,
            "p": stats.binomtest(better, better + worse).pvalue if better + worse else 1.0,
        })  # fmt: skip
    return pd.DataFrame(rows)


def worst(table: pd.DataFrame, count: int = 3, metric: str = "si_sdri") -> pd.DataFrame:
    """The rows with the lowest scores, worst first: the ones to listen to."""
    if metric not in table:
        raise ValueError(f"the table has no {metric!r}: its columns are {', '.join(table.columns)}")
    rows = table.get("id")
    return table.assign(**{metric: _as_numbers(table[metric], metric, rows)}).nsmallest(count, metric)
