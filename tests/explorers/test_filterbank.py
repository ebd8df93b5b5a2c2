"""The mask explorer: its numbers against hand-made answers, its controls, its errors."""

import pytest
import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.explorers.filterbank import FilterbankExplorer, centre_frequencies, draw, keep_band


def _perfect_model() -> DPRNNTasNet:
    """Encoder and decoder of 16 orthonormal cosines (a DCT), side by side: filter n peaks near n * 250 Hz."""
    size = 16
    model = DPRNNTasNet(
        n_filters=size, kernel_size=size, stride=size, n_repeats=1, bn_chan=4, hid_size=4, chunk_size=8
    ).eval()
    n, k = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    basis = torch.cos(torch.pi / size * (k + 0.5) * n) * (2 / size) ** 0.5
    basis[0] /= 2**0.5
    with torch.no_grad():
        model.encoder.filters[:, 0] = basis
        model.decoder.filters[:, 0] = basis
    return model


@pytest.fixture
def model():
    return _perfect_model()


@pytest.fixture
def mixture():
    time = torch.arange(1600) / 8000
    return 0.1 * torch.sin(2 * torch.pi * 500 * time) + 0.1 * torch.sin(2 * torch.pi * 3000 * time)


def test_centre_frequencies_of_tones():
    hertz = torch.tensor([500.0, 3000.0, 1250.0])
    tones = torch.cos(2 * torch.pi * hertz[:, None] / 8000 * torch.arange(64))
    assert centre_frequencies(tones, 8000).tolist() == hertz.tolist()
    assert centre_frequencies(-3 * tones.unsqueeze(1), 8000).tolist() == hertz.tolist()
    assert centre_frequencies(tones, 16000).tolist() == (2 * hertz).tolist()


def test_all_filters_of_an_orthonormal_bank_give_the_mixture_back(model, mixture):
    view = keep_band(model, mixture, 0, 4000)
    assert view.kept == len(view.mask) == 16
    torch.testing.assert_close(view.decoded, mixture, atol=1e-5, rtol=0)
    assert view.encoded_share == pytest.approx(1) and view.inside_share == pytest.approx(1)
    assert view.level_db == pytest.approx(0, abs=1e-4) and "as loud as" in view.sentence()


def test_a_band_keeps_one_tone_of_two(model, mixture):
    view = keep_band(model, mixture, 0, 1750)
    assert 6 <= view.kept <= 8
    assert view.mask.sum() == view.kept
    assert view.encoded_share == pytest.approx(0.5, abs=0.1)
    assert view.level_db == pytest.approx(-3, abs=0.5)
    assert view.inside_share > 0.9
    assert f"{view.kept} of 16 filters" in view.sentence() and "0 and 1750 Hz" in view.sentence()


def test_outside_gain_is_the_mask_of_the_other_filters(model, mixture):
    half = keep_band(model, mixture, 0, 1750, outside=0.5)
    assert set(half.mask.tolist()) == {0.5, 1.0}
    none, every = keep_band(model, mixture, 0, 1750), keep_band(model, mixture, 0, 4000)
    torch.testing.assert_close(half.decoded, (none.decoded + every.decoded) / 2)


def test_an_empty_band_is_silence(model, mixture):
    view = keep_band(model, mixture, 10, 20)
    assert view.kept == 0 and view.decoded.abs().max() == 0
    assert "silence" in view.sentence()
    assert all(torch.isfinite(torch.tensor([view.encoded_share, view.inside_share, view.level_db])))


def test_short_and_silent_mixtures(model):
    assert keep_band(model, torch.ones(1), 0, 4000).decoded.shape == (1,)
    assert keep_band(model, torch.zeros(500), 0, 4000).decoded.abs().max() == 0


@pytest.mark.parametrize(
    ("band", "outside", "shape", "message"),
    [
        ((2000, 1000), 0, (800,), "2000 to 1000"),
        ((0, 5000), 0, (800,), "half the model's sample rate"),
        ((-1, 100), 0, (800,), "0 to 4000 Hz"),
        ((0, 100), 1.5, (800,), "outside is 1.5"),
        ((0, 100), 0, (1, 800), r"shape \[1, 800\]"),
        ((0, 100), 0, (0,), r"shape \[0\]"),
    ],
)
def test_bad_input(model, band, outside, shape, message):
    with pytest.raises(ValueError, match=message):
        keep_band(model, torch.zeros(shape), *band, outside)


def test_draw_has_three_panels(model, mixture):
    figure = draw(keep_band(model, mixture, 300, 2000))
    assert [a.get_title() for a in figure.axes[:3]] == ["mask", "all filters", "masked"]
    assert [a.get_label() for a in figure.axes[3:]] == ["<colorbar>"]
    assert len(figure.axes[0].patches) == 16


def test_controls_count_live_and_decode_on_apply(model, mixture):
    explorer = FilterbankExplorer(model, mixture)
    assert "16 of 16 filters" in explorer.readout.value
    picture, sound = explorer.picture.value, explorer.sound.value
    explorer.band.value = (0, 1750)
    assert (explorer.low.value, explorer.high.value) == (0, 1750)
    assert "Press Apply" in explorer.readout.value
    assert explorer.view.kept == 16 and explorer.picture.value == picture
    explorer.apply.click()
    assert explorer.view.kept == keep_band(model, mixture, 0, 1750).kept
    assert f"{explorer.view.kept} of 16 filters" in explorer.readout.value
    assert "Press Apply" not in explorer.readout.value
    assert explorer.picture.value != picture and explorer.sound.value != sound
    assert bytes(explorer.picture.value[:4]) == b"\x89PNG" and bytes(explorer.sound.value[:4]) == b"RIFF"
    assert "filterbank-readout" in explorer.readout._dom_classes


def test_boxes_and_slider_agree_and_never_cross(model, mixture):
    explorer = FilterbankExplorer(model, mixture)
    explorer.high.value = 1000
    explorer.low.value = 3000  # over the upper limit: stops there
    assert explorer.low.value == 1000 and explorer.band.value == (1000, 1000)
    for band in ((2000, 3000), (100, 200), (0, 4000), (3900, 4000)):
        explorer.band.value = band
        assert (explorer.low.value, explorer.high.value) == band
        assert (explorer.low.max, explorer.high.min) == (band[1], band[0])
    explorer.low.value = 123
    assert explorer.band.value == (123, 4000)


def test_outside_gain_reaches_the_mask(model, mixture):
    explorer = FilterbankExplorer(model, mixture)
    explorer.band.value = (0, 1750)
    explorer.outside.value = 0.1
    explorer.apply.click()
    assert explorer.view.mask.min() == pytest.approx(0.1)
