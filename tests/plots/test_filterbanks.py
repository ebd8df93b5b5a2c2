"""Figures of notebook 01, on tiny inputs."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from dprnn_lab.plots import filterbanks

RATE = 8000


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


@pytest.mark.parametrize("first", [0, 3])
def test_frames_have_a_bar_and_a_label_each(first):
    (axes,) = filterbanks.frames_on_waveform(torch.randn(200), first, 4, kernel_size=16, stride=8).axes
    bars = [collection.get_paths()[0].get_extents() for collection in axes.collections]
    assert [(b.x0, b.x1) for b in bars] == [(8 * (first + i), 8 * (first + i) + 15) for i in range(4)]
    assert [t.get_text() for t in axes.texts] == [f"frame {first + i}" for i in range(4)]
    assert axes.lines[0].get_xdata()[0] == max(8 * (first - 1), 0)


def test_frames_at_the_very_end_show_the_samples_that_exist():
    (axes,) = filterbanks.frames_on_waveform(torch.randn(40), 2, 4, kernel_size=16, stride=8).axes
    assert list(axes.lines[0].get_xdata()) == list(range(8, 40))


def test_a_panel_with_cosine_and_sine_for_each_bin():
    figure = filterbanks.cosines_and_sines(torch.randn(5, 8), torch.randn(5, 8), bins=(1, 4))
    assert titles(figure) == ["bin 1: 1000 Hz", "bin 4: 4000 Hz"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]


def test_magnitude_is_60_db_deep_and_phase_beside_it():
    spectrum = torch.randn(9, 6, dtype=torch.complex64)
    figure = filterbanks.magnitude_and_phase(spectrum, hop=80)
    magnitude, phase = (axes.images[0] for axes in figure.axes[:2])
    low, high = magnitude.get_clim()
    assert high - low == pytest.approx(60)
    assert np.allclose(phase.get_array(), spectrum.angle())
    assert magnitude.get_extent() == [0, 0.06, 0, 4]  # s, kHz


def test_recipes_have_a_curve_each_and_the_window_of_the_model():
    (axes,) = filterbanks.recipes_by_window([2, 4], {"a": [1.0, 2.0], "b": [3.0, 4.0]}, model_ms=4).axes
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [[1, 2], [3, 4]]
    assert list(axes.lines[2].get_xdata()) == [4, 4]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["2", "4"]


def test_reachable_points_and_the_mixture_in_each_panel():
    figure = filterbanks.reachable_points(
        torch.tensor([0.8, 0.6]), {"one": torch.rand(5, 2), "two": torch.rand(3, 2)}
    )
    assert titles(figure) == ["one", "two"]
    assert [len(axes.collections[0].get_offsets()) for axes in figure.axes] == [5, 3]
    assert figure.axes[0].collections[1].get_offsets().tolist() == [pytest.approx([0.8, 0.6])]


def test_filters_are_scaled_to_their_own_maximum():
    figure = filterbanks.shapes_and_responses({"a": torch.randn(6, 16), "b": 5 * torch.randn(6, 16)})
    assert titles(figure)[0::2] == ["a: shapes in time", "b: shapes in time"]
    for axes in figure.axes[:4]:
        assert np.abs(axes.images[0].get_array()).max(1).tolist() == pytest.approx([1] * 6)


def test_similar_filters_by_index():
    figure = filterbanks.similar_filters(
        {3: torch.randn(8), 7: torch.randn(8)}, {3: torch.rand(5), 7: torch.rand(5)}
    )
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["filter 3", "filter 7"]
    assert right.lines[0].get_xdata()[-1] == 4  # kHz


def test_an_encoding_is_sorted_by_centre_frequency_and_cut_in_time():
    values, centres = torch.arange(12.0).view(3, 4), torch.tensor([300.0, 100.0, 200.0])
    axes = plt.figure().subplots()
    image = filterbanks.draw_encoded(axes, values, centres, stride=80, title="", begin=0.01, end=0.03)
    assert np.array_equal(image.get_array(), values[[1, 2, 0]][:, 1:3])
    assert image.get_extent() == [0.01, 0.03, -0.5, 2.5]
    assert axes.get_yticklabels()[0].get_text() == "100"


def test_the_encoded_mixture_beside_its_spectrogram():
    figure = filterbanks.stft_and_encoded(
        torch.randn(2000), torch.randn(6, 249), torch.rand(6) * 4000, stride=8
    )
    assert titles(figure) == ["STFT magnitude", "learned filterbank, |w|"]
    low, high = figure.axes[1].images[0].get_clim()
    assert (low, high) == (-60, 0)  # dB below its loudest point


def test_the_colours_of_a_signed_detail_are_symmetric():
    encoded = torch.randn(6, 100)
    figure = filterbanks.encoded_detail(encoded, torch.rand(6) * 4000, stride=8, begin=0.01, end=0.05)
    low, high = figure.axes[0].images[0].get_clim()
    assert -low == high == pytest.approx(float(encoded.abs().quantile(0.999)))


@pytest.mark.parametrize("sources", [2, 3])
def test_a_panel_for_each_mask(sources):
    figure = filterbanks.mask_pair(torch.rand(sources, 6, 50), torch.rand(6) * 4000, stride=8, seconds=0.05)
    assert titles(figure) == [f"the model's mask {k + 1}" for k in range(sources)]
    assert figure.axes[0].images[0].get_clim() == (0, 1)


def test_bars_of_oracles_tell_the_learned_ones_apart():
    (axes,) = filterbanks.oracle_bars({"STFT": -1.0, "learned, best": 20.0}).axes
    assert [t.get_text() for t in axes.texts] == ["-1.0", "20.0"]
    assert axes.patches[0].get_facecolor() != axes.patches[1].get_facecolor()
    assert axes.get_xlim() == pytest.approx((-1, 22.4))


def test_five_pieces_and_their_sum():
    pieces, added = torch.randn(16, 10), torch.randn(100)
    (axes,) = filterbanks.overlapping_pieces(pieces, added, stride=8, first=2).axes
    assert [line.get_xdata()[0] for line in axes.lines[:5]] == [16, 24, 32, 40, 48]
    assert list(axes.lines[5].get_xdata()) == list(range(24, 56))
    assert np.array_equal(axes.lines[5].get_ydata(), added[24:56])


def test_a_spectrogram_with_its_limits_for_each_band():
    def view(low, high):
        sounds = {"whole": torch.randn(1000), "decoded": torch.randn(1000)}
        return SimpleNamespace(low_hz=low, high_hz=high, kept=3, mask=torch.ones(8), **sounds)

    figure = filterbanks.band_spectrograms({"low": view(0, 1000), "high": view(1000, 4000)})
    assert titles(figure) == ["low: 3 of 8 filters", "high: 3 of 8 filters"]
    assert [line.get_ydata()[0] for line in figure.axes[1].lines] == [1, 4]  # kHz


def test_searches_have_a_curve_each():
    (axes,) = filterbanks.search_curves({"STFT": [1.0, 2.0], "learned": [0.0, 3.0]}).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 2.0], [0.0, 3.0]]
    assert axes.lines[1].get_color() == filterbanks.COLOURS[1]
