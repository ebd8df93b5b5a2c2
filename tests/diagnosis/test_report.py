"""The report in a terminal, in a notebook, as JSON, and its order."""

import json
import re

import pytest
import torch

from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.diagnosis import CATALOGUE, Finding, Report, diagnose
from dprnn_lab.diagnosis.engine import sort_findings
from dprnn_lab.diagnosis.finding import STATES


@pytest.fixture(scope="module")
def reports(talk, training, tmp_path_factory):
    from dprnn_lab.faults import inject

    case = talk(0).change(folder=tmp_path_factory.mktemp("report"))
    return {
        "broken": inject("weights-unmatched", case, variant="lightning").diagnose(),
        "healthy": talk(0).diagnose(),
        "training": training().diagnose(),
    }


def test_the_cause_stands_before_the_symptom(reports):
    report = reports["broken"]
    assert [f.id for f in report.findings if f.bad] == ["weights-unmatched", "outputs-alike"]
    assert report["outputs-alike"].explained_by == "weights-unmatched"
    assert [f.id for f in report.causes] == ["weights-unmatched"]


def test_every_failure_has_one_finding(reports):
    for report in reports.values():
        assert sorted(f.id for f in report.findings) == sorted(CATALOGUE)
        states = [STATES.index(f.state) for f in report.findings]
        assert states == sorted(states)


def test_every_finding_is_whole(reports):
    for report in reports.values():
        for finding in report.findings:
            assert finding.says
            if finding.bad:
                assert finding.evidence and finding.threshold and finding.remedy
            if finding.state == "undecided":
                assert finding.bring, finding.id


def test_the_order_of_a_report():
    found = [
        Finding("level", "warn", "a"),
        Finding("outputs-alike", "fail", "b"),
        Finding("polarity", "ok", "c"),
        Finding("scale-free", "fail", "d", explained_by="channels"),
        Finding("order-arbitrary", "fail", "e"),
        Finding("channels", "fail", "f"),
        Finding("length", "undecided", "g"),
    ]
    ordered = sort_findings(found)
    assert [f.id for f in ordered] == [
        "channels", "order-arbitrary", "scale-free", "outputs-alike", "level", "length", "polarity",
    ]  # fmt: skip
    assert ordered[3].explained_by == "channels"


def test_a_symptom_without_a_cause_stands_for_itself():
    (finding, *_) = sort_findings([Finding("level", "ok", "a"), Finding("outputs-alike", "fail", "b")])
    assert (finding.id, finding.explained_by) == ("outputs-alike", None)


def test_state_and_exit_code():
    def report(*states):
        return Report([Finding("level", state, "so") for state in states], None)

    assert [report(*s).exit_code for s in (("ok", "undecided"), ("ok", "warn"), ("warn", "fail"))] == [
        0,
        1,
        2,
    ]
    assert report("undecided").state == "ok"


def test_the_text_names_cause_remedy_and_section(reports):
    text = str(reports["broken"])
    assert text.startswith("Likeliest cause: weights-unmatched.")
    assert "model = load_model(checkpoint)" in text
    assert "06_failures_at_inference.ipynb#weights-unmatched" in text
    assert "follows from weights-unmatched" in text
    assert max(map(len, text.splitlines())) <= 110
    assert "\x1b" not in text
    assert repr(reports["broken"]) == text


def test_the_text_shows_nothing_of_its_own_in_a_notebook(reports, monkeypatch):
    """In a kernel rich displays what it prints: making text put an empty output into the cell."""
    shown = []
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda segments, text: shown.append(text))
    assert "06_failures_at_inference.ipynb#weights-unmatched" in str(reports["broken"])
    assert shown == []


def test_the_text_of_a_healthy_case_says_what_was_looked_at(reports):
    text = str(reports["healthy"])
    assert re.match(r"\d+ of \d+ checks had what they need; run would decide \d+ more", text)
    assert "Nothing wrong in these" in text
    assert "to decide more" in text


def test_json_has_everything_and_no_nan(reports, tmp_path):
    for report in reports.values():
        path = tmp_path / "report.json"
        text = report.to_json(path)
        assert path.read_text(encoding="utf-8") == text
        content = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
        assert content["state"] == report.state
        assert [f["id"] for f in content["findings"]] == [f.id for f in report.findings]
        assert set(content["findings"][0]) == {
            "id", "state", "title", "group", "says", "evidence", "threshold", "remedy", "bring", "explained_by",
            "section",
        }  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_numbers_that_json_has_not_become_null():
    finding = Finding("level", "fail", "so", {"peak": float("nan"), "list": [float("inf"), 1], "x": object})
    content = json.loads(Report([finding], None).to_json())
    assert content["findings"][0]["evidence"]["peak"] is None
    assert content["findings"][0]["evidence"]["list"] == [None, 1]


def test_html_stands_alone_with_pictures_and_players(reports):
    html = reports["broken"]._repr_html_()
    assert html.count("<audio") == 5  # mixture, references, outputs
    assert html.count("<img") == 1
    assert not re.search(r"(src|href)='(?!data:)", html)
    assert html.count("<script") == 1  # of the player: it works without any other file
    assert all("alt='" in tag for tag in re.findall(r"<img[^>]*>", html))
    assert all("aria-label='" in tag for tag in re.findall(r"<audio[^>]*>", html))
    assert len(html) < 600_000


def test_html_names_an_output_that_can_not_be_played():
    mixture, sources, _ = FixedMixtures("valid", kind="man-woman")[0]
    estimates = torch.stack([sources[0], sources[1] * float("nan")])
    html = diagnose(mixture=mixture, sample_rate=8000, references=sources, estimates=estimates)._repr_html_()
    names = re.findall(r"<audio controls aria-label='([^']*)'", html)
    assert names == ["mixture", "reference 1", "reference 2", "output 1"]
    assert "data-unplayable='output 2'" in html


def test_html_draws_the_curve_of_a_run(reports):
    html = reports["training"]._repr_html_()
    assert "alt='loss over steps'" in html
    assert "<audio" not in html


def test_html_escapes_what_the_user_wrote():
    finding = Finding("level", "fail", "<b>loud</b>", {"file": "<i>"}, "a < b", "x = '<y>'")
    html = Report([finding], None)._repr_html_()
    assert "<b>loud" not in html
    assert "<i>" not in html
    assert "&lt;b&gt;loud" in html


def test_a_finding_by_its_id(reports):
    assert reports["healthy"]["level"].id == "level"
    with pytest.raises(KeyError, match="no failure of the catalogue"):
        reports["healthy"]["lvel"]
