"""Claims guard the text of the notebooks."""

import re
from pathlib import Path

import nbformat
import pytest
from claims import ENFORCE, ClaimFails, claim

FOLDER = Path(__file__).parents[2] / "notebooks"


def test_where_the_course_is_run_a_claim_that_fails_names_its_sentence(monkeypatch):
    monkeypatch.setenv(ENFORCE, "all")
    claim("two is even", 2 % 2 == 0)
    with pytest.raises(
        ClaimFails, match=r"'three is even', and this run does not show it: rewrite the sentence"
    ):
        claim("three is even", 3 % 2 == 0, at_any_size=False)


def test_a_claim_that_needs_the_full_size_is_left_unchecked_in_a_small_run(monkeypatch):
    monkeypatch.setenv(ENFORCE, "small")
    claim("the mean is over 10 dB", False, at_any_size=False)
    with pytest.raises(ClaimFails):
        claim("the mean is over 10 dB", False)


def test_a_reader_who_changes_a_parameter_gets_a_finding_and_no_error(monkeypatch):
    monkeypatch.delenv(ENFORCE, raising=False)
    shown = []
    monkeypatch.setattr("claims.display", lambda item: shown.append(item.data))
    claim("three is even", False)
    claim("two is even", True)
    assert shown == [
        "**Not in this run**, at these parameters: that three is even.",
        "**This run:** two is even.",
    ]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[0-9]*.ipynb")), ids=lambda p: p.stem)
def test_cells_with_a_claim_are_tagged_and_committed_as_shown(path):
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code" and re.search(r"^\s*claim\(", cell.source, re.M):
            assert "claim" in cell.metadata.get("tags", [])
            shown = "".join(o["data"].get("text/markdown", "") for o in cell.outputs if "data" in o)
            assert shown.count("**This run:**") == len(re.findall(r"^\s*claim\(", cell.source, re.M))
