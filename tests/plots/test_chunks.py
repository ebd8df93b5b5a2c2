"""Figures of notebook 02, on tiny inputs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dprnn_lab.plots import MASK_COLOURS, chunks


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_curve_for_each_rnn_and_the_line_of_a_thousandth():
    (axes,) = chunks.fading_memory(
        {"one": torch.tensor([1.0, 0.1, 0.0]), "two": torch.tensor([1.0, 0.5, 0.2])}
    ).axes
    assert [line.get_label() for line in axes.lines[:2]] == ["one", "two"]
    assert axes.lines[0].get_ydata()[2] == pytest.approx(1e-30)  # a logarithm of zero is not drawn
    assert axes.get_xlim() == (0, 2)


def test_each_cell_shows_its_frame_and_padding_a_dot():
    cells = np.array([[-1, -1, 0, 1], [0, 1, 2, 3], [2, 3, -1, -1]])  # [C, K]
    (axes,) = chunks.chunk_table(cells, chunk=1, position=2).axes
    texts = [t.get_text() for t in axes.texts]
    assert texts == ["·", "·", "0", "1", "0", "1", "2", "3", "2", "3", "·", "·"]
    intra, inter = axes.patches
    assert (intra.get_x(), intra.get_width(), intra.get_height()) == pytest.approx((0.55, 0.9, 3.9))
    assert (inter.get_y(), inter.get_width(), inter.get_height()) == pytest.approx((1.55, 2.9, 0.9))


def test_frames_without_effect_are_masked():
    figure = chunks.reach_of_paths({"a": torch.tensor([0.0, 2.0, 1.0]), "b": torch.ones(3)}, frame=1)
    image = figure.axes[0].images[0].get_array()
    assert image.mask.tolist() == [[True, False, False], [False, False, False]]
    assert image[0, 1] == 0  # log10 relative to the row's maximum
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_path_lengths_have_a_curve_and_a_dot_for_each_recording():
    steps, roots = {"1 s": [9, 5, 8], "4 s": [20, 12, 9]}, {"1 s": (4, 5), "4 s": (8, 9)}
    (axes,) = chunks.path_lengths([2, 4, 8], steps, roots).axes
    curve, dot, other, other_dot, legend_only = axes.lines
    assert list(curve.get_ydata()) == [9, 5, 8] and list(other.get_ydata()) == [20, 12, 9]
    assert (list(dot.get_xdata()), list(other_dot.get_ydata())) == ([4], [9])
    assert legend_only.get_label() == "K = √(2L)"


def test_gains_by_hop():
    (axes,) = chunks.overlap_gains({6: torch.full((9,), 2.0), 12: torch.ones(9)}, chunk_size=12).axes
    assert [line.get_label() for line in axes.lines] == ["P = 6: K / P = 2", "P = 12: K / P = 1"]


def test_masks_in_their_order_and_time():
    masks = torch.rand(2, 5, 7)
    figure = chunks.masks_by_filter(masks, begin=1.0, end=2.0)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["mask 1", "mask 2"]
    assert np.array_equal(figure.axes[1].images[0].get_array(), masks[1])
    assert figure.axes[0].images[0].get_extent() == [1.0, 2.0, 0, 5]


def test_parameters_are_sorted_and_have_their_share():
    (axes,) = chunks.parameter_bars({"RNNs": 90, "norms": 10}).axes
    assert [t.get_text() for t in axes.texts] == ["10 (10.0 %)", "90 (90.0 %)"]
    assert axes.get_title() == "100 parameters"


def test_costs_of_time_and_memory():
    time, memory = chunks.cost_curves([4, 8], [30.0, 20.0], [5.0, 6.0], root=6).axes
    assert list(time.lines[0].get_ydata()) == [30, 20] and list(memory.lines[0].get_ydata()) == [5, 6]
    assert list(memory.lines[1].get_xdata()) == [6, 6]


def test_the_trained_chunk_size_has_its_own_colour():
    (axes,) = chunks.chunk_size_bars({(8, 4): 3.0, (16, 8): 10.0, (32, 16): 4.0}, trained=(16, 8)).axes
    colours = [patch.get_facecolor() for patch in axes.patches]
    assert colours[0] == colours[2] != colours[1]
    assert [t.get_text() for t in axes.texts] == ["3.0", "10.0", "4.0"]


def test_masks_have_one_colour_map_and_run_from_0_to_1():
    masks = torch.rand(2, 5, 7) * torch.tensor([0.1, 0.9]).view(2, 1, 1)
    images = [axes.images[0] for axes in chunks.masks_by_filter(masks, begin=0.0, end=1.0).axes[:2]]
    assert [image.get_clim() for image in images] == [(0, 1)] * 2
    assert {image.get_cmap().name for image in images} == {MASK_COLOURS}


def test_norms_are_shown_by_their_divisor_and_the_level_after_them():
    seconds, divisor = torch.arange(3.0), torch.tensor([1.0, 10.0, 0.1])
    norms = ("gLN", "cumulative", "per frame")
    figure = chunks.norm_levels(seconds, dict.fromkeys(norms, divisor), dict.fromkeys(norms, 10 * divisor))
    above, below = figure.axes
    assert list(above.lines[0].get_ydata()) == pytest.approx([0, 20, -20])
    assert list(below.lines[2].get_ydata()) == pytest.approx([20, 40, 0])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(norms)
