"""Notebook 10's exercises: the named mistakes, each with its own hint, and answers that are right another way."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from exercises import RIGHT, nb10
from scipy import stats

from dprnn_lab.evaluation.statistics import student_mean


@pytest.mark.parametrize("mistake", nb10._PAIR_SLIPS)
def test_pairs_that_answer_another_question(mistake, fails_with):
    rule, hint = nb10._PAIR_SLIPS[mistake]
    fails_with(nb10.one_change, mistake, lambda runs, p: sorted(nb10._pairs(runs, rule(p))), hint)


def right_pairs(runs, parameter):
    return nb10._pairs(runs, lambda changed: changed == {parameter})


@pytest.mark.parametrize("mistake", nb10._DIFFERENCE_SLIPS)
def test_intervals_of_something_else(mistake, fails_with):
    slip, hint = nb10._DIFFERENCE_SLIPS[mistake]
    fails_with(nb10.difference, mistake, lambda a, b: slip(a, b), hint)


def drawn(statistic, trials=3000):
    return lambda spread, seeds, rng: statistic(rng.normal(0, spread, size=(trials, seeds)))


GAIN_TRIES = {
    "mean of the seeds": drawn(lambda x: x.mean()),
    "best minus worst": drawn(lambda x: np.ptp(x, axis=1).mean()),
    "worst of the seeds": drawn(lambda x: x.min(1).mean()),
    "largest deviation": drawn(lambda x: abs(x).max(1).mean()),
    "best of all draws": drawn(lambda x: x.max()),
    "one over root n": lambda spread, seeds, rng: spread / seeds**0.5,
    "spread alone": lambda spread, seeds, rng: spread,
}


@pytest.mark.parametrize("mistake", nb10._BEST_SLIPS)
def test_gains_that_are_something_else(mistake, fails_with):
    fails_with(nb10.best_of, mistake, GAIN_TRIES[mistake], nb10._BEST_SLIPS[mistake][1])


@pytest.mark.parametrize(
    ("exercise", "mistake", "answer"),
    [
        (nb10.one_change, "no pairs", lambda runs, p: 3),
        (nb10.one_change, "no pairs", lambda runs, p: [1, 2]),
        (nb10.one_change, "both orders", lambda runs, p: [(j, i) for i, j in right_pairs(runs, p)]),
        (nb10.one_change, "a pair twice", lambda runs, p: 2 * sorted(right_pairs(runs, p))),
        (nb10.one_change, "other pairs", lambda runs, p: []),
        (nb10.difference, "not numbers", lambda a, b: "much"),
        (nb10.difference, "wrong count", lambda a, b: (0.4, 0.1)),
        (nb10.difference, "other numbers", lambda a, b: (0.0, 1.0, 2.0)),
        (nb10.best_of, "not a number", lambda spread, seeds, rng: [1, 2]),
        (nb10.best_of, "other numbers", lambda spread, seeds, rng: 7.0),
        (nb10.best_of, "too few trials", drawn(lambda x: x.max(1).mean(), trials=20)),
    ],
)  # fmt: skip
def test_the_other_mistakes(exercise, mistake, answer, fails_with):
    fails_with(exercise, mistake, answer)


def test_ends_swapped(fails_with):
    def answer(first, second):
        values = nb10._paired(first, second)
        mean, low, high = nb10._around(values, nb10._student(values))
        return mean, high, low

    fails_with(nb10.difference, "ends swapped", answer)


def exact(spread, seeds, rng):
    """The expected maximum by integration, without a draw."""
    x = np.linspace(-9, 9, 20001)
    density = seeds * stats.norm.pdf(x) * stats.norm.cdf(x) ** (seeds - 1)
    return spread * np.trapezoid(x * density, x)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (nb10.one_change, right_pairs),
        (nb10.one_change, lambda runs, p: np.array(sorted(right_pairs(runs, p)))),
        (nb10.best_of, exact),
        (nb10.best_of, drawn(lambda x: (x.max(1) - x.mean(1)).mean())),
        (nb10.best_of, drawn(lambda x: x.max(1).mean(), trials=2000)),
    ],
)
def test_right_in_another_way(exercise, answer):
    exercise.check(answer)
    assert exercise.outcome == RIGHT


def test_the_interval_is_that_of_the_package():
    one = student_mean(nb10._paired(nb10._FIRST, nb10._SECOND))

    def answer(first, second):
        return one.mean, one.low, one.high

    nb10.difference.check(answer)
    assert nb10.difference.outcome == RIGHT


def test_every_mistake_has_a_hint_of_its_own():
    for slips in (nb10._PAIR_SLIPS, nb10._DIFFERENCE_SLIPS, nb10._BEST_SLIPS):
        hints = [hint for _, hint in slips.values()]
        assert len(set(hints)) == len(hints)


def test_the_minutes_of_the_cards_are_those_that_the_notebook_states():
    path = Path(__file__).parents[2] / "notebooks" / "10_experiments.ipynb"
    text = "".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
    stated = re.search(r"about (\d+) minutes: (\d+) to read, try and wait, (\d+) for the three", text)
    everything, reading, exercises = map(int, stated.groups())
    assert exercises == sum(getattr(nb10, name).minutes for name in nb10.__all__)
    assert everything == reading + exercises
