import base64
import io
import math
import re

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import pytest
import soundfile
import torch

from dprnn_lab.plots import (
    COLOURS,
    basics,
    draw_level_bars,
    draw_spectrogram,
    draw_waveform,
    listen,
    player,
    png,
    show,
    spectrogram_db,
)

TONE = 0.5 * torch.sin(2 * math.pi * 1000 * torch.arange(8000) / 8000)


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, in order."""
    things = []
    monkeypatch.setattr(basics, "display", things.append)
    return things


def decode(audio):
    """Samples and rate inside a player, or inside the data URL of its HTML."""
    html = audio if isinstance(audio, str) else audio._repr_html_()
    encoded = re.search(r"data:audio/\w+;base64,([\w+/=]+)", html).group(1)
    return soundfile.read(io.BytesIO(base64.b64decode(encoded)))


def test_a_tone_is_loudest_at_its_own_frequency():
    level, hop, width = spectrogram_db(TONE)
    assert (level.mean(1).argmax() * width).item() == pytest.approx(1000, abs=width / 2)
    assert level.shape[1] * hop == pytest.approx(1, abs=2 * hop)
    assert hop == pytest.approx(0.008)


def test_ten_times_the_amplitude_is_20_db():
    difference = spectrogram_db(TONE)[0] - spectrogram_db(TONE / 10)[0]
    assert difference[32].mean().item() == pytest.approx(20, abs=1e-3)  # the bin of 1000 Hz


def test_the_time_grid_follows_the_sample_rate():
    level, hop, width = spectrogram_db(TONE, sample_rate=16_000)
    assert hop == pytest.approx(0.008)
    assert (level.mean(1).argmax() * width).item() == pytest.approx(2000, abs=width / 2)


@pytest.mark.parametrize("samples", [torch.zeros(8000), torch.ones(1), torch.randn(100)])
def test_silence_and_short_clips_have_finite_spectrograms(samples):
    assert spectrogram_db(samples)[0].isfinite().all()


def test_a_spectrogram_is_drawn_over_seconds_and_kilohertz(axes):
    draw_spectrogram(axes, TONE, "a tone")
    left, right, bottom, top = axes.images[0].get_extent()
    assert (left, bottom) == (0, 0)
    assert right == pytest.approx(1, abs=0.02)
    assert top == pytest.approx(4, abs=0.05)
    assert axes.get_title() == "a tone"


def test_a_spectrogram_is_60_db_deep(axes):
    draw_spectrogram(axes, TONE, top_db=10)
    assert axes.images[0].get_clim() == (-50, 10)
    draw_spectrogram(axes, TONE)
    assert axes.images[1].get_clim()[1] == pytest.approx(spectrogram_db(TONE)[0].max().item())


def test_a_waveform_is_drawn_over_seconds(axes):
    draw_waveform(axes, TONE, "a tone", colour=COLOURS[2])
    line = axes.lines[0]
    assert line.get_xdata()[-1] == pytest.approx(7999 / 8000)
    assert np.array_equal(line.get_ydata(), TONE)
    assert line.get_color() == COLOURS[2]
    assert axes.get_xlim() == (0, 1)


@pytest.mark.parametrize("gain", [1.0, 0.01, 0.0])
def test_a_player_keeps_the_level(gain):
    samples, rate = decode(player(gain * TONE))
    assert rate == 8000
    np.testing.assert_allclose(samples, gain * TONE, atol=1e-4)


def test_a_player_scales_what_would_clip():
    samples, _ = decode(player(6 * TONE))
    np.testing.assert_allclose(samples, 2 * TONE, atol=1e-4)


def test_a_player_takes_the_output_of_a_model_in_training():
    assert len(decode(player(TONE.clone().requires_grad_()))[0]) == 8000


@pytest.mark.parametrize("shape", [(0,), (2, 100), ()], ids=str)
def test_a_player_refuses_what_is_not_one_sound(shape):
    with pytest.raises(ValueError, match="a player takes"):
        player(torch.zeros(shape))


def test_listen_shows_one_picture_and_a_player_for_each_sound(shown):
    listen({"mixture": TONE, "source 1": 0.1 * TONE, "source 2": TONE, "estimate": TONE}, columns=2)
    (html,) = (output.data for output in shown)
    alt = "Spectrograms on one scale of levels: mixture; source 1; source 2; estimate"
    assert re.search(f"<img alt='{alt}'[^>]* src='data:image/png;base64,iVBOR", html)
    assert "<dprnn-player rate='8000' columns='2' view='spectrogram'>" in html
    names = re.findall(r"<div>([\w ]+)</div>", html)
    assert names == ["mixture", "source 1", "source 2", "estimate"]
    levels = [abs(decode(part)[0]).max() for part in html.split("<audio")[1:]]
    assert levels == pytest.approx([0.5, 0.05, 0.5, 0.5], abs=1e-3)


def test_listen_draws_all_sounds_on_one_scale_of_levels(monkeypatch, shown):
    figures = []
    monkeypatch.setattr(basics, "png", lambda figure: figures.append(figure) or b"")
    listen({"loud": TONE, "quiet": 0.1 * TONE})
    loud, quiet = (axes.images[0].get_clim() for axes in figures[0].axes[:2])
    assert loud == quiet
    assert level_bars(figures[0]) == [["-60", "-40", "-20", "0"]]


def test_listen_refuses_nothing():
    with pytest.raises(ValueError, match="sounds is empty"):
        listen({})


def test_listen_leaves_no_figure_open_and_names_what_it_can_not_play(shown):
    before = plt.get_fignums()
    broken = TONE.clone()
    broken[:3] = math.nan
    listen({"mixture": TONE, "broken": broken})
    assert plt.get_fignums() == before
    html = shown[0].data
    assert html.count("<audio") == 1
    assert "<div>broken</div><div>3 of 8000 samples are NaN or infinite: can't be played</div>" in html


def test_pictures_are_small_pngs_of_the_size_asked_for():
    figure, axes = plt.subplots(figsize=(4, 2))
    draw_spectrogram(axes, torch.randn(8000))
    plain = io.BytesIO()
    figure.savefig(plain, format="png", dpi=90)
    picture = png(figure, dpi=90)
    plt.close(figure)
    assert PIL.Image.open(io.BytesIO(picture)).size == (360, 180)
    assert len(picture) < 0.7 * len(plain.getvalue())


def level_bars(figure):
    """Tick labels of each colour bar."""
    return [
        [t.get_text() for t in axes.get_yticklabels()]
        for axes in figure.axes
        if axes.get_label() == "<colorbar>"
    ]


def test_spectrograms_of_one_figure_share_a_scale_and_a_bar(shown):
    """An error 20 dB under the voice must look darker than the voice."""
    figure, (first, second, third) = plt.subplots(1, 3)
    draw_spectrogram(first, 0.1 * TONE, "the error")
    draw_spectrogram(second, TONE, "the voice")
    draw_spectrogram(third, 0.01 * TONE, "on a scale of its own", top_db=-20)
    quiet, loud, own = (axes.images[0] for axes in (first, second, third))
    assert (
        quiet.get_clim()
        == loud.get_clim()
        == pytest.approx((loud.get_array().max() - 60, loud.get_array().max()))
    )
    assert quiet.norm(quiet.get_array().max()) == pytest.approx(1 - 20 / 60, abs=0.01)
    assert own.get_clim() == (-80, -20)
    draw_level_bars(figure)
    draw_level_bars(figure)
    assert level_bars(figure) == [["-60", "-40", "-20", "0"]] * 2
    show(figure)


def test_a_figure_without_spectrograms_gets_no_bar(shown):
    figure, axes = plt.subplots()
    axes.imshow(torch.rand(3, 3))
    draw_level_bars(figure)
    assert not level_bars(figure)
    show(figure)


def test_alternative_text_names_scales_and_curves(shown):
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2], label="trained")
    left.set(title="time", xlabel="chunk size", ylabel="ms")
    right.set(title="memory", xlabel="chunk size", ylabel="MB")
    show(figure)
    show(plt.figure(), 'SI-SDR falls\n  with the "delay"')
    assert [picture.alt for picture in shown] == [
        "time (ms against chunk size): trained; memory (MB against chunk size)",
        "SI-SDR falls with the 'delay'",
    ]


def test_a_figure_is_shown_once_and_forgotten(shown):
    before = plt.get_fignums()
    figure, axes = plt.subplots()
    axes.set_title("title")
    show(figure)
    assert plt.get_fignums() == before
    (picture,) = shown
    assert picture.alt == "title"
    assert picture.data.startswith(b"\x89PNG")
