"""Digital silence, samples that are not finite, files that can't be read, sources that are not in their mixtures."""

import os
import sys

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from dprnn_lab.audio import AudioError, as_samples
from dprnn_lab.datasets.augmentation import Noise
from dprnn_lab.datasets.disk_mixtures import DiskMixtures, FixedSegments, RandomSegments, active_segment
from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.datasets.mixture_sums import check_sums, parts_of_mixture
from dprnn_lab.datasets.notes import DataWarning
from dprnn_lab.datasets.sound_places import places_with_sound
from dprnn_lab.datasets.speaker_folders import SpeakerFolders


def noise(length, seed):
    return np.random.default_rng(seed).normal(0, 0.1, length).astype(np.float32)


def write(path, samples, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 8000, **{"subtype": "FLOAT"} | options)


@pytest.fixture
def voices(tmp_path):
    for s, name in enumerate(("ada", "bob", "carl")):
        for i in range(3):
            write(tmp_path / "voices" / name / f"{i}.wav", noise(4000, 10 * s + i))
    return tmp_path / "voices"


@pytest.fixture
def mixtures(tmp_path):
    """Four mixtures of two sources, with noise in mix_both, and without the second in mix_single."""
    for i in range(4):
        s1, s2, hum = (noise(4000, 10 * i + k) for k in range(3))
        for name, samples in {
            "s1": s1, "s2": s2, "mix_clean": s1 + s2, "mix_both": s1 + s2 + hum, "mix_single": s1 + hum,
        }.items():  # fmt: skip
            write(tmp_path / "dev" / name / f"{i}.wav", samples)
    return tmp_path / "dev"


# Silence


def test_of_a_voice_that_is_mostly_digital_silence_the_speech_is_drawn(tmp_path):
    for s, name in enumerate(("ada", "bob")):
        for i in range(2):
            silence = np.zeros(100_000, np.float32)
            write(tmp_path / name / f"{i}.wav", np.concatenate([silence, noise(2000, 2 * s + i), silence]))
    mixing = SpeakerFolders(tmp_path, valid_share=0).mixing(samples=800, size=20, noise=Noise("babble"))
    for _, sources in mixing:
        assert sources.square().mean(-1).min() > 1e-5
    again = SpeakerFolders(tmp_path, valid_share=0).mixing(samples=800, size=20, noise=Noise("babble"))
    assert all(torch.equal(a[1], b[1]) for a, b in zip(mixing, again, strict=True))


def test_a_voice_without_any_speech_is_named_before_the_training(voices):
    for i in range(3):
        write(voices / "mute" / f"{i}.wav", np.zeros(4000, np.float32))
    with pytest.raises(ValueError, match=r"the voices \['mute'\] are silent: there is no speech"):
        SpeakerFolders(voices, valid_share=0).mixing(samples=800)
    write(voices / "mute" / "3.wav", np.concatenate([np.zeros(30_000, np.float32), noise(400, 1)]))
    mixing = SpeakerFolders(voices, valid_share=0).mixing(samples=800, size=50)
    assert all(sources.square().mean(-1).min() > 0 for _, sources in mixing)


def test_a_voice_in_memory_that_is_not_finite_is_named():
    odd = torch.randn(5000)
    odd[7] = float("inf")
    with pytest.raises(ValueError, match=r"the voices \['odd'\] have samples that are NaN, infinite or huge"):
        DynamicMixing({"odd": odd, "ok": torch.randn(5000)}, None, samples=800)


def test_noise_is_drawn_where_it_has_sound(tmp_path):
    silence = np.zeros(50_000, np.float32)
    write(tmp_path / "a.wav", np.concatenate([silence, 1e-6 * noise(100, 0), silence]))
    drawn = [Noise(tmp_path).draw(500, np.random.default_rng(i)) for i in range(20)]
    assert all(d.any() and d.shape == (500,) for d in drawn)


def test_a_segment_is_cut_where_no_source_is_silent_if_there_is_such_a_place():
    sources = torch.zeros(2, 100_000)
    sources[0], sources[1, 70_000:71_000] = torch.randn(100_000), torch.randn(1000)
    for seed in range(5):
        start = active_segment(sources, 400, np.random.default_rng(seed))
        assert sources[:, start : start + 400].square().mean(-1).min() > 0.1
    assert active_segment(torch.zeros(2, 1000), 400, np.random.default_rng(0)) >= 0


