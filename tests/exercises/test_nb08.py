"""Notebook 08's exercises: the named mistakes, each with its own hint, and answers that are right another way."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from exercises import CANT_CHECK, RIGHT, nb08
from scipy import stats

from dprnn_lab.evaluation import bootstrap_mean, compare

ALL = {name: getattr(nb08, name) for name in nb08.__all__}
SLIPS = {
    "improvement": nb08._IMPROVEMENT_SLIPS,
    "leak": nb08._LEAK_SLIPS,
    "paired": nb08._PAIRED_SLIPS,
    "sign_test": nb08._SIGN_SLIPS,
}


@pytest.mark.parametrize(("name", "mistake"), [(n, m) for n, slips in SLIPS.items() for m in slips])
def test_slips(name, mistake, fails_with):
    slip, hint = SLIPS[name][mistake]
    fails_with(ALL[name], mistake, lambda *inputs: slip(*inputs), hint)


def drawn(ends=(2.5, 97.5), statistic=np.mean, replace=True, draws=1000, size=None):
    """An honest try at 08.3, with one thing done wrong as the arguments say."""

    def answer(values, rng):
        size_ = size(values) if size else len(values)
        picks = [rng.choice(values, size_, replace=replace) for _ in range(draws)]
        return np.percentile([statistic(p) for p in picks], ends)

    return answer


def around(errors):
    def answer(values, rng):
        half = errors * values.std(ddof=1) / len(values) ** 0.5
        return values.mean() - half, values.mean() + half

    return answer


def one_standard_error_of_the_draws(values, rng):
    means = rng.choice(values, (1000, len(values))).mean(1)
    return means.mean() - means.std(), means.mean() + means.std()


def mirrored(values, rng):
    low, high = drawn()(values, rng)
    return 2 * values.mean() - high, 2 * values.mean() - low


INTERVAL_TRIES = {
    "percentiles of the values": lambda v, rng: np.percentile(v, (2.5, 97.5)),
    "drawn without replacement": drawn(replace=False),
    "ends swapped": drawn(ends=(97.5, 2.5)),
    "90 percent": drawn(ends=(5, 95)),
    "one standard error": one_standard_error_of_the_draws,
    "formula of the normal distribution": around(1.96),
    "mirrored": mirrored,
    "median": drawn(statistic=np.median),
    "draws of half the size": drawn(size=lambda v: len(v) // 2),
}


@pytest.mark.parametrize("mistake", nb08._intervals())
def test_interval_slips_are_told_from_honest_tries(mistake, fails_with):
    fails_with(nb08.interval, mistake, INTERVAL_TRIES[mistake], nb08._intervals()[mistake][1])


def test_one_standard_error_by_the_formula_is_the_same_mistake(fails_with):
    fails_with(nb08.interval, "one standard error", around(1))


@pytest.mark.parametrize(
    ("exercise", "mistake", "answer"),
    [
        (nb08.improvement, "averaged over the voices", lambda m, e, s: nb08._improvement(m, e, s).mean()),
        (nb08.improvement, "wrong count", lambda m, e, s: (1.0, 2.0)),
        (nb08.improvement, "not numbers", lambda m, e, s: "ten"),
        (nb08.improvement, "other numbers", lambda m, e, s: (1.0, 2.0, 3.0)),
        (nb08.leak, "other numbers", lambda t, o, d: 1.5),
        (nb08.leak, "other numbers", lambda t, o, d: 0),
        (nb08.leak, "wrong count", lambda t, o, d: t),
        (nb08.interval, "wrong count", lambda v, rng: v.mean()),
        (nb08.interval, "too few draws", drawn(draws=60)),
        (nb08.interval, "rng not used", lambda v, rng: drawn()(v, np.random.default_rng(0))),
        (nb08.interval, "other numbers", lambda v, rng: (0.0, 1.0)),
        (nb08.paired, "other numbers", lambda a, b: (0.0, 1.0)),
        (nb08.paired, "wrong count", lambda a, b: b["si_sdri"].mean() - a["si_sdri"].mean()),
        (nb08.sign_test, "other numbers", lambda d: (1, 2, 0.5)),
        (nb08.sign_test, "wrong count", lambda d: (1, 2)),
    ],
)
def test_the_other_mistakes(exercise, mistake, answer, fails_with):
    fails_with(exercise, mistake, answer)


@pytest.mark.parametrize("broken", [ValueError, ZeroDivisionError])
def test_only_ties_that_raise_are_a_named_mistake(broken, fails_with):
    def answer(difference):
        if not difference.any():
            raise broken("no trials")
        return nb08._sign_test(difference)

    fails_with(nb08.sign_test, "only ties", answer)


def test_only_ties_with_another_p_are_the_same_mistake(fails_with):
    fails_with(nb08.sign_test, "only ties", lambda d: nb08._sign_test(d) if d.any() else (0, 0, 0.0))


def test_every_mistake_has_a_hint_of_its_own():
    for slips in [*SLIPS.values(), nb08._intervals()]:
        hints = [hint for _, hint in slips.values()]
        assert len(set(hints)) == len(hints)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (nb08.improvement, lambda m, e, s: torch.tensor(nb08._improvement(m, e, s), requires_grad=True)),
        (nb08.improvement, lambda m, e, s: nb08._improvement(m, e, s).tolist()),
        (nb08.leak, lambda t, o, d: -nb08._leak(t, o, d)),  # a leak upside down is as large
        (nb08.leak, lambda t, o, d: torch.tensor([nb08._leak(t, o, d)])),
        (nb08.interval, drawn()),
        (nb08.interval, drawn(draws=4000)),
        (
            nb08.paired,
            lambda a, b: (nb08._difference(a, b).mean(), nb08._difference(a, b).std(ddof=0) / 12**0.5),
        ),
        (nb08.sign_test, lambda d: nb08._sign_test(d)),
    ],
)
def test_right_in_another_way(exercise, answer):
    exercise.check(answer)
    assert exercise.outcome == RIGHT


def test_the_interval_is_that_of_the_package():
    one = bootstrap_mean(nb08._SKEWED)
    error = nb08._SKEWED.std() / len(nb08._SKEWED) ** 0.5
    assert nb08._resampled() == pytest.approx([one.low, one.high], abs=0.1 * error)


def test_the_wrong_intervals_differ_from_the_right_one_and_each_other_on_the_judges_values():
    error = nb08._SKEWED.std() / len(nb08._SKEWED) ** 0.5
    intervals = [nb08._resampled(), *(wrong for wrong, _ in nb08._intervals().values())]
    for a, b in itertools.combinations(intervals, 2):
        assert np.abs(a - b).max() > 0.24 * error  # twice the judge's tolerance


def test_paired_and_sign_test_agree_with_compare():
    first, second = nb08._paired_input()
    row = compare(first.assign(kind="k"), second.assign(kind="k")).iloc[-1]
    difference = nb08._difference(first, second)
    assert row["difference"] == pytest.approx(difference.mean())
    assert (row["better"], row["worse"], row["p"]) == pytest.approx(nb08._sign_test(difference.to_numpy()))


def test_the_leak_has_the_size_asked_for():
    target, other = torch.randn(2, 5000, generator=torch.Generator().manual_seed(0))
    gain = nb08._leak(target, 3 * other, 7.0)
    found = 10 * torch.log10(target.square().sum() / (gain * 3 * other).square().sum())
    assert float(found) == pytest.approx(7, abs=1e-4)


def test_p_is_the_share_of_coin_tosses_as_uneven():
    tosses = [sum(t) for t in itertools.product((0, 1), repeat=8)]
    uneven = sum(abs(wins - 4) >= 3 for wins in tosses) / len(tosses)
    assert nb08._sign_test(np.array([1.0] * 7 + [-1.0, 0.0]))[2] == pytest.approx(uneven)
    assert nb08._p(1, 8, "greater") == pytest.approx(stats.binom.sf(0, 8, 0.5))


def test_a_table_without_the_column_cannot_be_checked():
    nb08.paired.check(lambda a, b: (a["sdr"].mean(), 0.0))
    assert nb08.paired.outcome == CANT_CHECK


def test_the_judges_inputs_are_copies():
    def spoils(first, second):
        first["si_sdri"] = 0.0
        return 0.0, 0.0

    before = pd.concat(nb08._paired_input())
    nb08.paired.check(spoils)
    pd.testing.assert_frame_equal(pd.concat(nb08._paired_input()), before)
    kept = nb08._SKEWED.copy()
    nb08.interval.check(lambda v, rng: (v.sort(), v.mean())[1:] * 2)
    assert np.array_equal(nb08._SKEWED, kept)


def test_the_minutes_of_the_cards_are_those_that_the_notebook_states():
    path = Path(__file__).parents[2] / "notebooks" / "08_evaluation.ipynb"
    text = " ".join("".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).split())
    total, reading, exercises = map(
        int, re.search(r"about (\d+) minutes: (\d+) to read and try, (\d+) for the five", text).groups()
    )
    assert exercises == sum(e.minutes for e in ALL.values())
    assert total == reading + exercises
