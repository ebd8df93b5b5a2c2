"""From file to files: names, levels, formats, resumed runs, memory."""

import inspect
import os
import re
import signal
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
import soundfile
import torch

from dprnn_lab import save_model, separate
from dprnn_lab.audio import AudioError, read_audio, write_audio
from dprnn_lab.datasets.conversation import make_conversation
from dprnn_lab.files import data_folder
from dprnn_lab.separation.file_to_file import find_audio, separate_file, separate_files
from dprnn_lab.separation.one_file import FileOptions


@pytest.fixture
def model(tiny):
    return tiny(n_repeats=1)


@pytest.fixture
def talk(tmp_path):
    """Four seconds of noise in a file: four windows of a second and more."""
    return write_audio(tmp_path / "talk.wav", 0.1 * torch.randn(4 * 8000 + 77), 8000)


def contents(outputs):
    return [path.read_bytes() for path in outputs]


def hidden(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


# The result


@pytest.mark.parametrize("scale", ["mixture", "peak", "none"])
@pytest.mark.parametrize("window", [1, 2.5, 20, None])
def test_the_files_hold_what_separate_gives(model, talk, scale, window):
    result = separate_file(model, talk, window=window, scale=scale, float_samples=True)
    assert [path.name for path in result.outputs] == ["talk_s1.wav", "talk_s2.wav"]
    assert result.seconds == pytest.approx(4.01, abs=0.01)
    expected = separate(model, talk, window=window, scale=scale)
    for path, estimate in zip(result.outputs, expected, strict=True):
        written, rate = read_audio(path)
        assert rate == 8000
        torch.testing.assert_close(written[0], estimate, atol=1e-6, rtol=1e-5)
    assert not hidden(talk.parent)


def test_files_are_16_bit_and_scaled_down_together_rather_than_clipped(model, talk):
    model.decoder.filters.data *= 100
    loud = separate(model, talk, window=1, scale="none")
    assert loud.abs().max() > 1
    result = separate_file(model, talk, window=1, scale="none")
    assert soundfile.info(result.outputs[0]).subtype == "PCM_16"
    assert re.search(r"all outputs are [\d.]+ dB down, or 16-bit samples would clip", result.notes[0])
    written = torch.cat([read_audio(path)[0] for path in result.outputs])
    assert written.abs().max() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(written, loud / loud.abs().max(), atol=2e-4, rtol=0)
    assert not separate_file(model, talk, window=1, scale="none", float_samples=True, force=True).notes


def test_another_rate_and_two_channels_on_request(model, tmp_path):
    samples = 0.1 * torch.randn(2, 3 * 44100)
    path = write_audio(tmp_path / "stereo.flac", samples, 44100)
    with pytest.raises(AudioError, match="2 channels"):
        separate_file(model, path)
    with pytest.raises(AudioError, match="44100 Hz"):
        separate_file(model, path, mono="mean")
    options = {"resample": True, "mono": "mean", "window": 1}
    result = separate_file(model, path, tmp_path / "out" / "deep", **options)
    assert result.outputs[0] == tmp_path / "out" / "deep" / "stereo_s1.wav"
    expected = separate(model, path, **options)
    for output, estimate in zip(result.outputs, expected, strict=True):
        torch.testing.assert_close(read_audio(output)[0][0], estimate, atol=1 / 2**15, rtol=0)


def test_nothing_is_overwritten_unless_forced(model, talk):
    kept = talk.with_name("talk_s2.wav")
    kept.write_text("mine")
    with pytest.raises(AudioError, match=r"talk_s2\.wav: exists already; use force"):
        separate_file(model, talk)
    assert kept.read_text() == "mine"
    assert not talk.with_name("talk_s1.wav").exists()
    separate_file(model, talk, force=True)
    assert kept.read_bytes().startswith(b"RIFF")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "loud"}, "scale is 'loud'"),
        ({"tracking": "hope"}, "tracking is 'hope'"),
        ({"window": 0}, "window is 0"),
    ],
)
def test_unknown_options_leave_nothing_behind(model, talk, options, message):
    with pytest.raises(AudioError, match=message):
        separate_file(model, talk, **options)
    assert list(talk.parent.iterdir()) == [talk]


