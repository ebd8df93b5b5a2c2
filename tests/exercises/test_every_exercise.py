"""What holds for every exercise of every notebook: the solution is right, a stub is no attempt, nothing raises."""

import importlib
import re
from pathlib import Path

import exercises
import pytest
import torch
from exercises import CANT_CHECK, NOT_ATTEMPTED, RIGHT, Exercise

import dprnn_lab.loss

MODULES = sorted(p.stem for p in Path(exercises.__file__).parent.glob("nb[0-9]*.py"))
ALL = {
    exercise.id: exercise
    for name in MODULES
    for exercise in vars(importlib.import_module(f"exercises.{name}")).values()
    if isinstance(exercise, Exercise)
}
every_exercise = pytest.mark.parametrize("exercise", ALL.values(), ids=ALL.keys())


def _solution(exercise):
    """The answer in the exercise's own solution text: a function, or a value."""
    code = re.search(r"```python\n(.*?)```", exercise.solution, re.DOTALL)[1]
    scope = {"torch": torch, **vars(dprnn_lab.loss)}
    exec(code, scope)  # our own text
    return scope[
        re.search(r"^(?:def (\w+)|(\w+) =)", code, re.MULTILINE)[0].removeprefix("def ").removesuffix(" =")
    ]


@every_exercise
def test_the_shown_solution_is_right(exercise):
    exercise.check(_solution(exercise))
    assert exercise.outcome == RIGHT


@every_exercise
def test_an_untouched_stub_is_not_attempted(exercise):
    def stub(a, b, c=None, d=None): ...

    for untouched in (stub, ..., None):
        exercise.check(untouched)
        assert exercise.outcome == NOT_ATTEMPTED


@every_exercise
def test_an_answer_that_raises_cannot_be_checked(exercise):
    def broken(*args):
        raise IndexError("oh")

    if exercise.id == "03.5":
        pytest.skip("its answer is a number, not a function")
    exercise.check(broken)
    assert exercise.outcome == CANT_CHECK


@every_exercise
def test_card_and_hints_never_raise(exercise):
    assert exercise.title in exercise.card().data
    for _ in range(len(exercise.hints) + 2):
        exercise.hint()
    exercise.show_solution()


def test_ids_are_unique_and_numbered_by_notebook():
    assert len(ALL) >= 15
    assert all(re.fullmatch(r"\d\d\.\d", key) for key in ALL)
