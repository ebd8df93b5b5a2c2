"""The bench: its cases exist, its counts are right, and the committed table keeps the goals."""

import re
from pathlib import Path

import pytest

from dprnn_lab.diagnosis import CATALOGUE
from dprnn_lab.faults import FAULTS
from dprnn_lab.faults.bench import (
    BUNDLED_MODEL,
    PAIRS,
    TRAINING,
    Result,
    fault_cases,
    healthy_cases,
    judge,
    pair_cases,
    render,
)

README = Path(__file__).parents[1] / "diagnosis" / "README.md"


def result(injected, named, failed=None):
    return Result("case", tuple(injected), tuple(named), tuple(named if failed is None else failed), 0.1)


def test_pairs_are_of_known_failures_and_variants():
    assert len(PAIRS) >= 20
    assert len(set(PAIRS)) == len(PAIRS)
    for pair in PAIRS:
        for failure, variant in pair:
            assert variant in FAULTS[failure]
        assert pair[0][0] != pair[1][0]


def test_kinds_of_failure_are_known():
    assert set(TRAINING) | set(BUNDLED_MODEL) <= set(CATALOGUE)


@pytest.mark.slow  # half a minute; the committed table has the pairs too
def test_two_failures_at_once_are_both_named(tmp_path):
    slow = {"config-silent", "polarity"}  # take long; the whole list is in make bench-diagnosis
    for names, case in pair_cases(tmp_path):
        if not slow & set(names):
            assert judge("", names, case).all_named, names


def test_first_and_named():
    assert result(["level"], ["level", "channels"]).first
    late = result(["level"], ["channels", "level"])
    assert (late.first, late.all_named) == (False, True)
    assert not result(["level", "polarity"], ["level"]).all_named
    assert not result(["level"], []).first


def test_the_table_counts():
    faults = [
        result(["level"], ["level"]),
        result(["level"], ["channels", "level"]),
        result(["polarity"], []),
    ]
    text = render(
        [result([], []), result([], ["level"]), result([], ["level"], [])],
        faults,
        [result(["a", "b"], ["b"])],
    )
    assert "| failure named first | 95 % | 33.3% (1 of 3) |" in text
    assert "| failure named at all | 100 % | 66.7% (2 of 3) |" in text
    assert "| healthy cases with a false failure | 0 | 1 of 3 |" in text
    assert "| healthy cases with a warning | few | 1 of 3 |" in text
    assert "| `level` | 2 | 2 | 1 | channels 1 |" in text
    assert "| `polarity` | 1 | 0 | 0 | nothing 1 |" in text
    assert "**no**" in text


@pytest.mark.slow
def test_a_failure_has_five_cases_of_different_seeds(tmp_path):
    cases = list(fault_cases(tmp_path, "no-pit"))
    assert len(cases) == 5
    assert {variant for variant, _ in cases} == set(FAULTS["no-pit"])
    assert judge("no-pit", ("no-pit",), cases[0][1]).first


@pytest.mark.slow
def test_healthy_cases_are_diagnosed_as_such(tmp_path):
    for label, case in healthy_cases(tmp_path, count=4):
        assert judge(label, (), case).named == (), label


@pytest.fixture(scope="module")
def table():
    return README.read_text(encoding="utf-8")


def test_the_committed_table_is_of_this_catalogue(table):
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", table, re.MULTILINE))
    assert list(rows) == list(CATALOGUE)
    assert all(int(count) >= 5 for count in rows.values())


def test_the_committed_table_keeps_the_goals(table):
    def share(row):
        return float(re.search(rf"\| {row} \|[^|]*\| ([\d.]+)%", table)[1])

    assert share("failure named first") >= 95
    assert share("failure named at all") == 100
    assert share("pairs, both named") >= 90
    false, healthy = re.search(r"false failure \| 0 \| (\d+) of (\d+)", table).groups()
    assert (int(false), int(healthy) >= 20) == (0, True)
