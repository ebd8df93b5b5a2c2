"""What holds for every exercise: its sheet, its solution, its stub, its wrong answers and its notebook."""

import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import exercises
import pytest
from exercises import CANT_CHECK, NOT_ATTEMPTED, RIGHT, WRONG, Exercise

FOLDER = Path(exercises.__file__).parent
MODULES = [importlib.import_module(f"exercises.{path.stem}") for path in sorted(FOLDER.glob("nb[0-9]*.py"))]
ALL = [(module, getattr(module, name)) for module in MODULES for name in module.__all__]
EXERCISES = [exercise for _, exercise in ALL]
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
every_function = pytest.mark.parametrize(
    "exercise", [e for e in EXERCISES if callable(e.right)], ids=lambda e: e.id
)


def sheet_name(module) -> str:
    """Such as ``nb02``."""
    return module.__name__.rpartition(".")[2]


def notebook(module) -> tuple[str, list[dict]]:
    """The first text of the notebook of a module, and its cells."""
    number = sheet_name(module).removeprefix("nb")
    (path,) = FOLDER.parent.glob(f"{number}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return " ".join("".join(cells[0]["source"]).split()), cells


@every_exercise
def test_the_solution_is_right(exercise):
    assert exercise.judge(exercise.right).outcome == RIGHT


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [(e, a) for e in EXERCISES for a in e.also_right],
    ids=lambda x: getattr(x, "id", ""),
)
def test_another_right_answer_is_right(exercise, answer):
    verdict = exercise.judge(answer)
    assert verdict.outcome == RIGHT, verdict


@pytest.mark.parametrize(
    ("exercise", "mistake", "answer"),
    [(e, mistake, answer) for e in EXERCISES for mistake, answer in e.wrong_answers],
    ids=lambda x: getattr(x, "id", x if isinstance(x, str) else ""),
)
def test_a_wrong_answer_gets_the_hint_of_its_mistake(exercise, mistake, answer):
    verdict = exercise.judge(answer)
    assert (verdict.outcome, verdict.mistake) == (WRONG, mistake), verdict.hint
    parts = re.split(r"\{[a-z_]+\}", exercise.hint_for(mistake))
    assert re.fullmatch(".*".join(map(re.escape, parts)), verdict.hint, re.DOTALL)
    assert not re.search(r"\{[a-z_]+\}", verdict.hint.replace("{kind: mean}", "")), "a place was not filled"


@every_exercise
def test_an_unchanged_stub_is_not_attempted(exercise):
    def stub(a, b, c=None, d=None): ...

    for untouched in (stub, ..., None):
        assert exercise.judge(untouched).outcome == NOT_ATTEMPTED


@every_function
def test_an_answer_that_raises_cannot_be_checked(exercise):
    def broken(*args):
        raise IndexError("oh")

    assert exercise.judge(broken).outcome == CANT_CHECK


@every_function
def test_an_answer_with_the_wrong_arguments_cannot_be_checked(exercise):
    assert exercise.judge(lambda a, b, c, d, e, f: a + 1).outcome == CANT_CHECK


@every_exercise
def test_every_mistake_has_a_wrong_answer_and_a_hint_of_its_own(exercise):
    names = list(dict.fromkeys(name for name, _ in exercise.wrong_answers))
    hints = [exercise.hint_for(name) for name in names]
    assert set(exercise.known) <= set(names)
    assert len(set(hints)) == len(hints)


@every_module
def test_every_mistake_that_a_check_raises_is_on_its_sheet(module):
    calls = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Mistake"
    ]
    raised = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    listed = {name for m, exercise in ALL if m is module for name, _ in exercise.wrong_answers}
    assert raised <= listed


def test_every_shared_mistake_is_tried():
    shared = set(re.findall(r"^- \*\*(.+?)\*\*", (FOLDER / "judging.md").read_text("utf-8"), re.MULTILINE))
    assert shared <= {name for exercise in EXERCISES for name, _ in exercise.wrong_answers}


@every_exercise
def test_card_and_hints_never_raise(exercise):
    assert exercise.title in exercise.card().data
    for _ in range(len(exercise.hints) + 2):
        exercise.hint()
    exercise.show_solution()


@every_function
def test_the_task_names_the_arguments_of_the_solution(exercise):
    arguments = ", ".join(inspect.signature(exercise.right).parameters)
    assert f"`{exercise.right.__name__}({arguments})`" in exercise.task.replace("\n", " ")


def test_ids_are_unique_and_numbered_by_notebook():
    assert len(EXERCISES) >= 40
    assert len({e.id for e in EXERCISES}) == len(EXERCISES)
    for module in MODULES:
        ids = [e.id for m, e in ALL if m is module]
        number = sheet_name(module).removeprefix("nb")
        assert sorted(ids) == sorted(f"{number}.{i + 1}" for i in range(len(ids)))


def test_at_least_as_many_wrong_answers_are_tried_as_before_the_sheets():
    assert sum(len(e.wrong_answers) for e in EXERCISES) >= 508


@every_module
def test_a_sheet_and_its_module_have_the_same_exercises(module):
    sheet = (FOLDER / f"{sheet_name(module)}.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^`(\w+)` · difficulty", sheet, re.MULTILINE)) == sorted(module.__all__)
    minutes = sum(e.minutes for m, e in ALL if m is module)
    assert f"exercises, {minutes} minutes" in sheet
    assert all(isinstance(getattr(module, name), Exercise) for name in module.__all__)


@every_module
def test_the_notebook_shows_and_checks_every_exercise_after_its_section(module):
    _, cells = notebook(module)
    seen, sections = set(), set()
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            sections |= {f"section {number}" for number in re.findall(r"^## (\d+)\.", text, re.MULTILINE)}
        for name in re.findall(rf"{sheet_name(module)}\.(\w+)\.(?:card\(\)|check\()", text):
            assert getattr(module, name).after in sections, name
            seen.add(name)
    assert seen == set(module.__all__)


@every_module
def test_the_minutes_of_the_cards_are_those_that_the_notebook_states(module):
    text, _ = notebook(module)
    time = r"\*\*Time\*\*(?: about (\d+) minutes:)? (\d+) (?:minutes )?to .+?, (\d+) (?:minutes )?for the"
    total, reading, stated = re.search(time, text).groups()
    assert int(stated) == sum(e.minutes for m, e in ALL if m is module)
    assert total is None or int(total) == int(reading) + int(stated)


def test_the_readme_starts_papermill_where_the_exercises_are_found():
    readme = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^papermill .*", readme, re.MULTILINE)
    assert commands and all("--cwd notebooks" in command for command in commands)
