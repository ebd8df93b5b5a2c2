"""Noise and rooms: alone, and in dynamic mixing."""

import itertools
import sys

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from dprnn_lab.audio import AudioError, rms_db
from dprnn_lab.datasets.augmentation import Noise, Rooms, add_noise, reverberate
from dprnn_lab.datasets.dynamic_mixing import DynamicMixing

SEXES = {"ada": "f", "bea": "f", "carl": "m"}


def rng(seed=0):
    return np.random.default_rng(seed)


def voices(samples=20_000):
    generator = torch.Generator().manual_seed(7)
    return {name: 0.1 * torch.randn(samples, generator=generator) for name in SEXES}


def dynamic(**options):
    return DynamicMixing(voices(), SEXES, **{"samples": 800, "size": 20, **options})


@pytest.fixture(scope="module")
def rooms():
    return Rooms((0.2, 0.3), count=3, seed=4)


@pytest.fixture
def folder(tmp_path):
    """A folder of noise with a short file, and a longer one in a folder within it."""
    (tmp_path / "street").mkdir()
    soundfile.write(tmp_path / "hum.wav", np.linspace(0.1, 0.2, 300), 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "street" / "cars.flac", np.linspace(-0.2, -0.1, 5000), 8000)
    return tmp_path


# Noise


def octaves(noise):
    """Power in the octaves from 250 Hz to 4 kHz, in dB."""
    power = torch.fft.rfft(noise).abs().square()
    edges = [250 * 2**k * len(noise) // 8000 for k in range(5)]
    return torch.stack([10 * power[a:b].sum().log10() for a, b in itertools.pairwise(edges)])


def test_white_noise_doubles_its_power_with_every_octave_and_pink_does_not():
    white, pink = (octaves(Noise(s).draw(80_000, rng())) for s in ("white", "pink"))
    assert (white.diff() - 3).abs().max() < 0.4
    assert pink.diff().abs().max() < 0.4


def test_babble_is_the_sum_of_all_voices_at_equal_level():
    time = torch.arange(20_000) / 8000
    tones = {
        str(hertz): level * torch.sin(6.2832 * hertz * time) for hertz, level in [(500, 0.01), (1000, 0.5)]
    }
    spectrum = torch.stack(
        [torch.fft.rfft(Noise("babble").draw(8000, rng(i), tones)).abs() for i in range(60)]
    )
    loud = spectrum.square().mean(0)
    assert set(loud.topk(2).indices.tolist()) == {500, 1000}
    assert 0.5 < loud[500] / loud[1000] < 2
    with pytest.raises(ValueError, match="babble is made of voices, and there are none"):
        Noise("babble").draw(800, rng())


def test_a_folder_of_noise_is_read_with_its_sub_folders_and_short_files_repeated(folder):
    noise = Noise(folder)
    assert [f.name for f in noise.files] == ["hum.wav", "cars.flac"]
    drawn = [noise.draw(1000, rng(i)) for i in range(20)]
    short = [d for d in drawn if d.min() > 0]
    assert 0 < len(short) < 20
    assert all(torch.equal(d[:300], d[300:600]) for d in short)
    assert len({d[0].item() for d in drawn}) > 15
    assert all(d.shape == (1000,) for d in drawn)


def test_noise_files_that_can_not_be_used_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match=r"noise is 'brown': choose white, pink, babble, or give a folder"):
        Noise("brown")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FileNotFoundError, match=r"nothing holds no \.wav or \.flac"):
        Noise(tmp_path / "nothing")
    soundfile.write(folder / "street" / "zero.wav", np.zeros(900), 8000)
    with pytest.raises(AudioError, match=r"zero\.wav: it is silent from beginning to end.*--skip-bad"):
        Noise(folder / "street")
    soundfile.write(folder / "street" / "zero.wav", np.ones(900), 16000)
    with pytest.raises(AudioError, match=r"zero\.wav is at 16000 Hz, expected 8000 Hz: pass resample=True"):
        Noise(folder)
    assert len(Noise(folder, resample=True).files) == 3


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5])
def test_noise_is_at_its_level_under_the_louder_source_and_nothing_else_is_added(snr_db):
    sources = torch.stack((0.01 * torch.randn(4000), 0.05 * torch.randn(4000)))
    mixture, clean = add_noise(sources, 7 * torch.randn(4000), snr_db)
    noise = mixture - clean.sum(0)
    assert (rms_db(clean[1]) - rms_db(noise)).item() == pytest.approx(snr_db, abs=1e-3)
    assert torch.equal(clean, sources)


