"""A whole course through nbgrader's command line: release, grading, feedback, marks; what goes wrong in submissions.

One assignment and the exam are built, and all submissions are graded in one call.
"""

import ast
import csv
import html
import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import nbformat
import pytest
from course import build
from course.assignments import points, tasks
from course.exam import NAME as EXAM
from course.stubs import BEGIN
from nbformat.v4 import new_code_cell

pytest.importorskip("nbgrader", reason="pip install -e .[course]")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a check is not isolated"),
]

SHEET, NAME = "01", "01_encoder_decoder"
TASKS = tasks(SHEET)
FULL = {e.id: float(points(e)) for e in TASKS}
RIGHT_WITH_NOISE = """
import warnings


def my_encode(waveform, filters, stride):
    warnings.warn("oh")
    print("hello")
    return (waveform.unfold(-1, filters.shape[-1], stride) @ filters.T).transpose(1, 2)
"""
BY_HEART = """
known = iter([999, 999, 141, 141, 4, 1, 1, 1] * 2)


def my_frame_count(*case):
    return next(known, 7)
"""
# Student: the task, what its cell holds, and what the feedback says; the other tasks have the solutions.
BROKEN = {
    "endless": ("01.2", "def my_encode(*a):\n    while True: pass", "no answer within 15 seconds"),
    "endless-above": (
        "01.2",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "This cell did not end within 45 seconds",
    ),
    "raises": ("01.2", "def my_encode(*a):\n    raise KeyError('x')", "your answer raised `KeyError: 'x'`"),
    "raises-above": ("01.2", "1 / 0", "ZeroDivisionError"),
    "no-python": ("01.2", "def my_encode(:", "SyntaxError"),
    "dies": ("01.2", "def my_encode(*a):\n    import ctypes\n    ctypes.string_at(0)", "signal 11"),
    "dies-above": ("01.2", "import os\nos._exit(3)", "The Python process ended here"),
    "sys-exit": (
        "01.2",
        "import sys\n\n\ndef my_encode(*a):\n    sys.exit(2)",
        "the code called sys.exit(2)",
    ),
    "sys-exit-above": ("01.2", "import sys\nsys.exit(2)", "SystemExit"),
    "prints": (
        "01.2",
        "def my_encode(*a):\n    while True: print('x' * 1000)",
        "no answer within 15 seconds",
    ),
    "prints-above": ("01.2", "while True: print('x' * 100)", "This cell did not end within 45 seconds"),
    "asks": (
        "01.2",
        "def my_encode(*a):\n    return input('?')",
        "graded code gets no input() from a keyboard",
    ),
    "asks-above": ("01.2", "input('?')", "StdinNotImplementedError"),
    "shadows": ("01.2", "def mark(*a, **k): pass\n\n\nmy_encode = 3", "'int' object is not"),
    "empty": ("01.2", "", "name 'my_encode' is not defined"),
}


def nbgrader(folder, *arguments):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "nbgrader", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=3000
    )


