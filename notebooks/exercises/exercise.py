"""One exercise: what is asked, how an answer is judged, and what to say to a wrong one.

Notebook: 01_encoder_decoder (first use)
"""

import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from IPython.display import Markdown, display

__all__ = ["CANT_CHECK", "NOT_ATTEMPTED", "RIGHT", "WRONG", "Exercise", "Mistake", "outcomes"]

RIGHT, WRONG = "right", "wrong"
NOT_ATTEMPTED, CANT_CHECK = "not attempted", "can't be checked"
_SIGNS = {RIGHT: "✅", WRONG: "❌", NOT_ATTEMPTED: "○", CANT_CHECK: "⚠️"}

_REGISTRY: dict[str, "Exercise"] = {}


def outcomes() -> dict[str, str]:
    """Outcome of every exercise imported in this session, by its id."""
    return {key: exercise.outcome for key, exercise in _REGISTRY.items()}


class Mistake(Exception):
    """Raised by a check: the answer is wrong in a way that has a name and a hint of its own."""

    def __init__(self, name: str, hint: str):
        super().__init__(hint)
        self.name, self.hint = name, hint


@dataclass
class Exercise:
    """A question with an automatic check.

    Args:
        id: such as "02.1"; unique in the course.
        title: a few words.
        task: what to do, Markdown.
        done_when: the condition that the check tests, in words.
        judge: takes the answer, returns nothing when it is right and raises :class:`Mistake` when not.
        hints: from a nudge to nearly the answer; shown one at a time.
        solution: the answer as code or text, Markdown.
        minutes: time it takes.
        difficulty: 1 to 3.

    An answer of ``...`` or None, or a function whose body is only ``...``, counts as not attempted.
    """

    id: str
    title: str
    task: str
    done_when: str
    judge: Callable[[Any], None]
    hints: Sequence[str]
    solution: str
    minutes: int = 5
    difficulty: int = 1
    outcome: str = NOT_ATTEMPTED
    mistake: str | None = None  # the name of the last Mistake

    def __post_init__(self):
        self._hints_shown = 0
        _REGISTRY[self.id] = self

    def card(self) -> Markdown:
        """What is asked, how hard it is, how long it takes, when it is done."""
        return Markdown(
            f"**Exercise {self.id}: {self.title}** &nbsp; {'●' * self.difficulty}{'○' * (3 - self.difficulty)} "
            f"&nbsp; about {self.minutes} min\n\n{self.task}\n\n*Done when:* {self.done_when}"
        )

    def check(self, answer: Any) -> None:
        """Judge an answer, remember the outcome, and say it."""
        self.mistake = None
        if _untouched(answer):
            self._say(NOT_ATTEMPTED, "replace the `...` with your answer, then run this cell again.")
            return
        try:
            self.judge(answer)
        except Mistake as mistake:
            self.mistake = mistake.name
            self._say(WRONG, mistake.hint)
        except Exception as error:  # a student's code may raise anything; the notebook must go on
            last = traceback.extract_tb(error.__traceback__)[-1]
            self._say(
                CANT_CHECK,
                f"your answer raised `{type(error).__name__}: {error}` (line {last.lineno}: `{last.line}`).",
            )
        else:
            self._say(RIGHT, self.done_when)

    def hint(self) -> None:
        """Show the next hint."""
        if self._hints_shown == len(self.hints):
            display(Markdown("That was the last hint; `.show_solution()` shows the answer."))
            return
        self._hints_shown += 1
        display(
            Markdown(f"💡 Hint {self._hints_shown} of {len(self.hints)}: {self.hints[self._hints_shown - 1]}")
        )

    def show_solution(self) -> None:
        """Show the solution."""
        display(Markdown(f"**Solution of {self.id}**\n\n{self.solution}"))

    def _say(self, outcome: str, text: str) -> None:
        self.outcome = outcome
        display(Markdown(f"{_SIGNS[outcome]} **{outcome[0].upper()}{outcome[1:]}**: {text}"))


def _untouched(answer: Any) -> bool:
    if answer is ... or answer is None:
        return True
    if not inspect.isfunction(answer):
        return False
    # A stub "def f(x): ..." returns None and has no names or constants of its own but Ellipsis and docstring.
    code = answer.__code__
    constants = [c for c in code.co_consts if c is not None and c is not ... and c != answer.__doc__]
    return not constants and not code.co_names and _returns_none(code)


def _returns_none(code) -> bool:
    import dis

    useful = {i.opname for i in dis.get_instructions(code)} - {"RESUME", "NOP", "COPY_FREE_VARS"}
    return useful <= {"LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "POP_TOP"}
