"""Pictures of a preflight: the learning-rate range test, and gradients and updates layer by layer.

Notebook: 05_training
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .basics import COLOURS

__all__ = ["range_test_picture", "size_picture"]

GREY, BLUE, ORANGE, GREEN = COLOURS


def range_test_picture(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    asked: float,
    suggestion: float | None = None,
) -> Figure:
    """Loss over the learning rate (logarithmic) of one sweep; vertical lines: the suggestion and the rate asked for.

    Notebook: 05_training
    """
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(rates, losses, ".", color=GREY, markersize=4, label="loss of each step")
    axes.semilogx(rates, smoothed, color=BLUE, label="smoothed")
    axes.axvline(asked, color=ORANGE, linestyle="--", label=f"asked for: {asked:g}")
    if suggestion is not None:
        axes.axvline(suggestion, color=GREEN, linestyle=":", label=f"falls fastest: {suggestion:.1e}")
    axes.set(title="learning-rate range test", xlabel="learning rate", ylabel="loss on one small batch")
    axes.legend(fontsize=8)
    return figure


def size_picture(names: Sequence[str], gradients: Sequence[float], updates: Sequence[float]) -> Figure:
    """Gradient (left) and update of a step (right) of each layer, relative to its weights; NaN and 0 leave a gap.

    The band is where updates usually are, 0.0003 to 0.03 of the weights.

    Notebook: 05_training
    """
    place = np.arange(len(names))
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for axes, values, colour, title in (
        (panels[0], gradients, BLUE, "gradient / weights"),
        (panels[1], updates, ORANGE, "update of a step / weights"),
    ):
        sizes = np.asarray(values, dtype=float)
        shown = np.isfinite(sizes) & (sizes > 0)
        axes.plot(place[shown], sizes[shown], "o", color=colour, markersize=4)
        axes.set(title=title, xlabel="layer, from input to output", yscale="log")
    panels[1].axhspan(3e-4, 3e-2, color=GREY, alpha=0.15)
    # Names of modules, where one begins: all of them would not be legible.
    parts = [name.partition(".")[0] for name in names]
    begins = [i for i, part in enumerate(parts) if i == 0 or part != parts[i - 1]]
    for axes in panels:
        axes.set_xticks(begins, [parts[i] for i in begins], rotation=20, ha="right", fontsize=8)
    return figure
