"""Figures of notebook 04, on tiny inputs."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from dprnn_lab.evaluation.statistics import Interval
from dprnn_lab.plots import COLOURS, mixtures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_minutes_of_each_voice_side_by_side():
    index = pd.MultiIndex.from_tuples([("anna", "f"), ("otto", "m")])
    seconds = pd.DataFrame({"train": [60.0, 120.0], "test": [30.0, 60.0]}, index=index)
    figure = mixtures.minutes_by_split(seconds)
    (axes,) = figure.axes
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0, 1), (0, 2), (1, 0.5), (2, 1)]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["anna (f)", "otto (m)"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["train", "test"]


def test_waveforms_have_a_panel_each():
    figure = mixtures.waveforms({name: torch.randn(80) for name in "abc"})
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]


def test_segments_are_shaded():
    (axes,) = mixtures.shaded_waveform(torch.randn(8000), [0.25, 0.5], 0.125, "title").axes
    assert [(patch.get_x(), patch.get_width()) for patch in axes.patches] == [(0.25, 0.125), (0.5, 0.125)]


def test_the_energy_still_to_come_starts_at_0_db_and_falls():
    response = 0.9 ** torch.arange(400.0)
    left, right = mixtures.impulse_response(response, delay=8, rt60=0.3).axes
    assert left.lines[0].get_xdata()[8] == 0  # ms, the direct sound
    decay = right.lines[0].get_ydata()
    assert decay[0] == pytest.approx(0, abs=1e-4)
    assert (decay[1:200] < decay[:199]).all()
    assert right.get_title() == "energy still to come: RT60 0.30 s"


def test_conditions_are_coloured_by_kind():
    names = ["as in training", "flip", "pink noise, 0 dB", "babble, 10 dB", "in a room"]
    scores = {name: Interval(float(i), i - 0.5, i + 1.0) for i, name in enumerate(names)}
    (axes,) = mixtures.condition_bars(scores, "title").axes
    grey, blue, orange, green = (plt.matplotlib.colors.to_rgba(colour) for colour in COLOURS)
    assert [bar.get_facecolor() for bar in axes.patches] == [grey, blue, orange, orange, green]
    ends = axes.collections[0].get_segments()[4]  # of the last bar's interval
    assert [end[0] for end in ends] == [3.5, 5.0]
