"""Clicks and gaps of the estimates themselves, which need no model to compare with.

A click is a third difference far over those around it, where the mixture has none. A gap is a short stretch of exact
zeros inside sound. Pauses, as of a noise gate or of one channel of a telephone call, are long, or on no grid.

Notebook: 06_failures_at_inference
"""

import torch
from torch.nn import functional as F

__all__ = ["Grid", "clicks", "gaps", "grid"]

CLICK_RATIO = 10.0  # third difference over the local one; healthy estimates: 90 % under 6, one of 26 at 15
MIXTURE_RATIO = 3.0  # over that of the mixture at the same place
GAP_SAMPLES = 8  # of exact zero, at the least
GAP_SECONDS = 0.04  # at the most: a pause of speech is longer
MIN_SECONDS = 0.1  # of a window
ROUND_SECONDS = 0.25  # usual windows last quarters, halves and whole seconds
TOLERANCE = 4  # samples
FAINT_RATIO = 4.0  # of clicks on a grid
MOST_CLICKS = 30
MIN_CLICKS = 4  # on no grid
OCCUPIED = 0.7  # of the points of a grid
LOCAL_FLOOR = 2.0  # of the mean third difference of the whole signal

Grid = tuple[int, list[int]]  # period in samples, and the places on it


def grid(places: list[int], rate: float, length: int) -> Grid | None:
    """The period on which all places lie, if most of its points within ``length`` samples have one; else None.

    Two places make a grid only if they are a multiple of a quarter of a second apart.
    """
    if len(places) < 2:
        return None
    steps = torch.tensor(places).diff()
    smallest = int(steps.min())
    if smallest < MIN_SECONDS * rate:
        return None
    off = (steps / smallest - (steps / smallest).round()).abs() * smallest
    if float(off.max()) > TOLERANCE:
        return None
    quarter = ROUND_SECONDS * rate
    if len(places) == 2 and abs(smallest / quarter - round(smallest / quarter)) * quarter > TOLERANCE:
        return None
    points = len(range(places[0] % smallest, length, smallest))
    points -= places[0] % smallest < smallest / 8  # where the first window begins there is no seam
    return (smallest, places) if len(places) >= OCCUPIED * points else None


def clicks(estimates: torch.Tensor, mixture: torch.Tensor, rate: float) -> tuple[list[int], Grid | None]:
    """Where the estimates ``[S, T]`` have clicks that the mixture ``[T]`` has not, and the grid on which they lie.

    Fainter ones count too if they lie on a grid of quarters of a second: three of them by chance do not.
    """
    here, there = _sharpness(estimates), _sharpness(mixture[None])
    there = F.max_pool1d(there[:, None], 9, 1, 4)[:, 0]
    beyond = torch.where(here > MIXTURE_RATIO * there, here, 0.0).amax(0)
    strong = _places(beyond, CLICK_RATIO)
    found = grid(strong, rate, len(mixture))
    if found is None:
        found = _faint_grid(_places(beyond, FAINT_RATIO), rate, len(mixture))
    return (strong if found is None else found[1]), found


def _places(sharpness: torch.Tensor, least: float) -> list[int]:
    """The places of ``[T]`` over ``least``, the first of every 25 ms; at most the 30 strongest."""
    places: list[int] = []
    for place in (sharpness > least).nonzero().flatten().tolist():
        if not places or place - places[-1] > 200:
            places.append(place)
    strongest = sorted(places, key=lambda p: -float(sharpness[p : p + 4].max()))[:MOST_CLICKS]
    return sorted(strongest)


def _faint_grid(places: list[int], rate: float, length: int) -> Grid | None:
    """The grid of quarters of a second with most of its points among the places, and at least three."""
    best: Grid | None = None
    for quarters in range(1, int(length / (ROUND_SECONDS * rate)) + 1):
        period = round(quarters * ROUND_SECONDS * rate)
        for first in places:
            near = [p for p in places if abs((p - first + period / 2) % period - period / 2) <= TOLERANCE]
            points = len(range(first % period, length, period)) - (first % period < period / 8)
            if len(near) >= max(3, OCCUPIED * points) and (best is None or len(near) > len(best[1])):
                best = period, near
    return best


def _sharpness(signals: torch.Tensor) -> torch.Tensor:
    """The third difference of ``[S, T]`` over its mean within 20 ms, without the 2 ms nearest: ``[S, T - 3]``."""
    step = (signals[:, 3:] - 3 * signals[:, 2:-1] + 3 * signals[:, 1:-2] - signals[:, :-3]).abs()
    wide = F.avg_pool1d(step[:, None], 321, 1, 160, count_include_pad=False)[:, 0] * 321
    near = F.avg_pool1d(step[:, None], 17, 1, 8, count_include_pad=False)[:, 0] * 17
    around = (wide - near).clamp(min=0) / 304
    return step / (around + LOCAL_FLOOR * step.mean(-1, keepdim=True) + 1e-9)


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