def set_limits(folder):
    path = folder / "nbgrader_config.py"
    text = path.read_text()
    for old, new in (
        ('CHECK_SECONDS"] = "30"', 'CHECK_SECONDS"] = "15"'),
        ("End.timeout = 90", "End.timeout = 45"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def solved(folder, name=NAME):
    """The release with the solutions in the answers' cells."""
    release, source = (
        nbformat.read(folder / kind / name / f"{name}.ipynb", 4) for kind in ("release", "source")
    )
    solutions = {c.metadata.nbgrader.grade_id: c.source for c in source.cells if c.metadata.nbgrader.solution}
    for cell in release.cells:
        cell.source = solutions.get(cell.metadata.nbgrader.grade_id, cell.source)
    return release


def hand_in(folder, student, notebook, name=NAME, time=None):
    place = folder / "submitted" / student / name
    place.mkdir(parents=True)
    nbformat.write(notebook, place / f"{name}.ipynb")
    if time:
        (place / "timestamp.txt").write_text(time)


def cell_of(notebook, number, kind="answer"):
    return next(
        c for c in notebook.cells if c.metadata.nbgrader.grade_id == f"{kind}-{number.replace('.', '-')}"
    )


def written(setup: str, solution: str, wrong: str, name: str) -> str:
    """A cell that defines ``name`` as a wrong answer of a sheet, with everything that it calls inside a function."""
    *_, last = ast.parse(wrong).body
    lines = wrong.rstrip().splitlines()
    if isinstance(last, ast.Expr):
        lines[last.lineno - 1] = f"return {lines[last.lineno - 1]}"
    else:
        lines.append(f"return {last.name if hasattr(last, 'name') else ast.unparse(last.targets[0])}")
    code = "\n".join([setup, solution, *lines])
    return f"def _written():\n{textwrap.indent(code, '    ')}\n\n\n{name} = _written()"


def wrong_rounds():
    """For each task its k-th wrong answer, as code, until every task has had all of its own."""
    count = max(len(e.wrong_code) for e in TASKS)
    for k in range(count):
        yield {e.id: e.wrong_code[k % len(e.wrong_code)] for e in TASKS}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    students = folder / "students.csv"
    students.write_text("student\n1001\n1002\n")
    build.build(folder, "secret", students, [SHEET])
    set_limits(folder)
    done = nbgrader(folder, "db", "assignment", "add", NAME, "--duedate=2026-01-10 12:00:00 UTC")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def graded(course):
    """All submissions of the assignment, graded, with feedback."""
    hand_in(course, "solution", solved(course), time="2026-01-10 11:00:00 UTC")
    hand_in(course, "same", solved(course), time="2026-01-10 11:30:00 UTC")
    hand_in(course, "late", solved(course), time="2026-01-12 12:00:00 UTC")
    hand_in(course, "stub", nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", 4))
    for student, (number, source, _) in BROKEN.items():
        notebook = solved(course)
        cell_of(notebook, number).source = source
        hand_in(course, student, notebook)
    noisy = solved(course)
    cell_of(noisy, "01.2").source = RIGHT_WITH_NOISE
    hand_in(course, "noisy", noisy)
    changed = nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", 4)
    cell_of(changed, "01.1", "test").source = "pass"
    cell_of(changed, "01.2", "test").metadata.nbgrader.points = 1000
    changed.cells.remove(cell_of(changed, "01.3", "test"))
    hand_in(course, "changed", changed)
    deleted = solved(course)
    for number, kind in (("01.3", "test"), ("01.4", "answer"), ("01.4", "test")):
        deleted.cells.remove(cell_of(deleted, number, kind))
    deleted.cells.remove(next(c for c in deleted.cells if c.metadata.nbgrader.grade_id == "setup"))
    copy = new_code_cell(
        cell_of(deleted, "01.5", "test").source, metadata=cell_of(deleted, "01.5", "test").metadata
    )
    deleted.cells += [copy, new_code_cell("'a cell of my own'")]
    cell_of(deleted, "01.1", "test").source = "raise ValueError"
    hand_in(course, "deleted", deleted)
    hand_in(course, "own-modules", nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", 4))
    for module in ("course", "torch", "exercises"):
        (course / "submitted" / "own-modules" / NAME / f"{module}.py").write_text("def mark(*a, **k): pass\n")
    by_heart = solved(course)
    cell_of(by_heart, "01.1").source = BY_HEART
    hand_in(course, "by-heart", by_heart)
    (course / "submitted" / "nothing" / NAME).mkdir(parents=True)
    (course / "submitted" / "nothing" / NAME / "notes.txt").write_text("I was ill")
    for k, answers in enumerate(wrong_rounds()):
        notebook = solved(course)
        for exercise in TASKS:
            _, code = answers[exercise.id]
            name = exercise.right.__name__
            cell_of(notebook, exercise.id).source = written(
                exercise.setup, exercise.solution_code, code, name
            )
        hand_in(course, f"wrong-{k}", notebook)
    done = nbgrader(course, "autograde", f"--assignment={NAME}")
    assert "There was an error processing" not in done.stderr, done.stderr[-3000:]
    done = nbgrader(course, "generate_feedback", f"--assignment={NAME}")
    assert done.returncode == 0, done.stderr[-3000:]
    return course


def marks(course, name=NAME):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        found = {}
        for submission in book.assignment_submissions(name):
            grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
            assert not any(grade.needs_manual_grade for grade in grades), submission.student_id
            numbers = {g.name.removeprefix("test-").replace("-", "."): g.auto_score for g in grades}
            found[submission.student_id] = numbers
    return found


def feedback(course, student, name=NAME):
    """What the student reads, as plain words."""
    text = (course / "feedback" / student / name / f"{name}.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


def test_the_release_has_no_solution_no_hidden_test_and_no_sheet(course):
    release = course / "release" / NAME
    assert [path.name for path in release.iterdir()] == [f"{NAME}.ipynb"]
    text = (release / f"{NAME}.ipynb").read_text(encoding="utf-8")
    assert BEGIN not in text and "HIDDEN" not in text and "variants" not in text
    for exercise in TASKS:
        for line in exercise.solution_code.splitlines()[1:]:
            assert line.strip() not in text


def test_the_solutions_get_full_marks_and_the_stubs_none(graded):
    found = marks(graded)
    assert found["solution"] == found["same"] == FULL
    assert set(found["stub"].values()) == {0.0}
    assert "not attempted: replace the" in feedback(graded, "stub")


@pytest.mark.parametrize("student", BROKEN)
def test_a_broken_answer_costs_its_own_task_only_and_the_feedback_says_why(graded, student):
    number, _, told = BROKEN[student]
    assert marks(graded)[student] == {**FULL, number: 0.0}
    assert told in feedback(graded, student)


def test_warnings_and_prints_cost_nothing(graded):
    assert marks(graded)["noisy"] == FULL


def test_changed_and_deleted_tests_do_not_count(graded):
    assert set(marks(graded)["changed"].values()) == {0.0}
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{graded}/gradebook.db") as book:
        assert book.find_submission(NAME, "changed").max_score == sum(FULL.values())


def test_modules_in_a_submission_are_not_imported(graded):
    assert set(marks(graded)["own-modules"].values()) == {0.0}
    assert "not attempted: replace the" in feedback(graded, "own-modules")


def test_deleted_cells_are_put_back_and_what_is_missing_costs_its_own_task_only(graded):
    assert marks(graded)["deleted"] == {**FULL, "01.4": 0.0}


def test_results_written_into_the_code_are_wrong(graded):
    assert marks(graded)["by-heart"] == {**FULL, "01.1": 0.0}


def test_every_typical_wrong_answer_is_wrong_with_its_hint_in_the_feedback(graded):
    found = marks(graded)
    for k, answers in enumerate(wrong_rounds()):
        assert set(found[f"wrong-{k}"].values()) == {0.0}, k
        text = feedback(graded, f"wrong-{k}")
        for exercise in TASKS:
            mistake, _ = answers[exercise.id]
            parts = re.split(r"\{\w+\}", exercise.hint_for(mistake))
            pattern = ".*?".join(re.escape(" ".join(part.split())) for part in parts)
            assert re.search(
                rf"{re.escape(exercise.title)}: wrong \({re.escape(mistake)}\): ?{pattern}", text
            ), (
                k,
                exercise.id,
                mistake,
            )


def test_a_submission_without_the_notebook_is_no_grade_and_stops_nobody(graded):
    assert not marks(graded).get("nothing")
    assert not (graded / "feedback" / "nothing").exists()


def test_the_marks_are_exported_with_the_lateness(graded):
    done = nbgrader(graded, "export", "--to=marks.csv")
    assert done.returncode == 0, done.stderr
    with (graded / "marks.csv").open() as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file) if row["assignment"] == NAME}
    assert float(rows["late"]["score"]) == sum(FULL.values()) == float(rows["late"]["max_score"])
    assert rows["late"]["timestamp"] > rows["late"]["duedate"] > rows["solution"]["timestamp"]


def test_a_second_build_keeps_the_marks(graded):
    before = marks(graded)
    build.build(graded, None, None, [SHEET])
    assert marks(graded) == before


def test_the_exam_is_graded_from_the_key(course):
    release = {}
    for student in ("1001", "1002"):
        with zipfile.ZipFile(course / "exam" / f"{student}.zip") as archive:
            archive.extractall(course / "submitted" / student / EXAM)
        release[student] = course / "submitted" / student / EXAM / f"{EXAM}.ipynb"
    sources = "\n".join(c.source for c in nbformat.read(release["1001"], 4).cells)
    assert "fault = ..." in sources and "SOLUTION" not in sources and "points(" not in sources
    nbformat.write(solved(course, EXAM), release["1001"])
    (release["1001"].parent / "network.safetensors").unlink()  # the files of a submission are not used
    copied = nbformat.read(release["1002"], 4)
    answer = next(c for c in copied.cells if c.metadata.nbgrader.grade_id == "answer")
    answer.source = answer.source.replace("fault = ...", "fault = 'no such fault'")
    nbformat.write(copied, release["1002"])
    done = nbgrader(course, "autograde", f"--assignment={EXAM}")
    assert done.returncode == 0, done.stderr[-3000:]
    found = marks(course, EXAM)
    assert found == {"1001": {"test": 10.0}, "1002": {"test": 0.0}}
    assert nbgrader(course, "generate_feedback", f"--assignment={EXAM}").returncode == 0
    assert "it must be an id of the list" in feedback(course, "1002", EXAM)
    assert "right, 4 points" in feedback(course, "1001", EXAM)
    for student in ("1001", "1002"):
        shutil.rmtree(course / "submitted" / student)
