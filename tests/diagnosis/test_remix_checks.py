"""What the checks that judge by remix consistency decide, and what they leave undecided."""

import torch

from dprnn_lab.checkpoint.asteroid import to_asteroid
from dprnn_lab.diagnosis import diagnose, rebuild
from dprnn_lab.diagnosis.checks import config, recording
from dprnn_lab.diagnosis.recovery import usual_candidates


def test_one_voice_alone_is_a_warning_at_most_without_a_number_of_speakers(talk):
    case = talk(0, 4.0)
    states = []
    for source in case.truth:
        report = diagnose(case.model, source, 8000)
        states.append(report["sources-count"].state)
        assert report["polarity"].state != "fail"
    assert set(states) <= {"ok", "warn"}


def test_one_voice_is_suspected_by_a_faint_output_and_pauses(talk, monkeypatch):
    case = talk(0, 4.0)
    evidence = diagnose(case.model, case.truth[0], 8000)["sources-count"].evidence
    assert evidence["loud_to_quiet_db"] > recording.PAUSES_DB
    monkeypatch.setattr(recording, "ONE_VOICE_DB", evidence["balance_db"] + 1)
    assert diagnose(case.model, case.truth[0], 8000)["sources-count"].state == "warn"
    assert diagnose(case.model, case.mixture, 8000)["sources-count"].state == "ok"


def test_a_model_at_another_rate_has_no_bundled_mixtures_to_compare_with(talk):
    case = talk(0)
    other = rebuild(case.model, sample_rate=16000)
    noise = 0.1 * torch.randn(32000)
    report = diagnose(other, noise, 16000)
    assert report.evidence.control is None
    assert report["domain-mismatch"].state in ("warn", "ok", "undecided")
    assert report.evidence.score_on_mixture.score < recording.LOW_DB


def as_if_weak(monkeypatch, **candidates):
    """No score is high enough to skip the search, which tries these candidates."""
    monkeypatch.setattr(config, "REMIX_OK_DB", 99.0)
    monkeypatch.setattr(config, "usual_candidates", lambda settings, fewer: candidates)


def test_settings_that_are_not_in_the_file_and_not_decided(talk, tmp_path, monkeypatch):
    case = talk(0)
    path = tmp_path / "weights.pth"
    torch.save(to_asteroid(case.model.state_dict()), path)
    as_if_weak(monkeypatch, norm_type=["gLN", "cLN"], chunk_size=[100, 64])
    finding = diagnose(path, case.mixture)["config-silent"]
    assert finding.state == "undecided"
    assert "chunk_size" in finding.says
    assert "chunk_size=..." in finding.bring
    assert set(finding.evidence["ranking"]) == {"norm_type", "chunk_size"}


def test_a_model_that_no_other_setting_betters_is_in_order(talk, monkeypatch):
    as_if_weak(monkeypatch, norm_type=["gLN", "cLN"], chunk_size=[64, 128])
    assert talk(0).diagnose()["config-silent"].state == "ok"


def test_the_candidates_of_a_diagnosis_are_fewer(tiny):
    every, fewer = (usual_candidates(tiny().config, fewer=f) for f in (False, True))
    assert list(every) == list(fewer)
    assert all(set(fewer[name]) <= set(every[name]) for name in every)
    assert fewer["chunk_size"] == [10, 50, 100, 200]  # the present value first
    assert "norm_type" not in usual_candidates(tiny(norm_type="bN").config)
