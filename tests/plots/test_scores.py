import matplotlib.pyplot as plt
import pandas as pd
import pytest

from dprnn_lab.plots.scores import score_histograms, score_strip

TABLE = pd.DataFrame(
    {"kind": ["man-woman"] * 3 + ["woman-woman"] * 2, "si_sdri": [9.0, 10.0, 11.0, 4.0, 6.0], "x": range(5)}
)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_row_of_dots_and_a_mean_for_each_kind():
    (axes,) = score_strip(TABLE).axes
    first, mean_of_first, second, mean_of_second, zero = axes.lines
    assert list(first.get_xdata()) == [9, 10, 11]
    assert list(second.get_xdata()) == [4, 6]
    assert list(mean_of_first.get_xdata()) == [10, 10]
    assert list(mean_of_second.get_xdata()) == [5, 5]
    assert list(zero.get_xdata()) == [0, 0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["man-woman", "woman-woman"]
    assert axes.get_xlabel().startswith("SI-SDRi (dB)")
    assert axes.yaxis_inverted()


def test_the_seed_moves_dots_only_vertically():
    one, other = (score_strip(TABLE, seed=seed).axes[0].lines[0] for seed in (0, 1))
    assert list(one.get_xdata()) == list(other.get_xdata())
    assert list(one.get_ydata()) != list(other.get_ydata())


def test_more_kinds_than_colours():
    many = pd.DataFrame({"system": list("abcdef"), "si_sdr": range(6)})
    assert len(score_strip(many, column="si_sdr", by="system").axes[0].lines) == 13


def test_histograms_count_every_mixture():
    table = TABLE.assign(si_sdr=TABLE["si_sdri"] + 1)
    figure = score_histograms(table, ["man-woman", "woman-woman"])
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("SI-SDR", "SI-SDRi")
    assert sum(patch.get_height() for patch in right.patches) == 5
    assert list(left.lines[0].get_xdata()) == [9, 9]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["man-woman", "woman-woman", "mean"]
