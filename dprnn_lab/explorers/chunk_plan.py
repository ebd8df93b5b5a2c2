"""The arithmetic and pictures of segmentation: the effect of chunk size and hop on L frames.

:func:`plan_chunks` computes, the ``draw_...`` functions show, and :class:`.chunks.ChunkExplorer` connects both to
sliders. Equations: DPRNN (Luo, Chen and Yoshioka, arXiv 1910.06379), section 2.1.

Notebook: 02_dual_path
"""

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ..model.dual_path import best_chunk_size, chunk_count
from ..model.filterbank import frame_count
from ..plots import COLOURS

__all__ = [
    "ChunkPlan",
    "describe",
    "draw_chunks",
    "draw_longest_path",
    "draw_plan",
    "draw_tensor",
    "frame_indices",
    "longest_path",
    "plan_chunks",
]

INTRA, INTER = COLOURS[1], COLOURS[2]  # one colour each, in every picture of notebook 02
MAX_ROWS = 6  # of bars, so that a small hop leaves room for the waveform


@dataclass(frozen=True)
class ChunkPlan:
    """The segmentation of a recording into a tensor [C, K, F]; made by :func:`plan_chunks`."""

    samples: int  # T
    sample_rate: float  # Hz
    kernel_size: int  # samples
    stride: int  # samples
    chunk_size: int  # K, frames
    hop_size: int  # P, frames
    frames: int  # L
    chunks: int  # C
    best: int  # the chunk size nearest to sqrt(2 L)
    longest: int  # max(K, C): the longer sequence of the two RNNs
    longest_at_best: int  # the same at the best chunk size and half overlap
    padding: float  # share of the cells of the [C, K] plane that hold zeros
    coverage: tuple[int, int]  # smallest and largest number of chunks that a frame lies in

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.samples / self.sample_rate

    @property
    def chunk_seconds(self) -> float:
        """Duration of K frames: what the intra-chunk RNN sees at a time."""
        return ((self.chunk_size - 1) * self.stride + self.kernel_size) / self.sample_rate

    @property
    def hop_seconds(self) -> float:
        """Time between two steps of the inter-chunk RNN."""
        return self.hop_size * self.stride / self.sample_rate


def plan_chunks(
    samples: int, sample_rate: float, kernel_size: int, stride: int, chunk_size: int, hop_size: int
) -> ChunkPlan:
    """Shape, duration and path lengths of the segmentation of ``samples`` samples.

    Raises:
        ValueError: a size below one, a hop over the chunk size, or a stride over the kernel.

    >>> plan = plan_chunks(8000, 8000, kernel_size=16, stride=8, chunk_size=100, hop_size=50)
    >>> plan.frames, plan.chunks, plan.longest, plan.coverage
    (999, 22, 100, (2, 2))
    """
    sizes = {"samples": samples, "kernel_size": kernel_size, "stride": stride}
    sizes |= {"chunk_size": chunk_size, "hop_size": hop_size}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} is {value}: it must be 1 or more")
    if hop_size > chunk_size:
        raise ValueError(
            f"hop_size is {hop_size}, larger than chunk_size {chunk_size}: frames between the chunks "
            "would be lost; use half the chunk size"
        )
    if stride > kernel_size:
        raise ValueError(
            f"stride is {stride}, larger than kernel_size {kernel_size}: samples between the frames would be "
            "lost; use half the kernel size"
        )
    frames = frame_count(samples, kernel_size, stride)
    chunks = chunk_count(frames, chunk_size, hop_size)
    best = best_chunk_size(frames)
    indices = frame_indices(frames, chunk_size, hop_size)
    counts = np.bincount(indices[indices >= 0], minlength=frames)
    return ChunkPlan(
        samples, sample_rate, kernel_size, stride, chunk_size, hop_size, frames, chunks, best,
        longest=max(chunk_size, chunks), longest_at_best=longest_path(frames, best),
        padding=float((indices < 0).mean()), coverage=(int(counts.min()), int(counts.max())),
    )  # fmt: skip


