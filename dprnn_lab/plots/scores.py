"""Figures of scores per mixture.

Notebook: 00_start_here
"""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .basics import COLOURS, finite_rows

__all__ = ["score_histograms", "score_strip"]


def score_strip(
    table: pd.DataFrame,
    column: str = "si_sdri",
    by: str = "kind",
    seed: int = 0,
    label: str = "SI-SDRi (dB); each dot one mixture, the bar their mean",
) -> Figure:
    """One row of dots for each group of a table of scores, and a bar at the group's mean.

    ``table`` has one line per mixture, as :func:`dprnn_lab.evaluation.evaluate` makes it; ``column`` is drawn on
    the horizontal axis, and the groups ``by`` from top to bottom in their order in the table. ``seed`` sets the
    vertical jitter, which only keeps dots apart.

    Notebook: 00_start_here
    """
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    kinds = list(dict.fromkeys(table[by]))
    for i, kind in enumerate(kinds):
        values = table.loc[table[by] == kind, column]
        jitter = np.random.default_rng(seed).uniform(-0.15, 0.15, len(values))
        axes.plot(values, i + jitter, "o", color=COLOURS[1 + i % (len(COLOURS) - 1)], alpha=0.7)
        axes.plot([values.mean()] * 2, [i - 0.3, i + 0.3], color="black", linewidth=2)
    axes.set(yticks=range(len(kinds)), yticklabels=kinds, xlabel=label)
    axes.invert_yaxis()
    axes.axvline(0, color="grey", linewidth=0.8)
    return figure


def score_histograms(table: pd.DataFrame, kinds: Sequence[str]) -> Figure:
    """Histograms of SI-SDR and of SI-SDRi over the mixtures of a table, 1 dB per bin, stacked by kind of pair.

    ``table`` has the columns ``kind``, ``si_sdr`` and ``si_sdri``; a dashed line marks each mean.

    Notebook: 03_loss_and_pit
    """
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained", sharey=True)
    for axes, column, title in zip(panels, ("si_sdr", "si_sdri"), ("SI-SDR", "SI-SDRi"), strict=True):
        table = finite_rows(table, column)
        edges = np.arange(math.floor(table[column].min()), table[column].max() + 1, 1.0)
        groups = [table.loc[table["kind"] == kind, column] for kind in kinds]
        axes.hist(groups, bins=edges, stacked=True, color=COLOURS[1 : len(kinds) + 1], label=kinds)
        axes.axvline(table[column].mean(), color="black", linestyle="--", label="mean")
        axes.set(title=title, xlabel="dB")
    panels[0].set_ylabel("mixtures")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure
