"""Checks of notebook 09's exercises; their texts, solutions and wrong answers are in ``nb09.md``.

Notebook: 09_long_audio
"""

import random

import torch

from .exercise import Mistake, sheet_exercise
from .judging import (
    ask,
    compare_cases,
    generator,
    need_number,
    need_shape,
    need_tensor,
    noise,
    recognise_cases,
    same,
    shuffled,
    varied,
)

__all__ = ["join", "seam_order", "window_count"]

# samples, window, overlap: an exact fit, one sample more, one less; a rest as short as the overlap, and one sample
# more; one window, exactly and nearly; less than an overlap; no overlap at all; an hour.
LENGTHS = (
    (30, 12, 3), (31, 12, 3), (29, 12, 3), (60, 20, 5), (50, 20, 5), (51, 20, 5),
    (12, 12, 3), (13, 12, 3), (2, 12, 3), (24, 12, 0), (28_800_000, 160_000, 40_000),
)  # fmt: skip


def other_lengths(rng: random.Random) -> tuple:
    windows = [rng.randrange(8, 60) for _ in range(8)]
    plans = [(window, rng.randint(1, window // 2)) for window in windows]
    fit = [(n * (w - o) + o + more, w, o) for (w, o), n, more in zip(plans, range(1, 9), (0, 1, -1) * 3)]  # noqa: B905
    return (*fit, *((rng.randrange(1, 500), w, o) for w, o in plans))


@sheet_exercise
def window_count(function, exercise):
    compare_cases(function, exercise, varied(LENGTHS, other_lengths), need_number)


@sheet_exercise
def join(function, exercise):
    first, second, overlap = noise(2, 41, seed=7), noise(2, 53, seed=17), 15
    before, after = first.shape[1] - overlap, first.shape[1]
    answer = need_tensor(ask(function, (first, second, overlap)))
    if answer.shape == (2, after + second.shape[1]):
        raise Mistake("overlap kept twice")
    if answer.shape == (2, before + second.shape[1] - overlap):
        raise Mistake("overlap dropped")
    need_shape(answer, torch.empty(2, before + second.shape[1]))
    alone = torch.cat((answer[:, :before], answer[:, after:]), 1)
    if not same(alone.double(), torch.cat((first[:, :before], second[:, overlap:]), 1)):
        raise Mistake("ends changed")

    def weights(old: float, new: float) -> torch.Tensor:
        """What the answer makes of the overlap of two constants."""
        windows = (torch.full((1, 40), value, dtype=torch.float64) for value in (old, new))
        return function(*windows, overlap)[0, 40 - overlap : 40].double()

    total, old, new = weights(1, 1), weights(1, 0), weights(0, 1)
    name_the_sum(total)
    name_the_fade(old)
    if not same(old + new, total, 1e-4):
        raise Mistake("not a weighted sum")
    if not same(answer[:, before:after].double(), old * first[:, before:] + new * second[:, :overlap], 1e-4):
        raise Mistake("wrong samples")
    if answer.dtype != first.dtype:
        raise Mistake("precision lost", wanted=first.dtype, found=answer.dtype)


def name_the_sum(total: torch.Tensor) -> None:
    """The weights of both windows sum to one at every sample."""
    top, bottom = float(total.max()), float(total.min())
    if abs(top - 1) < 1e-4 and abs(bottom - 1) < 1e-4:
        return
    if abs(bottom - 2) < 1e-4:
        raise Mistake("added")
    if 1.35 < top < 1.45 and bottom > 0.99:
        raise Mistake("sums to the root of two")
    name = "dips" if bottom < 0.99 and top < 1.01 else "sum is not one"
    raise Mistake(name, bottom=f"{bottom:.2f}", top=f"{top:.2f}")


def name_the_fade(old: torch.Tensor) -> None:
    """The weight of the old window falls from (nearly) one to (nearly) zero, in several steps."""
    steps = old.diff()
    begin, end = float(old[0]), float(old[-1])
    if steps.abs().max() < 1e-4:
        raise Mistake("no fade", begin=f"{begin:.2f}")
    if begin < 0.2 and end > 0.8:
        raise Mistake("wrong way round")
    if steps.abs().max() > 0.5:
        raise Mistake("hard cut")
    if begin < 0.8 or end > 0.2 or steps.max() > 1e-4:
        raise Mistake("ends forgotten", begin=f"{begin:.2f}", end=f"{end:.2f}")


def seams() -> list[tuple[torch.Tensor, torch.Tensor, int]]:
    """Windows whose outputs are in other orders elsewhere than in the overlap, and contain each other's voices."""
    draws = generator(11)
    overlap = 400

    def voices(count: int, samples: int) -> torch.Tensor:
        x = torch.randn(count, samples, generator=draws, dtype=torch.float64)
        return x / x.norm(dim=1, keepdim=True)

    # Three voices rotate by one place. Elsewhere, where nothing should be compared, they seem to rotate otherwise.
    shared, elsewhere = voices(3, overlap), 3 * voices(3, 1200)
    beginning = shared.roll(1, 0) - 0.3 * shared
    following = torch.cat((beginning, elsewhere[:, overlap:].roll(2, 0), elsewhere[:, :overlap]), 1)
    three = torch.cat((elsewhere, shared), 1), following, overlap
    # The second output has much of the first voice, with inverted polarity: without the sign the two would be swapped.
    one, other = shared = voices(2, overlap)
    turned = torch.stack((0.5 * one - 0.9 * other, 0.5 * other - 0.9 * one))
    elsewhere = 2 * voices(2, 1100)
    inverted = torch.cat((elsewhere, shared), 1), torch.cat((turned, elsewhere.flip(0)), 1), overlap
    # One voice is in both outputs of the first window; the quieter has to leave it to the louder.
    one, other = voices(2, overlap)
    ending = torch.stack((one, 0.8 * one + 0.3 * other))
    elsewhere = 2 * voices(2, 1000)
    beginning = torch.stack((0.2 * other, one))
    leaking = torch.cat((elsewhere, ending), 1), torch.cat((beginning, elsewhere), 1), overlap
    # In other inputs, the outputs of the first window are in another order.
    return [
        (previous[shuffled(range(len(previous)))], following, overlap)
        for previous, following, overlap in (three, inverted, leaking)
    ]


@sheet_exercise
def seam_order(function, exercise):
    def order(answer) -> list[int]:
        try:
            return [int(i) for i in answer]
        except (TypeError, ValueError):
            raise Mistake("not an order", found=repr(answer), count="S") from None

    cases = seams()
    wanted = [order(exercise.right(*case)) for case in cases]
    answers = [order(ask(function, case)) for case in cases]
    if answers == wanted:
        return
    recognise_cases(answers, exercise, cases, order)
    for found, right in zip(answers, wanted, strict=True):
        if sorted(found) != sorted(right):
            raise Mistake("not an order", found=found, count=len(right))
    raise Mistake("other order", found=answers, wanted=wanted)
