"""Strangers in rooms, with noise."""

from collections import Counter

import numpy as np
import pytest
import torch

from dprnn_lab.audio import rms
from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.datasets.in_rooms import InRooms

pytest.importorskip("pyroomacoustics")


@pytest.fixture(scope="module")
def few():
    return InRooms(FixedMixtures("unseen"), count=6)


def test_the_kinds_of_the_list_keep_their_shares(few):
    assert [spec.id for spec in few.specs][:2] == ["room-new-man-woman-00", "room-new-man-woman-20"]
    assert Counter(few.mixtures.specs[i].kind for i in few.indices) == {
        "new man-woman": 2, "new woman-woman": 2, "new man-man": 2,
    }  # fmt: skip
    assert {spec.kind for spec in few.specs} == {"in rooms"}


def test_the_noise_is_20_db_under_the_louder_voice_and_not_in_the_targets(few):
    for mixture, sources, _ in few:
        noise = mixture - sources.sum(0)
        loudest = sources.square().mean(-1).max().sqrt()
        assert 20 * torch.log10(loudest / rms(noise)) == pytest.approx(20, abs=0.01)


def test_the_voices_reverberate(few):
    """After the direct sound, energy is spread: the reverberant voice is not a scaled copy of the dry one."""
    for index in range(len(few)):
        _, dry, _ = few.mixtures[few.indices[index]]
        _, wet, _ = few[index]
        likeness = [abs(np.corrcoef(d, w)[0, 1]) for d, w in zip(dry.numpy(), wet.numpy(), strict=True)]
        assert 0.3 < min(likeness) < max(likeness) < 0.99
    assert all(0.1 < time < 0.7 for time in few.rooms.times)


def test_the_same_seed_gives_the_same_mixtures_and_another_one_others(few):
    again, other = InRooms(FixedMixtures("unseen"), 6), InRooms(FixedMixtures("unseen"), 6, seed=1)
    assert torch.equal(few[3][0], again[3][0])
    assert not torch.equal(few[3][0], other[3][0])


@pytest.mark.parametrize("count", [0, 121])
def test_a_count_that_the_list_cannot_give_is_refused(count):
    with pytest.raises(ValueError, match="120 mixtures"):
        InRooms(FixedMixtures("unseen"), count)
