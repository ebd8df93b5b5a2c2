from types import SimpleNamespace

import numpy as np
import pandas as pd

from dprnn_lab.plots import intervals


def interval(low, high):
    return SimpleNamespace(low=low, mean=(low + high) / 2, high=high)


def test_a_value_drawn_twice_has_a_larger_dot():
    draws = np.array([[1.0, 1.0, 3.0], [2.0, 2.0, 2.0]])
    left, right = intervals.bootstrap_draws(np.array([1.0, 2.0, 3.0]), draws, 1.7, 2.0, "title", shown=2).axes
    assert [list(dots.get_sizes()) for dots in left.collections] == [[22, 22, 22], [44, 22], [66]]
    assert [text.get_text() for text in left.get_yticklabels()] == ["sample", "draw 1", "draw 2"]
    assert right.get_title() == "2 means"


def test_intervals_that_miss_the_truth_are_orange():
    (axes,) = intervals.coverage([interval(0, 2), interval(2, 3)], truth=1.0, size=10).axes
    assert [line.get_color() for line in axes.lines[:2]] == [intervals.BLUE, intervals.ORANGE]
    assert axes.get_title() == "2 intervals of 10 mixtures each"


def test_the_normal_approximation_is_symmetric_about_the_mean():
    pool = np.array([1.0, 2.0, 3.0, 6.0])
    (axes,) = intervals.interval_over_size(np.array([2, 4]), [interval(0, 2), interval(1, 5)], pool).axes
    _, below, above = axes.lines
    assert np.allclose((below.get_ydata() + above.get_ydata()) / 2, pool.mean())


def test_two_systems_have_a_bar_each():
    (axes,) = intervals.interval_bars({"A": interval(0, 2), "B": interval(3, 5)}).axes
    assert [list(line.get_xdata()) for line in axes.lines] == [[0, 2], [1], [3, 5], [4]]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["A", "B"]


def test_every_pair_is_a_dot_and_a_count():
    paired = pd.DataFrame(
        {
            "kind": ["x", "x", "y"],
            "si_sdri_a": [1.0, 2, 3],
            "si_sdri_b": [2.0, 3, 3],
            "difference": [1.0, 1, 0],
        }
    )
    left, right = intervals.paired_differences(paired, interval(0, 1), ["x", "y", "z"]).axes
    assert [len(line.get_xdata()) for line in left.lines] == [2, 2, 1, 0]
    assert left.get_xlim() == left.get_ylim() == (0, 4)
    assert sum(bar.get_height() for bar in right.patches[:20]) == 3


def test_both_histograms_share_their_bins():
    (axes,) = intervals.spread_of_differences([-1.0, 1.0, 3.0], [0.5, 1.0], mean=1.0).axes
    heights = [bar.get_height() for bar in axes.patches]
    assert (sum(heights[:49]), sum(heights[49:])) == (3, 2)
    assert axes.lines[0].get_xdata()[0] == 1.0


def test_rates_are_compared_with_five_percent():
    (axes,) = intervals.false_alarms(np.arange(1, 4), [0.04, 0.07, 0.1]).axes
    assert axes.lines[1].get_ydata()[0] == 0.05
    (axes,) = intervals.miss_rates([3, 5], {"bootstrap": [0.2, 0.1], "Student": [0.05, 0.05]}).axes
    assert [text.get_text() for text in axes.texts] == ["20%", "10%", "5%", "5%"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["3 seeds", "5 seeds"]
    left, right = intervals.best_of_many(np.arange(1, 3), np.array([0.0, 0.2]), np.array([0.05, 0.1])).axes
    assert list(left.lines[0].get_ydata()) == [0, 0.2]
    assert right.lines[1].get_ydata()[0] == 0.05
