import math
import os

import numpy as np
import pytest
import soundfile
import torch

from dprnn_lab import audio
from dprnn_lab.audio import (
    AUDIO_ENDINGS,
    LOSSLESS_ENDINGS,
    AudioError,
    audio_files,
    check_finite,
    clipped_share,
    correlation,
    peak,
    read_audio,
    resample,
    rms_db,
    to_mono,
    write_audio,
)


def tone(hertz, seconds=1.0, rate=8000):
    return torch.sin(2 * math.pi * hertz * torch.arange(int(seconds * rate)) / rate)


def names(folder):
    return sorted(os.listdir(folder))


# Files


@pytest.mark.parametrize("ending", ["wav", "flac", "WAV"])
@pytest.mark.parametrize("shape", [(1000,), (1, 1000), (2, 1000)], ids=str)
def test_written_samples_are_read_back_to_half_a_step_of_16_bits(tmp_path, ending, shape):
    samples = torch.rand(shape) * 1.9 - 0.95
    back, rate = read_audio(write_audio(tmp_path / f"a.{ending}", samples, 8000))
    assert rate == 8000
    assert back.dtype == torch.float32
    assert back.is_contiguous()
    torch.testing.assert_close(back, samples.reshape(-1, 1000), atol=0.501 / 2**15, rtol=0)


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_16_bit_samples_survive_bit_by_bit(tmp_path, ending):
    every = torch.arange(-(2**15), 2**15) / 2**15
    back, _ = read_audio(write_audio(tmp_path / f"a.{ending}", every, 8000))
    assert torch.equal(back[0], every)


def test_files_are_16_bit_pcm(tmp_path):
    for ending in ("wav", "flac"):
        assert soundfile.info(write_audio(tmp_path / f"a.{ending}", tone(100), 8000)).subtype == "PCM_16"


def test_missing_folders_are_made(tmp_path):
    assert write_audio(tmp_path / "new" / "deep" / "a.wav", tone(100), 8000).is_file()


def test_a_written_file_is_ordinary_and_leaves_no_other(tmp_path):
    write_audio(tmp_path / "a.wav", tone(100), 8000)
    (tmp_path / "plain").write_text("as a shell would make it")
    assert names(tmp_path) == ["a.wav", "plain"]
    assert (tmp_path / "a.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_tensor_with_gradients_is_written(tmp_path):
    samples = tone(100).requires_grad_()
    torch.testing.assert_close(
        read_audio(write_audio(tmp_path / "a.wav", samples, 8000))[0][0], tone(100), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("fails", ["soundfile.write", "os.replace"])
def test_a_failed_write_leaves_nothing_new_and_keeps_the_old_file(tmp_path, monkeypatch, fails):
    write_audio(tmp_path / "old.wav", tone(100), 8000)
    before = (tmp_path / "old.wav").read_bytes()

    def full(path, *rest, **options):
        if fails == "soundfile.write":
            path.write(b"half a fi")
        raise OSError(28, "No space left on device")

    module, name = fails.split(".")
    monkeypatch.setattr(getattr(audio, module), name, full)
    for target in ("old.wav", "new.wav"):
        with pytest.raises(OSError, match="No space left"):
            write_audio(tmp_path / target, tone(200), 8000)
    assert names(tmp_path) == ["old.wav"]
    assert (tmp_path / "old.wav").read_bytes() == before


def test_samples_that_would_clip_are_refused_and_full_scale_is_not(tmp_path):
    with pytest.raises(AudioError, match=r"the peak is 1\.20"):
        write_audio(tmp_path / "a.wav", 1.2 * tone(100), 8000)
    assert names(tmp_path) == []
    write_audio(tmp_path / "a.wav", torch.tensor([1.0, -1.0]), 8000)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_finite_are_refused_and_counted(tmp_path, bad):
    samples = tone(100)
    samples[[3, 5]] = bad
    with pytest.raises(AudioError, match="2 of 8000 samples are NaN or infinite"):
        write_audio(tmp_path / "a.wav", samples, 8000)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.raw"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with pytest.raises(AudioError, match="unknown ending"):
        write_audio(tmp_path / name, tone(100), 8000)
    assert names(tmp_path) == []


@pytest.mark.parametrize("shape", [(0,), (1, 0), (), (1, 2, 100)], ids=str)
def test_samples_of_another_shape_are_refused(tmp_path, shape):
    with pytest.raises(AudioError, match="expected"):
        write_audio(tmp_path / "a.wav", torch.zeros(shape), 8000)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("shape", "rate"), [((100,), 0), ((100,), -8000), ((9, 100), 8000)])
def test_an_unsupported_rate_or_channel_count_is_one_clear_error(tmp_path, shape, rate):
    with pytest.raises(AudioError, match="can't be written as FLAC"):
        write_audio(tmp_path / "a.flac", torch.zeros(shape), rate)
    assert names(tmp_path) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AudioError, match=r"none\.wav: no such file"):
        read_audio(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="no such file"):
        read_audio(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.wav", b"<html>404</html>"),
        ("table.csv", b"a,b\n1,2\n"),
        ("x.raw", bytes(64)),
    ],
)
def test_a_file_that_is_no_audio_is_described(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError) as error:
        read_audio(tmp_path / name)
    assert f"{name}: not readable as audio ({len(content)} bytes, beginning with {content[:4]!r})" in str(
        error.value
    )


def test_a_file_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 1), np.float32), 8000)
    with pytest.raises(AudioError, match="holds no samples"):
        read_audio(tmp_path / "a.wav")


