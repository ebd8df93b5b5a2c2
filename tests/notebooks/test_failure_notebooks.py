"""Every failure of the catalogue has its scene, under a heading that is its id; reports and checklist link to it."""

import re
from pathlib import Path

import nbformat
import pytest

from dprnn_lab.diagnosis import CATALOGUE

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted({entry.section.partition("#")[0] for entry in CATALOGUE.values()})


def scenes(notebook: str) -> list[str]:
    """Headings of one lower-case word or words with hyphens, as the ids are."""
    cells = nbformat.read(ROOT / notebook, as_version=4).cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    return re.findall(r"^#+ ([a-z]+(?:-[a-z]+)*)\s*$", text, re.MULTILINE)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))
def test_a_failure_has_one_scene_where_its_section_says(entry):
    notebook, _, anchor = entry.section.partition("#")
    assert anchor == entry.id
    assert scenes(notebook).count(entry.id) == 1


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_has_scenes_of_its_own_failures_only(notebook):
    own = {entry.id for entry in CATALOGUE.values() if entry.section.startswith(f"{notebook}#")}
    assert set(scenes(notebook)) <= own


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))
def test_a_scene_begins_with_a_line_in_bold(entry):
    cells = nbformat.read(ROOT / entry.section.partition("#")[0], as_version=4).cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    assert re.search(rf"^#+ {entry.id}\n+\*\*[^*\n]+\*\*$", text, re.MULTILINE)


def printed(notebook: str, failure: str) -> str:
    """What the cells of a scene print, from its heading to the next one."""
    text, inside = "", False
    for cell in nbformat.read(ROOT / notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^#+ (.+?)\s*$", cell.source, re.MULTILINE):
                inside = heading == failure
        elif inside:
            for output in cell.outputs:
                data = output.get("data", {})
                text += output.get("text", "") + data.get("text/html", data.get("text/plain", ""))
    return text


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))
def test_the_report_of_a_scene_finds_something(entry):
    text = printed(entry.section.partition("#")[0], entry.id)
    assert text
    assert "named first: nothing" not in text
