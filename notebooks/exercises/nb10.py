"""Checks of notebook 10's exercises; their texts, solutions and wrong answers are in ``nb10.md``.

Notebook: 10_experiments
"""

import numpy as np

from .exercise import Mistake, sheet_exercise
from .judging import ask, compare_cases, need_number, need_numbers, recognise, same

__all__ = ["best_of", "difference", "one_change"]

# Two sizes, two rates, two seeds; one combination failed and is missing, one run was made twice.
RUNS = [
    {"hid_size": 32, "lr": 1e-3, "seed": 0},
    {"hid_size": 64, "lr": 1e-3, "seed": 0},
    {"hid_size": 32, "lr": 2e-3, "seed": 0},
    {"hid_size": 64, "lr": 2e-3, "seed": 0},
    {"hid_size": 64, "lr": 1e-3, "seed": 1},
    {"hid_size": 32, "lr": 2e-3, "seed": 1},
    {"hid_size": 64, "lr": 2e-3, "seed": 1},
    {"hid_size": 32, "lr": 1e-3, "seed": 0},
]


@sheet_exercise
def one_change(function, exercise):
    def pairs(answer) -> list[tuple[int, int]]:
        try:
            listed = [(int(i), int(j)) for i, j in answer]
        except (TypeError, ValueError):
            raise Mistake("no pairs", found=type(answer).__name__) from None
        if any(i >= j for i, j in listed):
            raise Mistake("both orders")
        if len(listed) != len(set(listed)):
            raise Mistake("a pair twice")
        return sorted(listed)

    for parameter in ("hid_size", "lr"):
        compare_cases(function, exercise, [(RUNS, parameter)], pairs, otherwise="other pairs")


# Seed to SI-SDRi (dB) of two settings: the seeds in another order, and one that only the first has.
FIRST = {0: 3.1, 1: 4.4, 2: 2.6, 3: 3.9, 4: 5.0, 5: 3.3}
SECOND = {3: 4.1, 0: 3.6, 4: 5.2, 2: 3.4, 1: 4.5}


@sheet_exercise
def difference(function, exercise):
    def alike(answer, wanted) -> bool:
        return same(answer, wanted, 2e-3)

    answer = need_numbers(ask(function, (FIRST, SECOND)), 3)
    wanted = need_numbers(exercise.right(FIRST, SECOND))
    if alike(answer, wanted):
        return
    swapped = answer[[0, 2, 1]]
    if alike(swapped, wanted):
        raise Mistake("ends swapped")
    for ends in (answer, swapped):
        recognise(ends, exercise, (FIRST, SECOND), need_numbers, alike)
    raise Mistake(
        "other numbers", wanted=wanted.numpy().round(2).tolist(), found=answer.numpy().round(2).tolist()
    )


CALLS = 5


@sheet_exercise
def best_of(function, exercise):
    for spread, seeds in ((0.4, 10), (1.5, 3)):  # dB, seeds

        def calls(answer, spread=spread, seeds=seeds) -> np.ndarray:
            """Gains in units of the spread."""
            found = [need_number(answer(spread, seeds, np.random.default_rng(c))) for c in range(CALLS)]
            return np.array(found) / spread

        answers = calls(function)
        found, moves = answers.mean(), answers.std()
        wanted = np.random.default_rng(2).normal(size=(100_000, seeds)).max(1).mean()
        if moves < 0.06 and abs(found - wanted) < 0.06:
            continue
        for name, wrong in exercise.known.items():
            # The best of all draws depends on how many there are.
            near = 0.8 if name == "best of all draws" else 0.06
            if abs(found - calls(wrong).mean()) < near and (moves < 0.06 or near == 0.8):
                raise Mistake(name)
        if abs(found - wanted) < 0.5 and moves >= 0.06:
            raise Mistake("too few trials", moves=f"{moves * spread:.2f}")
        raise Mistake(
            "other numbers",
            spread=spread,
            seeds=seeds,
            wanted=f"{wanted * spread:.2f}",
            found=f"{found * spread:.2f}",
        )
