"""The instructor's notebooks: one assignment for each notebook with exercises, made from the sheets.

A task is three cells: its text, the solution between nbgrader's marks, and the check, with the hidden tests between
theirs. Nothing of the long notebook is needed: the first cell imports what the tasks use.
"""

import ast
import importlib
import random
import re
from pathlib import Path

import nbformat
from exercises import Exercise
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from .stubs import solved_cell

__all__ = [
    "FIRST",
    "KERNEL",
    "NOTEBOOKS",
    "SHEETS",
    "assignment",
    "nbgrader_metadata",
    "notebook_of",
    "points",
    "tasks",
]

NOTEBOOKS = Path(__file__).resolve().parents[1]
SHEETS = [path.stem.removeprefix("nb") for path in sorted((NOTEBOOKS / "exercises").glob("nb[0-9]*.py"))]
VARIANTS = 2  # of the inputs, in the hidden tests of each task
# What an assignment needs beside the setup of its sheet: code for the first cell.
EXTRA = {
    "07": "from exercises import nb07\nfrom dprnn_lab.diagnosis import CATALOGUE\n\n"
    'scenes = [entry for entry in CATALOGUE.values() if entry.group == "E"]',
}
FIRST = """import sys

from dprnn_lab.files import data_folder

sys.path.insert(0, str(data_folder().parent / "notebooks"))  # where the checks are
from course import mark"""
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def tasks(sheet: str) -> list[Exercise]:
    """The exercises of a sheet such as "03", by their numbers."""
    module = importlib.import_module(f"exercises.nb{sheet}")
    found = [getattr(module, name) for name in module.__all__]
    return sorted(found, key=lambda exercise: int(exercise.id.partition(".")[2]))


def points(exercise: Exercise) -> int:
    """Two for each degree of difficulty: 2, 4 or 6."""
    return 2 * exercise.difficulty


def notebook_of(sheet: str) -> Path:
    """The notebook that has the exercises of a sheet."""
    (path,) = NOTEBOOKS.glob(f"{sheet}_*.ipynb")
    return path


def stub_of(exercise: Exercise, notebook: nbformat.NotebookNode) -> str:
    """The cell in which the notebook asks for an answer, without its check.

    Raises:
        LookupError: the notebook checks no answer to this exercise.
    """
    check = re.compile(rf"^nb\w+\.{exercise.name}\.check\(.*\)$", re.MULTILINE)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code" and check.search(cell.source)]
    if not cells:
        raise LookupError(f"no cell of the notebook checks an answer to {exercise.id}")
    own = check.sub("", cells[0]).strip()
    if own:
        return own
    # The check has a cell of its own: the answer is in the code cell before it.
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return sources[sources.index(cells[0]) - 1].strip()


def assignment(sheet: str, secret: str) -> nbformat.NotebookNode:
    """The instructor's notebook for the exercises of a sheet.

    Args:
        sheet: such as "03".
        secret: from which the inputs of the hidden tests are drawn.
    """
    path = notebook_of(sheet)
    notebook = nbformat.read(path, as_version=4)
    exercises = tasks(sheet)
    solved = [solved_cell(stub_of(e, notebook), e.solution_code) for e in exercises]
    cells = [_intro(path, exercises), _first(sheet, exercises[0].setup, solved)]
    for exercise, cell in zip(exercises, solved, strict=True):
        cells += [_text(exercise), _answer(exercise, cell), _test(exercise, cell, secret)]
    made = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    for number, cell in enumerate(made.cells):  # the same cells from the same sheets
        cell.id = f"{sheet}-{number:03d}"
    nbformat.validate(made)
    return made


def nbgrader_metadata(name: str, **flags: object) -> dict:
    """A cell's metadata for nbgrader: its name, and which kinds it is of."""
    kinds = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    return {"nbgrader": {**kinds, "grade_id": name, **flags}}


def _plain(number: str) -> str:
    """ "03.1" as a name that nbgrader takes: "03-1"."""
    return number.replace(".", "-")


def _intro(path: Path, exercises: list[Exercise]) -> nbformat.NotebookNode:
    title = path.stem.partition("_")[2].replace("_", " ").capitalize()
    total, minutes = sum(map(points, exercises)), sum(e.minutes for e in exercises)
    text = (
        f"# {path.stem.partition('_')[0]} {title}: graded tasks\n\n"
        f"{len(exercises)} tasks, {total} points, about {minutes} minutes. They belong to `{path.name}` and need none "
        "of its cells. Replace each `...` by your answer, and run the cell below it: it checks the answer and gives a "
        "hint. Your answers are checked once more with other inputs, so write no result into the code. Each check "
        "stops after 30 seconds. Don't change, delete or copy the cells with the checks: they are replaced before "
        "grading.\n\nPoints: two for each ● of difficulty."
    )
    return new_markdown_cell(text, metadata=nbgrader_metadata("intro", locked=True))


def _first(sheet: str, setup: str, cells: list[str]) -> nbformat.NotebookNode:
    """The sheet's imports, of the package only what the tasks use; given parts by name, without their text."""
    used = _names("\n".join([*cells, EXTRA.get(sheet, "")]))
    imports, parts = [], []
    for node in ast.parse(setup).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            ours = (getattr(node, "module", None) or "").startswith("dprnn_lab")
            names = [alias for alias in node.names if not ours or (alias.asname or alias.name) in used]
            if names:
                node.names = names
                imports.append(ast.unparse(node))
        elif getattr(node, "name", None) in used:
            parts.append(node.name)
    lines = [FIRST.replace("import mark", "import given, mark") if parts else FIRST, *imports]
    if parts:
        arguments = ", ".join(f'"{name}"' for name in parts)
        lines += ["", f'{", ".join(parts)} = given("{sheet}", {arguments})']
    lines += ["", EXTRA[sheet]] if sheet in EXTRA else []
    return new_code_cell("\n".join(lines), metadata=nbgrader_metadata("setup", locked=True))


def _names(code: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def _text(exercise: Exercise) -> nbformat.NotebookNode:
    dots = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
    text = (
        f"## {exercise.id} {exercise.title}\n\n{dots} {points(exercise)} points, about {exercise.minutes} minutes, "
        f"after {exercise.after} of the notebook\n\n{exercise.task}\n\n*Done when:* {exercise.done_when}"
    )
    return new_markdown_cell(text, metadata=nbgrader_metadata(f"text-{_plain(exercise.id)}", locked=True))


def _answer(exercise: Exercise, cell: str) -> nbformat.NotebookNode:
    return new_code_cell(cell, metadata=nbgrader_metadata(f"answer-{_plain(exercise.id)}", solution=True))


def _test(exercise: Exercise, cell: str, secret: str) -> nbformat.NotebookNode:
    """The check with the notebook's inputs, and hidden tests with others; both import the check anew."""
    last = ast.parse(cell).body[-1]
    name = last.targets[0].id if isinstance(last, ast.Assign) else last.name
    code = f'from course import mark\n\nmark("{exercise.id}", {name})'
    if callable(exercise.right):
        rng = random.Random(f"{secret} {exercise.id}")
        variants = ", ".join(str(rng.randrange(1, 10**9)) for _ in range(VARIANTS))
        code += f'\n### BEGIN HIDDEN TESTS\nmark("{exercise.id}", {name}, variants=({variants}))\n### END HIDDEN TESTS'
    flags = {"grade": True, "locked": True, "points": points(exercise)}
    return new_code_cell(code, metadata=nbgrader_metadata(f"test-{_plain(exercise.id)}", **flags))
