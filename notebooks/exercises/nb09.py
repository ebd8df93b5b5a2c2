"""Exercises of notebook 09: how many windows, a fade that sums to one, the order of speakers at a seam.

Each judge feeds inputs on which the usual wrong ideas give different answers, and tells a student which idea
the answer stems from.

Notebook: 09_long_audio
"""

import itertools
import math
from collections.abc import Callable, Mapping
from numbers import Real

import torch

from .exercise import Exercise, Mistake
from .judging import need_tensor

__all__ = ["join", "seam_order", "window_count"]

# ---------------------------------------------------------------- 09.1

# samples, window, overlap: an exact fit, one sample more, one less; a rest as short as the overlap, and one
# sample more; one window, exactly and nearly; less than an overlap; no overlap at all; an hour.
_LENGTHS = (
    (30, 12, 3),
    (31, 12, 3),
    (29, 12, 3),
    (60, 20, 5),
    (50, 20, 5),
    (51, 20, 5),
    (12, 12, 3),
    (13, 12, 3),
    (2, 12, 3),
    (24, 12, 0),
    (28_800_000, 160_000, 40_000),
)


def _count(samples: int, window: int, overlap: int) -> int:
    return max(1, -(-(samples - overlap) // (window - overlap)))


_COUNT_SLIPS: Mapping[str, tuple[Callable[[int, int, int], int], str]] = {
    "last window forgotten": (
        lambda t, w, o: max(1, (t - o) // (w - o)),
        "you round down: the end of the recording lies in no window. A last window that is only partly needed is "
        "needed: round up.",
    ),
    "one too many": (
        lambda t, w, o: max(1, (t - o) // (w - o) + 1),
        "right for most lengths; where the windows fit exactly you add one more. Round up in place of adding one.",
    ),
    "first window counted as a hop": (
        lambda t, w, o: -(-t // (w - o)),
        "you divide by the hop and round up. But the first window covers a whole window, not a hop: its "
        "overlap is covered for nothing. Take the overlap off the samples first.",
    ),
    "overlap ignored": (
        lambda t, w, o: -(-t // w),
        "right for windows end to end. Each further window brings only `window - overlap` new samples.",
    ),
    "shorter than a window": (
        lambda t, w, o: -(-(t - o) // (w - o)),
        "right, but for a recording that is no longer than the overlap: it needs one window, you say none.",
    ),
}


def _judge_count(function: Callable) -> None:
    answers = [function(*lengths) for lengths in _LENGTHS]
    for answer in answers:
        if isinstance(answer, bool) or not isinstance(answer, Real) or not math.isfinite(answer):
            raise Mistake("not a number", f"you return {answer!r}; return a whole number.")
    wanted = [_count(*lengths) for lengths in _LENGTHS]
    if answers == wanted:
        return
    for name, (slip, hint) in _COUNT_SLIPS.items():
        if answers == [slip(*lengths) for lengths in _LENGTHS]:
            raise Mistake(name, hint)
    lengths, found, right = next(x for x in zip(_LENGTHS, answers, wanted, strict=True) if x[1] != x[2])
    raise Mistake(
        "other numbers",
        "{} samples in windows of {} that overlap by {}: you say {}, {} are needed. Draw them.".format(
            *lengths, found, right
        ),
    )


window_count = Exercise(
    id="09.1",
    title="How many windows",
    task="Write `my_window_count(samples, window, overlap)`: the smallest number of windows of `window` samples that "
    "cover `samples` samples when each overlaps the next by `overlap` samples or more. `overlap` is less than "
    "`window`. A recording shorter than a window takes one.",
    done_when="an exact fit, one sample more, one less, and a recording shorter than the overlap all come out right.",
    judge=_judge_count,
    hints=(
        "The first window covers `window` samples. How many *new* samples does each further one cover?",
        "n windows cover `n * (window - overlap) + overlap` samples. Solve for n, and round up. Then think of a "
        "recording of two samples.",
    ),
    solution="""```python
import math

def my_window_count(samples, window, overlap):
    return max(1, math.ceil((samples - overlap) / (window - overlap)))
```""",
    minutes=5,
    difficulty=1,
)

# ---------------------------------------------------------------- 09.2


def _join(first, second, overlap, rise=None) -> torch.Tensor:
    """Cross-fade; ``rise`` takes the overlap and returns both weights, that of the new window first."""
    ramp = torch.linspace(0, torch.pi / 2, overlap, dtype=first.dtype).sin().square()
    new, old = (ramp, 1 - ramp) if rise is None else rise(overlap)
    both = old * first[:, -overlap:] + new * second[:, :overlap]
    return torch.cat((first[:, :-overlap], both, second[:, overlap:]), 1)


def _weights(function: Callable, overlap: int, old: float, new: float) -> torch.Tensor:
    """What the answer makes of the overlap of two constants."""
    first, second = (torch.full((1, 40), value, dtype=torch.float64) for value in (old, new))
    return function(first, second, overlap)[0, 40 - overlap : 40]


def _judge_join(function: Callable) -> None:
    generator = torch.Generator().manual_seed(7)
    first, second = (torch.randn(2, n, generator=generator, dtype=torch.float64) for n in (41, 53))
    overlap = 15
    answer = need_tensor(function(first.clone(), second.clone(), overlap), "`[S, T1 + T2 - overlap]`")
    length = first.shape[1] + second.shape[1]
    if answer.shape == (2, length):
        raise Mistake(
            "overlap kept twice",
            "your result is as long as both windows together: the overlap is in it twice. It is the *same* stretch "
            "of time in both windows.",
        )
    if answer.shape == (2, length - 2 * overlap):
        raise Mistake(
            "overlap dropped",
            "your result lacks the overlap: the end of the first window and the beginning of the second are both cut "
            "off, and nothing is in their place.",
        )
    if answer.shape != (2, length - overlap):
        raise Mistake(
            "wrong shape",
            f"your result has shape {list(answer.shape)}, expected [2, {length - overlap}]: T1 + T2 - overlap samples.",
        )
    before, after = first.shape[1] - overlap, first.shape[1]
    ends = (answer[:, :before], first[:, :before]), (answer[:, after:], second[:, overlap:])
    if not all(torch.allclose(a.double(), b, atol=1e-5) for a, b in ends):
        raise Mistake(
            "ends changed",
            "before and after the overlap there is only one window, and it must come through as it is. You change "
            "it, or take it from the wrong place.",
        )
    sums = _weights(function, overlap, 1, 1).double()
    if not torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
        _name_the_sum(sums)
    old = _weights(function, overlap, 1, 0).double()
    new = _weights(function, overlap, 0, 1).double()
    _look_at_the_fade(old)
    if not torch.allclose(old + new, sums, atol=1e-4):
        raise Mistake(
            "not a weighted sum",
            "each sample should be a weight times the one plus a weight times the other.",
        )
    wanted = old * first[:, before:] + new * second[:, :overlap]
    if not torch.allclose(answer[:, before:after].double(), wanted, atol=1e-4):
        raise Mistake(
            "wrong samples",
            "the weights are right, but not the samples they are multiplied by: the last `overlap` of the first "
            "window and the first `overlap` of the second are the same stretch of time.",
        )
    if answer.dtype != first.dtype:
        raise Mistake("precision lost", f"for float64 windows the result is {answer.dtype}.")


def _name_the_sum(sums: torch.Tensor) -> None:
    top, bottom = float(sums.max()), float(sums.min())
    if abs(bottom - 2) < 1e-4:
        raise Mistake(
            "added", "in the overlap you add both windows: everything is twice as loud there. Fade them."
        )
    if 1.35 < top < 1.45 and bottom > 0.99:
        raise Mistake(
            "sums to the root of two",
            "in the middle your weights sum to √2: sin and cos keep the *power* of two different signals. The windows "
            "hold the same signal: their amplitudes add. Take the squares, sin² + cos² = 1.",
        )
    if bottom < 0.99 and top < 1.01:
        raise Mistake(
            "dips",
            f"your weights sum to only {bottom:.2f} at the lowest: the sound dips in the overlap. The weight of the "
            "old window is one minus that of the new.",
        )
    raise Mistake(
        "sum is not one",
        f"your weights sum to {bottom:.2f} up to {top:.2f}; they must sum to one everywhere.",
    )


def _look_at_the_fade(old: torch.Tensor) -> None:
    """The weight of the old window: falls from (nearly) one to (nearly) zero, in several steps."""
    steps = old.diff()
    if steps.abs().max() < 1e-4:
        raise Mistake(
            "no fade",
            f"the old window has the weight {float(old[0]):.2f} throughout. The sum is one, and there is a step at "
            "both ends of the overlap. Let the weight fall from one to zero.",
        )
    if old[0] < 0.2 and old[-1] > 0.8:
        raise Mistake(
            "wrong way round",
            "you fade from the *new* window into the old one. That makes two jumps in place of one.",
        )
    if steps.abs().max() > 0.5:
        raise Mistake(
            "hard cut",
            "within the overlap you jump from one window to the other in one sample: that is a hard cut.",
        )
    if old[0] < 0.8 or old[-1] > 0.2 or steps.max() > 1e-4:
        raise Mistake(
            "ends forgotten",
            f"the weight of the old window goes from {float(old[0]):.2f} to {float(old[-1]):.2f}. It must begin at one "
            "and end at zero, falling all the way, or there is a step at the ends of the overlap.",
        )


join = Exercise(
    id="09.2",
    title="A fade that sums to one",
    task="Write `my_join(first, second, overlap)` for two windows `[S, T1]` and `[S, T2]`: the last `overlap` samples "
    "of `first` and the first `overlap` samples of `second` are the same stretch of time. Return "
    "`[S, T1 + T2 - overlap]`, with a cross-fade of your choice over the whole overlap. Do not call `overlap_add`.",
    done_when="the weights fall from one to zero, sum to one at every sample, and leave the rest as it is.",
    judge=_judge_join,
    hints=(
        "Three pieces, joined with `torch.cat(..., dim=1)`: what only `first` has, the overlap, what only "
        "`second` has.",
        "`rise = torch.linspace(0, 1, overlap)` is a fade already: the new window gets `rise`, the old one `1 - rise`.",
    ),
    solution="""```python
import torch

def my_join(first, second, overlap):
    rise = torch.sin(torch.linspace(0, torch.pi / 2, overlap, dtype=first.dtype)).square()
    both = (1 - rise) * first[:, -overlap:] + rise * second[:, :overlap]
    return torch.cat((first[:, :-overlap], both, second[:, overlap:]), dim=1)
```""",
    minutes=7,
    difficulty=2,
)

# ---------------------------------------------------------------- 09.3


def _ends(previous, following, overlap):
    return previous[:, -overlap:], following[:, :overlap]


def _seam_order(previous, following, overlap, ends=_ends, change=lambda c: c, pick=max) -> list[int]:
    a, b = ends(previous, following, overlap)
    products = change(a @ b.T)
    rows = range(len(products))
    return list(
        pick(itertools.permutations(rows), key=lambda order: float(products[rows, list(order)].sum()))
    )


_ORDER_SLIPS: Mapping[str, tuple[Callable[..., list[int]], str]] = {
    "sign ignored": (
        lambda p, f, n: _seam_order(p, f, n, change=torch.abs),
        "you take the absolute value, or the square. Both windows come from one model and one mixture: the same voice "
        "upside down is no match, it is evidence against. Keep the sign.",
    ),
    "wrong ends": (
        lambda p, f, n: _seam_order(p, f, n, ends=lambda p, f, n: (p[:, :n], f[:, -n:])),
        "you compare the *beginning* of the first window with the *end* of the second. They share the end of the "
        "first and the beginning of the second: `previous[:, -overlap:]`, `following[:, :overlap]`.",
    ),
    "both beginnings": (
        lambda p, f, n: _seam_order(p, f, n, ends=lambda p, f, n: (p[:, :n], f[:, :n])),
        "you compare the beginnings of both windows. They are at different times: take the *end* of the first.",
    ),
    "whole windows": (
        lambda p, f, n: _seam_order(p, f, n, ends=lambda p, f, n: (p, f)),
        "you compare the windows whole, sample by sample. They begin at different times: only the overlap is the "
        "same stretch of time in both.",
    ),
    "the other way": (
        lambda p, f, n: [_seam_order(p, f, n).index(i) for i in range(len(p))],
        "the right pairs, turned round: you say which output of `previous` continues in each of `following`. Entry i "
        "is the output of `following` that continues output i of `previous`.",
    ),
    "least alike": (
        lambda p, f, n: _seam_order(p, f, n, pick=min),
        "that is the order in which the outputs are *least* alike: take the maximum, or the minimum of a distance.",
    ),
    "each takes its best": (
        lambda p, f, n: (p[:, -n:] @ f[:, :n].T).argmax(1).tolist(),
        "each output of `previous` takes its best match, and two take the same one. An order uses every output once: "
        "compare whole permutations.",
    ),
}


def _seams() -> list[tuple[torch.Tensor, torch.Tensor, int]]:
    """Windows whose outputs are in other orders elsewhere than in the overlap, and hold each other's voices."""
    generator = torch.Generator().manual_seed(11)
    overlap = 400

    def voices(count, samples):
        x = torch.randn(count, samples, generator=generator, dtype=torch.float64)
        return x / x.norm(dim=1, keepdim=True)

    seams = []
    # Three voices go round by one place. Elsewhere, where nothing should be compared, they seem to go otherwise.
    shared, elsewhere = voices(3, overlap), 3 * voices(3, 1200)
    previous = torch.cat((elsewhere, shared), 1)
    beginning = shared.roll(1, 0) - 0.3 * shared
    following = torch.cat((beginning, elsewhere[:, overlap:].roll(2, 0), elsewhere[:, :overlap]), 1)
    seams.append((previous, following, overlap))
    # The second output has much of the first voice, upside down: size without sign would turn the two round.
    shared = voices(2, overlap)
    one, other = shared
    turned = torch.stack((0.5 * one - 0.9 * other, 0.5 * other - 0.9 * one))
    elsewhere = 2 * voices(2, 1100)
    seams.append((torch.cat((elsewhere, shared), 1), torch.cat((turned, elsewhere.flip(0)), 1), overlap))
    # One voice is in both outputs of the first window; the quieter has to leave it to the louder.
    one, other = voices(2, overlap)
    ending = torch.stack((one, 0.8 * one + 0.3 * other))
    elsewhere = 2 * voices(2, 1000)
    beginning = torch.stack((0.2 * other, one))
    seams.append((torch.cat((elsewhere, ending), 1), torch.cat((beginning, elsewhere), 1), overlap))
    return seams


def _judge_seam_order(function: Callable) -> None:
    seams = _seams()
    answers = [_as_order(function(p.clone(), f.clone(), n), len(p)) for p, f, n in seams]
    if answers == [_seam_order(*seam) for seam in seams]:
        return
    for name, (slip, hint) in _ORDER_SLIPS.items():
        if answers == [slip(*seam) for seam in seams]:
            raise Mistake(name, hint)
    for seam, answer in zip(seams, answers, strict=True):
        if sorted(answer) != list(range(len(seam[0]))):
            raise Mistake("not an order", f"you return {answer}: an order holds every output once.")
    raise Mistake(
        "other order",
        f"you find {answers}, expected {[_seam_order(*seam) for seam in seams]}. Print the matrix of inner products.",
    )


def _as_order(answer, count: int) -> list[int]:
    try:
        order = [int(i) for i in answer]
    except (TypeError, ValueError):
        raise Mistake(
            "not an order", f"you return {type(answer).__name__}; return a list or tuple of {count} numbers."
        ) from None
    if len(order) != count:
        raise Mistake("not an order", f"you return {len(order)} numbers; there are {count} outputs.")
    return order


seam_order = Exercise(
    id="09.3",
    title="The order at a seam",
    task="Write `my_seam_order(previous, following, overlap)` for the outputs `[S, T1]` and `[S, T2]` of two "
    "neighbouring windows that share `overlap` samples. Return S numbers: entry i is the output of `following` that "
    "continues output i of `previous`, by the largest sum of inner products. S may be 3.",
    done_when="three voices that go round are followed, and so are two of which one leaks into the other's output.",
    judge=_judge_seam_order,
    hints=(
        "`previous[:, -overlap:] @ following[:, :overlap].T` is `[S, S]`: all the evidence there is.",
        "Go through `itertools.permutations(range(S))` and take the one with the largest sum of "
        "`products[i, order[i]]`.",
    ),
    solution="""```python
import itertools

def my_seam_order(previous, following, overlap):
    products = previous[:, -overlap:] @ following[:, :overlap].T
    orders = itertools.permutations(range(len(products)))
    return max(orders, key=lambda order: sum(float(products[i, j]) for i, j in enumerate(order)))
```""",
    minutes=8,
    difficulty=2,
)
