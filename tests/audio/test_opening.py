"""Headers that do not tell the length, lie about it, or hold impossible numbers; things that are no files."""

import os
import struct
import sys

import numpy as np
import pytest
import soundfile
import torch

from dprnn_lab import audio
from dprnn_lab.audio import (
    AudioError,
    audio_info,
    check_format,
    check_suits,
    read_audio,
    read_frames,
    resample,
)
from dprnn_lab.separation.audio_stream import AudioStream

RATE, LENGTH = 8000, 30_000
TOTAL = slice(18, 26)  # of a FLAC: 28 bits of rate, channels and width, and 36 bits of length


@pytest.fixture
def samples():
    return np.random.default_rng(0).normal(0, 0.1, LENGTH).astype(np.float32)


@pytest.fixture
def flac(tmp_path, samples):
    """``flac(length)``: a FLAC whose header says another length."""

    def make(length):
        path = tmp_path / "a.flac"
        soundfile.write(path, samples, RATE)
        content = bytearray(path.read_bytes())
        fields = int.from_bytes(content[TOTAL], "big")
        content[TOTAL] = ((fields >> 36 << 36) | length).to_bytes(8, "big")
        path.write_bytes(content)
        return path

    return make


@pytest.fixture
def wav(tmp_path, samples):
    """``wav(**fields)``: a WAV with other numbers in its header."""
    places = {
        "riff": (4, "<I"),
        "channels": (22, "<H"),
        "rate": (24, "<I"),
        "align": (32, "<H"),
        "data": (40, "<I"),
    }

    def make(**fields):
        path = tmp_path / "a.wav"
        soundfile.write(path, samples, RATE)
        content = bytearray(path.read_bytes())
        for name, value in fields.items():
            place, kind = places[name]
            struct.pack_into(kind, content, place, value)
        path.write_bytes(content)
        return path

    return make


def test_a_flac_that_was_written_into_a_pipe_is_read_whole_and_in_parts(flac, samples):
    path = flac(0)
    assert soundfile.info(path).frames > 2**60  # what made it fill the memory
    assert audio_info(path) == (LENGTH, RATE, 1, True)
    whole = read_audio(path)[0]
    assert np.allclose(whole[0], samples, atol=1e-4)
    assert torch.equal(read_frames(path, 20_000, LENGTH), whole[:, 20_000:])
    stream = AudioStream(path, RATE)
    stream.check_end()
    assert stream.samples == LENGTH
    assert torch.equal(stream.read(29_000, LENGTH), whole[0, 29_000:])


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_that_was_written_into_a_pipe_is_read_to_its_end(wav, samples, length, recwarn):
    path = wav(riff=length, data=length)
    assert audio_info(path).frames == LENGTH
    assert np.allclose(read_audio(path)[0][0], samples, atol=1e-4)
    assert torch.equal(read_frames(path, 100, 200), read_audio(path)[0][:, 100:200])
    assert not recwarn.list


