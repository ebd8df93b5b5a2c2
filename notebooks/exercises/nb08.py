"""Checks of notebook 08's exercises; their texts, solutions and wrong answers are in ``nb08.md``.

Notebook: 08_evaluation
"""

from functools import cache

import numpy as np
import pandas as pd
import torch

from dprnn_lab.loss import si_sdr

from .exercise import Mistake, sheet_exercise
from .judging import ask, compare_numbers, need_numbers, noise, same, seeded, varied

__all__ = ["improvement", "interval", "leak", "paired", "sign_test"]

TOLERANCE = 1e-3  # dB, or of a p value


@sheet_exercise
def improvement(function, exercise):
    # Three voices at three levels; one output is poor, and another voice's output has a higher score for it.
    sources = noise(3, 2001, seed=4) * torch.tensor([[1.0], [0.5], [0.25]], dtype=torch.float64)
    first, second, third = sources
    estimates = torch.stack((first + 2.4 * third, second + 0.05 * first, third + 1.2 * second))
    mixture = sources.sum(0)
    wanted = si_sdr(estimates, sources) - si_sdr(mixture, sources)
    inputs = mixture, estimates[[2, 0, 1]], sources
    answer = need_numbers(ask(function, inputs))
    if answer.numel() == 1 and same(answer.flatten(), wanted.mean(0, keepdim=True), TOLERANCE):
        raise Mistake("averaged over the voices")
    compare_numbers(need_numbers(answer, 3), wanted, exercise, inputs, TOLERANCE)


@sheet_exercise
def leak(function, exercise):
    target, other = noise(4001, seed=5), 3 * noise(4001, seed=15)
    for sir_db in (14.0, -3.0):
        inputs = target, other, sir_db
        answer, wanted = need_numbers(ask(function, inputs), 1), exercise.right(*inputs).reshape(1)
        if answer == 0:
            raise Mistake("no leak")
        if not same(answer, -wanted, TOLERANCE):  # a leak of inverted polarity is as large
            sir = 20 * torch.log10(target.norm() / (answer * other).norm())
            compare_numbers(
                answer, wanted, exercise, inputs, TOLERANCE, sir=f"{float(sir):.1f}", sir_db=sir_db
            )


CALLS = (
    8  # of the answer, each with another rng: their mean is compared, and their spread shows too few draws
)
# 20 improvements in dB, most of them good and some very bad: the distribution of their mean is skewed.
SKEWED = 12 - 3 * np.random.default_rng(5).lognormal(0.0, 1.2, 20)


def skewed() -> np.ndarray:
    """SKEWED, or other values of its distribution."""
    return varied(SKEWED, lambda rng: 12 - 3 * np.random.default_rng(seeded(5)).lognormal(0.0, 1.2, 20))


def calls(answer) -> np.ndarray:
    """The ends of CALLS intervals, each with another rng [call, end]."""
    generators = map(np.random.default_rng, range(CALLS))
    return np.stack([need_numbers(answer(skewed().copy(), rng), 2) for rng in generators])


def known_intervals() -> dict[str, np.ndarray]:
    return _known_intervals(skewed().tobytes())


@cache
def _known_intervals(values: bytes) -> dict[str, np.ndarray]:
    return {name: calls(wrong).mean(0) for name, wrong in interval.known.items()}


@sheet_exercise
def interval(function, exercise):
    values = skewed()
    draws = np.random.default_rng(1).choice(values, size=(40_000, len(values)))
    wanted = np.percentile(draws.mean(1), (2.5, 97.5))
    error = values.std() / len(values) ** 0.5
    near = 0.12 * error  # the standard deviation of eight calls of 1000 draws is a third of this
    answers = calls(function)
    found, moves = answers.mean(0), answers.std(0).max()
    right = np.abs(found - wanted).max() <= near
    if not right or not moves:
        for name, wrong in known_intervals().items():
            if np.abs(found - wrong).max() <= near:
                raise Mistake(name)
        if not moves and np.abs(found - wanted).max() <= 3 * near:
            raise Mistake("rng not used")
    if moves > 0.17 * error:
        raise Mistake("too few draws", moves=f"{moves / error:.0%}")
    if not right:
        raise Mistake(
            "other numbers", wanted=wanted.round(2).tolist(), found=found.round(2).tolist(), calls=CALLS
        )


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of two systems on 12 mixtures, which have much in common, in different order."""
    rng = np.random.default_rng(seeded(8))
    ids = [f"mixture-{i}" for i in range(12)]
    hard = rng.normal(7, 3, 12)
    first = pd.DataFrame({"id": ids, "si_sdri": hard + rng.normal(0, 0.4, 12)})
    second = pd.DataFrame({"id": ids, "si_sdri": hard + rng.normal(0.6, 0.5, 12)})
    return first, second.iloc[rng.permutation(12)].reset_index(drop=True)


@sheet_exercise
def paired(function, exercise):
    answer, wanted = need_numbers(ask(function, tables()), 2), need_numbers(exercise.right(*tables()))
    by_n = wanted * torch.tensor(
        [1, (11 / 12) ** 0.5]
    )  # a standard deviation that divides by n, not by n - 1
    if not same(answer, by_n, TOLERANCE):
        compare_numbers(answer, wanted, exercise, tables(), TOLERANCE)


@sheet_exercise
def sign_test(function, exercise):
    # Wins, losses and ties in unlike numbers, for each of the two systems ahead.
    ahead = varied((7, 7, 1), lambda rng: (rng.randint(4, 8), rng.randint(4, 8), rng.randint(0, 2)))
    for counts in ((2 + ahead[0], 2, 4), (3, 3 + ahead[1], 4 + ahead[2])):
        sizes = np.random.default_rng(4).uniform(0.1, 3, sum(counts))
        difference = np.random.default_rng(3).permutation(np.repeat((1.0, -1.0, 0.0), counts) * sizes)
        answer, wanted = (
            need_numbers(ask(function, (difference,)), 3),
            need_numbers(exercise.right(difference)),
        )
        compare_numbers(
            answer, wanted, exercise, (difference,), TOLERANCE, difference=difference.round(1).tolist()
        )
    try:
        answer = function(np.zeros(5))
    except (ValueError, ZeroDivisionError):
        raise Mistake("only ties") from None
    if not same(need_numbers(answer, 3), need_numbers((0, 0, 1.0))):
        raise Mistake("only ties")
