"""Parts of files, the files kept in memory, samples that are not finite, and what a folder holds."""

import pickle

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader, Dataset

from dprnn_lab.audio import (
    AudioError,
    audio_files,
    check_finite,
    folder_content,
    read_audio,
    read_mono,
    read_mono_cached,
    read_mono_part,
    reading,
    subfolders,
)
from dprnn_lab.error_texts import printable


def write(path, samples, rate=8000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def noise(length, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, length).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 11025, 44100])
def test_a_part_equals_that_part_of_the_whole(tmp_path, rate):
    path = write(tmp_path / "a.flac", noise(50_000), rate)
    whole = read_mono(path, 8000, resample=True)
    for start, stop in [(0, 500), (3000, 4000), (len(whole) - 700, len(whole))]:
        part = read_mono_part(path, 8000, start, stop, resample=True)
        if rate == 8000:
            assert torch.equal(part, whole[start:stop])
        else:
            torch.testing.assert_close(part, whole[start:stop], atol=2e-6, rtol=0)


def test_a_bad_sample_is_named_with_channel_index_and_time(tmp_path):
    stereo = torch.zeros(2, 8000)
    stereo[1, 4000:4003] = float("inf")
    with pytest.raises(
        AudioError,
        match=r"x: 3 of 16000 samples are NaN or infinite, the first one \(inf\) at channel 2, sample 5000",
    ):
        check_finite(stereo, "x", 8000, start=1000)
    samples = noise(8000)
    samples[6000] = np.nan
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    for read in (read_mono, lambda p, r: read_mono_part(p, r, 5000, 7000)):
        with pytest.raises(
            AudioError, match=r"a\.wav: 1 of .*\(nan\) at channel 1, sample 6000 \(0\.750 s\)"
        ):
            read(path, 8000)
    samples[6000] = 1e30
    write(path, samples, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"sample 6000 \(0\.750 s\) is 1e\+30, and full scale is 1"):
        read_mono(path, 8000)


class Failing(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise AudioError("a.wav: 1 of 3 samples are NaN; mend it")


def test_an_error_keeps_its_sentence_through_pickling_and_a_worker():
    error = pickle.loads(pickle.dumps(AudioError("a.wav: broken\x1b[2J; mend it")))
    assert str(error) == r"a.wav: broken\x1b[2J; mend it"
    with pytest.raises(AudioError) as caught:
        list(DataLoader(Failing(), num_workers=1))
    assert str(caught.value) == "a.wav: 1 of 3 samples are NaN; mend it"


def test_the_files_in_memory_are_bounded_in_bytes_and_read_again_when_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "KEPT_BYTES", 10_000)
    monkeypatch.setattr(reading, "LONG_BYTES", 5_000)
    kept = reading._Kept()
    monkeypatch.setattr(reading, "_kept", kept)
    paths = [write(tmp_path / f"{i}.wav", noise(1000, i)) for i in range(4)]
    for path in paths:
        read_mono_cached(path, 8000)
        assert kept.bytes <= 10_000
    assert [key[0] for key in kept.samples] == [str(p) for p in paths[2:]]
    assert read_mono_cached(paths[3], 8000) is read_mono_cached(paths[3], 8000)
    write(paths[3], noise(1100, 9))
    assert len(read_mono_cached(paths[3], 8000)) == 1100
    long = write(tmp_path / "long.wav", noise(2000))
    assert read_mono_cached(long, 8000) is not read_mono_cached(long, 8000)
    with pytest.raises(AudioError, match="no such file"):
        read_mono_cached(tmp_path / "gone.wav", 8000)


def test_what_systems_leave_behind_is_passed_over_and_what_is_not_read_is_named(tmp_path):
    for name in ("a.wav", "deep/b.flac"):
        write(tmp_path / name, noise(10))
    for name in ("._a.wav", ".DS_Store", "Thumbs.db", ".git/x.wav", "__MACOSX/y.wav", "deep/._b.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"not audio")
    (tmp_path / "zero.wav").touch()
    for name in ("c.m4a", "d.WMA", "e.mp3", "notes.txt"):
        (tmp_path / name).write_bytes(b"something")
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    assert [f.name for f in audio_files(tmp_path, recursive=True)] == ["a.wav", "b.flac", "link.wav"]
    content = folder_content(tmp_path)
    assert [f.name for f in content.unread] == ["c.m4a", "d.WMA", "e.mp3"]
    assert content.passed_over == 4
    assert [f.name for f in subfolders(tmp_path)] == ["deep"]
    with pytest.raises(AudioError, match=r"nowhere: the folder can't be listed \(No such file"):
        audio_files(tmp_path / "nowhere")


def test_names_are_printable():
    assert printable("plain ä 日本.wav") == "plain ä 日本.wav"
    assert printable("a\x1b]0;x\x07.wav") == r"a\x1b]0;x\x07.wav"
    printable("caf\udce9").encode()


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "talk.wav").touch()
    with pytest.raises(AudioError, match=r"talk.wav: an empty file \(0 bytes\): record or copy it again"):
        read_audio(tmp_path / "talk.wav")
