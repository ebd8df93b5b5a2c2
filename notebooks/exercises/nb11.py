"""Checks of notebook 11's exercises; their texts, solutions and wrong answers are in ``nb11.md``.

Notebook: 11_how_many_voices
"""

import itertools
import random
from collections.abc import Mapping

import numpy as np

from .exercise import Mistake, sheet_exercise
from .judging import ask, need_number, recognise, seeded, varied

__all__ = ["gap", "needed", "subsets"]

# Names, those of them that every list has, and the sizes, in no order.
POOL = [f"voice-{number:02d}" for number in range(30)], ["voice-07", "voice-21"], [6, 24, 3, 12]


def other_pool(rng: random.Random) -> tuple[list[str], list[str], list[int]]:
    names = [f"speaker-{number}" for number in rng.sample(range(100, 1000), 40)]
    return names, rng.sample(names, 3), [rng.randint(8, 11), rng.randint(20, 30), 5, rng.randint(13, 16)]


@sheet_exercise
def subsets(function, exercise):
    voices, shared, sizes = varied(POOL, other_pool)

    def lists(seed: int) -> dict[int, list[str]]:
        answer = function(list(voices), list(shared), list(sizes), np.random.default_rng(seeded(seed)))
        if not isinstance(answer, Mapping):
            raise Mistake("not a dictionary of lists", found=type(answer).__name__)
        try:
            return {int(size): [str(name) for name in names] for size, names in answer.items()}
        except (TypeError, ValueError):
            raise Mistake("not a dictionary of lists", found=repr(answer)[:60]) from None

    drawn = lists(0)
    found = [len(drawn.get(size, ())) for size in sizes]
    if found != sizes or len(drawn) != len(sizes):
        raise Mistake("other sizes", found=sorted(map(len, drawn.values())), wanted=sorted(sizes))
    for size, names in drawn.items():
        if len(set(names)) < len(names):
            raise Mistake("a voice twice")
        unknown = sorted(set(names) - set(voices))
        if unknown:
            raise Mistake("unknown voices", found=unknown[0])
        missing = sorted(set(shared) - set(names))
        if missing:
            raise Mistake("shared ones missing", size=size, found=missing[0])
    ordered = sorted(sizes)
    for small, large in itertools.pairwise(ordered):
        if set(drawn[small]) - set(drawn[large]):
            raise Mistake("not nested", small=small, large=large)
    if all(set(lists(seed)[ordered[1]]) == set(drawn[ordered[1]]) for seed in (1, 2, 3)):
        raise Mistake("not random")


def _rows(voices: int, seed: int, name: str, *values: float) -> list[dict]:
    return [{"voices": voices, "seed": seed, "set": name, "si_sdri": value} for value in values]


# Seeds with different numbers of rows; one run lacks a set; at 50 voices the gap of one seed is negative.
ROWS = [
    *_rows(2, 0, "shared", 6.0, 5.0, 9.4), *_rows(2, 0, "new", 1.0, 2.2),
    *_rows(2, 1, "shared", 7.0), *_rows(2, 1, "new", 0.5, 1.5, 0.4, 3.9),
    *_rows(50, 0, "shared", 4.0, 4.4, 6.3), *_rows(50, 0, "new", 3.0, 3.2, 1.3),
    *_rows(50, 1, "shared", 3.1, 3.3), *_rows(50, 1, "new", 4.6, 4.0, 5.5),
    *_rows(50, 2, "new", 9.0, 8.0, 9.9),
    *_rows(100, 3, "shared", 4.1, 2.2, 5.7), *_rows(100, 3, "new", 3.9, 3.0, 4.8, 2.5),
    *_rows(100, 4, "shared", 4.5), *_rows(100, 4, "new", 4.0, 4.4, 3.9),
]  # fmt: skip


def other_rows(rng: random.Random) -> list[dict]:
    return [row | {"si_sdri": round(row["si_sdri"] + rng.gauss(0, 0.2), 2)} for row in ROWS]


@sheet_exercise
def gap(function, exercise):
    rows = varied(ROWS, other_rows)

    def numbers(answer) -> dict[int, float]:
        if not isinstance(answer, Mapping):
            raise Mistake("not a dictionary of numbers", found=type(answer).__name__)
        try:
            return {int(voices): float(value) for voices, value in answer.items()}
        except (TypeError, ValueError):
            raise Mistake("not a dictionary of numbers", found=repr(answer)[:60]) from None

    def alike(one, other) -> bool:
        return one.keys() == other.keys() and all(abs(one[key] - other[key]) < 1e-6 for key in one)

    found, wanted = numbers(ask(function, (rows,))), exercise.right(rows)
    if found.keys() != wanted.keys():
        raise Mistake("other numbers of voices", found=sorted(found), wanted=sorted(wanted))
    if not alike(found, wanted):
        recognise(found, exercise, (rows,), numbers, alike)
        worst = max(wanted, key=lambda key: abs(wanted[key] - found[key]))
        raise Mistake(
            "other numbers", voices=worst, wanted=round(wanted[worst], 2), found=round(found[worst], 2)
        )


RISING = {100: 4.0, 2: 1.0, 25: 2.5, 50: 3.6, 6: 1.9}
DIPPING = {2: 1.0, 10: 3.0, 20: 2.0, 80: 4.0}
CASES = [(RISING, 3.1), (RISING, 1.2), (RISING, 0.5), (DIPPING, 2.5), (RISING, 4.5), (DIPPING, 99.0)]


def other_cases(rng: random.Random) -> list[tuple[dict[int, float], float]]:
    """The same curves over more voices: each number is multiplied by one factor."""
    factor = rng.randint(2, 5)
    return [({factor * voices: score for voices, score in curve.items()}, target) for curve, target in CASES]


@sheet_exercise
def needed(function, exercise):
    cases = varied(CASES, other_cases)

    def number(answer) -> float | None:
        return None if answer is None else need_number(answer)

    answers = [number(ask(function, case)) for case in cases]
    wanted = [exercise.right(*case) for case in cases]
    if answers == wanted:
        return
    for name, wrong in exercise.known.items():
        if answers == [number(ask(wrong, case)) for case in cases]:
            raise Mistake(name)
    place = next(i for i, pair in enumerate(zip(answers, wanted, strict=True)) if pair[0] != pair[1])
    if wanted[place] is None:
        raise Mistake("beyond the curve")
    raise Mistake("other numbers", target=cases[place][1], wanted=wanted[place], found=answers[place])
