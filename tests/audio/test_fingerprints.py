"""A recording is found again at another level and after rounding, and no other recording is taken for it."""

import pytest
import torch

from dprnn_lab.audio import Fingerprints, fingerprint, to_pcm16
from dprnn_lab.datasets import SpeechCorpus


@pytest.fixture(scope="module")
def speech():
    return [waveform for waveform, _ in SpeechCorpus("test", ["carlo", "june"])][:24]


def saved(samples):
    """As a 16-bit file gives it back."""
    return to_pcm16(samples).float() / 2**15


@pytest.mark.parametrize("gain", [1.0, 0.7, 1.3, 0.37, 0.05, -0.7])
def test_copies_at_another_level_are_found_after_16_bit(speech, gain):
    known = Fingerprints(speech)
    assert [known.find(saved(gain * x)) for x in speech] == list(range(len(speech)))


def test_eight_bit_noise_and_clipping_do_not_hide_most_copies(speech):
    known = Fingerprints(speech)
    noise = torch.randn(10**6, generator=torch.Generator().manual_seed(0))
    changes = {
        "8 bit": lambda x: (0.7 * x / x.abs().max() * 128).round() / 128,
        "noise 50 dB down": lambda x: x + 10 ** (-50 / 20) * x.std() * noise[: len(x)],
        "clipped": lambda x: (x / x.abs().max()).clamp(-0.5, 0.5),
    }
    for name, change in changes.items():
        assert sum(known.holds(change(x)) for x in speech) >= 0.9 * len(speech), name


def test_other_recordings_are_not_found(speech):
    known = Fingerprints(speech[::2])
    assert not any(known.holds(x) for x in speech[1::2])
    assert not any(known.holds(x.flip(0)) for x in speech)


def test_silence_and_snippets_have_no_fingerprint():
    assert not fingerprint(torch.zeros(8000))
    assert not fingerprint(torch.ones(8000))
    assert not fingerprint(torch.rand(500))
    assert not fingerprint(torch.full((8000,), float("nan")))
    assert not Fingerprints([torch.zeros(8000)]).holds(torch.zeros(8000))