# Interruptions


class Stopped(Exception):
    pass


def stop_after(windows):
    def progress(done, total):
        if done == windows:
            raise Stopped

    return progress


def test_one_file_and_several_have_the_same_defaults():
    given = inspect.signature(separate_file).parameters
    assert {field.name: field.default for field in fields(FileOptions)} == {
        field.name: given[field.name].default for field in fields(FileOptions)
    }


def test_progress_counts_the_windows(model, talk):
    seen: list = []
    result = separate_file(model, talk, window=1, progress=lambda *call: seen.append(call))
    assert seen == [(k + 1, result.windows) for k in range(result.windows)]
    assert result.windows >= 4


def test_an_interrupted_run_continues_to_the_same_output(model, talk, monkeypatch):
    expected = contents(separate_file(model, talk, window=1).outputs)
    with pytest.raises(Stopped):
        separate_file(model, talk, window=1, force=True, progress=stop_after(3))
    calls = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda x: calls.append(1) or forward(x))
    result = separate_file(model, talk, window=1, force=True)
    assert len(calls) == result.windows - 3
    assert result.notes == [f"continued after window 3 of {result.windows}"]
    assert contents(result.outputs) == expected
    assert not hidden(talk.parent)


def change_model(model, talk):
    model.decoder.filters.data *= 1.01
    return {"window": 1}


def change_window(model, talk):
    return {"window": 1.25}


def change_file(model, talk):
    write_audio(talk, 0.1 * torch.randn(4 * 8000 + 77), 8000)
    os.utime(talk, ns=(1, 1))
    return {"window": 1}


@pytest.mark.parametrize(
    ("change", "what"), [(change_model, "model"), (change_window, "windows"), (change_file, "file")]
)
def test_windows_of_another_job_are_not_used(model, talk, change, what):
    with pytest.raises(Stopped):
        separate_file(model, talk, window=1, progress=stop_after(3))
    options = change(model, talk)
    result = separate_file(model, talk, **options)
    assert result.notes == [f"started anew: another {what} than in the run that was interrupted"]
    assert contents(result.outputs) == contents(separate_file(model, talk, force=True, **options).outputs)


def test_scale_and_tracking_may_change_when_a_run_is_resumed(model, talk):
    with pytest.raises(Stopped):
        separate_file(model, talk, window=1, progress=stop_after(3))
    result = separate_file(model, talk, window=1, scale="peak", tracking="overlap")
    assert result.notes[0].startswith("continued")


def test_a_damaged_state_starts_anew(model, talk):
    with pytest.raises(Stopped):
        separate_file(model, talk, window=1, progress=stop_after(1))
    (state,) = hidden(talk.parent)
    (state / "job.json").write_text("{")
    assert separate_file(model, talk, window=1).windows >= 4


def test_a_run_interrupted_between_two_renames_continues(model, talk, monkeypatch):
    replace, calls = os.replace, []

    def fail(source, target):
        if str(target).endswith("_s2.wav"):
            calls.append(target)
            raise OSError("no more")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no more"):
            separate_file(model, talk, window=1)
    assert calls
    assert talk.with_name("talk_s1.wav").exists()
    result = separate_file(model, talk, window=1)  # without force: the output present is this job's own
    assert all(path.exists() for path in result.outputs)


KILLED = """
import sys
from dprnn_lab import load_model
from dprnn_lab.separation.file_to_file import separate_file
def wait(done, total):
    print(done, flush=True)
    if done == 3:
        sys.stdin.read()
separate_file(load_model(sys.argv[1]), sys.argv[2], window=1, force=True, progress=wait)
"""


def test_a_killed_run_continues_to_the_same_output(model, talk, tmp_path):
    weights = save_model(model, tmp_path / "model.safetensors")
    expected = contents(separate_file(model, talk, window=1).outputs)
    for path in talk.parent.glob("talk_s*.wav"):
        path.unlink()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, weights, talk],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.strip() == "3":
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    process.stdin.close()
    assert process.wait(60) == -signal.SIGKILL
    assert not list(talk.parent.glob("talk_s*.wav"))
    result = separate_file(model, talk, window=1)
    assert result.notes == [f"continued after window 3 of {result.windows}"]
    assert contents(result.outputs) == expected


