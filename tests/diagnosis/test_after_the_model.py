"""Group D in more detail: findings on outputs, and when there are none."""

import pytest
import torch

from dprnn_lab.diagnosis import diagnose
from dprnn_lab.faults import inject


def test_outputs_alike_after_the_model_differ_from_the_models_own(broken):
    finding = broken("outputs-alike", "same-twice").diagnose()["outputs-alike"]
    assert finding.state == "fail"
    assert finding.explained_by is None
    assert "it happened after the model" in finding.says
    assert finding.evidence["correlation_of_the_models_own"] < 0.5


def test_without_a_model_outputs_alike_ask_for_one(broken):
    case = broken("outputs-alike", "mixture-twice").change(model=None, checkpoint=None)
    report = case.diagnose()
    assert report.findings[0].id == "outputs-alike"
    assert "it happened after the model" not in report.findings[0].says
    assert "the model" in report["weights-unmatched"].bring


def test_a_level_that_is_lost_needs_equal_peaks(talk):
    case = talk(0)
    gains = torch.tensor([[1.0], [1.5]])
    assert case.change(estimates=case.estimates * gains).diagnose()["relative-level-lost"].state == "ok"


@pytest.mark.parametrize(("gain", "state"), [(0.7, "ok"), (1.4, "ok"), (0.3, "fail")])
def test_a_level_is_free_within_six_decibels(talk, gain, state):
    case = talk(0)
    assert case.change(estimates=case.estimates * gain).diagnose()["scale-free"].state == state


def test_one_gain_for_all_outputs_is_a_note(talk):
    case = talk(0)
    gain = 0.9 / case.estimates.abs().max()
    assert gain > 2  # over 6 dB
    finding = case.change(estimates=case.estimates * gain).diagnose()["scale-free"]
    assert finding.state == "note" and "one gain for all" in finding.says
    two = case.estimates * torch.tensor([[1.0], [0.5]]) * gain
    assert case.change(estimates=two).diagnose()["scale-free"].state == "fail"


def test_the_reported_score_is_recognised(broken):
    says = broken("order-arbitrary", "reported", seed=1).diagnose().findings[0].says
    assert "is the former" in says


def test_swaps_are_reported_with_their_times(broken):
    finding = broken("permutation-flip", "every-second", seconds=4.0).diagnose().findings[0]
    assert finding.evidence["swaps_s"] == pytest.approx([1.0, 2.0, 3.0], abs=0.51)


def test_seams_are_reported_with_their_period(broken):
    finding = broken("seam-artefact", "joined-0.25-s", seconds=4.0).diagnose().findings[0]
    assert finding.id == "seam-artefact"
    assert finding.evidence["grid_s"] == pytest.approx(0.25, abs=0.01)


def test_windows_normalised_one_by_one_are_reported(broken):
    finding = broken("seam-artefact", "normalised-0.5-s", seconds=4.0).diagnose().findings[0]
    assert finding.id == "seam-artefact"
    assert finding.bad
    assert finding.evidence["grid_s"] in (0.25, 0.5, 1.0)  # the windows, or half or twice as long


@pytest.mark.parametrize("kind", ["leak", "compressed", "scaled", "noise"])
def test_other_changes_of_the_estimates_are_no_seams(talk, kind):
    case = talk(0, 4.0)
    changed = {
        "leak": case.estimates + 0.3 * case.mixture,
        "compressed": torch.tanh(8 * case.estimates) / 8,
        "scaled": case.estimates * torch.tensor([[0.8], [1.2]]),
        "noise": case.estimates + 0.003 * torch.randn(case.estimates.shape),
    }[kind]
    assert case.change(estimates=changed).diagnose()["seam-artefact"].state in ("ok", "undecided")


def test_estimates_of_a_broken_mixture_are_undecided(talk):
    case = inject("polarity", talk(19))  # which the bundled model separates in one polarity only
    report = case.diagnose()
    assert report.findings[0].id == "polarity"
    assert report["seam-artefact"].state == report["permutation-flip"].state == "undecided"


def test_estimates_of_another_length_are_compared_as_far_as_they_go(talk):
    case = talk(0)
    report = case.change(estimates=case.estimates[:, :-700]).diagnose()
    assert report.state == "ok", str(report)


def test_estimates_alone():
    report = diagnose(estimates=torch.randn(2, 8000) * 3)
    assert report.findings[0].id == "scale-free"