def test_a_noisy_mixture_is_scaled_down_as_a_whole_where_it_would_clip():
    sources = 0.3 * torch.randn(2, 4000)
    mixture, clean = add_noise(sources, torch.randn(4000), 0.0)
    assert max(mixture.abs().max(), clean.abs().max()) == pytest.approx(0.9)
    ratio = clean / sources
    assert ratio.std() < 1e-6
    assert (rms_db(clean).max() - rms_db(mixture - clean.sum(0))).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("noise", [torch.zeros(10), torch.full((10,), torch.nan)])
def test_noise_without_a_level_is_an_error(noise):
    with pytest.raises(ValueError, match="the noise is silent or not finite"):
        add_noise(torch.ones(2, 10), noise, 0.0)
    with pytest.raises(ValueError, match=r"shape \[2, 10\] and noise \[9\]"):
        add_noise(torch.ones(2, 10), torch.ones(9), 0.0)


# Rooms


def test_the_direct_sound_arrives_first_and_is_about_one(rooms):
    assert len(rooms.responses) == len(rooms.times) == 3
    for response in (r for pair in rooms.responses for r in pair):
        assert response.abs().argmax() == rooms.delay
        assert response.max() == pytest.approx(1, abs=0.4)
        assert response[: rooms.delay - 30].abs().max() < 0.05  # nothing before it but the filter's ripple


@pytest.mark.slow
def test_a_longer_reverberation_time_is_longer(rooms):
    dry, wet = rooms.times, Rooms((0.5, 0.5), count=2).times
    assert max(dry) < min(wet)
    assert all(0.19 < time < 0.6 for time in dry)


def test_rooms_follow_their_seed(rooms):
    same, other = Rooms((0.2, 0.3), count=3, seed=4), Rooms((0.2, 0.3), count=3, seed=5)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(rooms.responses, same.responses, strict=True))
    assert not torch.equal(rooms.responses[0][0][:100], other.responses[0][0][:100])


def test_either_speaker_gets_either_response(rooms):
    firsts = {rooms.draw(rng(i))[0].numpy().tobytes() for i in range(60)}
    assert firsts == {r.numpy().tobytes() for pair in rooms.responses for r in pair}
    pair = rooms.draw(rng())
    assert not torch.equal(pair[0][:100], pair[1][:100])


def test_reverberant_speech_stays_aligned():
    samples = torch.randn(500)
    response = torch.zeros(300)
    response[40], response[140] = 1.0, 0.5  # the direct sound and one echo 100 samples later
    wet = reverberate(samples, response)
    expected = samples.clone()
    expected[100:] += 0.5 * samples[:-100]
    assert torch.allclose(wet, expected, atol=1e-5)


def test_without_the_library_the_error_names_the_installation(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(ImportError, match=r'pip install "dprnn-lab\[augment\]"'):
        Rooms(count=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rt60": (0.5, 0.2)}, r"rt60 is \(0\.5, 0\.2\): give the lowest and the highest"),
        ({"rt60": 0.4}, r"rt60 is 0\.4: give the lowest and the highest"),
        ({"rt60": (0.05, 0.3)}, r"from 0\.15 s"),
        ({"rt60": (0.3, 2.0)}, r"to 1\.0 s"),
        ({"count": 0}, "count is 0"),
        ({"share": 1.5}, r"share is 1\.5"),
    ],
)
def test_rooms_that_can_not_be_built(options, message):
    with pytest.raises(ValueError, match=message):
        Rooms(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snr_db": (5, float("nan"))}, "snr_db is"),
        ({"snr_db": (1, 2, 3)}, "snr_db is"),
        ({"share": -0.1}, r"share is -0\.1"),
    ],
)
def test_ranges_and_shares_of_noise(options, message):
    with pytest.raises(ValueError, match=message):
        Noise("pink", **options)


# In dynamic mixing


def snr(item):
    mixture, sources = item
    return (rms_db(sources).max() - rms_db(mixture - sources.sum(0))).item()