def test_a_wav_with_no_samples_and_a_chunk_after_them_stays_empty(tmp_path):
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros(0, np.float32), RATE)
    with path.open("ab") as file:
        file.write(b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(AudioError, match="holds no samples"):
        read_audio(path)


def test_a_wav_that_was_cut_off_is_used_and_said(wav):
    path = wav()
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.warns(
        UserWarning, match=r"a\.wav: the header says 60000 bytes of samples, 19956 are there: .*cut off"
    ):
        assert read_audio(path)[0].shape == (1, 9978)


def test_an_mp3_that_was_cut_off_is_used_and_said(tmp_path, samples):
    path = tmp_path / "a.mp3"
    soundfile.write(path, samples, RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(
        UserWarning, match=r"a\.mp3: ends after \d+ of 30000 samples: it may have been cut off"
    ):
        assert 10_000 < read_audio(path)[0].shape[1] < 20_000


def test_a_flac_that_was_cut_off_is_an_error_before_it_is_used(flac):
    path = flac(LENGTH)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for read in (read_audio, lambda path: AudioStream(path, RATE).check_end()):
        with pytest.raises(AudioError, match=r"a\.flac: damaged or cut off: the header says 30000 samples"):
            read(path)
    path = flac(2 * LENGTH)
    with pytest.raises(AudioError, match="ends after 30000 of 60000 samples: it was cut off"):
        read_audio(path)


def test_a_header_that_claims_years_is_refused_before_anything_is_allocated(flac):
    with pytest.raises(AudioError, match=r"68719476735 samples by its header, and \d+ bytes can't hold them"):
        audio_info(flac(2**36 - 1))


def test_hours_that_a_file_could_hold_are_refused_too(flac, monkeypatch):
    monkeypatch.setattr(audio.opening, "MOST_HOURS", 1 / 3600)
    with pytest.raises(AudioError, match=r"0 hours by its header, more than 0\.000277"):
        audio_info(flac(LENGTH))
    monkeypatch.setattr(audio.opening, "MOST_HOURS", 1.0)
    monkeypatch.setattr(audio.reading, "LARGEST_SIGNAL", 1000)
    with pytest.raises(
        AudioError, match=r"1 channels are .* GB in memory: split the file, or separate it from file"
    ):
        read_audio(flac(LENGTH))


def test_absurd_rates_and_channels_are_one_sentence(wav):
    with pytest.raises(AudioError, match="1000 channels by its header, more than 256"):
        read_audio(wav(channels=1000, align=2000))
    for rate in (0, 0xFFFFFFFF):
        with pytest.raises(AudioError, match="its header has no possible sample rate"):
            read_audio(wav(rate=rate))
    path = wav(rate=1)
    assert audio_info(path).rate == 1
    for check in (
        lambda: check_format(path, 1, 1, RATE, True),
        lambda: check_suits(str(path), 1, 4_000_000_000, RATE, None, True),
        lambda: AudioStream(path, RATE, resample=True),
    ):
        with pytest.raises(
            AudioError, match=r"voices are recorded at 1000 to 1000000 Hz, so the header is wrong"
        ):
            check()


def test_resampling_that_would_fill_the_memory_is_refused():
    with pytest.raises(AudioError, match="8000 samples would become 1600000000, 6 GB"):
        resample(torch.zeros(8000), 1, 200_000)
    for rate in (float("nan"), float("inf"), "8000"):
        with pytest.raises(AudioError, match=r"sample rates are .* both must be numbers above 0"):
            resample(torch.zeros(8), rate, 8000)


def test_formats_in_which_one_can_not_seek_are_read_in_parts_from_the_beginning(tmp_path, samples):
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="GSM610")
    whole = read_audio(tmp_path / "a.wav")[0]
    assert torch.equal(read_frames(tmp_path / "a.wav", 500, 900), whole[:, 500:900])


def test_what_is_no_file_is_named_and_never_waited_for(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.symlink(tmp_path / "gone.wav", tmp_path / "link.wav")
    for name, message in [
        ("folder.wav", "it is a folder"),
        ("link.wav", r"it is a link to .*gone\.wav, which does not exist"),
        ("x" * 300 + ".wav", "can be reached"),
        ("a\0b.wav", "no file has such a name"),
    ]:
        with pytest.raises(AudioError, match=message):
            read_audio(tmp_path / name)
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.wav")
        with pytest.raises(AudioError, match="it is a pipe or device"):
            read_audio(tmp_path / "pipe.wav")


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")]
)
def test_an_error_of_the_system_is_a_sentence_with_the_path(wav, monkeypatch, error):
    path = wav()

    def fail(*_):
        raise error

    monkeypatch.setattr(audio.opening, "_missing_length", fail)
    with pytest.raises(AudioError, match=rf"a\.wav: can't be read \({error.strerror}\)"):
        read_audio(path)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf_8_is_read_and_printed(tmp_path, samples):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    soundfile.write(os.fsencode(path), samples, RATE)
    assert read_audio(path)[0].shape == (1, LENGTH)
    path.write_bytes(b"no audio")
    with pytest.raises(AudioError) as error:
        read_audio(path)
    assert r"caf\xe9.wav: not readable" in str(error.value)
    str(error.value).encode()