def test_places_with_sound_include_the_last_part_of_a_block():
    voice = torch.zeros(1050)
    voice[1040:] = 1
    assert places_with_sound(voice, 100).tolist() == [950]
    assert not len(places_with_sound(torch.zeros(500), 100))


# Bad files


def test_a_sample_that_is_not_finite_names_its_file_through_a_worker(mixtures):
    bad = noise(4000, 1)
    bad[1234] = np.nan
    write(mixtures / "s2" / "1.wav", bad)
    segments = RandomSegments(DiskMixtures(mixtures, mix="mix_clean"), 4000)
    with pytest.raises(
        AudioError, match=r"^/.*s2/1\.wav: 1 of 4000 .*channel 1, sample 1234 \(0\.154 s\).*--skip-bad"
    ):
        list(DataLoader(segments, 2, num_workers=1))


@pytest.mark.parametrize("kind", ["nan", "garbage", "empty", "short", "missing"])
def test_one_bad_file_is_named_and_left_out_where_that_is_allowed(mixtures, kind):
    file = mixtures / "s2" / "1.wav"
    if kind == "nan":
        write(file, np.full(4000, np.nan, np.float32))
    elif kind == "short":
        write(file, noise(3000, 1))
    elif kind == "missing":
        file.unlink()
    else:
        file.write_bytes(b"" if kind == "empty" else b"garbage")
    with pytest.raises(ValueError, match="--skip-bad"):
        list(DiskMixtures(mixtures, mix="mix_clean"))
    left = DiskMixtures(mixtures, mix="mix_clean", skip_bad=True)
    assert [spec.id for spec in left.specs] == ["0", "2", "3"]
    assert len(list(left)) == 3
    ((name, reason),) = left.left_out
    assert name in (file, mixtures / "mix_clean" / "1.wav") and reason


def test_nothing_left_is_an_error(mixtures):
    for i in range(4):
        (mixtures / "s1" / f"{i}.wav").write_bytes(b"garbage")
    with pytest.raises(
        ValueError, match=r"none of its 4 mixtures can be used, the first because: .*not readable"
    ):
        DiskMixtures(mixtures, mix="mix_clean", skip_bad=True)


def test_bad_files_of_speakers_and_of_noise_are_left_out_where_that_is_allowed(voices):
    bad = noise(4000, 99)
    bad[3] = np.inf
    write(voices / "ada" / "bad.wav", bad)
    (voices / "bob" / "worse.wav").write_bytes(b"garbage")
    with pytest.raises(AudioError, match=r"worse\.wav: not readable.*--skip-bad"):
        SpeakerFolders(voices)
    folders = SpeakerFolders(voices, skip_bad=True)
    assert [file.name for file, _ in folders.left_out] == ["bad.wav", "worse.wav"]
    assert len(folders.utterances) == 9
    noise_files = Noise(voices, skip_bad=True)
    assert [file.name for file, _ in noise_files.left_out] == ["bad.wav", "worse.wav"]
    assert noise_files.draw(500, np.random.default_rng(0)).isfinite().all()


def test_a_file_that_vanishes_or_is_replaced_is_named_when_it_is_read(voices):
    mixing = SpeakerFolders(voices, valid_share=0).mixing(samples=800, size=50)
    write(voices / "ada" / "0.wav", noise(3000, 5))
    with pytest.raises(AudioError, match=r"ada/0\.wav has 3000 samples, and had 4000 when it was listed"):
        list(mixing)
    (voices / "ada" / "0.wav").unlink()
    with pytest.raises(AudioError, match=r"ada/0\.wav: no such file"):
        list(mixing)