def longest_path(frames: int, chunk_size: int, hop_size: int | None = None) -> int:
    """max(K, C): steps of the longer of the two RNNs; half overlap when ``hop_size`` is None.

    >>> longest_path(999, 100)
    100
    """
    return max(chunk_size, chunk_count(frames, chunk_size, hop_size or max(1, chunk_size // 2)))


def frame_indices(frames: int, chunk_size: int, hop_size: int) -> np.ndarray:
    """The frame in each cell, ``[C, K]``: 0 to L - 1, or -1 for padding.

    >>> frame_indices(3, chunk_size=2, hop_size=1).tolist()
    [[-1, -1], [-1, 0], [0, 1], [1, 2], [2, -1], [-1, -1]]
    """
    starts = np.arange(chunk_count(frames, chunk_size, hop_size)) * hop_size - chunk_size
    cells = starts[:, None] + np.arange(chunk_size)
    return np.where((cells >= 0) & (cells < frames), cells, -1)


def describe(plan: ChunkPlan, features: int) -> str:
    """The plan in sentences."""
    low, high = plan.coverage
    covered = (
        f"Every frame lies in {low} chunk{'s' * (low > 1)}"
        if low == high
        else f"Frames lie in {low} or {high} chunks (the hop does not divide the chunk size: an uneven gain)"
    )
    return (
        f"{plan.seconds:.1f} s at kernel {plan.kernel_size}, stride {plan.stride} are L = {plan.frames} "
        f"frames. K = {plan.chunk_size}, P = {plan.hop_size} fold them into [C, K, F] = "
        f"[{plan.chunks}, {plan.chunk_size}, {features}], {100 * plan.padding:.0f} % of it padding. "
        f"The intra-chunk RNN sees {plan.chunk_size} steps at a time, {_time(plan.chunk_seconds)} of sound; "
        f"the inter-chunk RNN sees {plan.chunks} steps, {_time(plan.hop_seconds)} apart, over the whole "
        f"recording. {covered}. The longer path has {plan.longest} steps; at K = √(2L) ≈ {plan.best} it "
        f"would have {plan.longest_at_best}."
    )


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def draw_chunks(axes: Axes, plan: ChunkPlan, waveform: torch.Tensor, title: str = "") -> None:
    """The waveform ``[T]``, a bar for each chunk, padding hatched, one chunk and one row marked."""
    step = plan.stride / plan.sample_rate  # seconds per frame
    end = plan.frames * step
    rows = min(MAX_ROWS, -(-plan.chunk_size // plan.hop_size))
    starts = (np.arange(plan.chunks) * plan.hop_size - plan.chunk_size) * step
    width = plan.chunk_size * step
    bottoms = -1.25 - 0.3 * (np.arange(plan.chunks) % rows)
    corners = np.array([(0, 0), (width, 0), (width, 0.22), (0, 0.22)])
    bars = np.stack((starts, bottoms), axis=-1)[:, None] + corners
    marked = plan.chunks // 2
    colours = ["#9CC3DE" if c % 2 else "#C9DFEE" for c in range(plan.chunks)]
    colours[marked] = INTRA
    axes.add_collection(PolyCollection(list(bars), facecolors=colours, edgecolors="white", linewidths=0.3))
    axes.axvspan(starts[marked], starts[marked] + width, color=INTRA, alpha=0.15, linewidth=0)
    samples = waveform.detach().numpy()
    time = np.arange(len(samples)) / plan.sample_rate
    axes.plot(time, samples / max(np.abs(samples).max(), 1e-8), color=COLOURS[0], linewidth=0.4)
    # The inter-chunk sequence through the middle of that chunk: one frame of each chunk, a hop apart.
    centres = starts + (plan.chunk_size // 2 + 0.5) * step
    axes.plot(centres, np.full(plan.chunks, -0.97), "|", color=INTER, markersize=5, markeredgewidth=1)
    for left in (-width, end):
        axes.axvspan(left, left + width, facecolor="none", edgecolor="#BBBBBB", hatch="///", linewidth=0)
    axes.set(title=title, xlabel="time (s), a chunk of padding at each end (hatched)", yticks=[])
    axes.set(xlim=(-width, end + width), ylim=(-1.3 - 0.3 * rows, 1.05))


def draw_tensor(axes: Axes, plan: ChunkPlan, features: int, title: str = "") -> None:
    """The tensor [C, K, F] as a box, coloured by the time of each frame; grey is padding."""
    size = max(plan.chunks, plan.chunk_size)
    width, height = (max(n / size, 0.06) for n in (plan.chunks, plan.chunk_size))
    depth = 0.16
    indices = np.ma.masked_less(frame_indices(plan.frames, plan.chunk_size, plan.hop_size).T, 0)
    colours = colormaps["viridis"].with_extremes(bad="#BBBBBB")
    axes.imshow(indices, extent=(0, width, 0, height), cmap=colours, interpolation="nearest", aspect="equal")
    top = [(0, height), (depth, height + depth), (width + depth, height + depth), (width, height)]
    side = [(width, 0), (width + depth, depth), (width + depth, height + depth), (width, height)]
    axes.add_collection(PolyCollection([top, side], facecolors=["#E4E4E4", "#D2D2D2"], edgecolors="white"))
    column, row = width / plan.chunks, height / plan.chunk_size
    x, y = (plan.chunks // 2) * column, height - (plan.chunk_size // 2 + 1) * row
    intra = [(x, 0), (x + column, 0), (x + column, height), (x, height)]
    inter = [(0, y), (width, y), (width, y + row), (0, y + row)]
    axes.add_collection(
        PolyCollection([intra, inter], facecolors="none", edgecolors=[INTRA, INTER], linewidths=2)
    )
    axes.text(width / 2, -0.03, f"C = {plan.chunks} chunks", ha="center", va="top", color=INTER)
    axes.text(-0.03, height / 2, f"K = {plan.chunk_size}\nframes", ha="right", va="center", color=INTRA)
    axes.text(width + depth + 0.03, depth + height / 2, f"F = {features}", ha="left", va="center")
    axes.set(
        title=title, xlim=(width / 2 - 0.9, width / 2 + 1.1), ylim=(height / 2 - 0.64, height / 2 + 0.68)
    )
    axes.axis("off")


def draw_longest_path(axes: Axes, plan: ChunkPlan, title: str = "") -> None:
    """K, C and the larger of both against K at half overlap, with sqrt(2 L) and the plan marked."""
    last = max(512, 2 * plan.best, plan.chunk_size)
    sizes = (
        np.unique(np.geomspace(1, last / 2, 200).astype(int)) * 2
    )  # even, so that the hop is exactly half a chunk
    counts = [chunk_count(plan.frames, int(k), int(k) // 2) for k in sizes]
    axes.loglog(sizes, sizes, "--", color=INTRA, label="intra: K steps")
    axes.loglog(sizes, counts, "--", color=INTER, label="inter: C steps")
    axes.loglog(
        sizes, np.maximum(sizes, counts), color=COLOURS[0], linewidth=2, label="the longer, at P = K/2"
    )
    axes.axvline(plan.best, color=COLOURS[3], linestyle=":", label=f"√(2L) ≈ {plan.best}")
    axes.plot(
        plan.chunk_size, plan.longest, "o", color="#D55E00", markersize=8, label=f"here: {plan.longest} steps"
    )
    axes.set(title=title, xlabel="chunk size K (frames)", ylabel="steps")
    axes.set_xticks([2, 8, 32, 128, 512], ["2", "8", "32", "128", "512"])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(fontsize=8)


def draw_plan(plan: ChunkPlan, waveform: torch.Tensor, features: int) -> Figure:
    """The explorer's picture: chunks and waveform, tensor, longer path; of constant size."""
    figure = Figure(figsize=(10, 5.2))
    # Fixed positions: nothing jumps while a slider moves, and no layout is computed at each step.
    above, left, right = (
        figure.add_axes(r)
        for r in ((0.02, 0.61, 0.96, 0.33), (0.02, 0.02, 0.4, 0.42), (0.5, 0.1, 0.29, 0.34))
    )
    draw_chunks(above, plan, waveform, "Chunks: blue is one chunk, orange one frame of each chunk")
    draw_tensor(left, plan, features, "Intra reads a column, inter reads a row")
    draw_longest_path(right, plan, "Steps of the two RNNs")
    right.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return figure
