"""Checks of notebook 05's exercises; their texts, solutions and wrong answers are in ``nb05.md``.

Notebook: 05_training
"""

import copy
import math
import operator
import random
from collections.abc import Mapping

import torch

from .exercise import Mistake, sheet_exercise
from .judging import compare_cases, need_number, need_shape, need_tensor, noise, recognise, same, varied

__all__ = ["average", "rate", "share", "stop"]

# lr, warmup, cooldown, max_steps: the plain case; without the one, the other, both; a cooldown that begins within
# the warm-up; a warm-up that is longer than the run.
RUNS = (
    (0.003, 4, 5, 20), (0.002, 0, 5, 12), (0.002, 4, 0, 12),
    (0.001, 0, 0, 5), (0.001, 6, 8, 10), (0.004, 12, 4, 8),
)  # fmt: skip


def other_runs(rng: random.Random) -> tuple:
    warmup, cooldown, steps = rng.randrange(3, 7), rng.randrange(3, 7), rng.randrange(14, 24)
    plans = (
        (warmup, cooldown, steps), (0, cooldown, steps), (warmup, 0, steps), (0, 0, 5), (6, 8, 11),
        (steps, cooldown, steps - 5),
    )  # fmt: skip
    return tuple((rng.randrange(1, 9) / 1000, *plan) for plan in plans)


@sheet_exercise
def rate(function, exercise):
    def guarded(step, lr, warmup, cooldown, max_steps):
        try:
            return function(step, lr, warmup, cooldown, max_steps)
        except ZeroDivisionError:
            if warmup and cooldown:
                raise
            raise Mistake("division by zero", warmup=warmup, cooldown=cooldown) from None

    def alike(one, other):
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-9)

    for run in varied(RUNS, other_runs):
        cooldown, max_steps = run[2:]
        # Beyond the end only where a cooldown defines the rate there.
        steps = range(max_steps + 3 if cooldown else max_steps)
        compare_cases(guarded, exercise, [(step, *run) for step in steps], need_number, alike)


def weights(counters: bool) -> tuple[dict, dict]:
    """Averaged and current weights in two precisions; with or without tensors that can't be averaged."""

    def draw(seed):
        return {
            "encoder.weight": noise(4, 3, seed=seed).float(),
            "norm.gain": noise(5, seed=seed),
            "scale": noise(seed=seed).float(),
        }

    averaged, current = draw(6), draw(7)
    if counters:
        averaged |= {"steps": torch.tensor(100), "mask": torch.tensor([True, False, True])}
        current |= {"steps": torch.tensor(117), "mask": torch.tensor([False, True, True])}
    return averaged, current


@sheet_exercise
def average(function, exercise):
    for decay, counters in ((0.9, False), (0.75, True)):
        given = weights(counters)
        averaged, current = copy.deepcopy(given)
        try:
            answer = function(averaged, current, decay)
        except RuntimeError as error:
            if not counters:
                raise
            raise Mistake("counter averaged", name="steps", dtype="an integer", found=error) from None
        for name, before, after in zip(("averaged", "current"), given, (averaged, current), strict=True):
            if before.keys() != after.keys() or not all(torch.equal(before[k], after[k]) for k in before):
                raise Mistake("in place", argument=name)
        if not isinstance(answer, Mapping):
            raise Mistake("not a dictionary", found=type(answer).__name__)
        compare_weights(answer, *given, decay, exercise)
        storages = {x.untyped_storage().data_ptr() for part in (averaged, current) for x in part.values()}
        for name, x in answer.items():
            if x.untyped_storage().data_ptr() in storages:
                raise Mistake("same memory", name=name)


