"""The whole network on one page, and the picture of the folding.

Notebook: 02_dual_path
"""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from .basics import COLOURS

__all__ = ["folding", "network_page"]

GREY, BLUE, ORANGE, GREEN = COLOURS
PALE = {GREY: "#EEEEEE", BLUE: "#D6E8F4", ORANGE: "#FBEBCC", GREEN: "#CFEDE3"}


def _box(axes: Axes, x: float, y: float, width: float, text: str, colour: str, height: float = 0.6) -> None:
    corner = (x - width / 2, y - height / 2)
    style = {"facecolor": PALE[colour], "edgecolor": colour, "linewidth": 1.2}
    axes.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle="round,pad=0.02,rounding_size=0.08", **style)
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=8.5)


def _arrow(axes: Axes, begin: tuple[float, float], end: tuple[float, float], colour: str = GREY) -> None:
    axes.annotate(
        "", end, begin, arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
    )


def network_page(config: Mapping[str, Any], samples: int, frames: int, chunks: int) -> Figure:
    """DPRNN-TasNet from the mixture (bottom left) to the voices (bottom right), each step with its shape.

    Left column upwards: encoder and bottleneck; in the middle the separator, with one dual-path block opened on the
    right; masks and decoder at the end.

    Args:
        config: of the network (``model.config``).
        samples, frames, chunks: T, L and C of the recording whose shapes are written beside the arrows.

    Notebook: 02_dual_path
    """
    n, f, h = config["n_filters"], config["bn_chan"], config["hid_size"]
    k, s, repeats = config["chunk_size"], config["n_src"], config["n_repeats"]
    figure, axes = plt.subplots(figsize=(9.5, 6.2), layout="constrained")
    steps = (
        ("encoder: conv1d, stride", GREEN, f"[T] = [{samples}]"),
        ("norm, bottleneck (linear N to F)", GREY, f"[N, L] = [{n}, {frames}]"),
        ("segmentation", BLUE, f"[L, F] = [{frames}, {f}]"),
        (f"{repeats} dual-path blocks", BLUE, f"[C, K, F] = [{chunks}, {k}, {f}]"),
        ("PReLU, overlap-add", BLUE, f"[C, K, F] = [{chunks}, {k}, {f}]"),
        ("split into S sources (affine F to S·F)", GREY, f"[L, F] = [{frames}, {f}]"),
        ("gated output: tanh × sigmoid", GREY, f"[S, L, F] = [{s}, {frames}, {f}]"),
        (f"masks: linear F to N, {config['mask_act']}", GREY, f"[S, L, F] = [{s}, {frames}, {f}]"),
        ("× the encoded mixture", GREEN, f"[S, N, L] = [{s}, {n}, {frames}]"),
        ("decoder: transposed convolution", GREEN, f"[S, N, L] = [{s}, {n}, {frames}]"),
    )
    top = len(steps)
    _box(axes, 2, top + 1, 3.4, "mixture", GREY)
    for row, (text, colour, shape) in enumerate(steps):
        y = top - row
        _arrow(axes, (2, y + 0.68), (2, y + 0.32))
        axes.text(2.12, y + 0.5, shape, va="center", fontsize=7.5, color="#555555")
        _box(axes, 2, y, 3.4, text, colour)
    _arrow(axes, (2, 0.68), (2, 0.32))
    axes.text(2.12, 0.5, f"[S, T] = [{s}, {samples}]", va="center", fontsize=7.5, color="#555555")
    _box(axes, 2, 0, 3.4, f"{s} voices", GREY)
    # The encoded mixture passes the separator on its left.
    axes.plot([0.3, 0.05, 0.05], [top, top, 2], color=GREEN, linewidth=1.2)
    _arrow(axes, (0.05, 2), (0.28, 2), GREEN)
    axes.text(
        -0.08, top / 2 + 1, "encoded mixture", rotation=90, ha="right", va="center", fontsize=8, color=GREEN
    )
    _draw_block(axes, x=7.2, top=9.6, hidden=h, features=f, norm=config["norm_type"])
    for end in (10.15, 1.45):  # the block at left is opened at right
        axes.plot(
            [3.72, 4.75],
            [top - 3 + (0.3 if end > 5 else -0.3), end],
            color=BLUE,
            linewidth=0.8,
            linestyle=":",
        )
    axes.set(xlim=(-0.5, 9.7), ylim=(-0.45, top + 1.45), title="DPRNN-TasNet, the whole network")
    axes.axis("off")
    return figure


