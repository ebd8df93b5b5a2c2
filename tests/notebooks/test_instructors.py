"""The guide says what the notebooks say: questions, answers, quoted outputs, minutes."""

import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import course_map
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
def test_a_question_is_one_that_the_guide_knows_and_its_answer_is_not_below_it(path):
    for cell in instructors._read(path).cells:
        asked = cell.source.count("**Predict") if cell.cell_type == "markdown" else 0
        assert asked == cell.source.count("> **Predict.**") <= 1 or not asked, cell.id
        if asked:
            lines = cell.source.partition("> **Predict.**")[2].splitlines()
            after = "\n".join(line for line in lines[1:] if not line.startswith(">")).strip()
            assert after in ("", "</details>") or after.startswith("## "), (cell.id, after)


def named_sections(text: str, own: str = "") -> Iterator[tuple[str, str]]:
    """The sections that a text of the guide names, each as the notebook's number and its own."""
    numbers, book = r"(\d+(?:(?:, | and )\d+)*)", r"(?:notebook |\[notebook )?(\d\db?)(?:\]\([^)]+\))?"
    patterns = (
        (rf"{book}, sections? {numbers}", (1, 2)),
        (rf"sections? {numbers} of {book}", (2, 1)),
        (r"section (\d\d)\.(\d+)", (1, 2)),
        (rf"()sections? {numbers}(?! of \d|\.\d)", (1, 2)),
    )
    for pattern, (first, second) in patterns:
        for match in re.finditer(pattern, text):
            for number in re.findall(r"\d+", match[second]):
                yield match[first] or own, number
        text = re.sub(pattern, "", text)


def test_every_section_that_the_guide_names_is_there():
    known = {path.stem.split("_")[0]: {p.number for p in instructors.sections(path)} for path in LESSONS}
    # Tables and titles of sections are written by the generator.
    prose = re.compile(r"^(?:\||<!--|#).*$", re.MULTILINE)
    index = prose.sub("", instructors.INDEX.read_text(encoding="utf-8"))
    found = list(named_sections(index))
    for path in LESSONS:
        text = prose.sub("", instructors.page_of(path.stem).read_text(encoding="utf-8"))
        found += named_sections(" ".join(text.split()), path.stem.split("_")[0])
    assert len(found) > 10
    assert [(book, number) for book, number in found if book and number not in known[book]] == []


def test_sections_in_a_text_are_recognised():
    text = "Section 2; see 07, section 8, [notebook 01](nb01.md), section 10, section 05.3, sections 5 and 6 of 07."
    assert sorted(named_sections(text.lower(), "03")) == sorted(
        [("03", "2"), ("07", "8"), ("01", "10"), ("05", "3"), ("07", "5"), ("07", "6")]
    )


def test_commands_and_files_in_the_guide_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in [instructors.INDEX, *instructors.PAGES.glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"`make ([a-z][\w-]*)", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), (page.name, target)
        for name in re.findall(r"`((?:notebooks|docs|tests|data|dprnn_lab)/[\w./-]+)`", text):
            assert "NN" in name or (ROOT / name).exists(), (page.name, name)


def test_in_the_plans_a_notebook_comes_after_those_that_it_builds_on():
    """As far as both are in the plan. Notebook 12 names another notebook for each of its parts."""
    needs = {lesson.number: lesson.needs for lesson in course_map.read_course()}
    for plan in tomllib.loads(instructors.PLANS.read_text(encoding="utf-8"))["plan"]:
        order = [item["notebook"] for s in plan["session"] for item in s["items"] if "notebook" in item]
        for number in set(order) - {"12"}:
            late = [n for n in needs[number] if n in order and order.index(n) > order.index(number)]
            assert not late, (plan["name"], number, late)


def test_exercises_that_a_plan_names_take_the_minutes_of_their_sheets():
    for plan in tomllib.loads(instructors.PLANS.read_text(encoding="utf-8"))["plan"]:
        for item in (item for session in plan["session"] for item in session["items"]):
            named = re.findall(r"\b(\d\d)\.(\d)\b", item.get("what", ""))
            if not named or "minutes" not in item:
                continue
            total = 0
            for book, number in named:
                sheet = (instructors.FOLDER / "exercises" / f"nb{book}.md").read_text(encoding="utf-8")
                total += int(instructors._EXERCISE.findall(sheet)[int(number) - 1][1])
            assert item["minutes"] == total, item


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


def test_a_plan_counts_two_minutes_for_each_question(tmp_path):
    part = next(p for p in instructors.sections(ROOT / "notebooks" / "02_dual_path.ipynb") if p.number == "3")
    table = instructors.plan_tables(plan(tmp_path, 90, '{ notebook = "02", sections = ["3"] }'))["p"]
    assert part.questions == 1 and f"| 02 | 3 | 1 | {part.minutes + 2:.0f} |" in table
    assert f"| **of 90 minutes** | 1 | **{part.minutes + 2:.0f}** |" in table


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


def test_the_way_to_install_without_a_network_is_that_of_the_makefile():
    guide = instructors.INDEX.read_text(encoding="utf-8")
    assert "pip wheel --wheel-dir wheels -r requirements.txt" in guide
    assert 'PIP_NO_INDEX=1 PIP_FIND_LINKS="$PWD/wheels" make lab' in guide
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert [
        f'echo "{need}" >> requirements.txt' in guide for need in project["build-system"]["requires"]
    ] == [True]
    assert re.search(r"^lab: \$\(VENV\)/ready", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.slow
def test_a_shared_folder_of_wheels_installs_without_a_network(tmp_path):
    """The commands of the guide, with a project that needs one small package."""
    wheels, project = tmp_path / "wheels", tmp_path / "project"
    (tmp_path / "requirements.txt").write_text("tomlkit\nsetuptools>=77\n")
    asked = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(wheels)]
    if subprocess.run([*asked, "-r", str(tmp_path / "requirements.txt")], capture_output=True).returncode:
        pytest.skip("no package index can be reached from here")
    (project / "small").mkdir(parents=True)
    (project / "small" / "__init__.py").write_text("import tomlkit\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "small"\nversion = "1"\ndependencies = ["tomlkit"]\n'
        '[tool.setuptools]\npackages = ["small"]\n'
    )
    venv.create(tmp_path / "laptop", with_pip=True)
    python = tmp_path / "laptop" / "bin" / "python"
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_INDEX_URL": "http://127.0.0.1:9",
        "PATH": os.environ["PATH"],
    }
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-e", project], check=True, env=offline)
    subprocess.run([python, "-c", "import small"], check=True, cwd=tmp_path, env={"PATH": os.environ["PATH"]})
