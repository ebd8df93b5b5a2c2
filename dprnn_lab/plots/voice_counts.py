"""Scores over the number of voices that a network was trained on.

Notebook: 11_how_many_voices
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .basics import COLOURS

__all__ = ["score_over_voices"]


def score_over_voices(
    intervals: Mapping[str, Mapping[int, Any]],
    rows: pd.DataFrame | None = None,
    ylabel: str = "SI-SDRi (dB)",
    ticks: Sequence[int] | None = None,
) -> Figure:
    """A curve per set of mixtures over the number of voices (logarithmic), with its intervals.

    Args:
        intervals: set to number of voices to an interval with ``mean``, ``low`` and ``high`` (dB); up to three sets.
        rows: the scores of all runs (``voices``, ``seed``, ``set``, ``si_sdri``), for a short line at the mean of each.
        ylabel: what is on the vertical axis.
        ticks: numbers of voices on the horizontal axis; those of the first set without.

    Notebook: 11_how_many_voices
    """
    figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
    colours = COLOURS[1:]
    for place, (name, curve) in enumerate(intervals.items()):
        colour, shift = (
            colours[place],
            1.03 ** (place - (len(intervals) - 1) / 2),
        )  # intervals must not cover each other
        numbers = [number * shift for number in curve]
        found = list(curve.values())
        below, above = ([abs(i.mean - end) for i, end in zip(found, ends, strict=True)] for ends in (
            [i.low for i in found], [i.high for i in found]
        ))  # fmt: skip
        means = [i.mean for i in found]
        axes.errorbar(numbers, means, yerr=(below, above), fmt="o-", color=colour, capsize=3, label=name)
        if rows is not None:
            own = rows[rows["set"] == name].groupby(["voices", "seed"], as_index=False)["si_sdri"].mean()
            axes.plot(own["voices"] * shift, own["si_sdri"], "_", color=colour, markersize=9, alpha=0.7)
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_xscale("log")
    shown = list(ticks or next(iter(intervals.values())))
    axes.set_xticks(shown, [str(number) for number in shown])
    axes.minorticks_off()
    axes.set(xlabel="voices in the training (logarithmic)", ylabel=ylabel)
    axes.legend(fontsize=8)
    return figure