def test_stereo_keeps_its_channels_apart(tmp_path):
    stereo = torch.stack((tone(100), tone(300))) * 0.9
    back, _ = read_audio(write_audio(tmp_path / "a.wav", stereo, 8000))
    torch.testing.assert_close(back, stereo, atol=1e-4, rtol=0)


# Channels, rates, levels


@pytest.mark.parametrize(("mode", "expected"), [("left", 1.0), ("right", 3.0), ("mean", 2.0)])
def test_each_mono_mode_selects_its_channels(mode, expected):
    stereo = torch.tensor([[1.0], [3.0]]).expand(2, 10)
    assert torch.equal(to_mono(stereo, mode), torch.full((10,), expected))


def test_one_channel_stays_as_it_is_but_has_no_right():
    single = tone(100)[None]
    assert torch.equal(to_mono(single, "mean"), single[0])
    assert torch.equal(to_mono(single, "left"), single[0])
    with pytest.raises(AudioError, match="mono is 'right', and there is one channel only"):
        to_mono(single, "right")


def test_an_unknown_mono_mode_or_shape_is_named():
    with pytest.raises(AudioError, match="mono is 'both'"):
        to_mono(torch.zeros(2, 10), "both")
    with pytest.raises(AudioError, match=r"shape \[10\]"):
        to_mono(torch.zeros(10), "mean")


@pytest.mark.parametrize(("old", "new"), [(16000, 8000), (44100, 8000), (8000, 16000), (8000, 11025)])
def test_resampling_keeps_pitch_and_length_in_seconds(old, new):
    changed = resample(tone(440, 1.0, old), old, new)
    expected = tone(440, 1.0, new)
    assert abs(len(changed) - len(expected)) <= 1
    middle = slice(new // 10, -new // 10)  # the filter sees zeros beyond the ends
    torch.testing.assert_close(changed[: len(expected)][middle], expected[middle], atol=0.01, rtol=0)


def test_resampling_removes_frequencies_over_the_new_nyquist_rate():
    assert rms_db(resample(tone(6000, 1.0, 16000), 16000, 8000)[400:-400]) < -40


def test_equal_rates_change_nothing():
    samples = torch.randn(2, 100)
    assert resample(samples, 8000, 8000.0) is samples


@pytest.mark.parametrize(("old", "new"), [(0, 8000), (8000, -1)])
def test_a_rate_of_zero_or_less_is_refused(old, new):
    with pytest.raises(AudioError, match=f"sample rates are {old} and {new} Hz"):
        resample(torch.zeros(10), old, new)


def test_levels_of_known_signals():
    assert rms_db(torch.ones(100)).item() == pytest.approx(0)
    assert rms_db(tone(100)).item() == pytest.approx(-3.01, abs=0.01)
    assert rms_db(torch.full((2, 100), 0.1)).tolist() == pytest.approx([-20, -20])
    assert rms_db(torch.zeros(100)).item() == pytest.approx(-120)


def test_peak_is_the_largest_magnitude():
    assert peak(torch.tensor([0.2, -0.7])) == pytest.approx(0.7)
    assert peak(torch.zeros(0)) == 0


def test_finite_samples_pass_and_others_are_counted():
    check_finite(torch.randn(10), "it")
    with pytest.raises(AudioError, match="it: 1 of 3 samples"):
        check_finite(torch.tensor([0.0, math.inf, 1.0]), "it")


def test_a_rate_ratio_with_a_filter_of_gigabytes_is_refused():
    with pytest.raises(AudioError, match="from 44101 Hz to 8000 Hz 44101 samples become 8000"):
        resample(torch.zeros(1000), 44101, 8000)


def test_endings_of_lossless_files_are_among_all():
    assert LOSSLESS_ENDINGS < AUDIO_ENDINGS
    assert {".mp3", ".ogg", ".opus", ".aiff", ".aif"} < AUDIO_ENDINGS
    assert ".raw" not in AUDIO_ENDINGS


def test_a_folders_audio_files_are_sorted_and_those_of_its_subfolders_are_included_on_request(tmp_path):
    for name in ("b.wav", "a.FLAC", "c.mp3", "notes.txt", "deep/d.wav", "folder.wav/e.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"something")
    assert [f.name for f in audio_files(tmp_path)] == ["a.FLAC", "b.wav"]
    assert [f.name for f in audio_files(tmp_path, recursive=True)] == ["a.FLAC", "b.wav", "d.wav", "e.flac"]


def test_the_clipped_share_counts_runs_at_the_extremes_of_each_row():
    sine = 0.99 * tone(100)
    clipped = (1.5 * sine).clamp(-1, 1)
    offset = clipped + 3  # all samples are positive
    shares = clipped_share(torch.stack((sine, clipped, offset, torch.zeros(8000))))
    outside = float((clipped.abs() == 1).float().mean())
    assert shares[0] < 0.001
    assert shares[1] == pytest.approx(outside, abs=0.03)
    assert shares[2] == pytest.approx(outside / 2, abs=0.03)  # only the maximum is one of clipping
    assert shares[3] == 0


def test_the_correlation_of_two_signals():
    x, y = torch.randn(2, 1000)
    assert correlation(torch.stack((x, 2 * x + 1))) == pytest.approx(1)
    assert correlation(torch.stack((x, -x, y))) == pytest.approx(-1)
    assert abs(correlation(torch.stack((x, y)))) < 0.1
    for undefined in (x[None], torch.stack((x, torch.ones(1000)))):
        assert math.isnan(correlation(undefined))
        assert correlation(undefined, undefined=0.0) == 0.0
