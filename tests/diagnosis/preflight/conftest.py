"""Small models and short mixtures: a preflight of about a second, without a limit of time that a slow machine meets."""

import functools

import pytest
import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.diagnosis import preflight as package
from dprnn_lab.diagnosis.preflight import learning, range_test

SMALL = {
    "n_filters": 24,
    "kernel_size": 64,
    "stride": 32,
    "chunk_size": 8,
    "n_repeats": 1,
    "bn_chan": 12,
    "hid_size": 12,
}


@pytest.fixture
def net():
    """Maker of models that learn within a few steps: ``net(rnn_type="GRU")``."""

    def make(**options) -> DPRNNTasNet:
        torch.manual_seed(0)
        return DPRNNTasNet(**{**SMALL, **options})

    return make


@functools.cache
def _batch(n_src: int, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Four mixtures of modulated noise bands, which are as different as voices are."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(4, n_src, samples, generator=generator)
    spectrum = torch.fft.rfft(noise)
    place = torch.linspace(0, 1, spectrum.shape[-1])
    centres = 0.1 + 0.5 * (torch.arange(n_src) + 0.5) / n_src
    spectrum = spectrum * torch.exp(-(((place - centres[:, None]) / 0.06) ** 2))
    sources = torch.fft.irfft(spectrum, samples)
    sources = 0.05 * sources / sources.square().mean(-1, keepdim=True).sqrt()
    return sources.sum(1), sources


@pytest.fixture
def batch():
    """Maker of batches: ``batch(n_src=3)``."""
    return lambda n_src=2, samples=1600: tuple(part.clone() for part in _batch(n_src, samples))


@pytest.fixture
def check(monkeypatch, batch):
    """``preflight`` with fewer steps, on the short mixtures, and without a limit of time."""
    monkeypatch.setattr(learning, "STEPS", 20)
    monkeypatch.setattr(range_test, "STEPS", 20)

    def run(model, loss=None, data=None, **options):
        return package.preflight(
            model, loss, batch() if data is None else data, **{"budget_s": 600, **options}
        )

    return run
