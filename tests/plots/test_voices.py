"""Figures of known and new voices show the numbers that they get."""

import numpy as np
import pandas as pd

from dprnn_lab.plots.voices import blend_curve, known_and_new


def test_a_network_has_a_dot_and_two_intervals_for_each_kind():
    columns = {"mean": [5.0, 9.0], "low": [4.0, 8.5], "high": [6.0, 9.5]}
    columns |= {"cluster_low": [3.0, 8.0], "cluster_high": [7.0, 10.0]}
    summary = pd.DataFrame(columns, index=["new", "known"])
    axes = known_and_new({"one": summary, "two": summary + 1}, ["known", "new"]).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(np.asarray(dot.get_ydata()).item()) for dot in dots] == [9, 5, 10, 6]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["known", "new"]
    spans = [tuple(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == 2]
    assert (8.0, 10.0) in spans
    assert (8.5, 9.5) in spans


def test_a_blend_is_drawn_in_the_order_of_its_shares():
    table = pd.DataFrame({"share": [1.0, 0.0, 0.5], "old": [5.0, 10.0, 9.0], "new": [6.0, 2.0, 5.0]})
    left, right = blend_curve(table, {"old": "known voices", "new": "new voices"}, chosen=0.5).axes
    assert left.lines[0].get_ydata().tolist() == [10, 9, 5]
    assert right.lines[0].get_xydata().tolist() == [[10, 2], [9, 5], [5, 6]]
    assert [text.get_text() for text in right.texts] == ["0", "0.5", "1"]
    assert left.lines[2].get_xdata()[0] == 0.5
