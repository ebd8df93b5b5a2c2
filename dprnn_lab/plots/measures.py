"""Figures of what each measure of separation sees: SDR and SI-SDR, SIR and SAR, by kind, over cost.

Notebooks: 07_failures_in_training, 08_evaluation
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from .basics import COLOURS, finite_rows

__all__ = [
    "sdr_and_si_sdr",
    "leak_and_noise",
    "histograms_by_kind",
    "pair_strip",
    "kind_strip",
    "scatter_by_kind",
    "baseline_chart",
    "score_over_cost",
    "style_scores",
]

GREY, BLUE, ORANGE, GREEN = COLOURS
Pair = tuple[Any, Any]


def sdr_and_si_sdr(
    delays: Sequence[int], late: Pair, cutoffs: Sequence[float], dull: Pair, taps: int
) -> Figure:
    """SI-SDR and SDR (dB) of a delayed estimate (near, and further out) and of a low-passed one.

    ``delays`` in samples, ``cutoffs`` in Hz; ``late`` and ``dull`` are the pair (SI-SDR, SDR) of ``[n]`` for them.
    Dotted: the last delay that ``taps`` taps reach.

    Notebook: 08_evaluation
    """
    figure, panels = plt.subplots(
        1, 3, figsize=(11, 3.2), layout="constrained", sharey=True, width_ratios=(1, 1.2, 1)
    )
    for axes, xs, pair in ((panels[0], delays, late), (panels[1], delays, late), (panels[2], cutoffs, dull)):
        axes.plot(xs, pair[1], "o-", color=ORANGE, markersize=4, label="SDR")
        axes.plot(xs, pair[0], "o-", color=BLUE, markersize=4, label="SI-SDR")
    panels[0].set(xlim=(-9, 17), xlabel="delay (samples)", ylabel="dB", title="a few samples early or late")
    panels[1].set(xlim=(-20, 620), xlabel="delay (samples)", title="the same, further out")
    panels[1].axvline(taps - 1, color="black", linestyle=":", linewidth=1)
    panels[2].set(xlabel="cut-off (Hz)", title="a low-pass filter")
    panels[2].legend(loc="center right")
    return figure


def leak_and_noise(levels_db: Sequence[float], curves: Mapping[str, Any]) -> Figure:
    """SIR, SAR, SDR and SI-SDR (dB) over the level of a leak (left) and of noise (right), relative to the voice.

    ``curves`` has ``[2 len(levels_db)]`` for each of the four names: first for the leak, then for the noise.

    Notebook: 08_evaluation
    """
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained", sharey=True)
    parts = (slice(None, len(levels_db)), slice(len(levels_db), None))
    styles = {"SIR": (ORANGE, "o-"), "SAR": (GREEN, "o-"), "SDR": (BLUE, "o-"), "SI-SDR": (GREY, "x--")}
    for axes, part, what in zip(panels, parts, ("leak", "noise"), strict=True):
        for name, (colour, line) in styles.items():
            axes.plot(levels_db, curves[name][part], line, color=colour, markersize=5, label=name)
        axes.set(xlabel=f"{what} (dB relative to the voice)", title=f"only the {what} grows")
    panels[0].set_ylabel("dB")
    panels[1].legend(fontsize=8)
    return figure


def histograms_by_kind(scores: pd.DataFrame, summary: pd.DataFrame, kinds: Sequence[str]) -> Figure:
    """A histogram of SI-SDRi (dB) for each kind, with the kind's mean and interval and the overall mean (dashed).

    ``scores`` has one row per mixture, ``summary`` the columns ``mean``, ``low``, ``high`` with the kind as index.

    Notebook: 08_evaluation
    """
    figure, panels = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained", sharex=True, sharey=True)
    scores = finite_rows(scores, "si_sdri")
    edges = np.linspace(scores["si_sdri"].min(), scores["si_sdri"].max() + 1e-6, 16)
    for axes, kind in zip(panels, kinds, strict=True):
        row = summary.loc[kind]
        axes.hist(scores.loc[scores["kind"] == kind, "si_sdri"], bins=edges, color=BLUE)
        axes.axvspan(row["low"], row["high"], color=ORANGE, alpha=0.35, linewidth=0, zorder=0)
        axes.axvline(row["mean"], color=ORANGE, linewidth=2)
        axes.axvline(scores["si_sdri"].mean(), color="black", linestyle="--", linewidth=1)
        axes.set(title=kind, xlabel="SI-SDRi (dB)")
    panels[0].set_ylabel("mixtures")
    return figure


def pair_strip(scores: pd.DataFrame, by: str = "pair") -> Figure:
    """SI-SDRi (dB) of each mixture as a dot, a row per pair of speakers, the lowest mean on the bottom row.

    Notebook: 08_evaluation
    """
    means = scores.groupby(by)["si_sdri"].mean().sort_values()
    figure, axes = plt.subplots(figsize=(9, 0.32 * len(means) + 0.9), layout="constrained")
    for y, (name, mean) in enumerate(means.items()):
        values = scores.loc[scores[by] == name, "si_sdri"]
        axes.plot(values, [y] * len(values), "o", color=BLUE, alpha=0.5, markersize=5)
        axes.plot(mean, y, "|", color=ORANGE, markersize=16, markeredgewidth=3)
    axes.set(yticks=range(len(means)), yticklabels=means.index, xlabel="SI-SDRi (dB)")
    return figure


def kind_strip(scores: pd.DataFrame) -> Figure:
    """SI-SDRi (dB) of each mixture as a dot, a row per kind in the order of the table, the first on the bottom row.

    Notebook: 07_failures_in_training
    """
    kinds = list(dict.fromkeys(scores["kind"]))
    figure, axes = plt.subplots(figsize=(9, 1.9), layout="constrained")
    for y, kind in enumerate(kinds):
        values = scores.loc[scores["kind"] == kind, "si_sdri"]
        axes.plot(values, [y] * len(values), "o", color=BLUE, alpha=0.6)
        axes.plot(values.mean(), y, "|", color=ORANGE, markersize=20, markeredgewidth=3)
    axes.set(
        yticks=range(len(kinds)), yticklabels=kinds, xlabel="SI-SDRi (dB)", ylim=(-0.5, len(kinds) - 0.5),
        title="each mixture, and the mean of a kind",
    )  # fmt: skip
    return figure


def scatter_by_kind(scores: pd.DataFrame, kinds: Sequence[str], column: str = "correlation") -> Figure:
    """SI-SDRi (dB) over the correlation of the two outputs, a dot per mixture, coloured by kind.

    Notebook: 08_evaluation
    """
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    for kind, colour in zip(kinds, COLOURS[1:], strict=True):
        group = scores[scores["kind"] == kind]
        axes.plot(group[column], group["si_sdri"], "o", color=colour, alpha=0.7, label=kind)
    axes.set(xlabel="correlation of the two outputs (absolute)", ylabel="SI-SDRi (dB)")
    axes.legend()
    return figure


def baseline_chart(
    summary: pd.DataFrame, few: Mapping[str, pd.Series], names: Mapping[str, str], kinds: Sequence[str]
) -> Figure:
    """Mean SI-SDRi (dB) of each system with its interval, by kind.

    Args:
        summary: columns ``system``, ``kind``, ``mean``, ``low``, ``high``.
        few: ``{system: means by kind}`` of systems measured on fewer mixtures: hollow dots without interval.
        names: ``{system: label}``, in the order of the horizontal axis.
        kinds: in the order of the colours.

    Notebook: 08_evaluation
    """
    figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
    for shift, kind, colour in zip((-0.2, 0, 0.2), kinds, COLOURS[1:], strict=True):
        rows = summary[summary["kind"] == kind].set_index("system")
        xs = [x + shift for x, name in enumerate(names) if name in rows.index]
        rows = rows.loc[[name for name in names if name in rows.index]]
        errors = (rows["mean"] - rows["low"], rows["high"] - rows["mean"])
        axes.errorbar(xs, rows["mean"], errors, fmt="o", color=colour, capsize=4, label=kind)
        for system, means in few.items():
            x = list(names).index(system) + shift
            axes.plot(x, means[kind], "o", color=colour, markerfacecolor="none")
    axes.set(xticks=range(len(names)), xticklabels=names.values(), ylabel="SI-SDRi (dB)")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(fontsize=8, loc="upper left")
    return figure


def score_over_cost(price: pd.DataFrame, names: Mapping[str, str], informed: Sequence[str]) -> Figure:
    """Mean SI-SDRi (dB) of each system over its real-time factor; grey: systems informed about the sources.

    ``price`` has the system as index and the columns ``rtf`` and ``si_sdri``.

    Notebook: 08_evaluation
    """
    figure, axes = plt.subplots(figsize=(9, 2.9), layout="constrained")
    for name, row in price.iterrows():
        place = (row["rtf"], row["si_sdri"])
        axes.plot(*place, "o", color=GREY if name in informed else ORANGE, markersize=9)
        # the offset is in points
        axes.annotate(
            names.get(str(name), str(name)), place, xytext=(8, -4), textcoords="offset points", fontsize=9
        )
    axes.axvline(1, color="black", linestyle=":")
    axes.set(
        xscale="log", xlim=(None, 3), xlabel="rtf (seconds of computing per second)", ylabel="SI-SDRi (dB)"
    )
    axes.margins(y=0.2)
    return figure


def style_scores(table: pd.DataFrame) -> Styler:
    """A table of the scores of :func:`dprnn_lab.evaluation.score`, a row per signal, with readable column names.

    Decibels have one decimal, STOI (0 to 1) two. Columns other than these five are left out.

    Notebook: 08_evaluation
    """
    names = {"si_sdr": "SI-SDR (dB)", "sdr": "SDR (dB)", "sir": "SIR (dB)", "sar": "SAR (dB)", "stoi": "STOI"}
    table = table.rename(columns=names)
    table = table[[name for name in names.values() if name in table]]
    return table.style.format("{:.1f}").format("{:.2f}", subset=[c for c in ("STOI",) if c in table])
