"""Audio of any length: windows that overlap, separated one by one and joined with a cross-fade.

A network that sees a whole hour needs the memory of an hour, and was trained on seconds. Cut into windows, it
needs the memory of one window, at the price of two new problems: the seams may click, and the speakers may
come out in another order on each side of a seam. Overlap and cross-fade mend the first, :mod:`speaker_tracking
<dprnn_lab.separation.speaker_tracking>` the second.

Notebook: 09_long_audio
"""

import math
from collections.abc import Callable, Iterator, Sequence
from numbers import Real

import torch

from ..audio import AudioError, check_finite
from ..model import DPRNNTasNet

__all__ = ["WINDOW_SECONDS", "Window", "plan_windows", "windows_for", "run_model", "overlap_add"]

# Twice the segments of most trainings; beyond, a network separates worse (data/model/README.md).
WINDOW_SECONDS = 8.0
Window = tuple[int, int]  # first sample and the one after the last


def plan_windows(samples: int, window: int) -> list[Window]:
    """Windows that cover ``samples`` samples, each overlapping the next by a quarter or more.

    All are ``window`` long and evenly spread: the last one is not a short rest with little to hear in it. Up
    to ``window`` samples make a single window.

    Raises:
        ValueError: no samples, or a window of fewer than four.

    >>> plan_windows(30, 12)
    [(0, 12), (9, 21), (18, 30)]
    """
    if samples < 1 or window < 4:
        raise ValueError(f"samples is {samples} and window {window}: give 1 or more, and 4 or more")
    if samples <= window:
        return [(0, samples)]
    overlap = window // 4
    count = -(-(samples - overlap) // (window - overlap))
    starts = [round(i * (samples - window) / (count - 1)) for i in range(count)]
    return [(start, start + window) for start in starts]


def windows_for(model: DPRNNTasNet, samples: int, window: float | None) -> list[Window]:
    """:func:`plan_windows` in seconds at the model's rate; None for everything at once.

    Raises:
        AudioError: a window under one second: nobody is told apart in it.
    """
    if window is None:
        return plan_windows(samples, max(samples, 4))
    if not isinstance(window, Real) or not 1 <= window < math.inf:
        raise AudioError(f"window is {window!r}: give 1 second or more (20 is usual), or None for no windows")
    return plan_windows(samples, round(window * model.sample_rate))


@torch.no_grad()
def run_model(model: DPRNNTasNet, samples: torch.Tensor) -> torch.Tensor:
    """The model's estimates ``[S, T]`` of ``[T]``, float32 on the CPU, without gradients or dropout.

    The model's training mode is left as it was.
    """
    was_training = model.training
    try:
        return model.eval()(samples.to(next(model.parameters()))).float().cpu()
    finally:
        model.train(was_training)


def estimate_window(model: DPRNNTasNet, samples: torch.Tensor, name: str) -> torch.Tensor:
    """As :func:`run_model`, and an AudioError for an output that can't be joined with others."""
    estimates = run_model(model, samples)
    check_finite(estimates, f"the model's output for {name}")
    return estimates


def overlap_add(
    estimates: Sequence[torch.Tensor] | Callable[[int], torch.Tensor],
    plan: Sequence[Window],
    orders: Sequence[Sequence[int]],
) -> Iterator[torch.Tensor]:
    """Join the windows' estimates, block after block.

    In the middle of each overlap one window fades into the next over a quarter of a window. The two weights
    are sin² and cos² and sum to one: what both windows agree on comes through unchanged.

    Args:
        estimates: ``[S, window]`` of each window, as a list or as a function that fetches one. Two at a time
            are held.
        plan: from :func:`plan_windows`.
        orders: for each window, which of its outputs is speaker 0, 1 and so on.

    Yields:
        blocks ``[S, t]`` which, end to end, are the estimates ``[S, T]``.
    """
    fetch = estimates if callable(estimates) else estimates.__getitem__
    current = fetch(0)[list(orders[0])]
    done = 0  # samples given out so far
    for k in range(1, len(plan)):
        (begin, end), (start, _) = plan[k - 1], plan[k]
        following = fetch(k)[list(orders[k])]
        length = (end - begin) // 4
        fade = start + (end - start - length) // 2
        rise = torch.sin(torch.linspace(0, torch.pi / 2, length)).square()
        yield current[:, done - begin : fade - begin]
        both = current[:, fade - begin :][:, :length], following[:, fade - start :][:, :length]
        yield torch.lerp(*both, rise)
        current, done = following, fade + length
    yield current[:, done - plan[-1][0] :]
