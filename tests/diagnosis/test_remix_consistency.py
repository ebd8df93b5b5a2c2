"""The score without references."""

import pytest
import torch

from dprnn_lab.diagnosis.remix_consistency import fit_to_mixture, remix_consistency

TIME = torch.arange(8000) / 8000


def tones(*hertz):
    return sum(torch.sin(2 * torch.pi * f * TIME + f) for f in hertz)


def split(samples, hertz=1000):
    """A perfect separator of tones: below and above a frequency."""
    spectrum = torch.fft.rfft(samples)
    low = torch.fft.rfftfreq(samples.shape[-1], 1 / 8000) < hertz
    return torch.stack([torch.fft.irfft(spectrum * part, samples.shape[-1]) for part in (low, ~low)], 1)


MIXTURES = torch.stack((tones(200, 1500), tones(310, 2000)))


def test_a_perfect_separator_scores_high():
    found = remix_consistency(split, MIXTURES)
    assert found.score > 40
    assert found.residual < -60
    assert found.correlation < 0.01
    assert len(found.scores) == 2
    assert found.balance == pytest.approx(0, abs=0.5)


def test_copies_score_nothing():
    # Of noise: a tone that is shifted by its period is itself.
    found = remix_consistency(lambda x: torch.stack((x, x), 1), torch.randn(2, 8000))
    assert found.score < 1
    assert found.correlation == pytest.approx(1, abs=1e-4)


def test_a_made_up_signal_scores_nothing():
    noise = torch.randn(2, 8000)
    found = remix_consistency(lambda x: torch.stack((noise, noise.roll(17, -1)), 1), MIXTURES)
    assert found.score < 1
    assert found.residual > -1


def test_outputs_that_are_not_finite_count_as_silence():
    assert remix_consistency(lambda x: torch.full((2, 2, 8000), float("nan")), MIXTURES).score < 1


def test_three_sources_are_scored():
    found = remix_consistency(lambda x: torch.cat((split(x), 1e-3 * x.unsqueeze(1)), 1), MIXTURES)
    assert len(found.scores) == 2
    assert found.balance < -20


def test_gains_that_fit_the_mixture():
    sources = torch.stack((torch.stack((tones(200), tones(1500))), torch.stack((tones(310), tones(2000)))))
    fitted = fit_to_mixture(sources * torch.tensor([0.1, -3.0])[:, None], sources.sum(1))
    torch.testing.assert_close(fitted, sources, atol=1e-4, rtol=0)
