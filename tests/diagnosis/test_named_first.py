"""Each injected failure stands first in the report; healthy cases have none."""

import pytest

from dprnn_lab.diagnosis import CATALOGUE
from dprnn_lab.faults import FAULTS, healthy_case

# Every variant of these; one or two of those that run a trained model, the rest in make bench-diagnosis.
QUICK = {
    "weights-unsafe", "weights-corrupt", "weights-unmatched", "weights-partial", "config-shape", "silence",
    "order-arbitrary", "scale-free", "relative-level-lost", "outputs-alike", "eval-mode", "chunk-size",
    "dead-output", "sign-of-loss", "detached-loss", "nan-run", "pit-wrong-axis", "no-pit", "silent-target",
    "targets-inconsistent", "same-speaker", "leakage", "no-clipping", "learning-rate", "resume", "overfit",
    "plateau-reading", "unhealthy-curve",
}  # fmt: skip
RUN_A_MODEL = [
    ("not-finite", "nan-stretch"),
    ("channels", "opposite"),
    ("channels", "transposed"),
    ("level", "sixteen-bit"),
    ("level", "clipped"),
    ("level", "offset"),
    ("length", "50-ms"),
    ("rate-mismatch", "wrong-file"),
    ("rate-mismatch", "upsampled"),
    ("polarity", "inverted"),
    ("train-serve-skew", "standardised"),
    ("sources-count", "three-voices"),
    ("sources-count", "one-stated"),
    ("domain-mismatch", "white-noise"),
]
LONG = [("permutation-flip", "once"), ("seam-artefact", "gaps-0.5-s"), ("seam-artefact", "joined-0.25-s")]
CASES = [(failure, variant) for failure in CATALOGUE if failure in QUICK for variant in FAULTS[failure]]


@pytest.mark.parametrize(("failure", "variant"), CASES + RUN_A_MODEL)
def test_a_failure_is_named_first(broken, failure, variant):
    report = broken(failure, variant).diagnose()
    assert report.findings[0].id == failure
    assert report.findings[0].named
    assert report.exit_code == {"fail": 2, "warn": 1, "note": 0}[report.findings[0].state]


@pytest.mark.parametrize(("failure", "variant"), LONG)
def test_a_failure_over_time_is_named_first(broken, failure, variant):
    assert broken(failure, variant, seconds=4.0).diagnose().findings[0].id == failure


@pytest.mark.slow
@pytest.mark.parametrize("variant", FAULTS["config-silent"])
def test_a_wrong_setting_is_found_by_remix_consistency(broken, variant):
    report = broken("config-silent", variant, seconds=4.0).diagnose()
    assert report.findings[0].id == "config-silent"
    (argument,) = report.findings[0].evidence["better"]
    assert argument.partition("_")[0] == variant.partition("-")[0]


def test_a_setting_that_the_file_contradicts_needs_no_search(talk):
    from dprnn_lab.diagnosis import rebuild

    case = talk(0)
    report = case.change(model=rebuild(case.model, mask_act="relu")).with_own_estimates().diagnose()
    assert report.findings[0].id == "config-silent"
    assert report.findings[0].evidence["file"] == {"mask_act": "sigmoid"}


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_wrong_with_a_healthy_case(talk, seed):
    report = talk(seed).diagnose()
    assert report.state == "ok", str(report)
    assert report["config-silent"].state == report["domain-mismatch"].state == "ok"


@pytest.mark.parametrize("without", ["references", "estimates", "checkpoint", "model", "sample_rate"])
def test_nor_with_less_input(talk, without):
    assert talk(1).change(**{without: None}).diagnose().state == "ok"


def test_a_model_that_hardly_separates_anything_is_not_blamed_on_the_recording():
    from dprnn_lab.faults.bench import WIDE_MODEL

    # Two women score 2.6 dB with it, and the bundled mixtures no more than 3.4.
    report = healthy_case(0, "woman-woman", model=WIDE_MODEL, seconds=2.0).diagnose()
    assert not report["domain-mismatch"].bad
    assert report["domain-mismatch"].evidence["score_bundled_db"] < 7


def test_a_file_that_does_not_load_still_says_its_rate(broken):
    case = broken("config-shape", "hidden-in-file")
    report = case.change(sample_rate=16000).diagnose()
    assert report.findings[0].id == "config-shape"
    assert report["rate-mismatch"].evidence["model_rate"] == 8000


def test_nothing_is_wrong_with_a_healthy_training(training):
    report = training().diagnose()
    assert report.state == "ok", str(report)
    for failure in ("no-pit", "pit-wrong-axis", "leakage", "same-speaker", "overfit", "unhealthy-curve"):
        assert report[failure].state == "ok", failure


def test_no_check_raises(talk, training):
    for case in (talk(0), training()):
        assert not case.diagnose().errors
