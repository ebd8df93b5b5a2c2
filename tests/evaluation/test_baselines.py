"""The baselines score in the expected order: the mixture at zero, the ideal masks far above, NMF between."""

from types import SimpleNamespace

import pytest
import torch

from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.evaluation import BASELINES, evaluate, summarise
from dprnn_lab.evaluation.baselines import NMF, ideal_binary_mask, ideal_ratio_mask, mixture_copies


@pytest.fixture(scope="module")
def results():
    systems = {name: make() for name, make in BASELINES.items() if name != "nmf"}
    systems["nmf"] = NMF(size=300, iterations=20)
    return summarise(evaluate(systems, FixedMixtures("test", kind="man-woman", limit=3))).set_index("system")


def test_the_mixture_improves_nothing(results):
    assert results.loc["mixture", "mean"] == pytest.approx(0, abs=1e-4)
    assert results.loc["mixture", "correlation"] == pytest.approx(1, abs=1e-4)


def test_the_ideal_masks_are_far_above(results):
    assert results.loc["irm", "worst"] > 8
    assert results.loc["ibm", "worst"] > 8


def test_nmf_is_between(results):
    assert results.loc["mixture", "mean"] + 0.5 < results.loc["nmf", "mean"] < results.loc["irm", "mean"] - 3


def test_both_masks_separate_tones_in_different_bins():
    time = torch.arange(8000) / 8000
    tones = torch.stack([torch.sin(2 * torch.pi * f * time) for f in (500.0, 2000.0)])
    for mask in (ideal_ratio_mask, ideal_binary_mask):
        estimates = mask(tones.sum(0), tones)
        assert (estimates - tones)[:, 500:-500].abs().max() < 0.01


def test_masks_add_up_to_the_mixture():
    sources = torch.randn(3, 4000)
    mixture = sources.sum(0)
    for mask in (ideal_ratio_mask, ideal_binary_mask):
        assert torch.allclose(mask(mixture, sources).sum(0), mixture, atol=1e-4)


def test_copies_are_the_mixture():
    assert torch.equal(mixture_copies(torch.arange(5.0), torch.zeros(3, 5)), torch.arange(5.0).expand(3, 5))


def voices():
    """Two 'speakers': harmonics of 100 Hz and of 170 Hz, in noise."""
    time = torch.arange(16000) / 8000
    generator = torch.Generator().manual_seed(0)

    def hum(pitch):
        tone = sum(torch.sin(2 * torch.pi * pitch * k * time + k) for k in range(1, 6))
        return tone * torch.rand(16000 // 800, generator=generator).repeat_interleave(800)

    return {"low": hum(100.0), "high": hum(170.0), "third": hum(230.0)}


def test_nmf_separates_what_its_dictionaries_know():
    made = voices()
    nmf = NMF({k: v[:8000] for k, v in made.items()}, size=20)
    sources = torch.stack((made["low"], made["high"]))[:, 8000:]
    spec = SimpleNamespace(id="x", kind="hum", first="low/1.wav", second="high/1.wav")
    table = evaluate(nmf, [(sources.sum(0), sources, spec)])
    assert table.si_sdri[0] > 6
    wrong = SimpleNamespace(id="x", kind="hum", first="third/1.wav", second="low/1.wav")
    assert evaluate(nmf, [(sources.sum(0), sources, wrong)]).si_sdri[0] < table.si_sdri[0] - 3


def test_a_dictionary_has_spectra_that_sum_to_one_and_does_not_change():
    nmf = NMF(voices(), size=20)
    basis = nmf.dictionary("low")
    assert basis.shape == (257, 20)
    assert torch.allclose(basis.sum(0), torch.ones(20), atol=1e-5)
    assert torch.equal(basis, NMF(voices(), size=20, seed=0).dictionary("low"))
    assert not torch.equal(basis, NMF(voices(), size=20, seed=1).dictionary("low"))


def test_an_unknown_voice_gets_the_others_but_not_its_partners():
    nmf = NMF(voices(), size=20)
    unknown = nmf.dictionary("unknown", "low")
    both = torch.cat([nmf.dictionary("high"), nmf.dictionary("third")], dim=1)
    # Its spectra are those of the two others; each is found among a larger draw of theirs.
    full = NMF(voices(), size=200)
    pool = torch.cat([full.dictionary("high"), full.dictionary("third")], dim=1)
    nearest = torch.cdist(unknown.T, pool.T, compute_mode="donot_use_mm_for_euclid_dist").min(1).values
    assert unknown.shape == both[:, ::2].shape
    assert nearest.max() < 1e-6
    assert torch.cdist(unknown.T, full.dictionary("low").T).min() > 1e-3


def test_mixtures_without_speakers_are_refused():
    with pytest.raises(ValueError, match="do not say who speaks"):
        NMF(voices(), size=5)(torch.zeros(8000), torch.zeros(2, 8000), SimpleNamespace(id="x", kind="y"))
