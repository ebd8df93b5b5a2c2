"""Checks that raise, what was not looked at, and the JSON form."""

import json
import re

import jsonschema
import pytest
import torch

from dprnn_lab import PITLossWrapper, diagnose, pairwise_neg_sisdr
from dprnn_lab.diagnosis import CATALOGUE, Finding, Report
from dprnn_lab.diagnosis.checks import CHECKS
from dprnn_lab.diagnosis.coverage import NEEDS, OPTIONS, cover
from dprnn_lab.diagnosis.engine import FOLLOWS, sort_findings
from dprnn_lab.diagnosis.inputs import Inputs
from dprnn_lab.diagnosis.report import VERSION, schema

PIT = PITLossWrapper(pairwise_neg_sisdr)


def crash(evidence):
    raise ZeroDivisionError("boom\nand more")


@pytest.fixture
def all_crash(monkeypatch):
    for name in CHECKS:
        monkeypatch.setitem(CHECKS, name, crash)


def test_when_every_check_raises_nothing_is_in_order(all_crash):
    report = diagnose(loss=PIT)
    assert (report.state, report.exit_code) == ("error", 3)
    assert report.summary().startswith(
        f"0 of {len(CATALOGUE)} checks had what they need, {len(CATALOGUE)} raised"
    )
    assert "Nothing wrong" not in str(report)
    for finding in report.findings:
        assert finding.state == "error"
        assert finding.evidence["error"] == "ZeroDivisionError"
        assert any("test_states" in call and "crash" in call for call in finding.evidence["calls"])
        assert "issue of the project" in finding.bring
        assert torch.__version__ in finding.bring


def test_one_check_that_raises_is_shown_in_every_form(monkeypatch):
    monkeypatch.setitem(CHECKS, "no-pit", crash)
    report = diagnose(loss=PIT)
    assert report.exit_code == 3
    assert [f.id for f in report.errors] == ["no-pit"]
    assert "ZeroDivisionError: boom" in str(report)
    assert "check failed" in report._repr_html_()
    content = json.loads(report.to_json())
    assert content["coverage"]["raised"] == 1
    assert next(f for f in content["findings"] if f["id"] == "no-pit")["state"] == "error"
    monkeypatch.setitem(
        CHECKS, "sign-of-loss", lambda e: Finding("sign-of-loss", "fail", "so", {"a": 1}, "b", "c")
    )
    assert diagnose(loss=PIT).exit_code == 2  # a failure is the worse news


def test_every_failure_says_what_it_needs():
    assert set(CATALOGUE) <= set(NEEDS)
    known = {name for needs in NEEDS.values() for one in needs for name in one}
    assert known <= set(OPTIONS)
    assert known <= set(vars(Inputs()))


def test_the_input_that_decides_most_is_named_first():
    found = [Finding("order-arbitrary", "undecided", "a", bring="b"), Finding("level", "ok", "c")]
    estimates = Inputs(mixture=torch.zeros(9), estimates=torch.zeros(2, 9))
    assert cover(found, estimates).would_decide == {"references": 1}
    assert (
        cover(found, estimates).sentence()
        == "1 of 2 checks had what they need; references would decide 1 more"
    )
    assert cover(found, estimates).sentence(True).endswith("; --reference would decide 1 more")
    assert cover(found, Inputs(mixture=torch.zeros(9))).would_decide == {}  # one more input is not enough


@pytest.mark.parametrize(
    "given", [{}, {"loss": PIT}, {"mixture": torch.randn(8000) * 0.1}, {"config": {"chunk_size": 2}}]
)
def test_the_first_line_says_what_was_not_looked_at(given):
    report = diagnose(**given)
    first = str(report).splitlines()[0]
    assert re.search(rf"\d+ of {len(CATALOGUE)} checks had what they need; \w+ would decide \d+ more", first)
    assert (
        not re.search(r"nothing wrong[^.]*\.", first.lower()) or "in these" in first or "in that one" in first
    )


def test_what_is_promised_is_kept(talk):
    """An input that "would decide n more" does decide as many."""
    case = talk(0)
    given = {"model": case.model, "mixture": case.mixture, "estimates": case.estimates}
    before = diagnose(**given)
    promised = before.coverage.would_decide["references"]
    after = diagnose(**given, references=case.references)
    assert after.coverage.looked == before.coverage.looked + promised
    assert promised > 0


def test_what_could_not_be_told_is_shown_with_its_reason():
    import pandas as pd

    for table, reason in (
        ({"step": [25], "train_loss": [0.3]}, "the curve has 1 row with a training loss"),
        ({"step": [25, 50], "train_loss": [None, None]}, "no number of a loss"),
    ):
        report = diagnose(run=pd.DataFrame(table))
        assert reason in re.sub(r"[\s│]+", " ", str(report))
        assert reason in report._repr_html_()


def test_consequences_are_folded_under_their_cause():
    found = sort_findings(
        [
            Finding("sign-of-loss", "fail", "the sign", {"a": 1}, "limit", "remedy()"),
            Finding("unhealthy-curve", "fail", "the curve", {"a": 1}, "limit", "remedy()"),
            Finding("overfit", "fail", "the gap", {"a": 1}, "limit", "remedy()"),
            Finding("level", "warn", "the level", {"a": 1}, "limit", "remedy()"),
        ]
    )
    report = Report(found, None)
    assert [f.id for f in report.causes] == ["sign-of-loss", "level"]
    assert {f.id for f in report.consequences(report["sign-of-loss"])} == {"unhealthy-curve", "overfit"}
    text = str(report)
    assert text.count("the curve") == 1
    assert "unhealthy-curve follows from sign-of-loss: the curve" in text
    html = report._repr_html_()
    assert html.count("<details>") == 2
    assert "follows from <code>sign-of-loss</code>" in html


def test_relations_are_of_known_failures_and_without_circles():
    for failure, causes in FOLLOWS.items():
        assert {failure, *causes} <= set(CATALOGUE)
        for cause in causes:
            assert failure not in FOLLOWS.get(cause, ())


def test_the_report_leads_with_a_sentence_and_a_line_to_type():
    lines = str(diagnose(loss=lambda e, s: -PIT(e, s))).splitlines()
    assert lines[0].startswith("Likeliest cause: sign-of-loss. ")
    assert lines[1].startswith("Estimates 10 dB above the noise cost")
    typed = next(line for line in lines if line.startswith("Type: "))
    assert "from dprnn_lab import PITLossWrapper" in typed


def test_a_note_is_no_cause():
    report = diagnose(config={"chunk_size": 2})
    finding = report["chunk-size"]
    assert (finding.state, report.state, report.exit_code) == ("note", "ok", 0)
    assert report.causes == []
    assert [f.id for f in report.notes] == ["chunk-size"]
    assert "slower" in str(report)
    assert "note" in report._repr_html_()


def test_the_json_form_has_a_version_and_keeps_to_its_schema(talk, training, monkeypatch):
    jsonschema.Draft202012Validator.check_schema(schema())
    reports = [
        diagnose(),
        diagnose(config={"chunk_size": 2}),
        diagnose(loss=lambda e, s: -PIT(e, s)),
        talk(0).diagnose(),
        training().diagnose(),
    ]
    for name in CHECKS:
        monkeypatch.setitem(CHECKS, name, crash)
    reports.append(diagnose())
    for report in reports:
        content = json.loads(report.to_json())
        jsonschema.validate(content, schema())
        assert content["version"] == VERSION
    wrong = json.loads(reports[0].to_json()) | {"version": VERSION + 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())
