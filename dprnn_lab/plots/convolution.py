"""The transposed convolution of a decoder, worked out in numbers.

Notebook: 01_encoder_decoder
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .basics import COLOURS

__all__ = ["transposed_convolution"]


def transposed_convolution(frames: Sequence[float], kernel: Sequence[float], stride: int) -> Figure:
    """One filter and a few frames: a row for each frame, its number times the filter at its place, and their sum.

    Args:
        frames: ``[L]``, the number of one filter in each frame.
        kernel: ``[kernel_size]``, the decoder's filter.
        stride: samples from one frame's place to the next.

    Notebook: 01_encoder_decoder
    """
    values, shape = np.asarray(frames, float), np.asarray(kernel, float)
    length = (len(values) - 1) * stride + len(shape)
    rows = np.full((len(values), length), np.nan)
    for frame, value in enumerate(values):
        rows[frame, frame * stride : frame * stride + len(shape)] = value * shape
    table = np.vstack((rows, np.nansum(rows, 0)))
    limit = np.nanmax(np.abs(table))
    figure, axes = plt.subplots(figsize=(9, 0.55 * len(table) + 1.2), layout="constrained")
    axes.imshow(
        np.ma.masked_invalid(table), cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", alpha=0.75
    )
    for row, sample in np.ndindex(table.shape):
        if np.isfinite(table[row, sample]):
            axes.text(sample, row, f"{table[row, sample]:g}", ha="center", va="center", fontsize=10)
    for frame in range(len(values)):
        corner = (frame * stride - 0.48, frame - 0.46)
        colour = COLOURS[1 + frame % 2]
        axes.add_patch(Rectangle(corner, len(shape) - 0.04, 0.92, fill=False, edgecolor=colour, linewidth=2))
    axes.axhline(len(values) - 0.5, color=COLOURS[0], linewidth=2)
    names = [f"frame {frame}: {value:g} × filter" for frame, value in enumerate(values)]
    axes.set(yticks=range(len(table)), yticklabels=[*names, "sum: the output"], xticks=range(length))
    title = (
        f"transposed convolution: the filter {', '.join(f'{v:g}' for v in shape)} with a stride of {stride}"
    )
    axes.set(xlabel="sample", title=title)
    return figure
