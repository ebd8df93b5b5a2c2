"""The table of the course: tasks, points, and what the check gives to solutions, stubs and typical wrong answers."""

from collections.abc import Sequence
from typing import NamedTuple

from exercises import RIGHT, WRONG, Exercise

from .assignments import SHEETS, notebook_of, points, tasks
from .marking import judge

__all__ = ["Row", "row", "table"]

HIDDEN = (1, 2)  # variants of the inputs with which the solutions are checked


class Row(NamedTuple):
    """One assignment: its tasks, and the points for the solutions, the stubs and the wrong answers of the sheet."""

    name: str
    tasks: int
    points: int
    solutions: int
    stubs: int
    wrong: int  # wrong answers on the sheet
    with_hint: int  # of which the check says wrong, with the hint of their mistake


def row(sheet: str) -> Row:
    """Check the solutions, stubs and wrong answers of a sheet such as "03"."""
    exercises = tasks(sheet)
    wrong = [(e, mistake, answer) for e in exercises for mistake, answer in e.wrong_answers]
    return Row(
        notebook_of(sheet).stem,
        len(exercises),
        sum(map(points, exercises)),
        sum(points(e) for e in exercises if judge(e.id, e.right, HIDDEN)[0] == RIGHT),
        sum(points(e) for e in exercises if judge(e.id, ...)[0] == RIGHT),
        len(wrong),
        sum(_recognised(*one) for one in wrong),
    )


def _recognised(exercise: Exercise, mistake: str, answer: object) -> bool:
    outcome, found, hint = judge(exercise.id, answer)
    return (outcome, found) == (WRONG, mistake) and bool(hint)


def table(sheets: Sequence[str] = SHEETS) -> str:
    """The rows and their sum, in Markdown."""
    rows = [row(sheet) for sheet in sheets]
    rows.append(Row("sum", *(sum(numbers) for numbers in list(zip(*rows, strict=True))[1:])))
    lines = [
        "| assignment | tasks | points | of the solutions | of the stubs | wrong answers | marked wrong, with hint |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *("| " + " | ".join(map(str, one)) + " |" for one in rows)]) + "\n"
