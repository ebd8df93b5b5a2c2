"""Figures of scores per mixture.

Notebook: 00_start_here
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .basics import COLOURS

__all__ = ["score_strip"]


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
