"""What the cells of an assignment call: the parts that are given, and the check of an answer.

A check asks with the inputs of the notebooks, which students see, and in the lecturer's version once more with others:
an answer that knows the first by heart is wrong. It raises :class:`NotRight` with the hint, which nbgrader takes for
no points and shows in the feedback.
"""

import importlib
import os
import textwrap
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from exercises import CANT_CHECK, NOT_ATTEMPTED, RIGHT, WRONG, Exercise
from exercises.judging import other_inputs

from .isolated import run_isolated

__all__ = ["NotRight", "given", "judge", "mark", "task"]

# For one check: a hundred times what the solutions need. nbgrader_config.py can set another limit.
SECONDS = float(os.environ.get("DPRNN_LAB_CHECK_SECONDS", "30"))


class NotRight(AssertionError):
    """The answer is not right; the text is what the student reads, and a notebook shows it without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def task(number: str) -> Exercise:
    """The exercise with an id such as "03.1".

    Raises:
        LookupError: there is none.
    """
    sheet = number.partition(".")[0]
    try:
        module = importlib.import_module(f"exercises.nb{sheet}")
    except ModuleNotFoundError:
        raise LookupError(f"there is no task {number!r}: notebook {sheet!r} has no exercises") from None
    for name in module.__all__:
        if getattr(module, name).id == number:
            return getattr(module, name)
    raise LookupError(f"there is no task {number!r}: notebook {sheet} has tasks 1 to {len(module.__all__)}")


def given(sheet: str, *names: str) -> Any:
    """Parts of the network that an assignment gives, from the setup of a sheet such as "12"; one, or a tuple."""
    module = importlib.import_module(f"exercises.nb{sheet}")
    scope: dict[str, Any] = {"__name__": "given"}
    exec(getattr(module, module.__all__[0]).setup, scope)
    parts = tuple(scope[name] for name in names)
    return parts[0] if len(parts) == 1 else parts


@cache
def _ready(number: str) -> Exercise:
    """The exercise, its solution checked once: what this imports and prepares, the isolated processes have ready."""
    exercise = task(number)
    verdict = exercise.judge(exercise.right)
    if verdict.outcome != RIGHT:
        raise RuntimeError(
            f"the solution of {number} is {verdict.outcome} ({verdict.hint}): a fault of the course"
        )
    return exercise


def judge(number: str, answer: Any, variants: Sequence[int] = ()) -> tuple[str, str | None, str]:
    """Outcome, mistake and hint of an answer, for the notebooks' inputs and then for others; in this process."""
    exercise = task(number)
    torch.set_default_dtype(torch.float32)  # an answer before this one may have changed it
    outcome, mistake, hint = exercise.judge(answer)
    for variant in variants if outcome == RIGHT else ():
        with other_inputs(variant):
            outcome, mistake, hint = exercise.judge(answer)
        if outcome != RIGHT:
            return outcome, mistake, f"right for the inputs that you see, and not for others: {hint}"
    return outcome, mistake, hint


def mark(number: str, answer: Any, variants: Sequence[int] = ()) -> None:
    """Check an answer; nothing happens when it is right.

    Args:
        number: id of the task, such as "03.1".
        answer: the student's function, class or value.
        variants: of the inputs, in the hidden tests: see :func:`exercises.judging.other_inputs`.

    Raises:
        NotRight: the answer is wrong, was not attempted, or can't be checked; with the hint.
    """
    exercise = _ready(number)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the pool of threads does not survive a fork
    try:
        found = run_isolated(lambda: judge(number, answer, variants), SECONDS)
    finally:
        torch.set_num_threads(threads)
    if found.failure:
        raise NotRight(_text(exercise, f"{CANT_CHECK}: {found.failure}.", found.printed))
    outcome, mistake, hint = found.value
    if outcome != RIGHT:
        named = f" ({mistake})" if outcome == WRONG else ""
        raise NotRight(
            _text(exercise, f"{outcome}{named}: {hint}", "" if outcome == NOT_ATTEMPTED else found.printed)
        )


def _text(exercise: Exercise, sentence: str, printed: str) -> str:
    lines = textwrap.wrap(
        f"Task {exercise.id}, {exercise.title}: {sentence}",
        100,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if printed.strip():
        lines += ["What your code printed:", textwrap.indent(printed.rstrip(), "  ")]
    return "\n".join(lines)
