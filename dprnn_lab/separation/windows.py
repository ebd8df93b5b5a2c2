"""Audio of any length in bounded memory: overlapping windows, separated one by one and cross-faded.

A network that sees an hour at once needs memory for an hour, and was trained on seconds. Windows bound the
memory, at the price of two problems: the seams may click, and the order of the speakers may change at a seam.
Overlap and cross-fade remove the clicks; :mod:`speaker_tracking <dprnn_lab.separation.speaker_tracking>` finds
the order.

Notebook: 09_long_audio
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Real

import torch

from ..audio import AudioError, check_finite
from ..model import DPRNNTasNet
from .parallel import evaluating, forward

__all__ = [
    "WINDOW_SECONDS",
    "Progress",
    "Window",
    "estimate_window",
    "overlap_add",
    "plan_windows",
    "reporting",
    "run_model",
    "windows_for",
]

# Twice the segments of most trainings; beyond, a network separates worse (data/model/README.md).
WINDOW_SECONDS = 8.0
LONGEST_WINDOW = 3600  # seconds; the network would need hundreds of gigabytes long before
Window = tuple[int, int]  # first sample and the one after the last
Progress = Callable[[int, int], object]  # windows done, windows in all


def plan_windows(samples: int, window: int) -> list[Window]:
    """Windows that cover ``samples`` samples, each overlapping the next by a quarter or more.

    All are ``window`` long and evenly spread, so that the last one is not a short rest. Up to ``window``
    samples make a single window.

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
    """:func:`plan_windows` in seconds at the model's rate; None for a single window.

    Raises:
        AudioError: a window under one second, too short to separate speakers.
    """
    if window is None:
        return plan_windows(samples, max(samples, 4))
    if not isinstance(window, Real) or isinstance(window, bool) or not 1 <= window < math.inf:
        raise AudioError(
            f"window is {window!r}: give 1 second or more ({WINDOW_SECONDS:g} is the default), or None for no windows"
        )
    if window > LONGEST_WINDOW:
        raise AudioError(
            f"window is {window!r}: give at most {LONGEST_WINDOW} seconds, since the memory needed grows with it, or "
            "None for no windows"
        )
    return plan_windows(samples, round(float(window) * model.sample_rate))


def run_model(model: DPRNNTasNet, samples: torch.Tensor, precision: str = "float32") -> torch.Tensor:
    """The model's estimates ``[S, T]`` of ``[T]``, float32 on the CPU, without gradients or dropout.

    The model keeps its training mode, device and dtype. The precision is "auto", "float32" or "bfloat16".
    """
    with evaluating(model):
        return forward(model, samples, precision)


def estimate_window(
    model: DPRNNTasNet, samples: torch.Tensor, name: str, precision: str = "float32"
) -> torch.Tensor:
    """:func:`run_model`, with an AudioError for an output that is not finite."""
    estimates = run_model(model, samples, precision)
    check_finite(estimates, f"the model's output for {name}")
    return estimates


def overlap_add(
    estimates: Sequence[torch.Tensor] | Callable[[int], torch.Tensor],
    plan: Sequence[Window],
    orders: Sequence[Sequence[int]],
) -> Iterator[torch.Tensor]:
    """Join the windows' estimates, block after block.

    In the middle of each overlap one window fades into the next over a quarter of a window. The weights sin² and
    cos² sum to one, so that samples equal in both windows stay unchanged.

    Args:
        estimates: ``[S, window]`` of each window, as a list or as a function of its index. Two at a time are held.
        plan: from :func:`plan_windows`.
        orders: for each window, which of its outputs is speaker 0, 1 and so on.

    Yields:
        blocks ``[S, t]``; concatenated they are the estimates ``[S, T]``.
    """
    fetch = estimates if callable(estimates) else estimates.__getitem__
    current = fetch(0)[list(orders[0])]
    done = 0  # samples yielded so far
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


@contextmanager
def reporting(progress: bool | Progress) -> Iterator[Progress]:
    """The function to call after each window: the caller's own, one that moves a tqdm bar (True), or no-op (False).

    Raises:
        TypeError: neither a bool nor callable.
    """
    if callable(progress):
        yield progress
    elif not isinstance(progress, bool):
        raise TypeError(
            f"progress is {progress!r}: give True, False or a function of (windows done, windows in all)"
        )
    elif not progress:
        yield lambda done, total: None
    else:
        from tqdm import tqdm

        with tqdm(unit="window") as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield show
