"""References that do not belong to the mixture: found to the sample, and judged by nothing else."""

import pytest
import torch
from torch.nn import functional

from dprnn_lab import diagnose
from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.faults import FAULTS
from dprnn_lab.faults.outputs import moved

RATE = 8000


def of_references(mixture, references, **more):
    return diagnose(mixture=mixture, sample_rate=RATE, references=references, **more)["references-mismatch"]


@pytest.mark.parametrize("lag", [1, 24, 400, -1, -160])
def test_a_lag_is_found_to_the_sample(talk, lag):
    case = talk(0)
    late = moved(case.truth, lag)
    found = of_references(case.mixture, late)
    assert found.state == "fail" and found.evidence["lags"] == [lag, lag]
    assert f"the references are {abs(lag)} sample" in found.says
    assert ("late" if lag > 0 else "early") in found.says
    names = {"torch": torch, "references": late}
    exec(found.remedy, names)
    assert of_references(case.mixture, names["references"]).state == "ok"


@pytest.mark.parametrize("variant", FAULTS["references-mismatch"])
def test_the_remedy_leaves_references_that_fit(broken, variant):
    case = broken("references-mismatch", variant)
    report = case.diagnose()
    assert report.findings[0].id == "references-mismatch"
    names = {"torch": torch, "references": case.references, "mixture": case.mixture}
    exec(report.findings[0].remedy, names)
    assert of_references(names["mixture"], names["references"]).state == "ok"


@pytest.mark.parametrize("variant", ["3-ms", "other-mixture", "one-other"])
def test_nothing_is_judged_by_references_that_do_not_fit(broken, variant):
    report = broken("references-mismatch", variant).diagnose()
    assert [f.id for f in report.findings if f.bad] == ["references-mismatch"]
    assert report["order-arbitrary"].state == "undecided"
    assert report.evidence.own_score is None


def test_which_reference_is_of_another_mixture(talk):
    case = talk(0)
    other = FixedMixtures("unseen")[3][1][:, : len(case.mixture)]
    found = of_references(case.mixture, torch.stack((case.truth[0], other[1])))
    assert found.says.startswith("reference 2 has nothing in common with this mixture")
    assert found.evidence["rest_db"] > -6


@pytest.mark.parametrize("name", ["test", "unseen"])
def test_references_of_the_bundled_mixtures_fit(name):
    for mixture, sources, spec in FixedMixtures(name, limit=4):
        assert of_references(mixture, sources).state == "ok", spec.id


@pytest.mark.parametrize("gains", [(0.05, 2.0), (-1.0, 1.0), (-3.0, -0.1)])
def test_a_gain_and_a_sign_are_no_matter(talk, gains):
    case = talk(0)
    found = of_references(case.mixture, case.truth * torch.tensor(gains)[:, None])
    assert found.state == "ok" and found.evidence["rest_db"] < -60


def test_noise_in_the_mixture_is_not_a_fault_of_the_references(talk):
    case = talk(0)
    noise = torch.randn(case.mixture.shape, generator=torch.Generator().manual_seed(0)) * case.mixture.std()
    found = of_references(case.mixture + 0.5 * noise, case.truth)
    assert found.state == "ok" and -9 < found.evidence["rest_db"] < -5


@pytest.mark.parametrize("more", [5, -5])
def test_another_length_with_the_same_beginning_is_said(talk, more):
    case = talk(0)
    references = functional.pad(case.truth, (0, more))
    found = of_references(case.mixture, references)
    assert found.state == "note" and not found.bad
    assert f"end 5 samples {'after' if more > 0 else 'before'} it" in found.says
    names = {"references": references, "mixture": case.mixture}
    exec(found.remedy, names)
    assert of_references(names["mixture"], names["references"]).state == "ok"


def test_a_piece_from_the_middle_is_early(talk):
    case = talk(0)
    found = of_references(case.mixture, case.truth[:, 5:])
    assert found.state == "fail" and "5 samples (0.625 ms) early" in found.says


def test_what_comes_before(talk):
    case = talk(0)
    silent = of_references(torch.zeros(24000), case.truth)
    other_rate = of_references(case.mixture, case.truth[:, ::2])
    assert silent.state == other_rate.state == "undecided"
    assert "rate" in other_rate.says
    assert diagnose(references=case.truth)["references-mismatch"].state == "undecided"


def test_scores_of_estimates_that_are_of_no_reference_are_not_called_fine(talk):
    case = talk(0)
    other = FixedMixtures("unseen")[3][1][:, : len(case.mixture)]
    found = diagnose(references=case.truth, estimates=other)["order-arbitrary"]
    assert found.state == "undecided" and "hardly of these references" in found.says


def test_one_reference_of_two_is_not_taken_for_one_person(talk):
    case = talk(0)
    report = case.change(references=case.truth[:1], estimates=None).diagnose()
    assert not [f.id for f in report.findings if f.bad]
    assert report["sources-count"].state == "undecided"
    assert "1 reference for 2 outputs" in report["sources-count"].says
    assert "sources-count" in report.summary().partition("can't tell: ")[2]


def test_one_reference_that_is_the_whole_mixture_is_one_person(talk):
    case = talk(0)
    report = diagnose(case.model, case.truth[0], RATE, case.truth[:1])
    assert report["sources-count"].says == "1 person in the recording, 2 outputs of the model"
