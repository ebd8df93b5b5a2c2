"""What happens around a separation: a second process, a file that changes, a full disk, failures that leave nothing."""

import os
import shutil
import subprocess
import sys

import pytest
import soundfile
import torch

from dprnn_lab import load_model, save_model, separate
from dprnn_lab.audio import AudioError, write_audio
from dprnn_lab.files import InUseError
from dprnn_lab.separation.file_to_file import find_audio, separate_file, separate_files


@pytest.fixture
def model(tiny):
    return tiny(n_repeats=1)


@pytest.fixture
def talk(tmp_path):
    return write_audio(tmp_path / "in" / "talk.wav", 0.1 * torch.randn(4 * 8000), 8000)


def after(windows, action):
    """A progress function that acts once, after so many windows."""

    def progress(done, total):
        if done == windows:
            action()

    return progress


# A second process


def test_a_second_separation_into_the_same_files_is_refused(model, talk, tmp_path):
    other = write_audio(tmp_path / "other" / "talk.wav", 0.1 * torch.randn(4 * 8000), 8000)
    out, refused = tmp_path / "out", []

    def second():
        with pytest.raises(InUseError) as caught:
            separate_file(model, other, out, window=1, force=True)
        refused.append(str(caught.value))

    result = separate_file(model, talk, out, window=1, progress=after(2, second))
    assert "talk_s1.wav is in use by a separation" in refused[0]
    alone = separate_file(model, talk, tmp_path / "alone", window=1)
    for ours, expected in zip(result.outputs, alone.outputs, strict=True):
        assert ours.read_bytes() == expected.read_bytes()


def test_other_files_can_be_separated_into_the_folder_at_the_same_time(model, talk, tmp_path):
    other = write_audio(tmp_path / "in" / "more.wav", 0.1 * torch.randn(9000), 8000)
    out = tmp_path / "out"
    separate_file(model, talk, out, window=1, progress=after(2, lambda: separate_file(model, other, out)))
    assert sorted(p.name for p in out.iterdir()) == [
        f"{n}_s{j}.wav" for n in ("more", "talk") for j in (1, 2)
    ]


# A file that changes


def replace_by_rename(path):
    new = write_audio(path.with_name("new.wav"), 0.1 * torch.randn(4 * 8000), 8000)
    status = path.stat()
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))  # of the same size and time
    os.replace(new, path)


def append(path):
    with path.open("ab") as file:
        file.write(bytes(100))


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("action", "what"),
    [
        (replace_by_rename, "replaced or written to"),
        (append, "replaced or written to"),
        (truncate, "replaced or written to"),
        (lambda path: path.unlink(), "deleted"),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_a_file_that_changes_while_it_is_separated_gives_no_output(model, talk, tmp_path, action, what, last):
    out = tmp_path / "out"

    def progress(done, total):
        if done == (total if last else 2):
            action(talk)

    with pytest.raises(
        AudioError, match=f"talk.wav: was {what} while it was separated, so nothing was written"
    ):
        separate_file(model, talk, out, window=1, scale="none", progress=progress)
    assert not out.exists()


# Inputs and outputs that are the same


def test_an_output_never_replaces_an_input(model, talk, tmp_path):
    write_audio(talk.with_name("talk_s1.wav"), 0.1 * torch.randn(9000), 8000)
    kept = talk.with_name("talk_s1.wav").read_bytes()
    first, second = separate_files(model, [talk, talk.with_name("talk_s1.wav")], force=True)
    assert "talk_s1.wav is also an input" in first.error
    assert second.error is None
    assert talk.with_name("talk_s1.wav").read_bytes() == kept
    out = tmp_path / "out"
    out.mkdir()
    (out / "talk_s1.wav").hardlink_to(talk)
    with pytest.raises(AudioError, match="is the same file"):
        separate_file(model, talk, out, force=True)


# Failures


@pytest.mark.parametrize("made", [True, False])
def test_a_failure_leaves_no_folder_behind(model, tmp_path, made):
    samples = 0.1 * torch.randn(4 * 8000)
    path = tmp_path / "bad.wav"
    samples[20000] = float("nan")
    soundfile.write(path, samples.numpy(), 8000, subtype="FLOAT")
    out = tmp_path / "new" / "out"
    if made:
        out.mkdir(parents=True)
    with pytest.raises(AudioError, match="NaN or infinite"):
        separate_file(model, path, out, window=1)
    assert out.exists() == made
    assert not made or not list(out.iterdir())
    assert (tmp_path / "new").exists() == made


def test_an_output_folder_that_is_a_file(model, talk, tmp_path):
    (tmp_path / "file").write_text("mine")
    (result,) = separate_files(model, [talk], tmp_path / "file")
    assert (
        result.error
        == f"{tmp_path / 'file'}: file exists; a file is there where a folder is needed; choose another name"
    )
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_folder_that_is_deleted_meanwhile(model, talk, tmp_path):
    out = tmp_path / "out"
    (result,) = separate_files(
        model, [talk], out, window=1, progress=lambda source: after(2, lambda: shutil.rmtree(out))
    )
    assert "no such file or directory" in result.error
    assert str(out) in result.error
    assert not out.exists()


FULL = """
import resource, sys
from dprnn_lab import load_model
from dprnn_lab.separation.file_to_file import separate_files
model = load_model(sys.argv[1])
size = int(sys.argv[4])
limit = lambda done, total: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)) if done == total else None
for result in separate_files(model, [sys.argv[2]], sys.argv[3], window=1, progress=lambda source: limit):
    print(result.error)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_names_the_output_and_keeps_the_windows(model, talk, tmp_path):
    weights = save_model(model, tmp_path / "model.safetensors")
    out = tmp_path / "out"
    command = [sys.executable, "-c", FULL, weights, talk, out, "20000"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(printed.splitlines()) == 1
    assert "disk full" in printed or "no space left" in printed or "file too large" in printed
    assert f"windows are kept in {out / '.talk.separation'}" in printed
    assert [path.name for path in out.iterdir()] == [".talk.separation"]
    assert (
        separate_file(load_model(weights), talk, out, window=1).notes[0].startswith("continued after window")
    )


# Folders


def test_formats_that_cannot_be_read_and_links_to_nothing_are_named(tmp_path):
    for name in ("a.wav", "b.m4a", "c.WMA", "notes.txt", "._d.wav"):
        (tmp_path / name).touch()
    (tmp_path / "e.flac").symlink_to("nowhere")
    (tmp_path / "folder.wav").mkdir()
    assert [path.name for path, _ in find_audio([tmp_path])] == ["a.wav", "b.m4a", "c.WMA", "e.flac"]


# In memory


def test_channels_that_cancel_are_a_warning(model):
    noise = 0.1 * torch.randn(9000)
    with pytest.warns(UserWarning, match="cancel each other; mono='left'"):
        separate(model, torch.stack([noise, -noise + 1e-3 * torch.randn(9000)]), mono="mean")


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0, -8000])
def test_an_impossible_rate_is_named(model, rate):
    with pytest.raises(AudioError, match="sample_rate is"):
        separate(model, torch.randn(9000), sample_rate=rate)
