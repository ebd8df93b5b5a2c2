"""Line charts: training curves and scores over one variable.

Notebooks: 05_training, 06_failures_at_inference, 07_failures_in_training
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .basics import COLOURS, finite_rows

__all__ = [
    "line_chart",
    "run_curves",
    "range_test",
    "gradient_spike",
    "healthy_band_chart",
    "curve_gallery",
    "loss_histograms",
    "kind_curves",
]

GREY, BLUE, ORANGE, GREEN = COLOURS
GALLERY_TICKS = (-15, -5, -2, -1, 0, 1, 2, 5, 15, 40)  # dB


def line_chart(
    curves: Mapping[str, tuple[Any, Any]],
    *,
    height: float = 2.6,
    style: str = "o-",
    colours: Sequence[str] = COLOURS[1:],
    levels: Mapping[str, float] | None = None,
    places: Mapping[str, float] | None = None,
    grid: bool = False,
    **settings: Any,
) -> Figure:
    """Curves ``{label: (x, y)}`` in one panel, with a legend when a label is not empty.

    ``levels`` are dotted horizontal lines ``{label: y}``, ``places`` dotted vertical lines ``{label: x}``.
    ``height`` is in inches, ``settings`` go to ``Axes.set`` (labels, title, scales, limits).

    Notebooks: 05_training, 06_failures_at_inference, experiments/one_run
    """
    figure, axes = plt.subplots(figsize=(9, height), layout="constrained")
    for (label, (x, y)), colour in zip(curves.items(), colours, strict=False):
        axes.plot(x, y, style, color=colour, label=label)
    for label, y in (levels or {}).items():
        axes.axhline(y, color=GREY, linestyle=":", label=label)
    for label, x in (places or {}).items():
        axes.axvline(x, color=GREY, linestyle=":", label=label)
    axes.set(**settings)
    if "xticks" in settings:
        axes.minorticks_off()
    if grid:
        axes.grid(alpha=0.3)
    if any([*curves, *(levels or {}), *(places or {})]):
        axes.legend()
    return figure


def run_curves(named: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Training loss (left) and validation SI-SDRi (right) of up to four runs, in dB over the step.

    Each table has ``step``, ``train_loss`` and ``si_sdri_man-woman``. The first run is grey, the others coloured.

    Notebook: 07_failures_in_training
    """
    figure, panels = plt.subplots(1, 2, figsize=(9, 2.7), layout="constrained")
    for axes, column, label in (
        (panels[0], "train_loss", "training loss (dB)"),
        (panels[1], "si_sdri_man-woman", "validation SI-SDRi (dB)"),
    ):
        for (name, table), colour in zip(named.items(), COLOURS, strict=False):
            axes.plot(table["step"], table[column], color=colour, label=name, marker=".", markersize=4)
        axes.axhline(0, color="black", linewidth=0.5)
        axes.set(xlabel="step", ylabel=label)
    panels[0].legend(fontsize=8)
    for axes, what in zip(panels, ("training loss", "validation"), strict=True):
        axes.set_title(what, fontsize=10)
    panels[0].set_title(title, loc="left", fontsize=10)
    return figure


def range_test(tested: Mapping[float, pd.DataFrame]) -> Figure:
    """Training loss (dB) over the step, a curve ``{rate: table}`` for each learning rate, dark to light.

    Notebook: 07_failures_in_training
    """
    figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
    for (rate, table), shade in zip(tested.items(), np.linspace(0.1, 0.85, len(tested)), strict=True):
        colour = plt.get_cmap("viridis")(shade)
        axes.plot(table["step"], table["train_loss"], color=colour, marker=".", label=f"{rate:g}")
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set(
        xlabel="step", ylabel="training loss (dB)", ylim=(None, 25), title=f"{len(tested)} learning rates"
    )
    axes.legend(title="rate", fontsize=8, ncol=2)
    return figure


def gradient_spike(named: Mapping[str, pd.DataFrame]) -> Figure:
    """Training loss in dB (left) and gradient norm before clipping (right, logarithmic) of up to four runs.

    Notebook: 07_failures_in_training
    """
    figure, panels = plt.subplots(1, 2, figsize=(9, 2.7), layout="constrained")
    for (name, table), colour in zip(named.items(), COLOURS, strict=False):
        panels[0].plot(table["step"], table["train_loss"], color=colour, marker=".", label=name)
        panels[1].semilogy(table["step"], table["grad_norm"], color=colour, marker=".")
    panels[0].set(xlabel="step", ylabel="training loss (dB)", title="training loss")
    panels[1].set(xlabel="step", ylabel="gradient norm before clipping", title="gradient norm")
    panels[0].legend(fontsize=8)
    return figure


