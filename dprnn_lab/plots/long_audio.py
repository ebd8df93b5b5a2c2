"""Figures of long recordings: memory, seams between windows, turns of a conversation, and speakers across windows.

The true orders, with which the figures mark what is right, are computed here too.

Notebook: 09_long_audio
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..audio import SAMPLE_RATE
from .basics import COLOURS

__all__ = [
    "memory_line",
    "break_strength",
    "seam_breaks",
    "worst_seam",
    "turns_and_overlaps",
    "speaking_together",
    "true_order",
    "overlap_matrices",
    "profile_lines",
    "seam_margins",
    "swap_line",
]

GREY, BLUE, ORANGE, GREEN = COLOURS
Plan = Sequence[tuple[int, int]]  # start and end of each window, in samples


def memory_line(seconds: Sequence[float], peaks: Sequence[float], a: float, b: float) -> Figure:
    """Peak memory (MB) over the length (s) with the line a + b T; the last point is not in the fit.

    Notebook: 09_long_audio
    """
    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    longest = seconds[-1]
    axes.plot(
        [0, longest], [a, a + b * longest], color=GREY, linewidth=1, label="line through the short ones"
    )
    axes.plot(seconds[:-1], peaks[:-1], "o", color=BLUE, label="measured")
    axes.plot(seconds[-1], peaks[-1], "o", color=ORANGE, label="measured, not in the fit")
    axes.set(xlabel="length of the recording (s)", ylabel="peak memory (MB)", title="memory against length")
    axes.legend()
    return figure


def break_strength(
    signals: torch.Tensor, places: Sequence[int], near: int = SAMPLE_RATE // 50
) -> torch.Tensor:
    """How strongly signals ``[S, T]`` break at some samples: ``[S, places]``, about 1 where they do not.

    The energy of the second difference at the place, over its mean in the ``near`` samples (20 ms) before and after.

    Notebook: 09_long_audio
    """
    energy = signals.diff(n=2).square()
    strengths = []
    for place in places:
        around = torch.cat((energy[:, place - near : place - 3], energy[:, place + 3 : place + near]), 1)
        strengths.append(energy[:, place - 2 : place].amax(1) / around.mean(1))
    return torch.stack(strengths, 1)


def seam_breaks(breaks: Mapping[str, torch.Tensor]) -> Figure:
    """A row of dots for each way to join windows: how strongly the error breaks, ``{label: [n]}``, logarithmic.

    Notebook: 09_long_audio
    """
    figure, axes = plt.subplots(figsize=(9, 2.4), layout="constrained")
    for y, values in enumerate(breaks.values()):
        jitter = np.linspace(-0.2, 0.2, len(values))
        axes.plot(values, y + jitter, "o", color=COLOURS[y + 1], alpha=0.6, markersize=4)
    axes.set(xscale="log", yticks=range(len(breaks)), yticklabels=list(breaks))
    axes.set_xlabel("break in the error, relative to the 20 ms around")
    axes.invert_yaxis()
    return figure


def worst_seam(hard: torch.Tensor, faded: torch.Tensor, seam: int, around: int = 80) -> Figure:
    """The errors ``[T]`` of a hard cut and of a fade, ``around`` samples on both sides of a seam.

    Notebook: 09_long_audio
    """
    near = slice(seam - around, seam + around)
    milliseconds = np.arange(-around, around) / SAMPLE_RATE * 1000
    figure, axes = plt.subplots(figsize=(9, 2.6), layout="constrained")
    axes.plot(milliseconds, hard[near], color=ORANGE, label="hard cut")
    axes.plot(milliseconds, faded[near], color=BLUE, label="fade")
    axes.axvline(0, color="black", linestyle=":", linewidth=1)
    axes.set(xlabel="time from the seam (ms)", ylabel="error", title="the worst seam")
    axes.legend()
    return figure


def turns_and_overlaps(talk: Any, plan: Plan) -> Figure:
    """Who speaks when in a :class:`~dprnn_lab.datasets.Conversation`; grey: where two windows of the plan overlap.

    Notebook: 09_long_audio
    """
    figure, axes = plt.subplots(figsize=(10, 2.4), layout="constrained")
    for turn in talk.turns:
        begin, length = turn.start / SAMPLE_RATE, (turn.stop - turn.start) / SAMPLE_RATE
        axes.barh(turn.speaker, length, left=begin, color=COLOURS[turn.speaker + 1])
    for (_, end), (start, _) in itertools.pairwise(plan):
        axes.axvspan(start / SAMPLE_RATE, end / SAMPLE_RATE, color=GREY, alpha=0.25, linewidth=0)
    axes.set(yticks=range(len(talk.speakers)), yticklabels=talk.speakers)
    axes.set(xlabel="time (s)", xlim=(0, len(talk.mixture) / SAMPLE_RATE))
    axes.set_title("who speaks when; grey: where two windows overlap")
    return figure


def speaking_together(sources: torch.Tensor) -> torch.Tensor:
    """Where several of the sources ``[S, T]`` are not silent: a mask ``[T]``.

    >>> speaking_together(torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, -1.0]])).tolist()
    [False, False, True]
    """
    return (sources.abs() > 0).sum(0) > 1


def true_order(part: torch.Tensor, sources: torch.Tensor) -> tuple[int, ...]:
    """Which output of a window ``[S, T]`` is source 0, source 1 and so on: the order that explains most energy.

    Only samples in which several sources speak count, if they last half a second. The gain and its sign are free.

    Notebook: 09_long_audio
    """
    several = speaking_together(sources)
    if several.sum() > SAMPLE_RATE / 2:
        part, sources = part[:, several], sources[:, several]
    explained = (part @ sources.T).square() / part.square().sum(1, keepdim=True).clamp(min=1e-9)
    orders = itertools.permutations(range(len(sources)))
    return max(orders, key=lambda order: sum(float(explained[i, j]) for j, i in enumerate(order)))


def overlap_matrices(
    evidence: Mapping[int, np.ndarray], continued: Mapping[int, Sequence[int]], names: Sequence[str]
) -> Figure:
    """Correlations in the overlap at some seams, ``{window: [S, S]}``; frames mark the true continuation.

    Row i of a matrix is output i of the window, column j output j of the next window. ``continued`` has for each
    output of the window the output of the next window with the same voice.

    Notebook: 09_long_audio
    """
    figure, panels = plt.subplots(1, len(evidence), figsize=(8, 3), layout="constrained", squeeze=False)
    for axes, (k, matrix), name in zip(panels[0], evidence.items(), names, strict=True):
        axes.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1)
        for i, j in itertools.product(range(len(matrix)), repeat=2):
            axes.text(j, i, f"{matrix[i, j]:+.2f}", ha="center", va="center", fontsize=12)
            if continued[k][i] == j:
                axes.add_patch(Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, fill=False, linewidth=2))
        ticks = range(len(matrix))
        axes.set(
            xticks=ticks, yticks=ticks, xlabel=f"output of window {k + 1}", ylabel=f"output of window {k}"
        )
        axes.set_title(f"seam {k}: {name}")
    return figure


def profile_lines(
    profiles: Mapping[int, Sequence[torch.Tensor]], truth: Sequence[Sequence[int]], speakers: Sequence[str]
) -> Figure:
    """Mean MFCCs of each output of two adjacent windows; the colour is the true speaker, dashed: after the seam.

    Each coefficient is relative to its mean over the profiles, in standard deviations of a single frame: on the scale
    of the coefficients themselves the first one would hide all others.

    ``profiles`` is ``{window: frames [n, 13] of each output}``, ``truth`` the true order of each window.

    Notebook: 09_long_audio
    """
    lines = {
        (k, speaker): frames[i]
        for k, frames in profiles.items()
        for speaker, i in enumerate(truth[k])
        if len(frames[i]) > 1
    }
    figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    centre = torch.stack([frames.mean(0) for frames in lines.values()]).mean(0) if lines else 0.0
    width = torch.cat(list(lines.values())).std(0) if lines else 1.0
    for (k, speaker), frames in lines.items():
        mean = (frames.mean(0) - centre) / width
        style = "o-" if k == min(profiles) else "s--"
        label = f"window {k}, output {truth[k][speaker] + 1} ({speakers[speaker]})"
        axes.plot(range(1, len(mean) + 1), mean, style, color=COLOURS[speaker + 1], markersize=4, label=label)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set(xlabel="MFCC number", ylabel="from the mean (standard deviations)")
    axes.set_title(f"profiles on both sides of seam {min(profiles)}")
    axes.legend(fontsize=8, ncols=2)
    return figure


def seam_margins(tracked: Mapping[str, Any], truth: Sequence[Sequence[int]], both: Sequence[bool]) -> Figure:
    """The margin of each seam, a panel per method: blue where the tracked order continues rightly, orange where not.

    ``tracked`` is ``{method: result}`` of :func:`~dprnn_lab.separation.speaker_tracking.track_speakers`, with a linear
    scale for the first method and a logarithmic one for the second. ``both`` tells for each window whether both
    speakers are active at once; a seam beside a window without that is grey.

    Notebook: 09_long_audio
    """
    figure, panels = plt.subplots(1, 2, figsize=(10, 2.8), layout="constrained")
    for axes, (method, result) in zip(panels, tracked.items(), strict=True):
        turned = [order != right for order, right in zip(result.orders, truth, strict=True)]
        sure = [t for t, known in zip(turned, both, strict=True) if known]
        wrong = min(sure.count(True), sure.count(False))  # all windows swapped is the same as none
        seams = range(len(result.margins))
        colours = [
            "#BBBBBB" if not (both[k] and both[k + 1]) else BLUE if turned[k] == turned[k + 1] else ORANGE
            for k in seams
        ]
        axes.bar(seams, result.margins, color=colours)
        axes.scatter(seams, [0] * len(seams), color=colours, marker="s", s=25, clip_on=False, zorder=3)
        axes.set(xlabel="seam", ylabel="margin", title=f"{method}: {wrong} of {len(sure)} windows swapped")
    panels[1].set_yscale("symlog")
    for axes in panels:
        axes.set_ylim(bottom=0)
    return figure


def swap_line(name: str, swaps: Any) -> str:
    """The counts of :func:`~dprnn_lab.datasets.count_swaps` for one method, as a line of text.

    Notebook: 09_long_audio
    """
    return (
        f"{name:9s} {swaps.count} passages swapped, {swaps.seconds:4.1f} of {swaps.of_seconds:.1f} s with both "
        f"voices; lone voices in the other's output for {swaps.lone_seconds:4.1f} of {swaps.of_lone_seconds:.1f} s"
    )