def _draw_block(axes: Axes, x: float, top: float, hidden: int, features: int, norm: str) -> None:
    """One dual-path block: two paths, each with a residual around it."""
    axes.add_patch(Rectangle((x - 2.45, 1.45), 4.9, 8.7, fill=False, edgecolor=BLUE, linestyle=":"))
    axes.text(x, 10.35, "one dual-path block", ha="center", fontsize=9, color=BLUE)
    for name, axis, colour, y in (
        ("intra-chunk", "along K: the frames of each chunk", BLUE, top),
        ("inter-chunk", "along C: one frame of every chunk", ORANGE, top - 4.1),
    ):
        rows = (
            f"{name} RNN, {axis}",
            f"projection (linear {2 * hidden} to {features})",
            norm,
        )
        axes.plot([x, x], [y + 0.3, y + 0.1], color=GREY, linewidth=1.2)
        for number, text in enumerate(rows):
            _arrow(axes, (x, y + 0.1 - 0.9 * number), (x, y - 0.2 - 0.9 * number))
            _box(axes, x, y - 0.5 - 0.9 * number, 3.9, text, colour)
        _arrow(axes, (x, y - 2.62), (x, y - 2.92))
        axes.text(
            x, y - 3.1, "+", ha="center", va="center", fontsize=11, bbox={"boxstyle": "circle", "fc": "white"}
        )
        axes.plot([x, x + 2.2, x + 2.2], [y + 0.2, y + 0.2, y - 3.1], color=GREY, linewidth=1)
        _arrow(axes, (x + 2.2, y - 3.1), (x + 0.17, y - 3.1))
        axes.text(
            x + 2.12, y - 1.5, "residual", rotation=90, ha="right", va="center", fontsize=7.5, color="#555555"
        )
        _arrow(axes, (x, y - 3.35), (x, y - 3.8))


def folding(cells: np.ndarray) -> Figure:
    """A sequence of frames (above) and the same frames folded into a table of chunks (below).

    ``cells`` is ``[C, K]``: the frame in each cell, below 0 for padding. Chunks are columns of the table, in the
    colours of their bars above; the blue arrow follows the intra-chunk RNN, the orange one the inter-chunk RNN.

    Notebook: 02_dual_path
    """
    count, size = cells.shape
    frames, hop = int(cells.max()) + 1, int(np.diff(cells[cells.min(1) >= 0][:, 0]).min())
    shades = plt.get_cmap("viridis")(np.linspace(0.15, 0.95, frames))
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(9, 5.4), layout="constrained", height_ratios=(1.1, 2)
    )
    for frame in range(frames):
        above.add_patch(Rectangle((frame - 0.5, 0), 1, 1, facecolor=shades[frame], edgecolor="white"))
        _number(above, frame, 0.5, frame)
    for c in range(count):
        left = c * hop - size - 0.5
        row = -0.55 - 0.55 * (c % -(-size // hop))
        above.barh(row, size - 0.3, left=left + 0.15, height=0.36, color=PALE[BLUE], edgecolor=BLUE)
        above.text(left + size / 2, row, f"chunk {c}", ha="center", va="center", fontsize=7.5)
    above.set(xlim=(-size - 1, frames + size), ylim=(-0.85 - 0.55 * (-(-size // hop) - 1), 1.1))
    above.set_title(f"{frames} frames in a row: {frames} steps for one RNN")
    for c, k in np.ndindex(cells.shape):
        frame = int(cells[c, k])
        colour = shades[frame] if frame >= 0 else "#F2F2F2"
        below.add_patch(Rectangle((c - 0.5, k - 0.5), 1, 1, facecolor=colour, edgecolor="white"))
        if frame >= 0:
            _number(below, c, k, frame)
    chunk, position = count // 2 - 1, size - 1
    arrow = {"arrowstyle": "-|>", "linewidth": 3, "shrinkA": 0, "shrinkB": 0}
    below.annotate("", (chunk - 0.38, size - 0.55), (chunk - 0.38, -0.45), arrowprops=arrow | {"color": BLUE})
    low = position + 0.36
    below.annotate("", (count - 0.55, low), (-0.45, low), arrowprops=arrow | {"color": ORANGE})
    below.set(xlim=(-0.6, count - 0.4), ylim=(size - 0.4, -0.6), xticks=range(count), yticks=range(size))
    below.set(
        xlabel="chunk c (inter-chunk RNN, orange: reads a row)", ylabel="position k (intra, blue: a column)"
    )
    below.set_title(f"folded: K = {size} and C = {count}, so no RNN makes more than {max(size, count)} steps")
    above.axis("off")
    for side in ("top", "right", "bottom", "left"):
        below.spines[side].set_visible(False)
    return figure


def _number(axes: Axes, x: float, y: float, frame: int) -> None:
    white = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
    axes.text(x, y, str(frame), ha="center", va="center", fontsize=8, bbox=white)
