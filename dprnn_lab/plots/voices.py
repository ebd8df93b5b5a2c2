"""Figures of known and new voices: networks on both, and what an average of two networks keeps of each.

Notebook: 08_evaluation
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from .basics import COLOURS

__all__ = ["blend_curve", "known_and_new"]


def known_and_new(summaries: Mapping[str, pd.DataFrame], kinds: Sequence[str]) -> Figure:
    """Mean SI-SDRi (dB) of networks by kind of mixture: a colour per network.

    The thick bar is the 95 % interval of the plain bootstrap, the thin line that over voices or utterances.

    Args:
        summaries: of each network by its name: :func:`dprnn_lab.evaluation.summarise` with clusters, indexed by kind.
        kinds: from left to right.

    Notebook: 08_evaluation
    """
    figure, axes = plt.subplots(figsize=(9.5, 3.4), layout="constrained")
    for number, (name, summary) in enumerate(summaries.items()):
        colour = COLOURS[1:][number]
        for x, kind in enumerate(kinds):
            row: Any = summary.loc[kind]
            at = x + 0.2 * (number - (len(summaries) - 1) / 2)
            axes.plot([at, at], [row["cluster_low"], row["cluster_high"]], color=colour, linewidth=1)
            axes.plot([at, at], [row["low"], row["high"]], color=colour, linewidth=5, alpha=0.4)
            axes.plot(at, row["mean"], "o", color=colour, label=name if x == 0 else None)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xticks=range(len(kinds)), xticklabels=kinds, ylabel="SI-SDRi (dB)")
    axes.legend(fontsize=9)
    return figure


def blend_curve(table: pd.DataFrame, columns: Mapping[str, str], chosen: float | None = None) -> Figure:
    """Mean SI-SDRi (dB) over the share of the second network in an average of two: left as curves, right as a path.

    Args:
        table: rows with ``share`` from 0 to 1 and the columns.
        columns: the columns to draw, with their labels; the first two are the axes of the path.
        chosen: the share that was taken, drawn as a line.

    Notebook: 08_evaluation
    """
    table = table.sort_values("share").dropna(subset=list(columns))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    for colour, (column, label) in zip(COLOURS[1:], columns.items(), strict=False):
        left.plot(table["share"], table[column], "o-", color=colour, label=label)
    if chosen is not None:
        left.axvline(chosen, color="black", linewidth=0.8, linestyle=":")
    left.set(xlabel="share of the network of many voices", ylabel="SI-SDRi (dB)")
    left.legend(fontsize=9)
    first, second = list(columns)[:2]
    right.plot(table[first], table[second], "o-", color=COLOURS[1])
    for row in table.to_dict("records"):
        right.annotate(
            f"{row['share']:g}",
            (row[first], row[second]),
            textcoords="offset points",
            xytext=(5, 5),
            fontsize=8,
        )
    right.set(xlabel=f"{columns[first]} (dB)", ylabel=f"{columns[second]} (dB)", title="one dot per share")
    return figure
