"""One check of an answer: its own process, its limits, and what the student reads."""

import os
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from course import NotRight, given, mark, marking
from course.assignments import SHEETS, tasks
from course.isolated import run_isolated
from course.marking import judge, task
from course.table import table
from exercises import RIGHT, WRONG

only_isolated = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the code runs in the kernel itself"
)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(marking, "SECONDS", 2.0)


def right(samples, kernel_size, stride):
    return max(samples - kernel_size, 0) // stride + 1


def test_a_right_answer_passes_and_says_nothing(capfd):
    assert mark("01.1", right, variants=(1, 2)) is None
    assert capfd.readouterr() == ("", "")


def test_a_typical_mistake_gets_its_hint():
    with pytest.raises(
        NotRight, match=r"Task 01\.1, count the frames: wrong \(off by one\): one too few"
    ) as error:
        mark("01.1", lambda t, k, s: max(t - k, 0) // s)
    assert error.value._render_traceback_() == [str(error.value)]


def test_a_stub_is_not_attempted():
    with pytest.raises(NotRight, match="not attempted: replace the"):
        mark("01.1", ...)


def test_an_answer_for_the_visible_inputs_only_is_wrong():
    from exercises.nb01 import FRAME_CASES

    known = {case: right(*case) for case in FRAME_CASES}

    def by_heart(*case):
        return known.get(case, 3)

    mark("01.1", by_heart)
    with pytest.raises(NotRight, match=r"right for the inputs that you see, and not for\s+others"):
        mark("01.1", by_heart, variants=(5,))


def test_an_answer_may_warn_and_print_and_the_beginning_is_shown_only_with_a_mistake(capfd):
    def loud(*case):
        warnings.warn("oh", stacklevel=1)
        print("a line")
        print("an error", file=sys.stderr)
        os.write(2, b"past Python\n")
        return right(*case)

    mark("01.1", loud)
    if sys.platform == "linux":
        assert capfd.readouterr() == ("", "")
    with pytest.raises(NotRight, match="What your code printed:\n  a line"):
        mark("01.1", lambda *case: print("a line"))


def endless(*case):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


def printing(*case):
    while True:
        print("x" * 1000)


def killed(*case):
    import ctypes

    ctypes.string_at(0)


def gone(*case):
    os._exit(3)


def leaving(*case):
    sys.exit(2)


def asking(*case):
    return input("how many? ")


def greedy(*case):
    return len(bytearray(10**13))


@only_isolated
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (endless, "no answer within 2 seconds: look for a loop that\nnever ends"),
        (printing, "no answer within 2 seconds"),
        (killed, "the code ended its Python process (signal 11, Segmentation"),
        (gone, "the code ended its Python process (exit code 3)"),
        (leaving, "the code called sys.exit(2): return instead"),
        (asking, "graded code gets no\ninput() from a keyboard"),
        (greedy, "MemoryError"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_an_answer_that_hangs_or_ends_the_process_costs_only_its_own_task(quick, answer, told):
    began = time.monotonic()
    with pytest.raises(NotRight) as error:
        mark("01.1", answer)
    assert " ".join(told.split()) in " ".join(str(error.value).split())
    assert "can't be checked" in str(error.value)
    assert time.monotonic() - began < 20
    mark("01.1", right)


@only_isolated
def test_nothing_that_an_answer_changes_comes_back():
    state = []

    def changes(*case):
        state.append(1)
        torch.set_default_dtype(torch.float64)
        os.chdir("/")
        return right(*case)

    before = os.getcwd()
    mark("01.1", changes)
    assert (state, torch.get_default_dtype(), os.getcwd()) == ([], torch.float32, before)


@only_isolated
def test_the_processes_that_an_answer_started_end_with_it(tmp_path):
    def starts():
        import subprocess

        child = subprocess.Popen(["sleep", "60"])
        (tmp_path / "pid").write_text(str(child.pid))
        time.sleep(60)

    assert "no answer within 2 seconds" in run_isolated(starts, 2).failure
    pid = int((tmp_path / "pid").read_text())
    time.sleep(0.2)
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            assert file.read().rpartition(")")[2].split()[0] == "Z"  # dead; nobody has asked for its status
    except FileNotFoundError:
        pass


def test_an_unknown_task_is_refused():
    with pytest.raises(LookupError, match=r"there is no task '01\.9': notebook 01 has tasks 1 to 5"):
        task("01.9")
    with pytest.raises(LookupError, match=r"there is no task '77\.1': notebook '77' has no exercises"):
        task("77.1")


def test_given_parts_work_without_showing_their_code():
    block, path = given("12", "Block", "PathRNN")
    assert block(4, 3)(torch.zeros(1, 2, 3, 4)).shape == (1, 2, 3, 4)
    assert path(4, 3)(torch.zeros(2, 3, 4)).shape == (2, 3, 4)


def test_the_wrong_answers_of_a_notebook_are_wrong_with_their_hints():
    for exercise in tasks("02"):
        for name, answer in exercise.wrong_answers:
            outcome, mistake, hint = judge(exercise.id, answer, variants=(1,))
            assert (outcome, mistake) == (WRONG, name) and hint
        assert judge(exercise.id, exercise.right, variants=(1,))[0] == RIGHT


@pytest.mark.parametrize("number", ["12.5", "12.11", "03.1"])
def test_a_solution_that_trains_works_in_a_process_of_its_own(number):
    threads = torch.get_num_threads()
    mark(number, task(number).right, variants=(1,))
    assert torch.get_num_threads() == threads


@pytest.mark.slow
@pytest.mark.parametrize("sheet", SHEETS)
def test_all_solutions_are_right_in_processes_of_their_own(sheet):
    for exercise in tasks(sheet):
        mark(exercise.id, exercise.right, variants=(1, 2))


@pytest.mark.slow
def test_the_table_as_measured_is_that_of_the_readme():
    readme = (Path(__file__).parents[2] / "notebooks" / "course" / "README.md").read_text(encoding="utf-8")
    assert table(SHEETS).strip() in readme
