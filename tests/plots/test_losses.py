"""Figures of notebook 03, on tiny inputs."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dprnn_lab.plots import losses


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_si_sdr_in_the_plane_does_not_depend_on_the_gain():
    target, estimate = torch.tensor([3.0, 0.0]), torch.tensor([1.0, 1.0])  # 45 degrees: 0 dB
    figure = losses.projection_triangles(target, estimate, gains=(1.0, 2.0))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["estimate times 1.0: SI-SDR 0.0 dB", "estimate times 2.0: SI-SDR 0.0 dB"]
    assert [len(axes.texts) for axes in figure.axes] == [4, 4]


def test_a_point_for_each_delay():
    (axes,) = losses.delay_curve([0.1, 0.2], [5.0, 1.0]).axes
    assert list(axes.lines[0].get_xdata()) == [0.1, 0.2]
    assert axes.get_title() == "the target itself, a little late"


def test_four_measures_and_the_last_one_is_dotted():
    names = ["SI-SDR", "SNR", "SD-SDR", "MSE"]
    (axes,) = losses.gain_curves(torch.arange(3), {name: torch.rand(3) for name in names}).axes
    assert [line.get_label() for line in axes.lines] == names
    assert axes.lines[3].get_linestyle() == ":"


def test_random_and_better_order_of_blends():
    mse = torch.tensor([[1.0, 2.0], [3.0, 1.0]])  # [order, P]
    neg_sisdr = {error: torch.tensor([[-10.0, 0.0], [0.0, -4.0]]) for error in (-20, -10, -5)}
    left, right = losses.blend_losses(torch.tensor([0.0, 1.0]), mse, neg_sisdr).axes
    assert np.array_equal(left.lines[0].get_ydata(), [2000, 1500])
    assert np.array_equal(left.lines[1].get_ydata(), [1000, 1000])
    assert len(right.lines) == 7
    assert np.array_equal(right.lines[0].get_ydata(), [-5, -2])
    assert np.array_equal(right.lines[1].get_ydata(), [-10, -4])


def test_directions_end_at_radius_one():
    shares = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[5.0, 0.0], [0.0, 3.0]]])  # [steps, output, voice]
    axes = plt.figure().subplots()
    losses.draw_directions(axes, shares, "title")
    first, first_dot, _, second_dot = axes.lines[:4]
    assert [first.get_xdata()[0], first.get_ydata()[0]] == pytest.approx([0.35 / math.sqrt(2)] * 2)
    assert [first_dot.get_xdata()[0], first_dot.get_ydata()[0]] == pytest.approx([1, 0])
    assert [second_dot.get_xdata()[0], second_dot.get_ydata()[0]] == pytest.approx([0, 1])
    assert second_dot.get_label() == "output 2"


def test_three_runs_and_all_their_losses():
    run = {"shares": torch.rand(4, 2, 2), "losses": [3.0, 2.0, 1.0, 0.0]}
    figure = losses.optimisation_runs({"a": run, "b": run, "c": run})
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", "loss"]
    assert [line.get_label() for line in figure.axes[3].lines] == ["a", "b", "c"]
    assert [line.get_linestyle() for line in figure.axes[3].lines] == ["-", ":", "-"]


def test_times_are_drawn_in_milliseconds():
    (axes,) = losses.assignment_times(range(2, 4), [0.001, 0.002], [0.003, 0.004]).axes
    assert list(axes.lines[0].get_ydata()) == [1, 2]
    assert list(axes.get_xticks()) == [2, 3]