def healthy_band_chart(run: pd.DataFrame, healthy: Sequence[pd.DataFrame], worst: pd.Series) -> Figure:
    """A run's training loss (dB) beside the band between the best of the healthy runs and ``worst``.

    ``worst`` is the upper edge of the band at the steps of the healthy runs.

    Notebook: 07_failures_in_training
    """
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    band = pd.concat([table.set_index("step")["train_loss"] for table in healthy], axis=1)
    axes.fill_between(band.index, band.min(axis=1), worst, color=GREY, alpha=0.3, label="three healthy runs")
    axes.plot(run["step"], run["train_loss"], color=BLUE, marker=".", label="the user's run")
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set(
        xlabel="step", ylabel="training loss (dB)", ylim=(-3, 3), title="a run beside three healthy ones"
    )
    axes.legend(fontsize=8)
    return figure


def curve_gallery(gallery: Mapping[str, tuple[pd.DataFrame, str]]) -> Figure:
    """Training and validation loss (dB) of eight runs ``{name: (table, caption)}`` on one scale, four in a row.

    The scale is linear between -2 and 2 dB, where runs that learn and runs that don't differ, and logarithmic beyond.

    Notebook: 07_failures_in_training
    """
    figure, grid = plt.subplots(2, 4, figsize=(11, 4.4), layout="constrained", sharey=True)
    for axes, (name, (table, caption)) in zip(grid.flat, gallery.items(), strict=True):
        axes.plot(table["step"], table["train_loss"], color=BLUE, label="training")
        valid = table.dropna(subset=["valid_loss"])
        axes.plot(valid["step"], valid["valid_loss"], color=ORANGE, label="validation")
        axes.axhline(0, color="black", linewidth=0.5)
        axes.set_yscale("symlog", linthresh=2, linscale=1.5)
        axes.set(title=f"{name}\n{caption}", ylim=(-20, 50))
        axes.set_yticks(GALLERY_TICKS, [str(tick) for tick in GALLERY_TICKS])
        axes.minorticks_off()
        axes.title.set_fontsize(9)
    for axes in grid[:, 0]:
        axes.set_ylabel("loss (dB)")
    for axes in grid[1]:
        axes.set_xlabel("step")
    grid[0, 0].legend(fontsize=8)
    return figure


def loss_histograms(scores: pd.DataFrame, kinds: Sequence[str]) -> Figure:
    """Histograms of SI-SDR (dB) per mixture: all together (left), and stacked by kind (right); dashed: the mean.

    ``scores`` has the columns ``kind`` and ``si_sdr``, one row per mixture.

    Notebook: 07_failures_in_training
    """
    figure, panels = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained", sharex=True)
    scores = finite_rows(scores, "si_sdr")
    parts = [scores.loc[scores["kind"] == kind, "si_sdr"] for kind in kinds]
    edges = np.linspace(scores["si_sdr"].min(), scores["si_sdr"].max() + 1e-6, 21)
    panels[0].hist(scores["si_sdr"], bins=edges, color=GREY)
    panels[1].hist(
        parts, bins=edges, color=list(COLOURS[1 : len(parts) + 1]), stacked=True, label=list(kinds)
    )
    for axes, title in zip(panels, ("all examples", "the same, by kind of pair"), strict=True):
        axes.axvline(scores["si_sdr"].mean(), color="black", linestyle="--", linewidth=1)
        axes.set(title=title, xlabel="SI-SDR (dB)", ylabel="examples")
    panels[1].legend(fontsize=8)
    return figure


def kind_curves(run: pd.DataFrame, kinds: Sequence[str]) -> Figure:
    """Validation loss (left) and SI-SDRi of each kind of pair (right), in dB over the step.

    ``run`` has ``step``, ``valid_loss`` and a column ``si_sdri_KIND`` for each kind.

    Notebook: 07_failures_in_training
    """
    figure, panels = plt.subplots(1, 2, figsize=(9, 2.6), layout="constrained")
    panels[0].plot(run["step"], run["valid_loss"], color=GREY)
    panels[0].set(title="one number", xlabel="step", ylabel="validation loss (dB)")
    for kind, colour in zip(kinds, COLOURS[1:], strict=True):
        panels[1].plot(run["step"], run[f"si_sdri_{kind}"], color=colour, label=kind)
    panels[1].set(title="three numbers", xlabel="step", ylabel="SI-SDRi (dB)")
    panels[1].legend(fontsize=8)
    return figure
