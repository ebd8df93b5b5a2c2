from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dprnn_lab.plots import faults


class Report(dict):
    causes = (SimpleNamespace(id="level"),)


FINDING = SimpleNamespace(state="fail", says="a peak of 12", threshold="1.0", remedy="mixture / peak")


def test_a_finding_is_printed_with_threshold_and_remedy(capsys):
    report = Report(level=FINDING)
    assert faults.read(SimpleNamespace(diagnose=lambda: report), "level") is report
    assert capsys.readouterr().out.splitlines() == [
        "named first: level", "fail      a peak of 12", "line      1.0", "remedy    mixture / peak",
    ]  # fmt: skip


def test_the_book_prints_and_draws_what_was_noted(capsys):
    book = faults.ScoreBook()
    book.note("level", None, 12.7)
    book.note("length", -0.31, 8.8)
    assert capsys.readouterr().out.splitlines() == [
        "SI-SDRi: broken none, repaired 12.7 dB", "SI-SDRi: broken -0.3 dB, repaired 8.8 dB",
    ]  # fmt: skip
    (axes,) = book.chart(["length", "polarity", "level"]).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["length", "level"]
    assert [text.get_text().strip() for text in axes.texts] == ["no outputs, NaN or silence"]


def test_a_clip_is_cut_before_it_is_played(monkeypatch):
    shown = []
    monkeypatch.setattr(faults, "display", shown.append)
    monkeypatch.setattr(faults, "listen", shown.append)
    faults.play_clip({"a": torch.arange(16000.0) / 16000}, start=0.5, seconds=0.25)
    assert len(shown[0]["a"]) == 2000
    assert float(shown[0]["a"][0]) == 0.25
    faults.play_clip({"a": torch.zeros(16000), "b": torch.zeros(16000)}, pictures=False)
    assert shown[1].data.count("<audio") == 2


def test_histograms_of_weights_mark_the_bound_on_both_sides():
    figure = faults.weight_histograms({"trained": torch.randn(50), "random": torch.zeros(50)}, bound=0.5)
    assert [axes.get_title() for axes in figure.axes] == ["trained", "random"]
    for axes in figure.axes:
        assert [line.get_xdata()[0] for line in axes.lines] == [-0.5, 0.5]
        assert sum(bar.get_height() for bar in axes.patches) <= 50


def test_constant_power_in_a_frame_is_flat_at_zero_decibels():
    (axes,) = faults.power_in_frame({"flat": torch.ones(16), "rising": torch.arange(1.0, 17)}).axes
    assert list(axes.lines[0].get_ydata()) == [0.0] * 16
    assert axes.get_xlabel() == "sample, modulo 16"


def test_the_best_value_of_a_setting_is_orange():
    figure = faults.setting_ranking({"stride": {"16": 14.0, "32": 1.0}, "norm": {"gLN": 1.0, "cLN": 2.0}})
    best = [np.argmax([bar.get_height() for bar in axes.patches]) for axes in figure.axes]
    assert best == [0, 1]
    for axes, i in zip(figure.axes, best, strict=True):
        assert axes.patches[i].get_facecolor() == plt.matplotlib.colors.to_rgba(faults.ORANGE)


def test_noise_grows_to_the_right():
    (axes,) = faults.noise_curve([30, 0, -10], [12.0, 6.0, 0.0], clean=12.7).axes
    assert axes.xaxis_inverted()
    assert axes.lines[1].get_ydata()[0] == 12.7


def test_a_row_on_level_formats_what_it_is_given():
    row = faults.level_row(torch.tensor([0.5, -2.0]), torch.ones(2, 2), "level", -2.6, None)
    assert list(row.values()) == ["2", "-0.750", "level", "-2.6", "-", "1"]


def test_curves_over_level_and_length_have_their_points():
    (axes,) = faults.level_curves([-10, 0], {"one": [1, 2], "other": [2, 1]}, standardised_db=20.0).axes
    assert [len(line.get_xdata()) for line in axes.lines] == [2, 2, 2]
    (axes,) = faults.length_curve([0.1, 1.0], [0.0, 9.0]).axes
    assert axes.get_xscale() == "log"


def test_each_voice_has_a_step_line():
    (axes,) = faults.swap_trace(torch.rand(2, 5), seconds=0.25).axes
    assert list(axes.lines[0].get_xdata()) == [0, 0.25, 0.5, 0.75, 1.0]
    assert len(axes.lines) == 2


def test_bars_of_the_error_cover_the_window():
    (axes,) = faults.error_in_window(torch.tensor([3.0, 1.0, 1.0, 3.0]), window_ms=200).axes
    centres = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    assert centres == pytest.approx([25, 75, 125, 175])
