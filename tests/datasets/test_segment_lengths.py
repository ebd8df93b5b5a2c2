from collections import Counter

import pytest

from dprnn_lab.datasets.segment_lengths import SegmentLengths


def test_a_single_length_holds_for_all_items():
    lengths = SegmentLengths(800)
    assert lengths.longest == 800
    assert {lengths.of(epoch, i) for epoch in range(3) for i in range(50)} == {800}


def test_a_step_has_one_length_and_the_next_may_have_another():
    lengths = SegmentLengths([100, 200, 400], per_step=4, seed=1)
    assert lengths.longest == 400
    steps = [{lengths.of(0, 4 * step + i) for i in range(4)} for step in range(300)]
    assert all(len(step) == 1 for step in steps)
    counts = Counter(step.pop() for step in steps)
    assert set(counts) == {100, 200, 400} and min(counts.values()) > 70


def test_a_length_that_is_given_twice_is_drawn_twice_as_often():
    lengths = SegmentLengths([100, 200, 200])
    drawn = Counter(lengths.of(0, i) for i in range(3000))
    assert drawn[200] / drawn[100] == pytest.approx(2, abs=0.3)


def test_lengths_repeat_with_the_seed_and_differ_by_epoch_and_seed():
    def drawn(seed, epoch):
        lengths = SegmentLengths([1, 2, 3, 4], seed=seed)
        return [lengths.of(epoch, i) for i in range(30)]

    assert drawn(0, 5) == drawn(0, 5)
    assert drawn(0, 5) != drawn(0, 6)
    assert drawn(0, 5) != drawn(1, 5)


@pytest.mark.parametrize("samples", [0, [], [800, 0], -1])
def test_no_length(samples):
    with pytest.raises(ValueError, match="give the length of a segment, 1 or more"):
        SegmentLengths(samples)


def test_no_step():
    with pytest.raises(ValueError, match="per_step is 0: a step takes 1 mixture or more"):
        SegmentLengths(800, per_step=0)
