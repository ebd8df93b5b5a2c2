"""The level explorer of notebook 00b."""

import pytest
import torch

from dprnn_lab.audio import rms
from dprnn_lab.explorers.levels import LevelExplorer, at_level, describe_level


def test_the_other_voice_has_the_level_asked_for():
    voice, other = torch.randn(8000), 7 * torch.randn(8000)
    for db in (0.0, 10.0, 25.0):
        quiet = at_level(voice, other, db)
        assert float(20 * torch.log10(rms(voice) / rms(quiet))) == pytest.approx(db, abs=1e-3)


@pytest.mark.parametrize(
    ("other", "reason"), [(torch.ones(7), "two of one length"), (torch.zeros(8), "silent")]
)
def test_voices_that_do_not_fit_are_refused(other, reason):
    with pytest.raises(ValueError, match=reason):
        at_level(torch.ones(8), other, 10)
    with pytest.raises(ValueError, match=reason):
        LevelExplorer(torch.ones(8), other)


def test_the_sentence_has_both_ratios():
    assert "1 / 10.00" in describe_level(20) and "1 / 100.0" in describe_level(20)
    assert "50.0 %" in describe_level(0)


def test_the_slider_changes_sentence_and_sounds():
    explorer = LevelExplorer(torch.randn(800), torch.randn(800))
    before = explorer.players.value
    explorer.level.value = 20
    assert "20.0 dB" in explorer.readout.value
    assert explorer.players.value != before and explorer.players.value.count("<audio") == 2
    assert "widget" in repr(explorer)
