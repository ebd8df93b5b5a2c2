"""Figures of runs compared: a search, fine-tuning, budgets, and the score of one run.

Notebooks: 05_training, 10_experiments, experiments/one_run
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .basics import COLOURS, finite_rows

__all__ = ["search_bars", "change_bars", "draw_budgets", "kind_histograms"]

GREY, BLUE, ORANGE, GREEN = COLOURS


def search_bars(ranked: pd.DataFrame, base: str = "base") -> Figure:
    """SI-SDRi (dB) of each candidate of a search as a bar, with its number of steps; the base candidate is orange.

    ``ranked`` has the columns ``candidate``, ``si_sdri`` and ``steps``; its last row is on top.

    Notebook: 05_training
    """
    figure, axes = plt.subplots(figsize=(9, 4.0), layout="constrained")
    colours = [ORANGE if candidate == base else BLUE for candidate in ranked["candidate"]]
    axes.barh(ranked["candidate"], ranked["si_sdri"], color=colours)
    for y, (gain, steps) in enumerate(zip(ranked["si_sdri"], ranked["steps"], strict=True)):
        axes.text(gain + 0.05, y, f"{gain:.1f} dB after {steps} steps", va="center", fontsize=8)
    axes.set(
        xlabel="SI-SDRi on man-woman validation mixtures (dB)", title="150 s of one core and one seed each",
        xlim=(0, ranked["si_sdri"].max() + 1.5),
    )  # fmt: skip
    return figure


def change_bars(changes: pd.DataFrame) -> Figure:
    """Change of SI-SDRi (dB) by kind of pair as bars with intervals, a colour per recipe.

    ``changes`` has the columns ``recipe``, ``kind``, ``difference``, ``low`` and ``high``.

    Notebook: 05_training
    """
    figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
    width = 0.84 / changes["recipe"].nunique()
    for i, (name, part) in enumerate(changes.groupby("recipe", sort=False)):
        places = [j + width * (i + 0.5) - 0.42 for j in range(len(part))]
        spread = [part["difference"] - part["low"], part["high"] - part["difference"]]
        axes.bar(
            places, part["difference"], 0.9 * width, yerr=spread, capsize=4, color=COLOURS[1 + i], label=name
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(changes["kind"].nunique()), changes["kind"].unique())
    axes.set(ylabel="change of SI-SDRi (dB)", title="what fine-tuning gains and loses, with 95 % intervals")
    axes.legend()
    return figure


def draw_budgets(axes: Axes, questions: Mapping[str, pd.DataFrame], parameter: str) -> None:
    """Steps over seconds of training, on average over seeds: a curve per question, a point per value.

    The tables ``{question: runs}`` have the columns ``trained_s``, ``steps_made`` and the parameter.

    Notebook: 10_experiments
    """
    for i, ((question, runs), colour) in enumerate(zip(questions.items(), COLOURS[1:], strict=False)):
        above = i % 2 == 0
        means = runs.groupby(parameter)[["trained_s", "steps_made"]].mean()
        axes.plot(means["trained_s"], means["steps_made"], "o-", color=colour, label=question)
        for value, mean in means.iterrows():
            place = (mean["trained_s"], mean["steps_made"])
            # One question has its labels above the points, the next below: where two meet, both are legible.
            place_of_text = {"xytext": (0, 6), "va": "bottom"} if above else {"xytext": (0, -7), "va": "top"}
            axes.annotate(
                str(value),
                place,
                **place_of_text,
                ha="center",
                textcoords="offset points",
                fontsize=8,
                color=colour,
            )
    axes.margins(0.12, 0.2)
    axes.set(title="what the sizes were given", xlabel="seconds of training", ylabel="steps", yscale="log")
    axes.legend(fontsize=8)


def kind_histograms(scores: pd.DataFrame, kinds: Sequence[str], trained_on: str) -> Figure:
    """Histograms of SI-SDRi (dB) with their means, a panel per kind of pair; the trained kind is marked.

    Notebook: experiments/one_run
    """
    finite = finite_rows(scores, "si_sdri")
    figure, panels = plt.subplots(
        1, len(kinds), figsize=(9, 2.4), layout="constrained", sharex=True, sharey=True, squeeze=False
    )
    for axes, kind in zip(panels[0], kinds, strict=True):
        gains = finite.loc[finite["kind"] == kind, "si_sdri"]
        axes.hist(gains, bins=12, color=BLUE)
        axes.axvline(gains.mean(), color=ORANGE, linewidth=2)
        axes.set(title=f"{kind}{' (trained on)' * (kind == trained_on)}", xlabel="SI-SDRi (dB)")
    return figure
