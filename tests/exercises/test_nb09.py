"""Notebook 09's exercises: the named mistakes, each with its own hint, and answers that are right another way."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from exercises import CANT_CHECK, RIGHT, nb09

from dprnn_lab.separation.speaker_tracking import track_speakers
from dprnn_lab.separation.windows import overlap_add, plan_windows

ALL = [getattr(nb09, name) for name in nb09.__all__]


# 09.1


@pytest.mark.parametrize("mistake", nb09._COUNT_SLIPS)
def test_count_slips(mistake, fails_with):
    slip, hint = nb09._COUNT_SLIPS[mistake]
    fails_with(
        nb09.window_count, mistake, lambda samples, window, overlap: slip(samples, window, overlap), hint
    )


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not a number", lambda samples, window, overlap: "four"),
        ("not a number", lambda samples, window, overlap: samples > window),
        ("not a number", lambda samples, window, overlap: float("nan")),
        ("other numbers", lambda samples, window, overlap: 3),
        ("last window forgotten", lambda t, window, overlap: max(1, (t - window) // (window - overlap) + 1)),
    ],
)
def test_other_counts(mistake, answer, fails_with):
    fails_with(nb09.window_count, mistake, answer)


def test_a_count_by_laying_windows_down_is_right():
    def answer(samples, window, overlap):
        count = end = 0
        while not count or end < samples:
            end = count * (window - overlap) + window
            count += 1
        return np.int64(count)

    nb09.window_count.check(answer)
    assert nb09.window_count.outcome == RIGHT


def test_the_package_plans_as_many_windows():
    for samples, window, overlap in nb09._LENGTHS:
        if overlap == window // 4:
            assert len(plan_windows(samples, window)) == nb09._count(samples, window, overlap)


# 09.2


def joins(new, old):
    """A join with the given weights of both windows."""
    return lambda first, second, overlap: nb09._join(
        first, second, overlap, lambda n: (new(n).double(), old(n).double())
    )


def ramp(n):
    return torch.linspace(0, 1, n)


def sine(n):
    return (ramp(n) * torch.pi / 2).sin()


def half(n):
    return torch.full((n,), 0.5)


def cut_in_the_middle(n):
    return (ramp(n) > 0.5).float()


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not a tensor", lambda a, b, n: 1.0),
        ("overlap kept twice", lambda a, b, n: torch.cat((a, b), 1)),
        ("overlap dropped", lambda a, b, n: torch.cat((a[:, :-n], b[:, n:]), 1)),
        ("wrong shape", lambda a, b, n: torch.cat((a[:, :-n], b[:, n:]), 1)[0]),
        ("ends changed", lambda a, b, n: torch.cat((b[:, :-n], a), 1)),
        ("ends changed", lambda a, b, n: nb09._join(a, b, n) * 0.9),
        ("ends changed", lambda a, b, n: nb09._join(a, torch.cat((b[:, :n], 0.9 * b[:, n:]), 1), n)),
        ("ends changed", lambda a, b, n: nb09._join(torch.cat((0.9 * a[:, :-n], a[:, -n:]), 1), b, n)),
        ("added", joins(torch.ones, torch.ones)),
        ("sums to the root of two", joins(sine, lambda n: (ramp(n) * torch.pi / 2).cos())),
        ("dips", joins(lambda n: sine(n) ** 4, lambda n: sine(n).flip(0) ** 4)),
        ("sum is not one", joins(ramp, torch.ones)),
        ("no fade", joins(half, half)),
        ("wrong way round", joins(lambda n: 1 - ramp(n), ramp)),
        ("hard cut", joins(cut_in_the_middle, lambda n: 1 - cut_in_the_middle(n))),
        ("ends forgotten", joins(lambda n: 0.3 + 0.4 * ramp(n), lambda n: 0.7 - 0.4 * ramp(n))),
        ("wrong samples", lambda a, b, n: nb09._join(a, torch.cat((b[:, :n].flip(1), b[:, n:]), 1), n)),
        ("precision lost", lambda a, b, n: nb09._join(a.float(), b.float(), n)),
        ("not a weighted sum", lambda a, b, n: nb09._join(a, b, n) if a.mean() else a.new_zeros(1, 80 - n)),
    ],
)
def test_joins_that_are_wrong(mistake, answer, fails_with):
    fails_with(nb09.join, mistake, answer)


def package(first, second, overlap):
    """The package's own fade, over an overlap that is a quarter of the windows."""
    a, b = (x.shape[1] for x in (first, second))
    window = 4 * overlap
    first_window = torch.nn.functional.pad(first, (window - a, 0)).float()
    second_window = torch.nn.functional.pad(second, (0, window - b)).float()
    plan = [(0, window), (window - overlap, 2 * window - overlap)]
    blocks = overlap_add([first_window, second_window], plan, [range(len(first))] * 2)
    return torch.cat(list(blocks), 1)[:, window - a : window - overlap + b].double()


