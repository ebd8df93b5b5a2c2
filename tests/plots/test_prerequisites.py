"""Figures of notebook 00b, on tiny inputs."""

import pytest
import torch

from dprnn_lab.plots import prerequisites


def test_the_decibel_scale_has_both_ratios_at_every_level():
    (axes,) = prerequisites.decibel_scale((0, 20)).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [list(line.get_ydata()) for line in dots] == [[1, 10], [1, 100]]


def test_every_frame_has_its_window():
    window = torch.hann_window(16)
    left, right = prerequisites.frames_and_window(torch.randn(64), window, 8).axes
    assert len(left.lines) == 1 + 7  # the waveform, and a window for each of (64 - 16) / 8 + 1 frames
    assert [line.get_label() for line in right.lines] == ["cut out", "times the window"]


def test_a_longer_window_has_more_bins():
    figure = prerequisites.window_lengths(torch.randn(2000), (64, 256))
    pictures = [axes.images[0].get_array().shape[0] for axes in figure.axes[:2]]
    assert pictures == [33, 129]


def test_the_result_of_each_step_is_drawn():
    signal, kernel = torch.arange(8.0), torch.tensor([1.0, 0.0, -1.0])
    axes = prerequisites.convolution_steps(signal, kernel, stride=2).axes
    assert len(axes) == 4
    found = axes[-1].collections[0].get_segments()
    assert [segment[1][1] for segment in found] == pytest.approx([-2, -2, -2])


def test_the_lstm_cell_names_all_gates_and_states():
    (axes,) = prerequisites.lstm_cell().axes
    texts = {text.get_text() for text in axes.texts}
    assert {
        "forget",
        "input",
        "candidate",
        "output",
        "$c_t$",
        "$h_t$",
        "$f_t$",
        "$i_t$",
        "$g_t$",
        "$o_t$",
    } <= texts
    assert [t.get_text() for t in axes.texts].count("×") == 3
