"""Clicks and gaps of the estimates themselves, which need no model to compare with.

A click is a third difference far over those around it, where the mixture has none. A gap is a short stretch of exact
zeros inside sound. Pauses, as of a noise gate or of one channel of a telephone call, are long, or on no grid.

Notebook: 06_failures_at_inference
"""

import torch
from torch.nn import functional as F

__all__ = ["Grid", "clicks", "gaps", "grid"]

CLICK_RATIO = 12.0  # third difference over the local one; estimates of unknown voices stay under 9
MIXTURE_RATIO = 3.0  # over that of the mixture at the same place
GAP_SAMPLES = 8  # of exact zero, at the least
GAP_SECONDS = 0.04  # at the most: a pause of speech is longer
MIN_SECONDS = 0.1  # of a window
ROUND_SECONDS = 0.25  # usual windows last quarters, halves and whole seconds
TOLERANCE = 4  # samples

Grid = tuple[int, list[int]]  # period in samples, and the places on it


def grid(places: list[int], rate: float) -> Grid | None:
    """The period that fits all places: with two, only a multiple of a quarter of a second; None without one."""
    if len(places) < 2:
        return None
    steps = torch.tensor(places).diff()
    smallest = int(steps.min())
    if smallest < MIN_SECONDS * rate:
        return None
    for parts in (1, 2, 3):
        period = smallest / parts
        off = (steps / period - (steps / period).round()).abs() * period
        if period >= MIN_SECONDS * rate and float(off.max()) <= TOLERANCE * (1 + len(places) // 8):
            quarter = ROUND_SECONDS * rate
            whole = abs(smallest / quarter - round(smallest / quarter)) * quarter <= TOLERANCE
            return (round(period), places) if len(places) > 2 or whole else None
    return None


def clicks(estimates: torch.Tensor, mixture: torch.Tensor) -> list[int]:
    """Where the estimates ``[S, T]`` have clicks that the mixture ``[T]`` has not."""
    here, there = _sharpness(estimates), _sharpness(mixture[None])
    there = F.max_pool1d(there[:, None], 9, 1, 4)[:, 0]
    found = ((here > CLICK_RATIO) & (here > MIXTURE_RATIO * there)).any(0).nonzero().flatten().tolist()
    places: list[int] = []
    for place in found:
        if not places or place - places[-1] > 200:
            places.append(place)
    return places


def _sharpness(signals: torch.Tensor) -> torch.Tensor:
    """The third difference of ``[S, T]`` over its mean within 20 ms around, without the 2 ms nearest: ``[S, T - 3]``."""
    step = (signals[:, 3:] - 3 * signals[:, 2:-1] + 3 * signals[:, 1:-2] - signals[:, :-3]).abs()
    wide = F.avg_pool1d(step[:, None], 321, 1, 160, count_include_pad=False)[:, 0] * 321
    near = F.avg_pool1d(step[:, None], 17, 1, 8, count_include_pad=False)[:, 0] * 17
    around = (wide - near).clamp(min=0) / 304
    loud = step.square().mean(-1, keepdim=True).sqrt()
    return step / (around + 0.1 * loud + 1e-9)


def gaps(estimates: torch.Tensor, mixture: torch.Tensor, rate: float) -> list[tuple[int, int]]:
    """Begin and end of short stretches of zeros in all estimates ``[S, T]``, while the mixture ``[T]`` is not zero."""
    zero = F.pad((estimates == 0).all(0).int(), (1, 1))
    change = zero.diff()
    begins, ends = (change == 1).nonzero().flatten().tolist(), (change == -1).nonzero().flatten().tolist()
    return [
        (begin, end)
        for begin, end in zip(begins, ends, strict=True)
        if GAP_SAMPLES <= end - begin <= GAP_SECONDS * rate
        and begin > 0
        and end < estimates.shape[-1]
        and bool((mixture[begin:end] != 0).any())
    ]
