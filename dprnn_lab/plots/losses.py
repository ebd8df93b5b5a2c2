"""Figures of SI-SDR, its relatives, and permutation-invariant training.

Notebook: 03_loss_and_pit
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .basics import COLOURS

__all__ = [
    "assignment_times",
    "blend_losses",
    "delay_curve",
    "draw_directions",
    "draw_losses",
    "gain_curves",
    "optimisation_runs",
    "projection_triangles",
]

GREY, BLUE, ORANGE, GREEN = COLOURS


def projection_triangles(target: torch.Tensor, estimate: torch.Tensor, gains: Sequence[float]) -> Figure:
    """SI-SDR in the plane: target, estimate, projection and error as arrows, one panel per gain of the estimate.

    ``target`` and ``estimate`` are vectors ``[2]`` within 0 to 5.

    Notebook: 03_loss_and_pit
    """
    projection = (estimate @ target) / (target @ target) * target
    figure, panels = plt.subplots(1, len(gains), figsize=(9, 3.2), layout="constrained", sharey=True)
    for axes, gain in zip(panels, gains, strict=True):
        foot, tip = gain * projection, gain * estimate
        axes.plot([0, 5], [0, 5 * float(target[1] / target[0])], color="#cccccc", linewidth=1)
        arrow = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.009}
        axes.quiver(0, 0, *target, color=GREY, zorder=2, **arrow)
        axes.quiver(0, 0, *tip, color=BLUE, zorder=3, **arrow)
        axes.quiver(0, 0, *foot, color=GREEN, zorder=3, **arrow)
        axes.quiver(*foot, *(tip - foot), color=ORANGE, zorder=3, **arrow)
        score = 20 * math.log10(foot.norm() / (tip - foot).norm())
        title = f"estimate times {gain}: SI-SDR {score:.1f} dB"
        axes.set(title=title, xlim=(-0.2, 5), ylim=(-0.3, 3.6), aspect="equal")
        for place, shift, text, colour in (
            (tip, (-0.3, 0.1), "$e$", BLUE),
            (target, (0.05, -0.45), "$t$", GREY),
            (0.5 * foot, (0.0, -0.5), r"$\alpha t$", GREEN),
            (0.5 * (foot + tip), (0.1, 0.0), r"$e-\alpha t$", ORANGE),
        ):
            axes.text(*(place + torch.tensor(shift)), text, color=colour, fontsize=13)
    return figure


def delay_curve(delays_ms: Sequence[float], scores: Sequence[float]) -> Figure:
    """SI-SDR (dB) of the delayed target against the delay (ms).

    Notebook: 03_loss_and_pit
    """
    figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
    axes.plot(delays_ms, scores, "o-", color=BLUE, markersize=4)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(xlabel="delay of a perfect estimate (ms)", ylabel="SI-SDR (dB)", xlim=(0, None))
    axes.set_title("the target itself, a little late")
    return figure


def gain_curves(gains_db: torch.Tensor, curves: Mapping[str, torch.Tensor]) -> Figure:
    """Measures of one estimate (dB) against its gain (dB), with styles for SI-SDR, SNR, SD-SDR and MSE in that order.

    Notebook: 03_loss_and_pit
    """
    figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
    styles = (
        {"color": GREEN, "linewidth": 2.5},
        {"color": BLUE},
        {"color": ORANGE},
        {"color": GREY, "linewidth": 3, "linestyle": ":"},
    )
    for (name, values), style in zip(curves.items(), styles, strict=True):
        axes.plot(gains_db, values, label=name, **style)
    axes.set(xlabel="gain of the estimate (dB)", ylabel="dB", ylim=(-35, 15), xlim=(-40, 20))
    axes.legend(loc="lower center")
    return figure


def blend_losses(blends: torch.Tensor, mse: torch.Tensor, neg_sisdr: Mapping[float, torch.Tensor]) -> Figure:
    """Losses of two blended outputs with a random order (orange) and with the better order (green).

    Args:
        blends: ``[P]``, 0 and 1 are separated, 0.5 is the average of both voices.
        mse: ``[2, P]`` mean squared error under each of the two orders.
        neg_sisdr: by level of the added error (dB), ``[2, P]`` negative SI-SDR (dB) under each order; three levels.

    Notebook: 03_loss_and_pit
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    left.plot(blends, 1e3 * mse.mean(0), color=ORANGE, label="random order")
    left.plot(blends, 1e3 * mse.amin(0), color=GREEN, label="better order (PIT)")
    left.set(xlabel="blend p", ylabel=r"MSE ($\times 10^{-3}$)", title="MSE, no error added")
    for (error_db, orders), style in zip(neg_sisdr.items(), (":", "--", "-"), strict=True):
        right.plot(blends, orders.mean(0), style, color=ORANGE, label=f"random order, error {error_db} dB")
        right.plot(blends, orders.amin(0), style, color=GREEN)
    right.plot([], [], color=GREEN, label="better order (PIT)")
    right.set(xlabel="blend p", ylabel="negative SI-SDR (dB)", title="SI-SDR, outputs with some error")
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    return figure