# Folders


def test_folders_give_their_audio_files_in_order(tmp_path):
    names = [
        "b.wav",
        "a.FLAC",
        "notes.txt",
        ".hidden.wav",
        "b_s1.wav",
        "b_s2.wav",
        "song_s1.wav",
        "deep/c.ogg",
    ]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [path.relative_to(tmp_path).as_posix() for path, _ in find_audio([tmp_path])]
    assert found == ["a.FLAC", "b.wav", "song_s1.wav"]
    everything = list(find_audio([tmp_path, tmp_path / "notes.txt"], recursive=True))
    assert [path.name for path, _ in everything] == ["a.FLAC", "b.wav", "c.ogg", "song_s1.wav", "notes.txt"]
    assert [folder.as_posix() for _, folder in everything] == [".", ".", "deep", ".", "."]


def test_a_bad_file_does_not_stop_the_others(model, tmp_path):
    for name in ("a", "c"):
        write_audio(tmp_path / "in" / f"{name}.wav", 0.1 * torch.randn(9000), 8000)
    (tmp_path / "in" / "b.wav").write_text("not audio")
    results = list(separate_files(model, [tmp_path / "in"], tmp_path / "out"))
    assert [result.error is None for result in results] == [True, False, True]
    assert "b.wav: not readable as audio" in results[1].error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{name}_s{j}.wav" for name in "ac" for j in (1, 2)
    ]


def test_the_output_has_the_subfolders_of_the_input(model, tmp_path):
    write_audio(tmp_path / "in" / "x" / "a.wav", 0.1 * torch.randn(9000), 8000)
    (result,) = separate_files(model, [tmp_path / "in"], tmp_path / "out", recursive=True)
    assert result.outputs[0] == tmp_path / "out" / "x" / "a_s1.wav"


def test_two_inputs_of_one_name_do_not_overwrite_each_other(model, tmp_path):
    for name in ("a.flac", "a.wav"):
        write_audio(tmp_path / name, 0.1 * torch.randn(9000), 8000)
    first, second = separate_files(model, [tmp_path], force=True)
    assert first.error is None
    assert "was just written from" in second.error


# Memory

PEAK = """
import resource, sys
import torch
from dprnn_lab import load_model, separate
from dprnn_lab.separation.file_to_file import separate_file
torch.set_num_threads(1)
model = load_model(sys.argv[1])
separate(model, 0.01 * torch.randn(8000 * int(sys.argv[4])), window=None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
separate_file(model, sys.argv[2], sys.argv[3], window=int(sys.argv[4]), force=True)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def growth(weights, path, out, window):
    """MiB by which the memory of a process grows over what the model takes for one window."""
    command = [sys.executable, "-c", PEAK, weights, path, out, str(window)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_memory_does_not_grow_with_the_length(model, tmp_path):
    weights = save_model(model, tmp_path / "model.safetensors")
    seconds = 600  # its estimates would be 37 MiB, with the windows' overlaps 49 MiB
    path = tmp_path / "long.wav"
    noise = np.random.default_rng(0).normal(0, 0.05, seconds * 8000).astype(np.float32)
    soundfile.write(path, noise, 8000)
    assert growth(weights, path, tmp_path / "out", 20) < 30


@pytest.mark.slow
def test_ten_minutes_take_no_more_than_400_mebibytes_over_the_model(tmp_path):
    path = write_audio(tmp_path / "talk.wav", make_conversation(0, 600).mixture, 8000)
    weights = data_folder() / "model" / "small.safetensors"
    assert growth(weights, path, tmp_path / "out", 20) < 100  # 33 were measured


def test_a_file_that_was_cut_off_is_named_before_anything_is_computed(tiny, tmp_path):
    talk = write_audio(tmp_path / "talk.flac", 0.1 * torch.randn(24 * 8000), 8000)
    talk.write_bytes(talk.read_bytes()[: talk.stat().st_size * 2 // 3])
    windows = []
    with pytest.raises(AudioError, match="cut"):
        separate_file(tiny(), talk, tmp_path / "out", progress=lambda done, total: windows.append(done))
    assert not windows
    assert not (tmp_path / "out").exists()
