"""The instructor's notebooks: a solution that is right, a stub that is none, hidden tests with other inputs."""

import ast
import copy
import re
from collections import Counter

import nbformat
import pytest
from course.assignments import NOTEBOOKS, SHEETS, assignment, notebook_of, points, stub_of, tasks
from course.marking import judge
from course.stubs import BEGIN, END, solved_cell, stub_cell
from exercises import NOT_ATTEMPTED, RIGHT
from exercises.judging import other_inputs

every_sheet = pytest.mark.parametrize("sheet", SHEETS)
EXERCISES = [exercise for sheet in SHEETS for exercise in tasks(sheet)]
every_task = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
FUNCTIONS = [e for e in EXERCISES if callable(e.right) and not isinstance(e.right, type)]


def test_there_are_enough_tasks_and_every_notebook_with_exercises_is_an_assignment():
    assert len(EXERCISES) >= 40
    assert [sheet + "_" for sheet in SHEETS] == [
        name[: len(sheet) + 1]
        for sheet, name in zip(SHEETS, map(lambda s: notebook_of(s).stem, SHEETS), strict=True)
    ]
    for sheet in ("00b", *(f"{n:02d}" for n in range(1, 13))):
        assert sheet in SHEETS


@every_sheet
def test_an_assignment_is_valid_and_each_task_has_its_text_its_answer_and_its_test(sheet):
    notebook = assignment(sheet, "secret")
    nbformat.validate(notebook)
    assert notebook == assignment(sheet, "secret")
    names = [cell.metadata.nbgrader.grade_id for cell in notebook.cells]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)
    kinds = Counter(name.partition("-")[0] for name in names)
    count = len(tasks(sheet))
    assert kinds == {"intro": 1, "setup": 1, "text": count, "answer": count, "test": count}
    for cell in notebook.cells:
        marks = cell.metadata.nbgrader
        assert marks.locked != marks.solution
        assert (BEGIN in cell.source) == marks.solution and (END in cell.source) == marks.solution
    given = sum(cell.metadata.nbgrader.get("points", 0) for cell in notebook.cells)
    assert given == sum(map(points, tasks(sheet)))
    assert f"{count} tasks, {given} points" in notebook.cells[0].source


@every_sheet
def test_the_solutions_of_an_assignment_are_right_and_its_stubs_are_not_attempted(sheet):
    cells = {cell.metadata.nbgrader.grade_id: cell.source for cell in assignment(sheet, "secret").cells}
    for make, wanted in ((str, RIGHT), (stub_cell, NOT_ATTEMPTED)):
        scope = {"__name__": "assignment"}
        exec(cells["setup"], scope)
        for exercise in tasks(sheet):
            number = exercise.id.replace(".", "-")
            exec(make(cells[f"answer-{number}"]), scope)
            called = ast.parse(cells[f"test-{number}"]).body[1].value
            assert called.args[0].value == exercise.id
            outcome, _, hint = judge(exercise.id, scope[called.args[1].id])
            assert outcome == wanted, (exercise.id, hint)


@every_sheet
def test_a_release_shows_no_line_of_a_solution(sheet):
    notebook = nbformat.read(notebook_of(sheet), as_version=4)
    for exercise in tasks(sheet):
        stub = stub_of(exercise, notebook)
        shown = stub_cell(solved_cell(stub, exercise.solution_code)).splitlines()
        known = set(map(str.strip, stub.splitlines())) | {"...  # your code", ""}
        head = {
            line.strip().removesuffix("# your code").rstrip().removesuffix("...").rstrip()
            for line in stub.splitlines()
        }
        assert set(map(str.strip, shown)) <= known | head, exercise.id


@pytest.mark.parametrize("exercise", [e for e in EXERCISES if callable(e.right)], ids=lambda e: e.id)
@pytest.mark.parametrize("variant", [1, pytest.param(987_654_321, marks=pytest.mark.slow)])
def test_the_solution_is_right_for_other_inputs(exercise, variant):
    with other_inputs(variant):
        assert exercise.judge(exercise.right).outcome == RIGHT


