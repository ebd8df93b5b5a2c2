"""Notebook 03's exercises: right answers, untouched stubs, errors, each named mistake with its own hint."""

import itertools
import json
import re
from pathlib import Path

import pytest
import torch
from exercises import CANT_CHECK, RIGHT, WRONG, nb03

from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr

ALL = {name: getattr(nb03, name) for name in nb03.__all__}
FUNCTIONS = [name for name in ALL if name != "share_failed"]


def _solution(exercise):
    """What the exercise's own solution text defines."""
    code = re.search(r"```python\n(.*?)```", exercise.solution, re.DOTALL).group(1)
    scope = {"torch": torch, "si_sdr": si_sdr}
    scope |= {"PITLossWrapper": PITLossWrapper, "pairwise_neg_sisdr": pairwise_neg_sisdr}
    exec(code, scope)  # our own text
    return scope[re.search(r"def (\w+)|^(share)", code, re.MULTILINE).group(0).removeprefix("def ")]


def test_a_share_that_is_no_single_number_cannot_be_checked():
    nb03.share_failed.check(torch.zeros(2))
    assert nb03.share_failed.outcome == CANT_CHECK


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_answer_that_is_no_number_is_said_to_be_none(name):
    ALL[name].check(lambda *args: "ten")
    assert (ALL[name].outcome, ALL[name].mistake) == (WRONG, "not a number")


@pytest.mark.parametrize("mistake", nb03._SI_SDR_SLIPS)
def test_si_sdr_slips(mistake, fails_with):
    slip, hint = nb03._SI_SDR_SLIPS[mistake]
    fails_with(nb03.si_sdr, mistake, lambda e, t: slip(e, t), hint)


@pytest.mark.parametrize("mistake", nb03._PIT_SLIPS)
def test_pit_slips(mistake, fails_with):
    slip, hint = nb03._PIT_SLIPS[mistake]
    fails_with(nb03.pit_loss, mistake, lambda m: slip(m), hint)


@pytest.mark.parametrize("mistake", nb03._SI_SDRI_SLIPS)
def test_si_sdri_slips(mistake, fails_with):
    slip, hint = nb03._SI_SDRI_SLIPS[mistake]
    fails_with(nb03.si_sdri, mistake, lambda m, e, s: slip(m, e, s), hint)


@pytest.mark.parametrize("mistake", nb03._REORDER_SLIPS)
def test_reorder_slips(mistake, fails_with):
    slip, hint = nb03._REORDER_SLIPS[mistake]
    fails_with(nb03.reorder_estimates, mistake, lambda e, o: slip(e, o), hint)


@pytest.mark.parametrize("mistake", nb03._SHARE_SLIPS)
def test_share_slips(mistake, fails_with):
    value, hint = nb03._SHARE_SLIPS[mistake]
    fails_with(nb03.share_failed, mistake, value, hint)


@pytest.mark.parametrize(
    ("exercise", "mistake", "answer"),
    [
        (nb03.si_sdr, "summed over the batch", lambda e, t: si_sdr(e.flatten(), t.flatten())),
        (nb03.si_sdr, "wrong shape", lambda e, t: si_sdr(e, t).unsqueeze(-1)),
        (nb03.si_sdr, "other numbers", lambda e, t: si_sdr(e, t) + 1),
        (nb03.si_sdr, "silence", lambda e, t: nb03._projection(e, t)),
        (nb03.pit_loss, "no batch mean", lambda m: nb03._by_permutation(m).mean(-1).min(1).values),
        (nb03.pit_loss, "wrong shape", lambda m: m.min(1).values),
        (nb03.pit_loss, "other numbers", lambda m: 0.0),
        (nb03.si_sdri, "no mean", lambda m, e, s: nb03._improvement(m, e, s)),
        (nb03.si_sdri, "wrong shape", lambda m, e, s: torch.zeros(2)),
        (nb03.si_sdri, "other numbers", lambda m, e, s: 1.5),
        (nb03.reorder_estimates, "wrong shape", lambda e, o: e[:, :2]),
        (nb03.reorder_estimates, "other numbers", lambda e, o: e.flip(1)),
        (nb03.share_failed, "other number", 0.25),
    ],
)
def test_the_other_mistakes(exercise, mistake, answer, fails_with):
    fails_with(exercise, mistake, answer)


@pytest.mark.parametrize(
    "slips", ["_SI_SDR_SLIPS", "_PIT_SLIPS", "_SI_SDRI_SLIPS", "_REORDER_SLIPS", "_SHARE_SLIPS"]
)
def test_every_mistake_has_a_hint_of_its_own(slips):
    hints = [hint for _, hint in getattr(nb03, slips).values()]
    assert len(set(hints)) == len(hints)


@pytest.mark.parametrize("matrix", [nb03._PIT_TWO, nb03._PIT_THREE])
def test_the_wrong_ideas_about_pit_differ_from_the_right_one_on_the_judges_matrices(matrix):
    values = [float(slip(matrix)) for name, (slip, _) in nb03._PIT_SLIPS.items() if name != "two orders only"]
    values.append(float(nb03._right_pit(matrix)))
    assert all(abs(a - b) > 0.05 for a, b in itertools.combinations(values, 2)), values


def test_consistent_projection_onto_the_estimate_is_right_since_si_sdr_is_symmetric():
    nb03.si_sdr.check(lambda e, t: si_sdr(t, e))
    assert nb03.si_sdr.outcome == RIGHT


def test_hints_and_the_solution_never_raise():
    for exercise in ALL.values():
        for _ in range(len(exercise.hints) + 2):
            exercise.hint()
        exercise.show_solution()
        exercise.card()


def test_a_plain_number_is_accepted_for_a_scalar():
    nb03.pit_loss.check(lambda m: float(nb03._right_pit(m)))
    assert nb03.pit_loss.outcome == RIGHT


def test_the_minutes_of_the_cards_are_those_that_the_notebook_states():
    path = Path(__file__).parents[2] / "notebooks" / "03_loss_and_pit.ipynb"
    text = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    stated = re.search(r"(\d+) for the five exercises", " ".join("".join(text).split()))
    assert int(stated.group(1)) == sum(e.minutes for e in ALL.values())