def compare_weights(answer: Mapping, averaged: dict, current: dict, decay: float, exercise) -> None:
    """Names, shapes, numbers, counters, dtypes; ``answer`` is a dictionary."""
    if answer.keys() != current.keys():
        raise Mistake("other names", found=list(answer), wanted=list(current))
    wanted = exercise.right(averaged, current, decay)
    for name, x in wanted.items():
        need_shape(need_tensor(answer[name]), x)
    floats = [name for name, x in wanted.items() if x.is_floating_point()]
    for name in floats:
        if not same(answer[name], wanted[name]):
            recognise(
                answer,
                exercise,
                (averaged, current, decay),
                alike=lambda one, other: all(same(one[key], other[key]) for key in floats),
            )
            worst = float((answer[name] - wanted[name]).abs().max())
            raise Mistake("other numbers", decay=decay, name=name, worst=f"{worst:.3g}")
    for name in (name for name in wanted if name not in floats):
        found = answer[name].double()
        if same(found, averaged[name].double()):
            raise Mistake("counter left behind", name=name)
        if not same(found, current[name].double()):
            raise Mistake(
                "counter averaged", name=name, dtype=current[name].dtype, found=answer[name].tolist()
            )
    for name, x in wanted.items():
        if answer[name].dtype != x.dtype:
            raise Mistake("dtype changed", name=name, wanted=x.dtype, found=answer[name].dtype)


# Validation losses (dB, lower is better) and patience: always better; over before a late best; equal ones; pauses that
# are never long enough; better than the one before and not than the best; NaN between, first, and nothing but NaN.
HISTORIES = (
    ([-1.0, -3.0, -5.0, -7.0], 2),
    ([-2.0, -5.0, -4.0, -4.5, -9.0, -9.5], 2),
    ([4.0, -2.0, -2.0, -3.0], 1),
    ([-2.0, -5.0, -5.0, -5.0, -6.0, -6.0], 3),
    ([-1.0, -3.0, -2.0, -4.0, -3.0, -5.0, -4.0], 2),
    ([-5.0, -3.0, -4.0, -4.5, -4.8], 3),
    ([-3.0, math.nan, -4.0, math.nan, -3.5], 2),
    ([math.nan, -2.0, -1.0, -3.0, -2.5], 3),
    ([math.nan, math.nan, math.nan], 2),
)


def other_histories(rng: random.Random) -> tuple:
    def history(count: int) -> list[float]:
        return [-rng.randrange(2, 20) / 2 for _ in range(count)]

    plain = [(history(rng.randrange(4, 12)), rng.randint(1, 3)) for _ in range(8)]
    broken = [([math.nan, *history(3), math.nan, *history(2)], rng.randint(2, 3)) for _ in range(3)]
    return (*plain, *broken, ([math.nan] * 4, rng.randint(2, 4)), ([-1.0, -2.0, -2.5, -4.0, -6.0], 2))


@sheet_exercise
def stop(function, exercise):
    def pair(answer) -> tuple:
        try:
            best, end = (None if x is None else float(x) for x in answer)
        except (TypeError, ValueError):
            raise Mistake("not a pair", found=repr(answer)) from None
        return tuple(int(x) if x is not None and x.is_integer() else x for x in (best, end))

    compare_cases(function, exercise, varied(HISTORIES, other_histories), pair, otherwise="other answers")


# items, world_size, batch: an exact fit; one process; a rest; a rest that fills the batch of one rank and not of the
# other; the same with three ranks; fewer mixtures than ranks.
EPOCHS = ((24, 2, 3), (10, 1, 3), (30, 2, 4), (7, 2, 4), (23, 3, 2), (3, 4, 2))


def other_epochs(rng: random.Random) -> tuple:
    plans = [(rng.randint(1, 4), rng.randint(2, 4)) for _ in range(6)]
    return tuple((rng.randrange(5, 40), world_size, batch) for world_size, batch in plans)


@sheet_exercise
def share(function, exercise):
    def indices(answer) -> list[int]:
        try:
            return [operator.index(i) for i in answer]
        except TypeError:
            raise Mistake("not indices", found=repr(answer)) from None

    for items, world_size, batch in varied(EPOCHS, other_epochs):
        steps = range(items // (world_size * batch) + 2)  # two more than the epoch has
        cases = [(items, rank, world_size, batch, step) for step in steps for rank in range(world_size)]
        compare_cases(function, exercise, cases, indices)
