"""Figures of intervals: bootstrap draws, coverage, sample size, paired differences, and luck.

Notebooks: 08_evaluation, 10_experiments
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .basics import COLOURS

__all__ = [
    "bootstrap_draws",
    "coverage",
    "interval_over_size",
    "interval_bars",
    "paired_differences",
    "spread_of_differences",
    "false_alarms",
    "miss_rates",
    "best_of_many",
]

# Wherever an interval is passed, it has the attributes ``mean``, ``low`` and ``high``, as that of
# :func:`dprnn_lab.evaluation.bootstrap_mean` has.

GREY, BLUE, ORANGE, GREEN = COLOURS


def bootstrap_draws(
    values: np.ndarray, draws: np.ndarray, low: float, high: float, title: str, shown: int = 4
) -> Figure:
    """The sample ``[n]`` with the first of the draws ``[d, n]`` from it (left), and the means of all draws (right).

    Larger dots were drawn more than once; ``low`` to ``high`` (dB) is shaded on the right.

    Notebook: 08_evaluation
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained", width_ratios=(1.2, 1))
    for y, one in enumerate((values, *draws[:shown])):
        unique, times = np.unique(one, return_counts=True)
        left.scatter(unique, [y] * len(unique), s=22 * times, color=BLUE if y == 0 else GREY, alpha=0.6)
        left.plot(one.mean(), y, "|", color=ORANGE, markersize=20, markeredgewidth=3)
    names = ["sample", *(f"draw {i}" for i in range(1, shown + 1))]
    left.set(yticks=range(shown + 1), yticklabels=names, xlabel="SI-SDRi (dB)", title=title)
    left.invert_yaxis()
    right.hist(draws.mean(axis=1), bins=40, color=GREY)
    right.axvspan(low, high, color=ORANGE, alpha=0.35, linewidth=0, zorder=0)
    right.axvline(values.mean(), color=ORANGE, linewidth=2)
    right.set(xlabel="mean SI-SDRi (dB)", ylabel="draws", title=f"{len(draws)} means")
    return figure


def coverage(intervals: Sequence[Any], truth: float, size: int) -> Figure:
    """Intervals (dB) from samples of ``size`` mixtures, side by side; orange: those that miss the true mean.

    Notebook: 08_evaluation
    """
    figure, axes = plt.subplots(figsize=(9, 2.6), layout="constrained")
    for x, one in enumerate(intervals):
        colour = BLUE if one.low <= truth <= one.high else ORANGE
        axes.plot([x, x], [one.low, one.high], color=colour, linewidth=3)
    axes.axhline(truth, color="black", linewidth=1)
    title = f"{len(intervals)} intervals of {size} mixtures each"
    axes.set(xlabel="sample", ylabel="SI-SDRi (dB)", title=title)
    return figure


def interval_over_size(sizes: np.ndarray, running: Sequence[Any], pool: np.ndarray) -> Figure:
    """Mean and interval (dB) of the first n mixtures, with the normal approximation from the whole pool (dashed).

    Notebook: 08_evaluation
    """
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    axes.fill_between(sizes, [i.low for i in running], [i.high for i in running], color=BLUE, alpha=0.3)
    axes.plot(sizes, [i.mean for i in running], "o-", color=BLUE, markersize=4, label="mean and interval")
    smooth = np.linspace(sizes[0], sizes[-1], 200)
    for sign in (-1, 1):
        axes.plot(
            smooth, pool.mean() + sign * 1.96 * pool.std() / np.sqrt(smooth), "--", color=ORANGE,
            label=r"mean $\pm\, 1.96\, \sigma / \sqrt{n}$" if sign > 0 else None,
        )  # fmt: skip
    axes.set(xlabel="mixtures n", ylabel="SI-SDRi (dB)")
    axes.legend(fontsize=8)
    return figure


def interval_bars(intervals: Mapping[str, Any]) -> Figure:
    """Mean SI-SDRi (dB) of two systems ``{name: interval}`` as horizontal bars, the first on the bottom row.

    Notebook: 08_evaluation
    """
    figure, axes = plt.subplots(figsize=(9, 1.7), layout="constrained")
    for y, (one, colour) in enumerate(zip(intervals.values(), (BLUE, ORANGE), strict=True)):
        axes.plot([one.low, one.high], [y, y], color=colour, linewidth=5, alpha=0.5)
        axes.plot(one.mean, y, "o", color=colour)
    axes.set(yticks=(0, 1), yticklabels=list(intervals), ylim=(-0.6, 1.6))
    axes.set(xlabel="mean SI-SDRi (dB), 95 % interval")
    return figure