@pytest.mark.parametrize("source", ["white", "pink", "babble", "folder"])
def test_noise_is_added_to_the_mixture_and_not_to_the_sources(source, folder):
    clean, noisy = dynamic(), dynamic(noise=Noise(folder if source == "folder" else source, snr_db=(3, 9)))
    ratios = [snr(item) for item in noisy]
    assert min(ratios) > 2.99
    assert max(ratios) < 9.01
    assert max(ratios) - min(ratios) > 3
    for (_, a), (_, b) in zip(clean, noisy, strict=True):
        assert torch.allclose(a / a.norm(), b / b.norm(), atol=1e-6)


def test_rooms_change_the_sources_which_still_sum_to_the_mixture(rooms):
    dry, wet = dynamic(level_db=4.0), dynamic(level_db=4.0, rooms=rooms)
    for (_, a), (mixture, b) in zip(dry, wet, strict=True):
        assert torch.equal(mixture, b.sum(0))
        assert not torch.allclose(a / a.norm(), b / b.norm(), atol=1e-2)
        # The level is that of the reverberant sources, and the direct sound stays aligned.
        levels = [(rms_db(x[0]) - rms_db(x[1])).item() for x in (a, b)]
        assert levels[0] == pytest.approx(levels[1], abs=1e-3)
        assert torch.cosine_similarity(a, b).min() > 0.3


def test_noise_is_the_same_in_a_room_and_without(rooms):
    noise = Noise("white", snr_db=(0, 20), share=0.5)
    dry, wet = dynamic(noise=noise), dynamic(noise=noise, rooms=rooms)
    left = [[(m - s.sum(0)) for m, s in dataset] for dataset in (dry, wet)]
    assert 4 < sum(bool(a.any()) for a in left[0]) < 16
    for a, b in zip(*left, strict=True):
        assert a.any() == b.any()
        assert not a.any() or torch.cosine_similarity(a, b, dim=0) > 0.999


@pytest.mark.slow
def test_a_share_of_the_mixtures_stays_clean_and_dry(rooms):
    half = dynamic(size=200, noise=Noise("white", share=0.25), rooms=Rooms((0.2, 0.2), count=1, share=0.5))
    clean = dynamic(size=200)
    noisy = dry = 0
    for (_, a), (mixture, b) in zip(clean, half, strict=True):
        noisy += not torch.equal(mixture, b.sum(0))
        dry += torch.allclose(a / a.norm(), b / b.norm(), atol=1e-4)
    assert 30 < noisy < 75
    assert 70 < dry < 130


def test_items_follow_seed_epoch_and_index_in_every_worker(rooms):
    def items(epoch, workers=0):
        dataset = dynamic(noise=Noise("pink"), rooms=rooms, flip=True, speed_percent=5, seed=9)
        dataset.set_epoch(epoch)
        return next(iter(DataLoader(dataset, 20, num_workers=workers)))[0]

    assert torch.equal(items(1), items(1, workers=2))
    assert not torch.equal(items(1), items(2))


def test_without_augmentation_the_draws_stay_the_same():
    """The draws of an item in their order, written down once more: runs must not change with new options."""
    drawn = np.random.default_rng((3, 2, 5))
    kind = drawn.choice(["man-woman", "woman-woman"], p=[0.5, 0.5])
    pairs = {"man-woman": [("ada", "carl"), ("bea", "carl")], "woman-woman": [("ada", "bea")]}[kind]
    pair = drawn.permutation(pairs[drawn.integers(len(pairs))])
    starts = []
    for _ in pair:
        assert drawn.integers(0, 1) == 0  # no other speed
        starts.append(int(drawn.integers(20_000 - 801 + 1)))
    level = drawn.uniform(-2.5, 2.5)
    dataset = dynamic(seed=3)
    dataset.set_epoch(2)
    for source, name, start in zip(dataset[5][1], pair, starts, strict=True):
        dry = voices()[name][start : start + 800]
        assert torch.cosine_similarity(source, dry, dim=0) == pytest.approx(1, abs=1e-6)
    assert (rms_db(dataset[5][1][0]) - rms_db(dataset[5][1][1])).item() == pytest.approx(level, abs=1e-4)
