"""The mixing explorer: mixtures against answers made by hand, the pictures, and the widget itself."""

import pytest
import torch

from dprnn_lab.audio import rms_db
from dprnn_lab.datasets.augmentation import Rooms
from dprnn_lab.explorers.mixing_lab import MixingLab, draw_mixed, draw_recipes
from dprnn_lab.explorers.mixing_recipe import Recipe, describe, gains, make_mixture
from dprnn_lab.loss import si_sdr

T = 4000


@pytest.fixture
def voices():
    """Noise and a tone of 500 Hz, 2.5 s each."""
    time = torch.arange(20_000) / 8000
    return {"ada": 0.1 * torch.randn(20_000), "tone": 0.1 * torch.sin(6.2832 * 500 * time)}


@pytest.fixture(scope="module")
def rooms():
    return Rooms((0.2, 0.2), count=2)


@pytest.fixture
def lab(voices, tiny, rooms):
    return MixingLab(voices, tiny(), rooms, samples=T)


def level(sources):
    return (rms_db(sources[0]) - rms_db(sources[1])).item()


def frequency(source):
    return torch.fft.rfft(source, n=8000).abs().argmax().item()


def test_a_mixture_is_what_its_recipe_says(voices):
    made = make_mixture(Recipe("ada", "tone", level_db=3.0, speed=110), voices, T)
    assert torch.equal(made.mixture, made.sources.sum(0))
    assert not made.rest.any()
    assert made.sources.shape == (2, T)
    assert level(made.sources) == pytest.approx(3, abs=1e-3)
    assert frequency(made.sources[1]) == 550
    assert torch.allclose(made.si_sdr, si_sdr(made.mixture.expand(2, -1), made.sources))
    assert made.si_sdr[0] == pytest.approx(3, abs=0.4)
    assert made.si_sdr[1] == pytest.approx(-3, abs=0.4)


def test_flip_noise_and_room(voices, rooms):
    plain = make_mixture(Recipe("tone", "ada"), voices, T)
    flipped = make_mixture(Recipe("tone", "ada", flip=True), voices, T)
    assert torch.equal(flipped.sources[0], plain.sources[0])
    assert torch.equal(flipped.sources[1], -plain.sources[1])
    noisy = make_mixture(Recipe("tone", "ada", noise="pink", snr_db=6.0), voices, T)
    assert torch.equal(noisy.sources, plain.sources)
    assert (rms_db(noisy.sources).max() - rms_db(noisy.rest)).item() == pytest.approx(6, abs=1e-3)
    assert (noisy.si_sdr < plain.si_sdr - 0.5).all()
    wet = make_mixture(Recipe("tone", "ada", level_db=2.0, room=1), voices, T, rooms)
    assert not wet.rest.any()
    assert level(wet.sources) == pytest.approx(2, abs=1e-3)
    assert si_sdr(wet.sources[1], plain.sources[1]) < 20


def test_a_voice_can_be_mixed_with_itself(voices):
    made = make_mixture(Recipe("ada", "ada"), voices, T)
    assert abs(torch.cosine_similarity(*made.sources, dim=0)) < 0.1


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe("zoe", "ada"), "voice is 'zoe': choose one of ada, tone"),
        (Recipe("ada", "tone", speed=101), "speed is 101"),
        (Recipe("ada", "tone", room=2), "room is 2: there are 2 rooms"),
    ],
)
def test_recipes_that_can_not_be_mixed(recipe, message, voices, rooms):
    with pytest.raises(ValueError, match=message):
        make_mixture(recipe, voices, T, rooms)
    with pytest.raises(ValueError, match="room is 0: there are 0 rooms"):
        make_mixture(Recipe("ada", "tone", room=0), voices, T)
    with pytest.raises(ValueError, match="voice ada has 20000 samples: give at least 25000"):
        make_mixture(Recipe("ada", "tone"), voices, 10_000)


