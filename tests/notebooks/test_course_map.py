"""The map of the course says what the notebooks say."""

import re
from pathlib import Path

import nbformat
import pytest
from course_map import (
    BEGIN,
    ELECTIVES,
    END,
    PAGES,
    Lesson,
    arrows,
    diagram,
    read_course,
    read_lesson,
    replaced,
    with_pages,
)

ROOT = Path(__file__).parents[2]
COURSE = read_course()


def test_the_readme_shows_the_map_of_these_notebooks():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == replaced(text, with_pages(COURSE, "notebooks/")), "run python notebooks/course_map.py"


def test_notebook_00_shows_the_same_map_where_it_has_one():
    cells = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", 4).cells
    for cell in cells:
        if BEGIN in cell.source:
            assert cell.source == replaced(cell.source, with_pages(COURSE, "")), (
                "run python notebooks/course_map.py"
            )


def test_every_notebook_is_on_it_and_builds_on_earlier_ones_only():
    numbers = [lesson.number for lesson in COURSE]
    assert numbers == [path.name.split("_")[0] for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
    for lesson in COURSE:
        assert all(need in numbers and need < lesson.number for need in lesson.needs), lesson
        assert lesson.needs or lesson.number.startswith("00"), lesson
        assert lesson.minutes >= 20


def test_no_notebook_builds_on_an_elective():
    assert not ELECTIVES & {need for lesson in COURSE for need in lesson.needs}


def test_pages_and_links_exist():
    for line in with_pages(COURSE, "notebooks/").split("](")[1:]:
        assert (ROOT / line.partition(")")[0]).is_file()


@pytest.mark.parametrize("name", PAGES)
def test_links_of_the_pages_lead_somewhere(name):
    page = ROOT / "notebooks" / name
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert (page.parent / link).exists(), link


def test_the_hours_are_the_sum_of_the_minutes():
    lessons = [Lesson("00", "a", 100, ()), Lesson("01", "b", 80, ("00",)), Lesson("06", "c", 120, ("01",))]
    assert "With the exercises 3 hours, and 2 for what is dashed." in diagram(lessons)


def test_arrows_that_a_longer_path_implies_are_left_out():
    lessons = [Lesson("00", "a", 1, ()), Lesson("01", "b", 1, ("00",)), Lesson("02", "c", 1, ("00", "01"))]
    assert arrows(lessons) == [("00", "01"), ("01", "02")]
    drawn = diagram([lessons[0], Lesson("00b", "p", 1, ()), *lessons[1:]])
    assert "n00b -. if you need it .-> n01" in drawn and "class n00b elective" in drawn


def first_cell(folder: Path, text: str) -> Path:
    path = folder / "03_things.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), path)
    return path


def test_a_first_cell_is_read(tmp_path):
    for time in (
        "about 70 minutes: 40 to read, 30 for the two exercises.",
        "40 minutes to read, 30 minutes for the rest.",
    ):
        start = "**Before you start** notebook `00_start_here` and 02 (PIT). 05 not."
        text = f"# Things: and more\n\n**Time** {time}\n\n{start}"
        assert read_lesson(first_cell(tmp_path, text)) == Lesson("03", "Things", 70, ("00", "02"))


def test_a_first_cell_without_a_time_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"03_things.ipynb: the first cell needs"):
        read_lesson(first_cell(tmp_path, "# Things\n\n**Before you start** nothing."))


def test_a_text_without_the_marks_is_refused():
    with pytest.raises(ValueError, match="each once"):
        replaced("no marks", "map")
    assert replaced(f"a {BEGIN} old {END} b", "new") == "a new b"
