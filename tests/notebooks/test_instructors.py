"""The guide says what the notebooks say: questions, answers, quoted outputs, minutes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import instructors
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from reading_time import measure

ROOT = Path(__file__).parents[2]
LESSONS = instructors.lessons()


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_every_question_has_its_answer_and_every_quote_its_output(path):
    assert instructors.problems(path) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_page_has_goals_minutes_answers_and_misconceptions(path):
    text = instructors.page_of(path.stem).read_text(encoding="utf-8")
    assert "**Goals.**" in text and f"[`{path.stem}`](../{path.name})" in text
    refuted = text.partition("## Misconceptions")[2].split("\n## ")[0]
    items = re.findall(r"^- (.+?)(?=^- |\Z)", refuted, re.MULTILINE | re.DOTALL)
    assert len(items) >= 3
    assert all("(`" in item for item in items), "each names the cell that refutes it"


def test_the_tables_are_those_that_the_command_writes():
    for path, name, table in instructors.tables():
        text = path.read_text(encoding="utf-8")
        assert text == instructors.replaced(text, name, table), "run python notebooks/instructors.py"


def test_the_guide_links_every_page_and_every_link_leads_somewhere():
    text = instructors.INDEX.read_text(encoding="utf-8")
    for path in LESSONS:
        assert f"(instructors/{instructors.page_of(path.stem).name})" in text
    for page in [instructors.INDEX, *instructors.PAGES.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


def test_the_slides_in_the_guide_are_those_of_the_table():
    listed = re.findall(r"^\| `(\d_\w+)` \|", instructors.INDEX.read_text(encoding="utf-8"), re.MULTILINE)
    table = (ROOT / "docs" / "slides" / "lectures.toml").read_text(encoding="utf-8")
    assert listed == re.findall(r'^name = "(\w+)"', table, re.MULTILINE)


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """A notebook with one question, and a writer of its page: ``write(text)`` returns the problems."""
    output = new_output("stream", text="the loss is\n  -9.6 dB\n")
    cells = [
        new_markdown_cell("# A\n\n**Time** 1 minute.\n\n## 1. One\n\n> **Predict.** How low?", id="ask"),
        new_code_cell("print(1)", outputs=[output], id="tell"),
        new_markdown_cell("## 2. Two\n\n" + "word " * 400, id="text"),
        new_code_cell("nb77.low.card()", id="card"),
    ]
    path = tmp_path / "77_lesson.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / "nb77.md").write_text(
        "`low` · difficulty 1 of 3 · 7 minutes · after section 2\n"
    )
    monkeypatch.setattr(instructors, "PAGES", tmp_path)

    def write(text: str) -> list[str]:
        (tmp_path / "nb77.md").write_text(text)
        return instructors.problems(path)

    write.path = path
    return write


def test_a_right_page_has_no_problem(lesson):
    assert (
        lesson(
            "- `ask` **How low?** Low: “loss is -9.6 dB” (`tell`).\n\n## Misconceptions\n\n- See (`tell`)."
        )
        == []
    )
    assert instructors.answers("77_lesson") == {"ask": "**How low?** Low: “loss is -9.6 dB” (`tell`)."}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nothing", "the question of cell ask has no answer"),
        ("- `ask` Low: “-9.5 dB” (`tell`)", "cell tell does not print “-9.5 dB”"),
        ("- `ask` Low: “-9.6 dB”, “-9.5 dB” (`tell`)", "cell tell does not print “-9.5 dB”"),
        ("- `ask` Low (`gone`)", "77_lesson.ipynb has no cell gone"),
        ("- `ask` Low: “How low” (`ask`)", "cell ask does not print “How low”"),
        ("- `ask` Low.\n- `tell` No question.", "cell tell asks no question"),
    ],
)
def test_what_a_page_gets_wrong_is_found(lesson, text, problem):
    assert lesson(text) == [f"nb77.md: {problem}"]


def test_a_notebook_without_a_page_is_named(lesson):
    assert instructors.problems(lesson.path) == ["77_lesson.ipynb has no page: write instructors/nb77.md"]


def test_minutes_by_section_add_up_to_those_of_the_notebook(lesson):
    parts = instructors.sections(lesson.path)
    assert [(part.title, part.exercise_minutes, part.questions) for part in parts] == [
        ("", 0, 0),
        ("1. One", 0, 1),
        ("2. Two", 7, 0),
    ]
    assert parts[2].minutes == pytest.approx(402 / 200 + 10 / 60, abs=0.02)
    long = ROOT / "notebooks" / "02_dual_path.ipynb"
    total = sum(part.minutes for part in instructors.sections(long))
    assert total == pytest.approx(measure(long).reading_minutes, abs=4)  # without recap and references
    assert sum(part.exercise_minutes for part in instructors.sections(long)) == measure(long).exercise_minutes


def plan(folder: Path, minutes: int, item: str) -> Path:
    path = folder / "plans.toml"
    path.write_text(
        f'[[plan]]\nname = "p"\n[[plan.session]]\ntitle = "s"\nminutes = {minutes}\nitems = [{item}]\n'
    )
    return path


def test_a_plan_that_does_not_fit_is_refused(tmp_path):
    item = '{ notebook = "02", sections = ["1", "2"] }'
    assert "of 90 minutes" in instructors.plan_tables(plan(tmp_path, 90, item))["p"]
    with pytest.raises(ValueError, match=r"minutes do not fit into 5; leave a section out in plans\.toml"):
        instructors.plan_tables(plan(tmp_path, 5, item))


def test_a_plan_of_what_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ValueError, match="notebook 02 has no section 99"):
        instructors.plan_tables(plan(tmp_path, 90, '{ notebook = "02", sections = ["99"] }'))
    with pytest.raises(ValueError, match="there is no notebook 98"):
        instructors.plan_tables(plan(tmp_path, 90, '{ notebook = "98", sections = ["1"] }'))


def test_the_memory_of_a_kernel_is_measured(tmp_path):
    from kernel_memory import measure as memory

    path = tmp_path / "hog.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("x = bytearray(300_000_000)")]), path)
    assert 300 < memory(path, tmp_path) < 600


@pytest.mark.slow
def test_a_shared_folder_of_wheels_installs_without_a_network(tmp_path):
    """The two commands of the guide, with one small package."""
    pip = [sys.executable, "-m", "pip"]
    (tmp_path / "requirements.txt").write_text("tomlkit\n")
    asked = [
        *pip,
        "download",
        "--quiet",
        "--dest",
        str(tmp_path / "wheels"),
        "-r",
        str(tmp_path / "requirements.txt"),
    ]
    if subprocess.run(asked, capture_output=True).returncode:
        pytest.skip("no package index can be reached from here")
    offline = {"PIP_INDEX_URL": "http://127.0.0.1:9", "PATH": os.environ["PATH"]}
    command = [
        *pip, "install", "--quiet", "--no-index", "--find-links", str(tmp_path / "wheels"),
        "--target", str(tmp_path / "installed"), "-r", str(tmp_path / "requirements.txt"),
    ]  # fmt: skip
    subprocess.run(command, check=True, env=offline)
    assert (tmp_path / "installed" / "tomlkit").is_dir()