def draw_directions(axes: Axes, shares: torch.Tensor, title: str) -> None:
    """Draw the direction of two outputs in the plane of two voices, from the first step (inside) to the last (dot).

    ``shares`` is ``[steps, output, voice]``: how much of each voice is in each output.

    Notebook: 03_loss_and_pit
    """
    directions = shares / shares.norm(dim=-1, keepdim=True)
    radius = torch.linspace(0.35, 1, len(shares))  # time: from the centre outwards
    for output, colour in ((0, BLUE), (1, ORANGE)):
        x, y = (radius[:, None] * directions[:, output]).T
        axes.plot(x, y, color=colour)
        axes.plot(x[-1], y[-1], "o", color=colour, markersize=9, label=f"output {output + 1}")
    axes.plot([0, 0.8], [0, 0.8], ":", color="#999999")
    axes.text(0.12, -0.14, "dotted: the average", color="#777777", fontsize=8)  # no path comes there
    limits = {"xlim": (-0.25, 1.2), "ylim": (-0.25, 1.2), "aspect": "equal"}
    axes.set(xlabel="voice 1", ylabel="voice 2", title=title, **limits)
    axes.set(xticks=(0, 1), yticks=(0, 1))


def draw_losses(
    axes: Axes, losses: Mapping[str, Sequence[float]], colours: Sequence[str], styles: Sequence[str] = ()
) -> None:
    """Draw named losses (dB) against the step; ``styles`` are solid lines when none are given.

    Notebook: 03_loss_and_pit
    """
    for (name, values), colour, style in zip(
        losses.items(), colours, styles or ["-"] * len(losses), strict=True
    ):
        axes.plot(values, style, color=colour, label=name)
    axes.set(xlabel="step", ylabel="loss (dB)", title="loss")
    axes.legend(fontsize=8)


def optimisation_runs(runs: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Three runs on two outputs: their directions in a panel each, and all losses in a fourth.

    A run has ``shares``, ``[steps, output, voice]``, and ``losses``, a number (dB) per step. The third is drawn in
    green, the second dotted.

    Notebook: 03_loss_and_pit
    """
    figure, panels = plt.subplots(
        1, 4, figsize=(10.5, 2.9), layout="constrained", width_ratios=(1, 1, 1, 1.3)
    )
    for axes, (title, run) in zip(panels, runs.items(), strict=False):
        draw_directions(axes, run["shares"], title)
    panels[2].legend(fontsize=8, loc="upper right")
    losses = {name: run["losses"] for name, run in runs.items()}
    draw_losses(panels[3], losses, (ORANGE, ORANGE, GREEN), ("-", ":", "-"))
    return figure


def assignment_times(counts: Sequence[int], listed: Sequence[float], assigned: Sequence[float]) -> Figure:
    """Time (s in, ms drawn) of both ways to find the best permutation, against the number of sources.

    Notebook: 03_loss_and_pit
    """
    figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
    axes.semilogy(counts, 1e3 * np.array(listed), "o-", color=ORANGE, label="list all permutations")
    axes.semilogy(counts, 1e3 * np.array(assigned), "o-", color=GREEN, label="Hungarian algorithm")
    axes.set(xlabel="sources S", ylabel="time (ms)", xticks=list(counts))
    axes.legend()
    return figure
