"""The recorded curve over the number of voices in a training: its rows, and means with intervals.

``data/record_voices_curve.py`` makes the rows and describes the three sets of mixtures, "new", "shared" and "own".

Notebook: 11_how_many_voices
"""

import os
from pathlib import Path

import pandas as pd

from ..datasets.mixing import FixedMixtures
from ..files import data_folder
from .clusters import clusters_of
from .statistics import Interval, bootstrap_mean, cluster_bootstrap

__all__ = ["change_of_score", "long_trainings", "read_voice_counts", "scores_by_voices", "voices_of_runs"]

SOURCES = ("people", "game", "synthetic", "changed")


def read_voice_counts(path: str | os.PathLike | None = None, steps: int | None = None) -> pd.DataFrame:
    """The scores of the recorded runs: ``voices, seed, steps, set, mixture, kind, si_sdri`` (dB).

    Only seeds are kept that were trained on every number of voices, so that the means of all numbers are comparable.

    Args:
        path: the table; ``data/curves/voices.csv`` without.
        steps: of the runs; without, the longest ones of which at least one seed has every number of voices.

    Raises:
        FileNotFoundError, ValueError: no such table, or no seed with every number of voices.
    """
    path = data_folder() / "curves" / "voices.csv" if path is None else Path(path)
    rows = pd.read_csv(path)
    sizes = set(rows["voices"])
    found: dict[int, list[int]] = {}
    for (number, seed), run in rows.groupby(["steps", "seed"]):
        if set(run["voices"]) == sizes:
            found.setdefault(int(number), []).append(int(seed))
    if steps is None:
        steps = max(found, default=None)
    if steps not in found:
        raise ValueError(
            f"{path}: no seed has runs of {steps or 'any number of'} steps for all of {sorted(sizes)} voices; go on "
            "with python data/record_voices_curve.py"
        )
    return rows[(rows["steps"] == steps) & rows["seed"].isin(found[steps])].reset_index(drop=True)


def voices_of_runs(rows: pd.DataFrame, folder: str | os.PathLike | None = None) -> pd.DataFrame:
    """By number of voices: ``seeds``, ``minutes`` of speech (mean of the runs), and the voices of each source.

    The sources are those of the first seed; other seeds have other voices in nearly the same shares.

    Args:
        rows: of :func:`read_voice_counts`.
        folder: of ``voices_runs.csv`` and ``voices_drawn.csv``; ``data/curves`` without.
    """
    folder = data_folder() / "curves" if folder is None else Path(folder)
    runs, drawn = (pd.read_csv(folder / f"voices_{name}.csv") for name in ("runs", "drawn"))
    runs = runs[(runs["steps"] == rows["steps"].iloc[0]) & runs["seed"].isin(rows["seed"])]
    table = runs.groupby("voices").agg(seeds=("seed", "nunique"), minutes=("speech_minutes", "mean"))
    order = drawn[drawn["seed"] == rows["seed"].min()].sort_values("place")["source"]
    for source in SOURCES:
        table[source] = [int((order.head(number) == source).sum()) for number in table.index]
    return table.round(1)


def scores_by_voices(
    rows: pd.DataFrame, of: str = "new", kind: str | None = "man-woman"
) -> dict[int, Interval]:
    """Number of voices to the mean SI-SDRi (dB) of a set of mixtures over all seeds, with its 95 % interval.

    The interval of "new" resamples the people, who are what differs from one test to the next. "shared" has two voices
    only and "own" other mixtures for each network: there the mixtures are resampled, and the voices are fixed.

    Args:
        rows: of :func:`read_voice_counts`.
        of: "new", "shared" or "own".
        kind: of pair; None for all.

    Raises:
        ValueError: no row of this set and kind.
    """
    rows = _part(rows, of, kind)
    found = {}
    for number, part in rows.groupby("voices"):
        if of == "own":
            found[int(number)] = bootstrap_mean(part["si_sdri"])
        else:
            found[int(number)] = _interval(part.groupby("mixture")["si_sdri"].mean(), of)
    return found


def change_of_score(
    rows: pd.DataFrame, first: int, second: int, of: str = "new", kind: str | None = "man-woman"
) -> Interval:
    """By how much ``second`` voices score better than ``first`` (dB), on the same mixtures and with the same seeds.

    Raises:
        ValueError: a number of voices that was not recorded, no row of this set and kind, or "own", whose mixtures
            are others for every number.
    """
    if of == "own":
        raise ValueError(
            "of is 'own': its mixtures differ between the numbers of voices, take 'new' or 'shared'"
        )
    rows = _part(rows, of, kind)
    missing = {first, second} - set(rows["voices"])
    if missing:
        raise ValueError(f"no run with {min(missing)} voices: there are {sorted(set(rows['voices']))}")
    wide = rows.pivot_table("si_sdri", ["seed", "mixture"], "voices")
    return _interval((wide[second] - wide[first]).groupby("mixture").mean(), of)


def long_trainings() -> pd.DataFrame:
    """Scores (dB) of the bundled networks of six and of many voices on a man and a woman: ``new``, ``known``, ``gap``.

    The index is ``size`` ("small", "large") and ``training`` ("six voices", "many voices": 313 for small, these and
    several hundred more for large); the scores are those of ``data/model/evaluation``.
    """
    scores = pd.read_csv(data_folder() / "model" / "evaluation" / "scores.csv")
    means = scores.groupby(["system", "kind"])["si_sdri"].mean()
    rows = {
        (size, training): (means[f"{name}/{size}", "new man-woman"], means[f"{name}/{size}", "man-woman"])
        for size in ("small", "large")
        for name, training in (("six-voices", "six voices"), ("many-voices", "many voices"))
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["new", "known"])
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["size", "training"])
    table["gap"] = table["known"] - table["new"]
    return table


def _part(rows: pd.DataFrame, of: str, kind: str | None) -> pd.DataFrame:
    part = rows[(rows["set"] == of) & (True if kind is None else rows["kind"] == kind)]
    if part.empty:
        kinds = sorted(set(rows.loc[rows["set"] == of, "kind"]))
        raise ValueError(
            f"no row of the set {of!r} and the kind {kind!r}: there are {sorted(set(rows['set']))}, kinds {kinds}"
        )
    return part


def _interval(by_mixture: pd.Series, of: str) -> Interval:
    """Over the people of "new", over the mixtures of another set."""
    if of != "new":
        return bootstrap_mean(by_mixture)
    people = {name.removeprefix("new-"): who for name, who in clusters_of(FixedMixtures("unseen")).items()}
    return cluster_bootstrap(by_mixture, [people[name] for name in by_mixture.index])