@pytest.mark.parametrize(
    "answer",
    [
        joins(ramp, lambda n: 1 - ramp(n)),
        joins(lambda n: ramp(n + 2)[1:-1], lambda n: 1 - ramp(n + 2)[1:-1]),  # without the zero at the end
        joins(lambda n: sine(n).square(), lambda n: sine(n).flip(0).square()),
        package,
    ],
)
def test_any_fade_that_sums_to_one_is_right(answer):
    nb09.join.check(answer)
    assert nb09.join.outcome == RIGHT


# 09.3


@pytest.mark.parametrize("mistake", nb09._ORDER_SLIPS)
def test_order_slips(mistake, fails_with):
    slip, hint = nb09._ORDER_SLIPS[mistake]
    fails_with(nb09.seam_order, mistake, lambda a, b, n: slip(a, b, n), hint)


def test_the_slips_differ_from_each_other_and_the_right_answer():
    right = [nb09._seam_order(*seam) for seam in nb09._seams()]
    answers = [right, *([slip(*seam) for seam in nb09._seams()] for slip, _ in nb09._ORDER_SLIPS.values())]
    assert all(a != b for a, b in itertools.combinations(answers, 2))
    counts = [[slip(*lengths) for lengths in nb09._LENGTHS] for slip, _ in nb09._COUNT_SLIPS.values()]
    assert all(a != b for a, b in itertools.combinations(counts, 2))


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("sign ignored", lambda a, b, n: nb09._seam_order(a, b, n, change=torch.square)),
        ("not an order", lambda a, b, n: 1),
        ("not an order", lambda a, b, n: ["first", "second", "third"][: len(a)]),
        ("not an order", lambda a, b, n: [0]),
        ("not an order", lambda a, b, n: [0] * len(a)),
        ("other order", lambda a, b, n: range(len(a))),
    ],
)
def test_other_orders(mistake, answer, fails_with):
    fails_with(nb09.seam_order, mistake, answer)


@pytest.mark.parametrize(
    "answer",
    [
        lambda a, b, n: tuple(nb09._seam_order(a, b, n)),
        lambda a, b, n: torch.tensor(nb09._seam_order(a, b, n)),
        # the smallest squared distance, which for all permutations is the largest inner product
        lambda a, b, n: min(
            itertools.permutations(range(len(a))),
            key=lambda order: float((a[:, -n:] - b[list(order), :n]).square().sum()),
        ),
    ],
)
def test_orders_that_are_right_another_way(answer):
    nb09.seam_order.check(answer)
    assert nb09.seam_order.outcome == RIGHT


def test_the_packages_overlap_method_finds_the_same_orders():
    for previous, following, overlap in nb09._seams():
        a, b = previous.shape[1], following.shape[1]
        plan = [(0, a), (a - overlap, a - overlap + b)]
        orders = track_speakers([previous, following], plan, 8000, "overlap").orders
        assert list(orders[1]) == nb09._seam_order(previous, following, overlap)


# All


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_an_answer_with_the_wrong_arguments_cannot_be_checked(exercise):
    exercise.check(lambda x: x + 1)
    assert exercise.outcome == CANT_CHECK


def test_every_mistake_has_a_hint_of_its_own():
    hints = [hint for slips in (nb09._COUNT_SLIPS, nb09._ORDER_SLIPS) for _, hint in slips.values()]
    assert len(set(hints)) == len(hints)


@pytest.mark.parametrize(
    ("exercise", "right"), [(nb09.join, nb09._join), (nb09.seam_order, nb09._seam_order)]
)
def test_an_answer_that_spoils_its_input_is_judged_by_what_it_was(exercise, right):
    def spoils(first, second, overlap):
        answer = right(first, second, overlap)
        first.neg_()
        second.zero_()
        return answer

    exercise.check(spoils)
    assert exercise.outcome == RIGHT


def test_the_minutes_of_the_cards_are_those_that_the_notebook_states():
    path = Path(__file__).parents[2] / "notebooks" / "09_long_audio.ipynb"
    text = " ".join("".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).split())
    total, reading, exercises = map(
        int, re.search(r"about (\d+) minutes: (\d+) to read and try, (\d+) for the three", text).groups()
    )
    assert exercises == sum(e.minutes for e in ALL)
    assert total == reading + exercises
