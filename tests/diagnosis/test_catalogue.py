"""One table: every failure in it has its check, its fault, its section, and its line on the checklist."""

import re
from pathlib import Path

import pytest

from dprnn_lab.diagnosis import CATALOGUE, GROUPS, checklist
from dprnn_lab.diagnosis.checks import CHECKS
from dprnn_lab.faults import FAULTS

ROOT = Path(__file__).parents[2]


def test_every_failure_has_a_check_and_a_fault():
    assert set(CHECKS) == set(CATALOGUE)
    assert list(FAULTS) == list(CATALOGUE)
    assert all(FAULTS.values())


def test_there_are_all_groups_and_no_others():
    assert {entry.group for entry in CATALOGUE.values()} == set(GROUPS)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))
def test_an_entry_is_whole(entry):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", entry.id)
    for text in (entry.title, entry.sign, entry.evidence, entry.remedy):
        assert len(text) > 10
        assert not text.endswith(".")
        assert "|" not in text
    number = "07" if entry.group == "E" else "06"
    assert re.fullmatch(rf"notebooks/{number}_failures_\w+\.ipynb#{entry.id}", entry.section)


def test_causes_stand_above_the_symptoms_they_explain():
    order = list(CATALOGUE)
    assert order[-1] == "outputs-alike"
    assert order.index("no-pit") < order.index("unhealthy-curve")
    assert order.index("weights-unmatched") < order.index("config-silent") < order.index("domain-mismatch")


def test_the_printed_checklist_is_the_catalogue():
    assert (ROOT / "notebooks" / "checklist.md").read_text(encoding="utf-8") == checklist()


def test_the_checklist_has_every_failure_once():
    text = checklist()
    for entry in CATALOGUE.values():
        assert text.count(f"| ☐ [`{entry.id}`]({Path(entry.section).name}) |") == 1
        assert entry.remedy in text