@pytest.mark.slow
@pytest.mark.parametrize("exercise", [e for e in EXERCISES if e.also_right], ids=lambda e: e.id)
def test_other_right_answers_are_right_for_other_inputs(exercise):
    for variant in (1, 2, 3, 12_345):
        with other_inputs(variant):
            assert [exercise.judge(answer).outcome for answer in exercise.also_right] == [RIGHT] * len(
                exercise.also_right
            )


def test_the_message_of_a_case_is_the_same_for_other_inputs():
    from exercises import nb07

    read = nb07.case()
    nb07._case.cache_clear()
    with other_inputs(12_345):
        assert nb07.case() == read
    nb07._case.cache_clear()


class Recorded:
    """A solution that writes down what it returns, and then says it by heart."""

    def __init__(self, right):
        self.right, self.results, self.call = right, [], None

    def __call__(self, *arguments):
        if self.call is None:
            self.results.append(self.right(*copy.deepcopy(arguments)))
            return copy.deepcopy(self.results[-1])
        self.call += 1
        return copy.deepcopy(self.results[(self.call - 1) % len(self.results)])


@pytest.mark.parametrize("exercise", FUNCTIONS, ids=lambda e: e.id)
def test_results_learnt_by_heart_are_not_right_for_other_inputs(exercise):
    answer = Recorded(exercise.right)
    exercise.judge(answer)
    assert answer.results
    for variant in (2, 3):
        answer.call = 0
        with other_inputs(variant):
            assert exercise.judge(answer).outcome != RIGHT


def test_the_inputs_of_the_notebooks_come_back_after_others():
    exercise = tasks("01")[0]
    with pytest.raises(ZeroDivisionError), other_inputs(3):
        raise ZeroDivisionError
    assert exercise.judge(exercise.right).outcome == RIGHT
    with pytest.raises(ValueError, match="variant is -1"), other_inputs(-1):
        pass


def test_the_code_of_the_wrong_answers_is_that_of_the_answers():
    for exercise in EXERCISES:
        assert [name for name, _ in exercise.wrong_code] == [name for name, _ in exercise.wrong_answers]


def test_other_secrets_give_other_hidden_inputs():
    first, second = (assignment("01", secret) for secret in ("one", "two"))
    assert [c.source for c in first.cells[:2]] == [c.source for c in second.cells[:2]]
    assert [c.source for c in first.cells] != [c.source for c in second.cells]


@pytest.mark.parametrize(
    ("stub", "solution"),
    [
        ("def f(x): ...", "def g(x):\n    return x"),
        ("x = ...", "def x():\n    return 1"),
        ("class A: ...", "a = 1"),
    ],
)
def test_a_stub_for_something_else_is_refused(stub, solution):
    with pytest.raises(ValueError, match="the stub defines"):
        solved_cell(stub, solution)


def test_an_exercise_that_no_cell_checks_is_refused():
    with pytest.raises(LookupError, match=r"no cell of the notebook checks an answer to 01\.1"):
        stub_of(tasks("01")[0], nbformat.v4.new_notebook())


def test_the_readme_has_the_table_of_the_sheets():
    readme = (NOTEBOOKS / "course" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", readme, re.MULTILINE
    )
    wanted = []
    for sheet in SHEETS:
        total, wrong = sum(map(points, tasks(sheet))), sum(len(e.wrong_answers) for e in tasks(sheet))
        wanted.append((notebook_of(sheet).stem, len(tasks(sheet)), total, total, 0, wrong, wrong))
    sums = [sum(row[i] for row in wanted) for i in range(1, 7)]
    assert [(name, *map(int, numbers)) for name, *numbers in rows] == [*wanted, ("sum", *sums)]