def test_gains_are_the_models_in_the_best_order(voices):
    made = make_mixture(Recipe("ada", "tone", level_db=-2.0), voices, T)

    class Oracle(torch.nn.Module):
        sample_rate, n_src = 8000, 2

        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, mixture):
            return made.sources.flip(0) + 0.01 * made.mixture

    estimates, improvement = gains(Oracle(), made)
    assert torch.cosine_similarity(estimates, made.sources).min() > 0.99
    assert torch.allclose(improvement, si_sdr(estimates, made.sources) - made.si_sdr)
    assert improvement.min() > 20


def test_the_phrase_names_what_was_done(rooms):
    assert describe(Recipe("ada", "bea", 2.0)) == "ada 2.0 dB over bea"
    full = describe(Recipe("ada", "bea", -1.5, 90, True, "white", 5.0, 1), rooms)
    assert full.startswith("ada 1.5 dB under bea (at 90 % of its speed, inverted), white noise 5.0 dB under")
    assert f"rings for {rooms.times[1]:.2f} s" in full
    assert describe(Recipe("ada", "bea", flip=True)) == "ada 0.0 dB over bea (inverted)"


def test_pictures_show_every_sound(voices):
    made = make_mixture(Recipe("ada", "tone"), voices, T)
    *panels, bar = draw_mixed(made).axes
    assert [a.get_title() for a in panels] == ["mixture", "first: ada", "second: tone"]
    assert bar.get_label() == "<colorbar>"
    twin = draw_recipes(
        {"plain": made, "again": made}, dict.fromkeys(("plain", "again"), torch.tensor([1.0, 3.0]))
    )
    assert [a.get_title() for a in twin.axes[:2]] == [
        f"{name}\nmixture {made.si_sdr.mean():.1f} dB, SI-SDRi 2.0 dB" for name in ("plain", "again")
    ]


# The widget


def test_controls_change_mixture_picture_and_sentence(lab):
    before = lab.picture.value
    assert "ada 0.0 dB over tone" in lab.readout.value
    assert "Mixture minus sources: nothing" in lab.readout.value
    lab.level.value = 4.0
    assert level(lab.mixed.sources) == pytest.approx(4, abs=1e-3)
    assert "ada 4.0 dB over tone" in lab.readout.value
    assert lab.picture.value != before
    lab.speed.value, lab.flip.value = 90, True
    assert "(at 90 % of its speed, inverted)" in lab.readout.value
    lab.noise.value, lab.snr.value = "white", 3.0
    assert "white noise 3.0 dB" in lab.readout.value
    assert "Mixture minus sources: the noise, peak" in lab.readout.value
    lab.room.value = 1
    assert f"in a room that rings for {lab.rooms.times[1]:.2f} s" in lab.readout.value
    assert lab.mixed.recipe.room == 1
    lab.room.value = "none"
    assert lab.mixed.recipe.room is None
    lab.first.value = lab.second.value = "tone"
    assert "tone 4.0 dB over tone" in lab.readout.value


def test_only_the_button_runs_the_model(lab):
    assert "Press <i>Separate</i>" in lab.readout.value
    assert lab.players.value.count("<audio") == 3
    lab.ask.click()
    _, improvement = gains(lab.model, lab.mixed)
    assert f"SI-SDRi {float(improvement.mean()):.1f} dB" in lab.readout.value
    assert lab.players.value.count("<audio") == 5
    lab.level.value = 1.0
    assert "Press <i>Separate</i>" in lab.readout.value
    assert lab.players.value.count("<audio") == 3


def test_the_level_of_noise_shows_where_there_is_noise(lab):
    assert lab.snr_row.layout.visibility == "hidden"
    lab.noise.value = "babble"
    assert lab.snr_row.layout.visibility == "visible"


def test_without_rooms_there_is_only_none(voices, tiny):
    lab = MixingLab(voices, tiny(), samples=T)
    assert lab.room.options == (("none", "none"),)
    with pytest.raises(ValueError, match=r"voices are \['ada'\]: give at least two"):
        MixingLab({"ada": voices["ada"]}, tiny())
