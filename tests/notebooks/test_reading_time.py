"""The time that a notebook states is counted from the notebook."""

from pathlib import Path

import nbformat
import pytest
import torch
from reading_time import (
    LINE,
    NotebookTime,
    keep_run_seconds,
    measure,
    stated_time,
    states_time,
    time_line,
    write,
)

from dprnn_lab.plots import player_html

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = [path for path in sorted(FOLDER.glob("[0-9]*.ipynb")) if states_time(path)]
COUNTED = [path for path in NOTEBOOKS if "(Counted:" in stated_time(path)]


@pytest.fixture
def lesson(tmp_path):
    """A notebook of 400 words, 12 lines of code, 120 s of sound and two exercises of 4 and 6 minutes."""
    notebook = nbformat.v4.new_notebook()
    first = "# A lesson\n\n**Time** ages: wrong,\nby far.\n\n**Before you start** nothing."
    sound = player_html(torch.zeros(8000 * 60))
    players = nbformat.v4.new_output("display_data", data={"text/html": sound + sound})
    claim = nbformat.v4.new_output("display_data", data={"text/markdown": "one two three"})
    notebook.cells = [
        nbformat.v4.new_markdown_cell(first),
        nbformat.v4.new_markdown_cell("word " * (400 - 6 - 3)),
        nbformat.v4.new_code_cell("\n\n".join(["x = 1"] * 12), outputs=[players, claim]),
    ]
    path = tmp_path / "77_lesson.ipynb"
    nbformat.write(notebook, path)
    (tmp_path / "exercises").mkdir()
    cards = "`a` · difficulty 1 of 3 · 4 minutes · after 1\n`b` · difficulty 2 of 3 · 6 minutes · after 2"
    (tmp_path / "exercises" / "nb77.md").write_text(cards, encoding="utf-8")
    return path


def test_a_lesson_is_counted(lesson):
    time = measure(lesson)
    assert time == NotebookTime(400, 12, 120.0, 2, 10, None)
    assert time.reading_minutes == pytest.approx(400 / 200 + (12 * 10 + 120) / 60)


def test_the_line_is_rewritten_and_nothing_else(lesson):
    before = nbformat.read(lesson, as_version=4)
    assert write(lesson)
    assert not write(lesson)  # it was right
    after = nbformat.read(lesson, as_version=4)
    assert after.cells[1:] == before.cells[1:]
    assert after.cells[0].source.splitlines()[2:4] == [
        "**Time** about 20 minutes: 10 to read, try and listen, 10 for the 2 exercises.",
        "(Counted: 400 words, 12 lines of code, 2 minutes of sound.)",
    ]
    assert after.cells[0].source.endswith("\n\n**Before you start** nothing.")


def test_the_time_of_a_run_is_rounded_up_to_minutes(lesson):
    keep_run_seconds(lesson, 303.0)
    keep_run_seconds(lesson.with_name("78_other.ipynb"), 1.0)
    assert measure(lesson).run_seconds == 305
    assert "runs in 6 minutes on two" in time_line(measure(lesson))
    assert "runs in 1 minute on two" in time_line(measure(lesson)._replace(run_seconds=5))


@pytest.mark.parametrize(("second", "kept"), [(100, 300), (75, 300), (70, 70), (400, 400)])
def test_a_faster_computer_does_not_shorten_the_time(lesson, second, kept):
    keep_run_seconds(lesson, 300.0)
    keep_run_seconds(lesson, second)
    assert measure(lesson).run_seconds == kept


def test_a_first_cell_without_the_paragraph_is_refused(lesson):
    notebook = nbformat.read(lesson, as_version=4)
    notebook.cells[0].source = LINE.sub("", notebook.cells[0].source)
    nbformat.write(notebook, lesson)
    assert not states_time(lesson)
    with pytest.raises(ValueError, match="states no time: add a paragraph"):
        write(lesson)


@pytest.mark.parametrize("path", COUNTED, ids=lambda p: p.stem)
def test_the_stated_time_is_the_counted_one(path):
    assert stated_time(path) == time_line(measure(path)), "run: python notebooks/reading_time.py --write"


def test_every_lesson_was_counted():
    """Fails until the times of all lessons were written: python notebooks/reading_time.py --write."""
    assert COUNTED == NOTEBOOKS
