"""Sets of mixtures by name: strangers, rooms, several at once."""

import pytest

from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.evaluation import open_mixtures
from dprnn_lab.evaluation.baselines import why_not
from dprnn_lab.evaluation.opening import JoinedMixtures


def test_several_sets_are_one_in_their_order():
    both = open_mixtures("unseen, test")
    assert len(both) == len(both.specs) == 240
    assert list(dict.fromkeys(spec.kind for spec in both.specs)) == [
        "new man-woman", "new woman-woman", "new man-man", "man-woman", "woman-woman", "seen-unseen",
    ]  # fmt: skip
    assert both[0][2].id == "new-man-woman-00"
    assert both[120][2] == FixedMixtures("test").specs[0]
    with pytest.raises(IndexError):
        both[240]


def test_a_set_that_is_given_twice_is_refused():
    with pytest.raises(ValueError, match="two mixtures have the id 'man-woman-00': give each set once"):
        open_mixtures("test,test")


def test_rooms_have_a_name_at_one_rate():
    pytest.importorskip("pyroomacoustics")
    rooms = open_mixtures("unseen-rooms")
    assert len(rooms) == 40 and {spec.kind for spec in rooms.specs} == {"in rooms"}
    assert len(JoinedMixtures([FixedMixtures("unseen"), rooms])) == 160
    with pytest.raises(ValueError, match="8000 Hz only"):
        open_mixtures("unseen-rooms", sample_rate=16000)


def test_an_unknown_name_among_several_lists_the_known_ones():
    with pytest.raises(FileNotFoundError, match="test, unseen, valid, unseen-rooms"):
        open_mixtures("test,dev")


def test_nmf_has_nothing_to_learn_strangers_from():
    assert why_not("nmf", FixedMixtures("test").specs[0]) is None
    assert "test-only voices" in why_not("nmf", FixedMixtures("unseen").specs[0])
    assert why_not("irm", FixedMixtures("unseen").specs[0]) is None
