"""Scores of one mixture, against mir_eval and against known values."""

import importlib.util
import math
import warnings

import pytest
import torch

from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.evaluation import scores
from dprnn_lab.evaluation.scores import score

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mir_eval


@pytest.fixture(scope="module")
def speech():
    mixture, sources, _ = FixedMixtures("test", limit=1)[0]
    return mixture[:16000], sources[:, :16000]


def estimates_of(sources):
    """Sources with some of each other and some noise, in the wrong order and at odd levels."""
    first, second = sources
    noise = 0.02 * sources.std() * torch.randn_like(sources)
    return torch.stack((0.3 * second + 0.05 * first, -2 * first + 0.2 * second)) + noise


@pytest.mark.filterwarnings("ignore:.*mir_eval.*:FutureWarning")
def test_sdr_sir_and_sar_are_mir_evals(speech):
    mixture, sources = speech
    estimates = estimates_of(sources)
    ours = score(estimates, sources, mixture, ["bss"])
    sdr, sir, sar, _ = mir_eval.separation.bss_eval_sources(sources.numpy(), estimates.numpy())
    before, *_ = mir_eval.separation.bss_eval_sources(sources.numpy(), mixture.expand(2, -1).numpy())
    assert ours["sdr"] == pytest.approx(sdr.mean(), abs=0.01)
    assert ours["sir"] == pytest.approx(sir.mean(), abs=0.01)
    assert ours["sar"] == pytest.approx(sar.mean(), abs=0.01)
    assert ours["sdri"] == pytest.approx(sdr.mean() - before.mean(), abs=0.01)


def test_all_scores_use_the_same_order(speech):
    mixture, sources = speech
    estimates = estimates_of(sources)
    metrics = ["bss", "stoi"] if importlib.util.find_spec("pystoi") else ["bss"]
    one = score(estimates, sources, mixture, metrics)
    other = score(estimates.flip(0), sources, mixture, metrics)
    assert one == pytest.approx(other, abs=1e-3)
    assert one["si_sdri"] > 5


def test_only_what_was_asked_for_is_computed(speech):
    mixture, sources = speech
    basic = {"si_sdr", "si_sdr_in", "si_sdri", "correlation"}
    assert set(score(sources, sources, mixture)) == basic
    assert set(score(sources, sources, mixture, ["bss"])) == basic | {"sdr", "sdri", "sir", "sar"}


def test_stoi_rises_from_the_mixture_to_the_sources(speech):
    pytest.importorskip("pystoi")
    mixture, sources = speech
    found = score(estimates_of(sources), sources, mixture, ["stoi"])
    assert found["stoi"] > found["stoi_in"] + 0.1
    assert score(sources, sources, mixture, ["stoi"])["stoi"] == pytest.approx(1, abs=1e-3)


def test_pesq_rises_from_the_mixture_to_the_sources(speech):
    pytest.importorskip("pesq")
    mixture, sources = speech
    found = score(sources, sources, mixture, ["pesq"])
    assert found["pesq"] > found["pesq_in"] + 1
    with pytest.raises(ValueError, match="44100 Hz: PESQ"):
        score(sources, sources, mixture, ["pesq"], sample_rate=44100)


def test_a_silent_estimate_leaves_sdr_undefined_and_si_sdr_at_its_floor(speech):
    mixture, sources = speech
    found = score(torch.zeros_like(sources), sources, mixture, ["bss"])
    assert all(math.isnan(found[k]) for k in ("sdr", "sdri", "sir", "sar", "correlation"))
    assert found["si_sdr"] == pytest.approx(-80)


def test_a_metric_that_does_not_exist_or_is_not_installed(speech, monkeypatch):
    mixture, sources = speech
    with pytest.raises(ValueError, match="'sdri': choose from si_sdr, bss, stoi, pesq"):
        score(sources, sources, mixture, ["sdri"])
    monkeypatch.setattr(scores.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs the package pystoi: pip install pystoi"):
        score(sources, sources, mixture, ["stoi"])


def test_a_mixture_of_another_length(speech):
    mixture, sources = speech
    with pytest.raises(ValueError, match=r"mixture has shape \[15999\]"):
        score(sources, sources, mixture[1:])
