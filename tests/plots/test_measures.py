import numpy as np
import pandas as pd
import pytest

from dprnn_lab.plots import measures

KINDS = ("man-woman", "woman-woman", "seen-unseen")
SCORES = pd.DataFrame(
    {
        "kind": np.repeat(KINDS, 4),
        "pair": ["a + b", "a + c"] * 6,
        "si_sdri": np.arange(12.0),
        "correlation": np.linspace(1, 0, 12),
    }
)
SUMMARY = pd.DataFrame({"kind": KINDS, "mean": [1.5, 5.5, 9.5], "low": [1.0, 5, 9], "high": [2.0, 6, 10]})


def test_delays_and_filters_have_both_measures():
    late, dull = (np.array([20.0, 3.0]), np.array([20.0, 20.0])), (np.array([-22.0]), np.array([25.0]))
    figure = measures.sdr_and_si_sdr([0, 1], late, [300], dull, taps=512)
    assert [axes.get_xlabel() for axes in figure.axes] == ["delay (samples)"] * 2 + ["cut-off (Hz)"]
    assert figure.axes[1].lines[2].get_xdata()[0] == 511
    assert list(figure.axes[0].lines[1].get_ydata()) == [20, 3]  # SI-SDR


def test_the_first_half_of_each_curve_is_the_leak():
    curves = {name: np.arange(4.0) for name in ("SIR", "SAR", "SDR", "SI-SDR")}
    left, right = measures.leak_and_noise([-20, -10], curves).axes
    assert list(left.lines[0].get_ydata()) == [0, 1]
    assert list(right.lines[0].get_ydata()) == [2, 3]


def test_each_kind_has_a_histogram_with_its_mean():
    figure = measures.histograms_by_kind(SCORES, SUMMARY.set_index("kind"), KINDS)
    assert [axes.get_title() for axes in figure.axes] == list(KINDS)
    assert [axes.lines[0].get_xdata()[0] for axes in figure.axes] == [1.5, 5.5, 9.5]
    assert {axes.lines[1].get_xdata()[0] for axes in figure.axes} == {5.5}


def test_rows_of_dots_show_every_mixture():
    (axes,) = measures.pair_strip(SCORES).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a + b", "a + c"]
    assert sum(len(line.get_xdata()) for line in axes.lines) == 12 + 2
    (axes,) = measures.kind_strip(SCORES).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == list(KINDS)
    assert [line.get_xdata()[0] for line in axes.lines[1::2]] == [1.5, 5.5, 9.5]


def test_kinds_have_colours_of_their_own():
    (axes,) = measures.scatter_by_kind(SCORES, KINDS).axes
    assert len({line.get_color() for line in axes.lines}) == 3


def test_a_baseline_on_fewer_mixtures_is_hollow():
    summary = pd.concat([SUMMARY.assign(system=name) for name in ("model", "mixture")])
    few = {"nmf": pd.Series(1.0, index=KINDS)}
    names = {"mixture": "mixture", "nmf": "NMF", "model": "the model"}
    (axes,) = measures.baseline_chart(summary, few, names, KINDS).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["mixture", "NMF", "the model"]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata()[0] for line in hollow] == pytest.approx([0.8, 1.0, 1.2])


def test_systems_that_know_the_sources_are_grey():
    price = pd.DataFrame({"rtf": [0.01, 0.1], "si_sdri": [11.0, 12.0]}, index=["model", "ibm"])
    (axes,) = measures.score_over_cost(price, {"ibm": "IBM"}, informed=["ibm"]).axes
    assert [text.get_text() for text in axes.texts] == ["model", "IBM"]
    assert [line.get_color() for line in axes.lines[:2]] == [measures.ORANGE, measures.GREY]


def test_scores_get_readable_names_and_stoi_two_decimals():
    table = pd.DataFrame({"si_sdr": [1.25], "stoi": [0.876], "correlation": [0.1]}, index=["x"])
    html = measures.style_scores(table).to_html()
    assert "SI-SDR (dB)" in html and ">1.2<" in html and ">0.88<" in html and "correlation" not in html
    assert ">1.2<" in measures.style_scores(table[["si_sdr"]]).to_html()
