import re

import numpy as np
import pytest
import soundfile
import torch

from dprnn_lab.audio import AudioError, read_audio, resample, to_mono
from dprnn_lab.separation.audio_stream import AudioStream


@pytest.fixture
def record(tmp_path):
    """Write noise: ``record("name.wav", 44100, 2)``."""

    def write(name="noise.wav", rate=8000, channels=1, frames=20011, **options):
        samples = np.random.default_rng(0).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)
        soundfile.write(tmp_path / name, samples, rate, **options)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", ["noise.wav", "noise.flac", "noise.ogg", "noise.mp3", "noise.aiff"])
def test_any_part_of_a_file_equals_that_part_of_the_whole(record, name):
    path = record(name, rate=16000)
    whole = read_audio(path)[0][0]
    stream = AudioStream(path, 16000)
    assert stream.samples == len(whole)
    for start, stop in [(0, 5), (7000, 9000), (100, 20000), (len(whole) - 5, len(whole))]:
        torch.testing.assert_close(stream.read(start, stop), whole[start:stop], atol=2e-4, rtol=0)


@pytest.mark.parametrize("rate", [44100, 48000, 16000, 11025, 22050, 6000, 8100])
def test_parts_are_resampled_as_the_whole_is(record, rate):
    path = record(rate=rate)
    whole = resample(read_audio(path)[0][0], rate, 8000)
    stream = AudioStream(path, 8000, resample=True)
    assert stream.samples == len(whole)
    for start, stop in [
        (0, 1),
        (0, stream.samples),
        (1000, 1003),
        (333, 2999),
        (stream.samples - 7, stream.samples),
    ]:
        torch.testing.assert_close(stream.read(start, stop), whole[start:stop], atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", ["mean", "left", "right"])
def test_parts_are_mixed_down_as_the_whole_is(record, mode):
    path = record(channels=2)
    assert torch.equal(
        AudioStream(path, 8000, mono=mode).read(5, 99), to_mono(read_audio(path)[0], mode)[5:99]
    )


def test_unsuitable_files_are_an_error_before_anything_is_read(record, tmp_path):
    with pytest.raises(AudioError, match=re.escape("pass resample=True (--resample)")):
        AudioStream(record("fast.wav", 16000), 8000)
    with pytest.raises(AudioError, match=re.escape("choose mono='mean', mono='left' or mono='right'")):
        AudioStream(record("stereo.wav", channels=2), 8000)
    with pytest.raises(AudioError, match="mono is 'both'"):
        AudioStream(record("stereo.wav", channels=2), 8000, mono="both")
    with pytest.raises(AudioError, match="from 44101 Hz to 8000 Hz 44101 samples become 8000"):
        AudioStream(record("odd.wav", 44101), 8000, resample=True)
    with pytest.raises(AudioError, match="the file holds no samples"):
        AudioStream(record("empty.wav", frames=0), 8000)
    with pytest.raises(AudioError, match="no such file"):
        AudioStream(tmp_path / "none.wav", 8000)


def test_a_file_cut_off_is_an_error_where_it_ends(record):
    path = record("cut.flac", frames=200_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    stream = AudioStream(path, 8000)
    assert len(stream.read(0, 8000)) == 8000
    with pytest.raises(AudioError, match=r"cut\.flac"):
        stream.read(0, 200_000)


def test_samples_that_are_not_finite_are_an_error_where_they_are(tmp_path):
    samples = np.zeros(1000, np.float32)
    samples[600] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 8000, subtype="FLOAT")
    stream = AudioStream(tmp_path / "nan.wav", 8000)
    assert not stream.read(0, 500).any()
    with pytest.raises(AudioError, match=r"nan\.wav: 1 of 500 samples are NaN"):
        stream.read(500, 1000)