def paired_differences(paired: pd.DataFrame, difference: Any, kinds: Sequence[str]) -> Figure:
    """System B over system A, a dot per mixture (left), and a histogram of B minus A with its interval (right).

    ``paired`` has the columns ``kind``, ``si_sdri_a``, ``si_sdri_b`` and ``difference``, in dB.

    Notebook: 08_evaluation
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    both = paired[["si_sdri_a", "si_sdri_b"]].to_numpy()
    limits = (both.min() - 1, both.max() + 1)
    left.plot(limits, limits, color="black", linewidth=0.8)
    for kind, colour in zip(kinds, COLOURS[1:], strict=True):
        group = paired[paired["kind"] == kind]
        left.plot(
            group["si_sdri_a"], group["si_sdri_b"], "o", color=colour, alpha=0.6, markersize=5, label=kind
        )
    left.set(xlabel="A: SI-SDRi (dB)", ylabel="B: SI-SDRi (dB)", title="the same mixture twice")
    left.set(xlim=limits, ylim=limits)
    left.legend(fontsize=8)
    right.hist(paired["difference"], bins=20, color=GREY)
    right.axvline(0, color="black", linewidth=0.8)
    right.axvline(difference.mean, color=ORANGE, linewidth=2)
    right.axvspan(difference.low, difference.high, color=ORANGE, alpha=0.4, linewidth=0, zorder=0)
    right.set(xlabel="B minus A (dB)", ylabel="mixtures", title="differences, and the interval of their mean")
    return figure


def spread_of_differences(apart: Sequence[float], pairwise: Sequence[float], mean: float) -> Figure:
    """Histograms of B minus A (dB) in many trials: on different mixtures, on the same ones; dashed: on all pairs.

    Notebook: 08_evaluation
    """
    figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
    everything = [*apart, *pairwise]
    bins = np.linspace(min(everything), max(everything), 50)
    axes.hist(apart, bins=bins, color=BLUE, alpha=0.6, label="different mixtures")
    axes.hist(pairwise, bins=bins, color=ORANGE, alpha=0.7, label="the same mixtures")
    axes.axvline(mean, color="black", linestyle="--", label="all pairs")
    axes.set(xlabel="B minus A (dB)", ylabel="trials")
    axes.legend(fontsize=8)
    return figure


def false_alarms(looks: np.ndarray, shares: Sequence[float]) -> Figure:
    """Share of trials with a significant result over the number of looks; dotted: 5 %, the rate of one look.

    Notebook: 08_evaluation
    """
    figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
    axes.plot(looks, shares, "o-", color=BLUE)
    axes.axhline(0.05, color="black", linestyle=":")
    axes.set(xlabel="looks (kinds, metrics, epochs)", ylabel="share with a 'find'", ylim=(0, None))
    axes.set_xticks(looks)
    return figure


def miss_rates(seeds: Sequence[int], misses: Mapping[str, Sequence[float]]) -> Figure:
    """How often intervals of two kinds miss the true mean, by the number of seeds; dotted: the promised 5 %.

    Notebook: 10_experiments
    """
    figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
    for shift, (name, shares), colour in zip((-0.2, 0.2), misses.items(), (BLUE, ORANGE), strict=True):
        axes.bar(np.arange(len(seeds)) + shift, shares, 0.38, color=colour, label=name)
        for i, value in enumerate(shares):
            axes.text(i + shift, value + 0.005, f"{value:.0%}", ha="center", fontsize=9)
    axes.axhline(0.05, color="black", linestyle=":")
    axes.set_xticks(range(len(seeds)), [f"{n} seeds" for n in seeds])
    axes.set(ylabel="share that misses", title="an interval of 95 %?")
    axes.legend()
    return figure


def best_of_many(looks: np.ndarray, best: np.ndarray, found: np.ndarray) -> Figure:
    """Gain (dB) of the best of n seeds (left); share of experiments with a significant one of m settings (right).

    Notebook: 10_experiments
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
    left.plot(looks, best, "o-", color=BLUE, markersize=4)
    left.axhline(0, color="black", linewidth=0.8)
    left.set(title="the best of n seeds, nothing changed", xlabel="n", ylabel="gain over the mean (dB)")
    right.plot(looks, found, "o-", color=ORANGE, markersize=4)
    right.axhline(0.05, color="black", linestyle=":")
    right.set(title="at least one 'significant' setting of m that do nothing", xlabel="m")
    right.set_ylabel("share of experiments")
    return figure
