"""The remedy in a report, executed, restores the healthy case's score."""

import pytest
import torch

from dprnn_lab import DPRNNTasNet, load_model, separate
from dprnn_lab.audio import read_audio, resample, to_mono
from dprnn_lab.diagnosis import CATALOGUE, rebuild
from dprnn_lab.evaluation import evaluate
from dprnn_lab.files import data_folder
from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, reorder, si_sdr, snr
from dprnn_lab.separation.in_memory import scale_to_mixture

SHOWS_AT = {"polarity": 19}  # as in conftest.py
SMALL = data_folder() / "model" / "small.safetensors"
TOOLS = [
    DPRNNTasNet, PITLossWrapper, evaluate, load_model, pairwise_neg_sisdr, read_audio, rebuild, reorder, resample,
    scale_to_mixture, separate, to_mono,
]  # fmt: skip

# (failure, variant) whose remedy restores the score; for WITH_GOOD_FILE, after a good file replaced the bad one.
REPAIRED = [
    ("weights-unmatched", "lightning"),
    ("weights-unmatched", "parallel"),
    ("weights-unmatched", "only-outputs"),
    ("config-shape", "three-sources-in-file"),
    ("config-shape", "rnn-in-file"),
    ("channels", "opposite"),
    ("channels", "transposed"),
    ("channels", "stereo-file"),
    ("not-finite", "nan-sample"),
    ("level", "sixteen-bit"),
    ("level", "offset"),
    ("level", "too-loud"),
    ("level", "faint"),
    ("rate-mismatch", "wrong-file"),
    ("rate-mismatch", "wrong-samples"),
    ("rate-mismatch", "unstated"),
    ("polarity", "inverted"),
    ("train-serve-skew", "standardised"),
    ("train-serve-skew", "not-standardised"),
    ("permutation-flip", "once"),
    ("seam-artefact", "gaps-0.5-s"),
    ("late-estimates", "3-ms"),
    ("late-estimates", "each-its-own"),
    ("late-estimates", "half-length"),
    ("late-estimates", "16-khz"),
    ("relative-level-lost", "peaks"),
    ("scale-free", "one-faint"),
    ("scale-free", "clipped"),
    ("order-arbitrary", "flipped"),
    ("order-arbitrary", "negative"),
    ("outputs-alike", "same-twice"),
]
WITH_GOOD_FILE = [
    ("weights-unmatched", "no-file"),
    ("weights-partial", "random-block"),
    ("weights-partial", "missing-block"),
    ("weights-corrupt", "truncated"),
    ("weights-corrupt", "nan-model"),
]
SLOW = [("config-silent", "mask-relu"), ("config-silent", "stride-doubled"), ("config-silent", "norm-cln")]
BEYOND_CODE = {
    "weights-unsafe": "its author must write another file",
    "silence": "there is nothing to separate",
    "length": "a longer recording, or one that is not there",
    "sources-count": "another model",
    "domain-mismatch": "another model, or training",
    "unseen-speakers": "another model, or training",
    "one-speaker": "there is nothing to separate",
    "references-mismatch": "what the outputs are compared with changes, and not they: test_references.py",
}


def apply_remedy(case, finding, good_file=None):
    """Execute the remedy over a user's names, and separate."""
    names = {tool.__name__: tool for tool in TOOLS} | {"torch": torch}
    checkpoint = good_file or case.checkpoint or SMALL
    names |= {
        "model": case.model
        if case.model is not None
        else load_model(checkpoint, report=True)[0]
        if finding.id not in ("config-shape", "config-silent") and not good_file
        else None,
        "checkpoint": checkpoint,
        "mixture": case.mixture,
        "sample_rate": case.sample_rate,
        "references": case.references,
        "estimates": None if finding.entry.group in "ABC" else case.estimates,
    }
    exec(finding.remedy, names)  # the line that the report prints
    estimates = names["estimates"]
    if estimates is None:
        estimates = separate(names["model"], names["mixture"], names["sample_rate"])
    return estimates


def score(estimates, case, measure=si_sdr, ordered=True):
    """Mean dB against the true sources, under the best order unless the order is what counts."""
    length = min(estimates.shape[-1], case.truth.shape[-1])
    estimates, truth = estimates[:, :length], case.truth[:, :length]
    if ordered:
        order = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates[None], truth[None])[1]
        estimates = reorder(estimates[None], order)[0]
    return float(measure(estimates, truth).mean())


def check(broken, talk, failure, variant, good_file=None, short=0.5):
    case = broken(failure, variant, seconds=4.0)
    finding = case.diagnose().findings[0]
    assert finding.id == failure
    healthy = talk(SHOWS_AT.get(failure, 0), 4.0)
    measure = snr if failure in ("relative-level-lost", "scale-free") or variant == "negative" else si_sdr
    ordered = failure != "order-arbitrary"
    reference = case if failure == "relative-level-lost" else healthy
    goal = score(healthy.estimates, healthy, measure)
    if failure == "relative-level-lost":  # the voices were set further apart
        goal = score(separate(case.model, case.mixture), case, measure)
    reached = score(apply_remedy(case, finding, good_file), reference, measure, ordered)
    assert reached > goal - short  # dB
    if case.estimates is not None and case.estimates.isfinite().all():
        assert score(case.estimates, reference, measure, ordered) < reached - 0.05


@pytest.mark.parametrize(("failure", "variant"), REPAIRED)
def test_the_remedy_restores_the_score(broken, talk, failure, variant):
    check(broken, talk, failure, variant)


@pytest.mark.parametrize(("failure", "variant"), WITH_GOOD_FILE)
def test_the_remedy_restores_the_score_with_a_good_file(broken, talk, failure, variant):
    check(broken, talk, failure, variant, good_file=SMALL)


@pytest.mark.slow
@pytest.mark.parametrize(("failure", "variant"), SLOW)
def test_the_setting_that_was_found_restores_the_score(broken, talk, failure, variant):
    # Weights alone do not reveal the chunk size: 100 is assumed in place of 64. Over eight mixtures of the test list
    # that costs nothing (11.6 against 11.5 dB), so remix consistency does not find it; on this one it costs 1.9 dB.
    check(broken, talk, failure, variant, short=2.2 if variant == "norm-cln" else 0.5)


@pytest.mark.parametrize("variant", ["sixteen-bit", "too-loud", "faint"])
def test_the_level_after_the_remedy_is_that_of_audio(broken, variant):
    case = broken("level", variant)
    names = {"mixture": case.mixture}
    exec(case.diagnose().findings[0].remedy, names)
    assert 0.05 < names["mixture"].abs().max() <= 1


def test_every_failure_of_these_groups_is_repaired_here_or_is_beyond_code():
    repaired_here = {failure for failure, _ in REPAIRED + WITH_GOOD_FILE + SLOW}
    assert repaired_here.isdisjoint(BEYOND_CODE)
    assert repaired_here | set(BEYOND_CODE) == {e.id for e in CATALOGUE.values() if e.group in "ABCD"}


@pytest.mark.parametrize("failure", [*BEYOND_CODE, *(e.id for e in CATALOGUE.values() if e.group == "E")])
def test_a_remedy_is_python_even_when_it_is_not_executed_here(broken, failure):
    finding = broken(failure).diagnose()[failure]
    assert finding.named
    compile(finding.remedy, failure, "exec")
    assert "\n" not in finding.remedy
