"""Outputs that do not line up, clicks, one voice alone, unknown voices: mostly without a model."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from dprnn_lab import diagnose
from dprnn_lab.audio import read_audio, resample, write_audio
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.diagnosis import acoustics
from dprnn_lab.diagnosis.checks import what_if
from dprnn_lab.diagnosis.checks.alignment import lag_to
from dprnn_lab.diagnosis.checks.clicks import clicks, gaps, grid
from dprnn_lab.diagnosis.evidence import Evidence
from dprnn_lab.diagnosis.inputs import Inputs
from dprnn_lab.diagnosis.remix_consistency import RemixConsistency
from dprnn_lab.faults import FAULTS, inject

RATE = 8000


@pytest.fixture(scope="module")
def pairs():
    """Mixtures [T] and sources [2, T] of the test list."""
    return [(m, s) for m, s, _ in FixedMixtures("test", kind="man-woman", limit=6)]


@pytest.fixture
def by_files(talk, tmp_path):
    """Diagnose mixture and estimates as files: ``by_files(estimates, rate)``."""

    def make(estimates, rate, mixture=None, mixture_rate=RATE):
        mixture = talk(0).mixture if mixture is None else mixture
        paths = [write_audio(tmp_path / f"e{i}.wav", x, rate) for i, x in enumerate(estimates)]
        return diagnose(mixture=write_audio(tmp_path / "m.wav", mixture, mixture_rate), estimates=paths)

    return make


# ---------------------------------------------------------------- length, rate, lag


@pytest.mark.parametrize("lag", [1, 24, 400, -1, -160])
def test_a_lag_is_found_to_the_sample_without_references(talk, lag):
    case = talk(0)
    late = F.pad(case.truth, (max(lag, 0), max(-lag, 0)))
    late = late[:, : len(case.mixture)] if lag > 0 else late[:, -lag:]
    report = diagnose(mixture=case.mixture, estimates=late)
    assert report.findings[0].id == "late-estimates"
    assert report["late-estimates"].evidence["lags"] == [lag, lag]
    assert ("late" if lag > 0 else "early") in report["late-estimates"].says
    assert not report["scale-free"].bad
    names = {"torch": torch, "estimates": late}
    exec(report["late-estimates"].remedy, names)
    assert diagnose(mixture=case.mixture, estimates=names["estimates"])["late-estimates"].state == "ok"


def test_each_source_has_its_own_lag(talk):
    case = talk(0)
    late = torch.stack((case.truth[0], F.pad(case.truth[1], (40, 0))[:-40]))
    finding = diagnose(mixture=case.mixture, estimates=late, references=case.truth).findings[0]
    assert finding.id == "late-estimates"
    assert finding.evidence["lags"] == [0, 40]
    assert "estimate 1 is in place, estimate 2 is 40 samples (5 ms) late" in finding.says


@pytest.mark.parametrize("signs", [(1, 1), (-1, 1)])
def test_estimates_in_place_are_in_order(talk, signs):
    case = talk(0)
    signed = case.truth * torch.tensor(signs)[:, None] * torch.tensor([[0.05], [2.0]])
    assert diagnose(mixture=case.mixture, estimates=signed)["late-estimates"].state == "ok"


def test_half_the_length_is_said_before_any_score(talk):
    case = talk(0)
    report = case.change(estimates=case.estimates[:, :12000]).diagnose()
    assert report.findings[0].id == "late-estimates"
    assert "12000 samples, the mixture has 24000: half as long" in report.findings[0].says
    assert not any(report[name].bad for name in ("scale-free", "order-arbitrary", "relative-level-lost"))


@pytest.mark.parametrize(("rate", "samples"), [(16000, 48000), (4000, 12000), (44100, 132300)])
def test_samples_at_another_rate_are_told_from_a_wrong_length(talk, rate, samples):
    case = talk(0)
    report = diagnose(mixture=case.mixture, sample_rate=RATE, estimates=resample(case.truth, RATE, rate))
    assert report.findings[0].id == "late-estimates"
    assert f"they fit it at {rate:g} Hz" in report.findings[0].says
    assert report.findings[0].evidence["estimate_samples"] == [samples, samples]


def test_files_at_another_rate_are_named_by_their_header(by_files, talk):
    report = by_files(resample(talk(0).truth, RATE, 16000) * 0.5, 16000)
    assert report.findings[0].id == "late-estimates"
    assert "at 16000 Hz, the mixture is at 8000 Hz" in report.findings[0].says


def test_files_at_another_rate_have_a_line_that_reads_them(by_files, talk):
    finding = by_files(resample(talk(0).truth, RATE, 16000) * 0.5, 16000).findings[0]
    assert finding.remedy == (
        "estimates = torch.stack([resample(*read_audio(path), 8000)[0] for path in estimates])"
    )


@pytest.mark.parametrize("as_files", [True, False])
def test_references_at_another_rate_are_named(pairs, tmp_path, as_files):
    mixture, sources = pairs[0]
    wide = resample(sources, RATE, 16000)
    references = (
        [write_audio(tmp_path / f"{i}.wav", x, 16000) for i, x in enumerate(wide)] if as_files else wide
    )
    finding = diagnose(mixture=mixture, sample_rate=RATE, references=references).findings[0]
    assert (finding.id, finding.state) == ("rate-mismatch", "fail")
    assert "16000 Hz" in finding.says and "references" in finding.says
    names = {"torch": torch, "resample": resample, "read_audio": read_audio, "references": references}
    exec(finding.remedy, names)
    assert names["references"].shape == sources.shape
    assert diagnose(mixture=mixture, sample_rate=RATE, references=sources)["rate-mismatch"].state == "ok"


def test_a_shorter_reference_is_not_taken_for_another_rate(pairs):
    mixture, sources = pairs[0]
    half = sources[:, : sources.shape[1] // 2]
    assert diagnose(mixture=mixture, sample_rate=RATE, references=half)["rate-mismatch"].state == "ok"


def test_an_output_of_noise_is_named_whether_the_voices_are_known_or_not(pairs):
    """Neither as late, nor as of another mixture, nor by its level."""
    mixture, sources = pairs[0]
    noise = 0.03 * torch.randn(len(mixture), generator=torch.Generator().manual_seed(0))
    for references in (sources, None):
        report = diagnose(
            mixture=mixture,
            sample_rate=RATE,
            references=references,
            estimates=torch.stack((mixture, noise)),
        )
        assert report.findings[0].id == "one-speaker"
        assert "output 2 is steady noise" in report.findings[0].says


def test_files_of_different_lengths_are_named(by_files, talk):
    truth = talk(0).truth
    report = by_files([truth[0], truth[1, :9000]], RATE)
    assert "24000 and 9000 samples" in report["late-estimates"].says


def test_files_at_the_mixtures_own_rate_are_compared_at_the_models(talk, tmp_path):
    case = talk(0)
    wide = resample(torch.cat((case.mixture[None], case.estimates)), RATE, 16000) * 0.5
    paths = [write_audio(tmp_path / f"{i}.wav", x, 16000) for i, x in enumerate(wide)]
    report = diagnose(case.model, paths[0], estimates=paths[1:])
    assert report["late-estimates"].state in ("ok", "undecided")  # the mixture's rate comes first
    assert report.findings[0].id == "rate-mismatch"
    assert report.evidence.estimates.shape == case.estimates.shape


@pytest.mark.parametrize("which", [(0, 1), (1,)])
def test_estimates_of_another_mixture_are_named(pairs, which):
    mixture, sources = pairs[0]
    estimates = sources.clone()
    for i in which:
        estimates[i] = pairs[3][1][i].flip(-1)  # backwards: the list has an utterance more than once
    says = diagnose(mixture=mixture, estimates=estimates)["late-estimates"].says
    assert "of another one" in says
    assert says.startswith("the estimates have" if len(which) == 2 else "estimate 2 has")


def test_the_lag_of_silence_is_none():
    assert lag_to(torch.zeros(100), torch.randn(100), 10) == (0, 0.0, 0.0)


@pytest.mark.parametrize("both", [True, False])
def test_silent_estimates_of_opposite_channels_are_explained(talk, both):
    case = talk(0)
    channels = torch.stack((case.mixture, -case.mixture if both else case.mixture))
    report = diagnose(mixture=channels, sample_rate=RATE, estimates=torch.zeros(2, 24000))
    assert report["silence"].state == "fail"
    assert report["silence"].explained_by == ("channels" if both else None)
    assert ("opposite phase" in report["silence"].says) == both
    assert not report["scale-free"].bad


# ---------------------------------------------------------------- clicks, gaps, pauses


def clicked(estimates, every, size, start):
    changed = estimates.clone()
    for at in range(start, estimates.shape[-1], every):
        changed[:, at] += size * float(estimates.abs().max())
    return changed


@pytest.mark.parametrize("size", [0.5, 1.0, 3.0])
def test_clicks_once_a_second_are_seams_without_a_model(pairs, size):
    mixture, sources = pairs[1]
    report = diagnose(mixture=mixture, estimates=clicked(sources, RATE, size, 8000))
    assert report.findings[0].id == "seam-artefact"
    assert report.findings[0].evidence["grid_s"] == 1.0
    assert report["scale-free"].explained_by in (None, "seam-artefact")


def test_a_click_that_the_mixture_has_too_is_none(pairs):
    mixture, sources = pairs[1]
    together = clicked(torch.stack((mixture, sources[0])), RATE, 1.0, 8000)
    assert clicks(together[1:], together[0], RATE) == ([], None)
    assert clicks(sources, mixture, RATE)[1] is None


def gate(signals, size=160):
    frames = signals.unfold(-1, size, size)
    loud = frames.square().mean(-1, keepdim=True)
    return (frames * (loud > 0.03 * loud.mean(1, keepdim=True))).reshape(len(signals), -1)


@pytest.mark.parametrize(("size", "count"), [(80, 1), (160, 2), (400, 1), (2000, 2)])
def test_pauses_of_a_gate_are_no_seams(pairs, size, count):
    for mixture, sources in pairs[:3]:
        estimates = gate(sources[:count], size)
        report = diagnose(mixture=mixture[: estimates.shape[-1]], estimates=estimates)
        assert not report["seam-artefact"].bad, report["seam-artefact"].says


def test_gaps_on_a_grid_are_seams(pairs):
    mixture, sources = pairs[0]
    cut = sources.clone()
    for at in range(4000, len(mixture), 4000):
        cut[:, at - 20 : at] = 0
    found = gaps(cut, mixture, RATE)
    assert [end - begin for begin, end in found] == [20] * 7
    assert grid([end for _, end in found], RATE, len(mixture)) == (4000, list(range(4000, 32000, 4000)))


def test_places_without_a_grid_have_none():
    assert grid([100], RATE, 32000) is None
    assert grid([100, 5103], RATE, 32000) is None  # two, and no quarter of a second
    assert grid([1000, 5000, 8990], RATE, 32000) is None
    assert grid([1000, 5000], RATE, 32000) is None  # two of eight points
    assert grid([1000, 1300, 1600], RATE, 32000) is None  # no window is that short


# ---------------------------------------------------------------- noise, rooms, one voice


def test_noise_and_rooms_are_measured_without_a_model(pairs):
    generator = torch.Generator().manual_seed(0)
    for mixture, _ in pairs:
        assert acoustics.recording_sign(mixture, RATE)[0] == ""
        noise = torch.randn(len(mixture), generator=generator)
        noisy = mixture + noise * mixture.std() * 10 ** (-8 / 20)
        assert acoustics.recording_sign(noisy, RATE)[0] == "steady noise"
        echo = torch.randn(4000, generator=generator) * torch.exp(-6.9 * torch.arange(4000) / 4000)
        echo[0] = 5.0
        wet = F.conv1d(F.pad(mixture[None], (3999, 0))[None], echo.flip(0)[None, None])[0, 0]
        assert acoustics.recording_sign(wet, RATE)[0]
        assert (
            acoustics.decay_db_per_s(wet, RATE)
            > acoustics.ECHO_DB_PER_S
            > acoustics.decay_db_per_s(mixture, RATE)
        )


def test_one_voice_is_told_from_two(pairs):
    one = [acoustics.one_voice_score(s, RATE) for _, sources in pairs for s in sources]
    two = [acoustics.one_voice_score(m, RATE) for m, _ in pairs]
    assert sum(score > acoustics.ONE_VOICE_SCORE for score in one) >= 10
    assert max(two) < acoustics.ONE_VOICE_SCORE


def test_the_measures_do_not_depend_on_level_or_rate(pairs):
    mixture, _ = pairs[0]
    assert acoustics.one_voice_score(mixture * 0.01, RATE) == pytest.approx(
        acoustics.one_voice_score(mixture, RATE), abs=0.1
    )
    wide = resample(mixture, RATE, 16000)
    assert acoustics.periodicity(wide, 16000) == pytest.approx(acoustics.periodicity(mixture, RATE), abs=0.05)
    assert acoustics.decay_db_per_s(wide, 16000) < acoustics.ECHO_DB_PER_S


@pytest.mark.parametrize("samples", [torch.zeros(8000), torch.randn(100), torch.ones(1)])
def test_what_is_too_short_or_silent_has_no_sign(samples):
    assert acoustics.recording_sign(samples, RATE)[0] == ""
    assert acoustics.one_voice_score(samples, RATE) == 0


def test_one_person_alone_is_named_when_nobody_says_so(talk):
    case = talk(0, 4.0)
    report = diagnose(case.model, case.truth[1], RATE)
    assert report["sources-count"].state == "warn"
    assert report["one-speaker"].state == "warn"
    assert report["one-speaker"].explained_by == "sources-count"
    assert report["polarity"].state != "fail"
    assert report.state == "warn"


@pytest.mark.parametrize("variant", ["split", "one-of-two", "noise"])
def test_outputs_of_one_speaker_are_named_first(broken, variant):
    report = broken("one-speaker", variant, seconds=4.0).diagnose()
    assert report.findings[0].id == "one-speaker", str(report)


@pytest.mark.parametrize("variant", [v for v in FAULTS["late-estimates"] if v not in ("early", "3-ms")])
def test_late_estimates_are_named_first(broken, variant):
    case = broken("late-estimates", variant).change(model=None, checkpoint=None)
    assert case.diagnose().findings[0].id == "late-estimates"


def test_unknown_voices_are_a_warning_that_names_a_network(talk):
    case = inject("unseen-speakers", talk(0), variant="dull")
    report = case.change(references=None).diagnose()
    finding = report["unseen-speakers"]
    assert report.findings[0].id == "unseen-speakers"
    assert (finding.state, report.state) == ("warn", "warn")
    assert "many-voices" in finding.remedy
    assert finding.evidence["score_db"] < finding.evidence["score_bundled_db"]
    assert report["domain-mismatch"].state == "ok"
    # With noise on top it can't be told, and the noise is named.
    noisy = case.mixture + torch.randn(len(case.mixture)) * case.mixture.std()
    report = diagnose(case.model, noisy, RATE)
    assert report["unseen-speakers"].state == "undecided"
    assert report["domain-mismatch"].state == "fail"


def test_a_gain_of_another_polarity_counts_only_if_the_model_then_works(talk, monkeypatch):
    case = talk(19)  # which the bundled model separates in one polarity only
    assert inject("polarity", case).diagnose()["polarity"].bad
    monkeypatch.setattr(what_if, "MOST_BELOW_KNOWN_DB", -20.0)
    assert inject("polarity", case).diagnose()["polarity"].state == "ok"


@pytest.mark.parametrize(("inverted", "state"), [(11.0, "fail"), (8.5, "ok"), (3.0, "ok")])
def test_references_decide_over_the_polarity(talk, monkeypatch, inverted, state):
    """Remix consistency rises by chance on some voices; with references SI-SDRi must rise too."""
    evidence = Evidence(Inputs(talk(0).model, talk(0).mixture, RATE, talk(0).references))
    low, high = (RemixConsistency((x,), x, -x, 0.0, 0.0) for x in (1.0, 9.0))
    evidence.score_on_mixture, evidence.own_score = low, 8.0
    monkeypatch.setattr(evidence, "rescore", lambda pieces: high)
    monkeypatch.setattr(what_if, "_improvement_inverted", lambda e, clean: inverted)
    assert what_if.polarity(evidence).state == state


def test_the_script_of_the_table_runs(talk, tmp_path):
    path = Path(__file__).parent / "unknown_voices.py"
    spec = importlib.util.spec_from_file_location("unknown_voices", path)
    script = importlib.util.module_from_spec(spec)
    sys.modules["unknown_voices"] = script
    spec.loader.exec_module(script)
    for name in "abcdefgh":
        write_audio(tmp_path / name / "1.wav", 0.1 * torch.randn(40000), RATE)
    tune, report = (set(script.voices_of_half(tmp_path, half, 0)) for half in ("tune", "report"))
    assert len(tune) == len(report) == 4 and not tune & report
    voices = {"a": talk(0, 4.0).truth[0], "b": talk(0, 4.0).truth[1]}
    voices |= {"c": voices["a"], "d": voices["b"]}
    x = script.example(voices, talk(0).model, "0", None)
    assert x.estimates.shape == x.sources.shape == (2, 32000)
    late = script.KINDS["late-3-ms"][1](x)["estimates"]
    assert torch.equal(late[:, 24:], x.estimates[:, :-24])
    answers = [
        script.Answer("clicks", "small", ("seam-artefact",), ("level", "seam-artefact"), ("level",), 1.0)
    ]
    assert "| clicks | small | 1 | 1 | 0 | level 1 |" in script.table(answers)