def test_what_is_shorter_or_not_read_is_counted_and_said(mixtures, voices):
    write_short = {name: noise(900, 1) for name in ("s1", "s2", "mix_clean")}
    for name, samples in write_short.items():
        write(mixtures / name / "short.wav", samples)
    for kind in (RandomSegments, FixedSegments):
        with pytest.warns(DataWarning, match=r"1 of 5 mixtures are shorter than 0\.125 s and left out"):
            assert kind(DiskMixtures(mixtures, mix="mix_clean"), 1000).skipped == 1
    (voices / "ada" / "x.m4a").write_bytes(b"m4a")
    for open_folder in (SpeakerFolders, Noise):
        with pytest.warns(DataWarning, match=r"1 file is \.m4a and not read \(.*x\.m4a\)"):
            open_folder(voices)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_speakers_with_names_that_are_not_utf_8(voices):
    for i in range(3):
        folder = os.fsencode(voices) + b"/ren\xe9"
        os.makedirs(folder, exist_ok=True)
        soundfile.write(folder + b"/\xe9%d.wav" % i, noise(4000, 50 + i), 8000)
    folders = SpeakerFolders(voices)
    assert list(folders.voices()) == ["ada", "bob", "carl", r"ren\xe9"]
    assert len(list(folders.mixing(samples=800, size=20))) == 20


# Sources and mixtures


def test_a_source_that_is_not_in_the_mixtures_is_refused(mixtures):
    assert check_sums(DiskMixtures(mixtures, mix="mix_clean")) == []
    (said,) = check_sums(DiskMixtures(mixtures, mix="mix_both"))
    assert "-5 dB of the mixtures of mix_both are in none of their sources: noise" in said
    with pytest.raises(
        ValueError,
        match=r"the source s2 is not in the mixtures of mix_single \(4 of 4 .*mix_both, mix_clean; mix",
    ):
        check_sums(DiskMixtures(mixtures, mix="mix_single"))


def test_a_source_may_be_at_any_level_silent_or_a_copy():
    s = torch.randn(3, 4000)
    shares, rest = parts_of_mixture(s[0] / 10 + s[1] / 300, s[:2])
    assert min(shares) > 0.99 and rest < 1e-6
    shares, rest = parts_of_mixture(s[0] + s[1], s)
    assert shares[2] < 0.01 < min(shares[:2])
    shares, _ = parts_of_mixture(s[0], torch.stack((s[0], torch.zeros(4000))))
    assert shares[0] > 0.99 and np.isnan(shares[1])
    assert np.isnan(parts_of_mixture(2 * s[0], torch.stack((s[0], s[0])))[0]).all()


def test_all_of_ten_sources_are_found(tmp_path):
    sources = [noise(1000, i) for i in range(10)]
    for i, source in enumerate(sources):
        write(tmp_path / f"s{i + 1}" / "a.wav", source)
    write(tmp_path / "mix" / "a.wav", sum(sources) / 10)
    mixture, read, _ = DiskMixtures(tmp_path)[0]
    assert torch.allclose(read.sum(0) / 10, mixture, atol=1e-5)
    assert np.allclose(read[9].numpy(), sources[9])


def test_speeds_that_have_no_effect_are_refused():
    voices = {name: torch.randn(5000) for name in "ab"}
    for speed in (4, -10, 51):
        with pytest.raises(ValueError, match=f"speed_percent is {speed} .*so give 0 .* or 5 to 50"):
            DynamicMixing(voices, None, samples=800, speed_percent=speed)
    with pytest.raises(TypeError, match=r"speed_percent is 5\.0"):
        DynamicMixing(voices, None, samples=800, speed_percent=5.0)
    with pytest.raises(ValueError, match="level_db is nan"):
        DynamicMixing(voices, None, samples=800, level_db=float("nan"))


@pytest.mark.parametrize("snr_db", [("a", "b"), (None, 3), (5, 1), 7, (0.0, float("nan"))])
def test_a_range_that_is_none_is_shown(snr_db):
    with pytest.raises(ValueError, match=r"snr_db is .*: give the lowest and the highest value"):
        Noise("white", snr_db)
    with pytest.raises(ValueError, match="share is 'x': give a share from 0 to 1"):
        Noise("white", share="x")


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([[1, 2], [3]], dtype=object), [1, "a"]], ids=str)
def test_what_are_no_samples_is_named(value):
    with pytest.raises(AudioError, match=r"^wav (has dtype|is list)"):
        as_samples(value, "wav")
