"""References that do not belong to the mixture: found to the sample, and judged by nothing else."""

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import lfilter
from torch.nn import functional

from dprnn_lab import diagnose, load_model
from dprnn_lab.audio import resample
from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.diagnosis.reference_fit import moved
from dprnn_lab.diagnosis.remedies import python_line
from dprnn_lab.faults import FAULTS

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


def filtered(x, numerator):
    return torch.from_numpy(lfilter(numerator, [1.0], x.numpy())).float()


@pytest.mark.parametrize("below_db", [15, 25, 40])
def test_a_faint_second_voice_is_in_place(talk, below_db):
    loud, faint = (x / x.std() * 0.05 for x in talk(0).truth)
    references = torch.stack((loud, faint * 10 ** (-below_db / 20)))
    assert of_references(references.sum(0), references).state == "ok"
    late = torch.stack((references[0], moved(references[1], 50)))
    if below_db == 15:
        assert of_references(references.sum(0), late).says.endswith(
            "reference 2 is 50 samples (6.25 ms) late"
        )


@pytest.mark.parametrize("case", ["equal", "the mixture", "one and the mixture", "leaking"])
def test_each_reference_is_one_voice(talk, case):
    mixture, (one, other) = talk(0).mixture, talk(0).truth
    signals = {
        "equal": (one, one),
        "the mixture": (mixture, mixture),
        "one and the mixture": (one, mixture),
        "leaking": (0.7 * one + 0.3 * other, 0.3 * one + 0.7 * other),
    }
    found = of_references(mixture, torch.stack(signals[case]))
    assert found.state == "fail" and "references 1 and 2 hold the same sound" in found.says


def test_references_are_not_the_estimates(talk):
    case = talk(0)
    estimates = case.separated()
    found = diagnose(mixture=case.mixture, references=estimates, estimates=estimates)["references-mismatch"]
    assert found.state == "fail" and "the references are the estimates themselves" in found.says
    right = diagnose(mixture=case.mixture, references=case.truth, estimates=case.truth)
    assert right["references-mismatch"].state == "ok"


def test_references_that_fit_for_a_part_of_the_time():
    (mixture, sources, _), (_, others, _) = (FixedMixtures("unseen")[i] for i in (0, 50))
    half = torch.cat((sources[:, :16000], others[:, 16000:]), -1)
    found = of_references(mixture, half)
    assert found.state == "fail" and "first at 2.0 s" in found.says


@pytest.mark.parametrize("kind", ["another clock", "a cut"])
def test_a_lag_that_changes_is_no_lag(kind):
    mixture, sources, _ = FixedMixtures("unseen")[0]
    if kind == "a cut":
        other = torch.cat((sources[:, :16000], moved(sources, 400)[:, 16000:]), -1)
    else:
        at = np.arange(sources.shape[-1]) * 1.001
        other = torch.from_numpy(
            np.stack([np.interp(at, np.arange(len(x)), x) for x in sources.numpy()])
        ).float()
    found = of_references(mixture, other)
    assert found.state == "fail" and "of another clock, or cut" in found.says


def test_a_filter_is_not_taken_for_a_delay(talk):
    case = talk(0)
    found = of_references(case.mixture, torch.stack([filtered(x, [1, -0.95]) for x in case.truth]))
    assert found.state == "warn" and "filtered, by another microphone, or with noise" in found.says


def test_too_short_to_tell(talk):
    case = talk(0)
    assert of_references(case.mixture[:3000], case.truth[:, :3000]).says == "too short to tell"


@pytest.mark.parametrize("change", ["rate", "length", "lags"])
def test_the_lines_for_files_run(talk, tmp_path, change):
    case = talk(0)
    signals, rates = list(case.truth), [RATE, RATE]
    if change == "rate":
        signals, rates = [resample(x, RATE, 16000) for x in signals], [16000, 16000]
    elif change == "length":
        signals[0] = signals[0][:-1000]
    else:
        signals = [moved(signals[0], 20), signals[1][:-7]]
    files = [tmp_path / f"{i}.wav" for i in range(3)]
    for path, samples, rate in zip(files, [case.mixture, *signals], [RATE, *rates], strict=True):
        soundfile.write(path, samples.numpy(), rate, subtype="FLOAT")
    report = diagnose(load_model("small"), files[0], references=files[1:])
    names: dict = {}
    [finding] = [
        f for f in report.findings if f.id == ("rate-mismatch" if change == "rate" else "references-mismatch")
    ]
    exec(python_line(finding, report.evidence.given), names)
    assert finding.state == ("note" if change == "length" else "fail")
    if change == "length":
        assert finding.says.startswith("reference 1 begins with the mixture and ends 1000 samples before it")
    mixture = names.get("mixture", case.mixture)
    assert of_references(mixture, names.get("references", case.truth)[:, : len(mixture)]).state in (
        "ok",
        "note",
    )
