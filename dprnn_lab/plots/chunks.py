"""Figures of the dual path: memory of an RNN, chunks, reach, costs, masks.

Notebook: 02_dual_path
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .basics import COLOURS, MASK_COLOURS

__all__ = [
    "chunk_size_bars",
    "chunk_table",
    "cost_curves",
    "fading_memory",
    "masks_by_filter",
    "norm_levels",
    "overlap_gains",
    "parameter_bars",
    "path_lengths",
    "reach_of_paths",
]


def fading_memory(kept: Mapping[str, torch.Tensor]) -> Figure:
    """Relative gradient ``[steps]`` of the last output with respect to earlier inputs, one curve for each RNN.

    The vertical axis is logarithmic; a dotted line marks one thousandth.

    Notebook: 02_dual_path
    """
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    for (name, gradient), colour in zip(kept.items(), COLOURS, strict=False):
        axes.semilogy(gradient.clamp(min=1e-30), color=colour, label=name)
    axes.axhline(1e-3, color="grey", linewidth=0.7, linestyle=":")
    axes.set(
        title="What the last output still knows of an earlier input",
        xlabel="steps back d",
        ylabel="gradient, relative",
        xlim=(0, max(map(len, kept.values())) - 1),
        ylim=(1e-30, 10),
    )
    axes.legend()
    return figure


def chunk_table(cells: np.ndarray, chunk: int, position: int) -> Figure:
    """The frame index in each cell of ``[C, K]``, chunks to the right; below 0 is padding, shown as a dot.

    A blue frame marks the intra-chunk sequence of ``chunk``, an orange one the inter-chunk sequence of ``position``.

    Notebook: 02_dual_path
    """
    chunks, size = cells.shape
    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    axes.imshow(np.ma.masked_less(cells.T, 0), cmap="Greys", vmin=-10, vmax=90, aspect="auto")
    for c, k in np.ndindex(cells.shape):
        axes.text(c, k, cells[c, k] if cells[c, k] >= 0 else "·", ha="center", va="center")
    for corner, width, height, colour in (
        ((chunk - 0.45, -0.45), 0.9, size - 0.1, COLOURS[1]),
        ((-0.45, position - 0.45), chunks - 0.1, 0.9, COLOURS[2]),
    ):
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=3))
    title = "frame in each cell; blue: an intra sequence, orange: an inter sequence"
    ticks = {"xticks": range(chunks), "yticks": range(size)}
    axes.set(title=title, xlabel="chunk c", ylabel="position k", **ticks)
    return figure


def reach_of_paths(strengths: Mapping[str, torch.Tensor], frame: int) -> Figure:
    """How strongly each input frame acts on output ``frame``: a row for each named ``[L]``, relative to its maximum.

    The colours are logarithmic over six decades; frames without any effect stay white.

    Notebook: 02_dual_path
    """
    picture = torch.stack([(s / s.max()).log10() for s in strengths.values()])
    rows, frames = picture.shape
    figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
    image = axes.imshow(
        np.ma.masked_invalid(picture.numpy()), aspect="auto", cmap="viridis", vmin=-6, vmax=0,
        interpolation="nearest", extent=(-0.5, frames - 0.5, rows - 0.5, -0.5),
    )  # fmt: skip
    axes.axvline(frame, color=COLOURS[2], linewidth=1)
    axes.hlines(np.arange(rows - 1) + 0.5, -0.5, frames - 0.5, color="white", linewidth=4)
    title = f"which input frames reach output frame {frame} (white: not at all)"
    axes.set(title=title, xlabel="input frame", yticks=range(rows), yticklabels=list(strengths))
    figure.colorbar(image, label="strength, log10")
    return figure


def path_lengths(
    sizes: Sequence[int], steps: Mapping[str, Sequence[int]], roots: Mapping[str, tuple[int, int]]
) -> Figure:
    """Steps of the longer RNN against the chunk size, one curve for each recording.

    ``roots`` gives each recording's (√(2L), steps there), drawn as a dot.

    Notebook: 02_dual_path
    """
    figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
    for (name, curve), colour in zip(steps.items(), COLOURS, strict=False):
        axes.loglog(sizes, curve, color=colour, label=name)
        axes.plot(*roots[name], "o", color=colour)
    axes.plot([], [], "o", color="grey", label="K = √(2L)")
    axes.set(title="steps of the longer RNN", xlabel="chunk size K (frames)", ylabel="max(K, C)")
    axes.legend(loc="upper center", ncols=3, fontsize=9)
    return figure


def overlap_gains(gains: Mapping[int, torch.Tensor], chunk_size: int) -> Figure:
    """Gain of segmentation and overlap-add for each frame, ``[L]``, one step curve for each hop size.

    Notebook: 02_dual_path
    """
    figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
    for (hop, gain), colour in zip(gains.items(), COLOURS, strict=False):
        label = f"P = {hop}: K / P = {chunk_size / hop:g}"
        axes.step(range(len(gain)), gain, where="mid", color=colour, label=label)
    title = f"gain of segment and overlap-add, K = {chunk_size}"
    axes.set(title=title, xlabel="frame", ylim=(0, 5.4))
    axes.legend(ncols=4, loc="upper center", fontsize=9)
    return figure


def norm_levels(
    seconds: torch.Tensor, divisors: Mapping[str, torch.Tensor], levels: Mapping[str, torch.Tensor]
) -> Figure:
    """What each norm divides a frame by (above), and the level of the frames after it (below), in dB over time.

    ``seconds`` is ``[L]``, both mappings have ``[L]`` for each named norm: a standard deviation, and the RMS of a
    frame's features.

    Notebook: 02_dual_path
    """
    figure, panels = plt.subplots(2, 1, figsize=(9, 4.6), layout="constrained", sharex=True)
    titles = ("what each norm divides by", "level of the frames after the norm")
    for axes, curves, title in zip(panels, (divisors, levels), titles, strict=True):
        for (name, values), colour in zip(curves.items(), COLOURS[1:], strict=True):
            axes.plot(seconds, 20 * values.clamp(min=1e-9).log10(), color=colour, label=name)
        axes.set(title=title, ylabel="dB", xlim=(0, float(seconds[-1])))
        peak = max(20 * float(values.max().log10()) for values in curves.values())
        axes.set_ylim(peak - 60, peak + 5)
    panels[1].set_xlabel("time (s)")
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=8, ncols=3, loc="outside lower center")
    return figure


def masks_by_filter(masks: torch.Tensor, begin: float, end: float) -> Figure:
    """Masks ``[S, N, L]`` of the time from ``begin`` to ``end`` (s), filters from bottom to top in the order given.

    Notebook: 02_dual_path
    """
    figure, axes = plt.subplots(1, len(masks), figsize=(9.5, 3), layout="constrained", sharey=True)
    extent = (begin, end, 0, masks.shape[1])
    options = {
        "origin": "lower",
        "aspect": "auto",
        "cmap": MASK_COLOURS,
        "vmin": 0,
        "vmax": 1,
        "extent": extent,
    }
    for number, (ax, mask) in enumerate(zip(axes, masks, strict=True), 1):
        image = ax.imshow(mask.numpy(), **options)
        ax.set(title=f"mask {number}", xlabel="time (s)")
    axes[0].set_ylabel("filter, low to high")
    figure.colorbar(image, ax=axes, label="mask")
    return figure


def parameter_bars(counts: Mapping[str, int]) -> Figure:
    """Number of parameters of each part as a bar with its share, the smallest at the bottom.

    Notebook: 02_dual_path
    """
    counts = dict(sorted(counts.items(), key=lambda item: item[1]))
    total = sum(counts.values())
    figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
    bars = axes.barh(list(counts), list(counts.values()), color=COLOURS[1])
    axes.bar_label(bars, [f"{n} ({100 * n / total:.1f} %)" for n in counts.values()], padding=3)
    axes.set(title=f"{total} parameters", xlabel="parameters", xlim=(0, 1.25 * max(counts.values())))
    return figure


def cost_curves(
    sizes: Sequence[int], milliseconds: Sequence[float], megabytes: Sequence[float], root: float
) -> Figure:
    """Median time (ms) and peak memory (MB) of a forward pass against the chunk size, √(2L) = ``root`` marked.

    Notebook: 02_dual_path
    """
    figure, panels = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
    titles = ("median time (ms)", "peak memory (MB)")
    for axes, values, title in zip(panels, (milliseconds, megabytes), titles, strict=True):
        axes.semilogx(sizes, values, "o-", color=COLOURS[1], base=2)
        axes.axvline(root, color=COLOURS[3], linestyle=":", label="√(2L)")
        axes.set(title=title, xlabel="chunk size K at half overlap", ylim=(0, 1.4 * max(values)))
        axes.legend()
    return figure


def chunk_size_bars(scores: Mapping[tuple[int, int], float], trained: tuple[int, int]) -> Figure:
    """SI-SDRi (dB) of one set of weights by (chunk size, hop size); the bar of ``trained`` is orange.

    Notebook: 02_dual_path
    """
    figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
    names, values = [f"{k}\n{p}" for k, p in scores], list(scores.values())
    colours = [COLOURS[2] if setting == trained else COLOURS[1] for setting in scores]
    axes.bar_label(axes.bar(names, values, color=colours), fmt="%.1f", padding=2)
    axes.set(
        title="the same weights, other chunks (orange: as trained)",
        xlabel="chunk size K (above), hop P (below)",
        ylabel="SI-SDRi (dB)",
        ylim=(min(0, *values), 1.2 * max(1, *values)),
    )
    return figure
