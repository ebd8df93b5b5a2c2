from dprnn_lab.plots import COLOURS
from dprnn_lab.plots.preflight import range_test_picture, size_picture

NAN = float("nan")


def test_the_range_test_marks_the_suggestion_and_the_rate_asked_for():
    rates = [1e-6, 1e-4, 1e-2]
    (axes,) = range_test_picture(rates, [3.0, 1.0, 2.0], [3.0, 2.0, 2.0], 2e-3, 1e-4).axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "loss of each step", "smoothed", "asked for: 0.002", "falls fastest: 1.0e-04",
    ]  # fmt: skip
    assert list(axes.lines[1].get_ydata()) == [3.0, 2.0, 2.0] and list(axes.lines[2].get_xdata()) == [
        2e-3,
        2e-3,
    ]


def test_without_a_suggestion_only_the_rate_asked_for():
    (axes,) = range_test_picture([1e-6, 1.0], [3.0, 3.0], [3.0, 3.0], 1e-3).axes
    assert len(axes.lines) == 3


def test_sizes_of_layers_leave_gaps_and_name_the_modules():
    names = ["encoder.filters", "separator.a", "separator.b", "decoder.filters"]
    left, right = size_picture(names, [1.0, 0.0, 2.0, NAN], [NAN, 1e-3, 2e-3, 3e-3]).axes
    assert list(left.lines[0].get_xdata()) == [0, 2] and list(right.lines[0].get_xdata()) == [1, 2, 3]
    assert [text.get_text() for text in right.get_xticklabels()] == ["encoder", "separator", "decoder"]
    assert left.lines[0].get_color() == COLOURS[1] and right.get_yscale() == "log"
