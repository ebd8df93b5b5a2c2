import inspect
import os
import re
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

from dprnn_lab import cli, load_model, save_model, separate
from dprnn_lab.audio import read_audio, write_audio
from dprnn_lab.separation.file_to_file import separate_file
from dprnn_lab.separation.windows import WINDOW_SECONDS


def run(*arguments):
    environment = {"COLUMNS": "1000", "TERM": "dumb"}
    return CliRunner().invoke(cli.app, ["separate", *map(str, arguments)], env=environment)


@pytest.fixture
def model(tiny, tmp_path):
    return save_model(tiny(n_repeats=1), tmp_path / "weights" / "model.safetensors")


@pytest.fixture
def talk(tmp_path):
    return write_audio(tmp_path / "talk.flac", 0.1 * torch.randn(20000), 8000)


def test_a_file_becomes_a_file_per_speaker_beside_it(model, talk):
    result = run(talk, "--model", model)
    assert result.exit_code == 0, result.output
    assert "talk.flac: 2.5 s in 1 window(s) -> " in result.stdout
    expected = separate(load_model(model), talk)
    for name, estimate in zip(("talk_s1.wav", "talk_s2.wav"), expected, strict=True):
        written, rate = read_audio(talk.with_name(name))
        torch.testing.assert_close(written[0], estimate, atol=1 / 2**15, rtol=0)
        assert rate == 8000


def test_options_reach_the_separation(model, tmp_path, talk):
    stereo = write_audio(tmp_path / "stereo.wav", 0.1 * torch.randn(2, 48000), 16000)
    options = ["--window", 1, "--scale", "peak", "--tracking", "overlap", "--float"]
    result = run(
        stereo, "--model", model, "--out", tmp_path / "out", "--resample", "--mono", "left", *options
    )
    assert result.exit_code == 0, result.output
    assert "3.0 s in 4 window(s)" in result.output
    expected = separate(
        load_model(model), stereo, resample=True, mono="left", window=1, scale="peak", tracking="overlap"
    )
    torch.testing.assert_close(
        read_audio(tmp_path / "out" / "stereo_s1.wav")[0][0], expected[0], atol=1e-6, rtol=1e-5
    )


def test_the_default_window_is_that_of_the_package():
    """The command repeats the number, so that its help does not import the module."""
    assert inspect.signature(cli.separate).parameters["window"].default == WINDOW_SECONDS


def test_without_a_model_the_bundled_one_is_named(talk):
    result = run(talk)
    assert result.exit_code == 0, result.output
    assert "using the large model that comes with dprnn-lab" in result.stderr


def test_an_error_is_one_line_and_exits_with_1(model, talk, tmp_path):
    fast = write_audio(tmp_path / "fast.wav", torch.randn(9000) / 10, 16000)
    page = tmp_path / "page.safetensors"
    page.write_text("<html>")
    run(talk, "--model", model)
    for arguments, message in [
        ((talk, "--model", model), "talk_s1.wav: exists already; use --force"),
        ((fast, "--model", model), "pass --resample to convert it"),
        ((talk, "--model", page), "not a whole safetensors file"),
        ((tmp_path / "none.wav", "--model", model), "none.wav: no such file or folder"),
        ((tmp_path / "weights", "--model", model), "no audio files in"),
        ((fast, "--model", model, "--scale", "loud"), "scale is 'loud'"),
        ((fast, "--model", model, "--resample", "--window", 0.1), "window is 0.1"),
        (
            (fast, "--model", model, "--resample", "--window", 1e9),
            "--window is 1000000000.0: give at most 3600",
        ),
        ((fast, "--model", model, "--resample", "--window", "nan"), "--window is nan"),
    ]:
        result = run(*arguments)
        assert result.exit_code == 1, arguments
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("dprnn-lab: ")
        assert message in result.stderr


def test_force_overwrites(model, talk):
    run(talk, "--model", model)
    written = talk.with_name("talk_s1.wav")
    before = written.read_bytes()
    written.write_text("")
    assert run(talk, "--model", model, "--force").exit_code == 0
    assert written.read_bytes() == before


def test_a_bad_file_does_not_stop_the_others(model, tmp_path):
    for name in ("a.wav", "deep/c.wav"):
        write_audio(tmp_path / "in" / name, 0.1 * torch.randn(9000), 8000)
    (tmp_path / "in" / "b.wav").write_text("not audio")
    result = run(tmp_path / "in", "--model", model, "--out", tmp_path / "out", "--recursive")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert "b.wav: not readable as audio" in lines[0]
    assert lines[1] == "dprnn-lab: 2 separated, 1 failed"
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.wav"))
    assert written == ["a_s1.wav", "a_s2.wav", "deep/c_s1.wav", "deep/c_s2.wav"]


def test_each_file_is_done_or_named(model, talk, tmp_path):
    folder = tmp_path / "mixed"
    write_audio(folder / "a.wav", 0.1 * torch.randn(9000), 8000)
    (folder / "b.m4a").write_bytes(b"\0\0\0 ftypM4A " + bytes(3000))
    (folder / "gone.flac").symlink_to(tmp_path / "nowhere.flac")
    missing = tmp_path / "missing.wav"
    result = run(missing, talk, folder, "--model", model, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert [line.split(":")[0].split("/")[-1] for line in result.stdout.splitlines()] == [
        "talk.flac",
        "a.wav",
    ]
    lines = result.stderr.splitlines()
    assert "missing.wav: no such file or folder" in lines[0]
    assert "b.m4a: not readable as audio" in lines[1]
    assert "gone.flac" in lines[2]
    assert lines[3] == "dprnn-lab: 2 separated, 3 failed"


def test_names_that_are_not_utf_8_or_would_move_the_cursor(model, tmp_path):
    folder = tmp_path / "names"
    for name in (b"caf\xe9.wav", b"red\x1b[31m.wav", b"plain.wav"):
        path = write_audio(tmp_path / "one.wav", 0.1 * torch.randn(9000), 8000)
        folder.mkdir(exist_ok=True)
        os.replace(path, os.fsencode(folder) + b"/" + name)
    result = run(folder, "--model", model, "--out", tmp_path / "out")
    assert "plain_s1.wav" in result.stdout
    assert r"red\x1b[31m_s1.wav" in result.stdout
    assert "\x1b" not in result.output
    assert r"caf\xe9" in result.output
    assert result.exit_code == 0
    assert len(list((tmp_path / "out").glob("caf*_s2.wav"))) == 1
    assert len(list((tmp_path / "out").glob("red*_s2.wav"))) == 1


def test_the_loss_of_high_frequencies_is_said_once(model, tmp_path):
    for name in "ab":
        write_audio(tmp_path / "in" / f"{name}.wav", 0.1 * torch.randn(9000), 48000)
    result = run(tmp_path / "in", "--model", model, "--resample", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "dprnn-lab: the outputs are at 8000 Hz, the model's rate, and the input at 48000 Hz: nothing above 4000 Hz is "
        "left, so they sound duller, as on a telephone"
    ]


def test_channels_that_cancel_and_silence_are_said(model, tmp_path):
    noise = 0.1 * torch.randn(9000)
    opposite = write_audio(tmp_path / "opposite.wav", torch.stack([noise, -noise]), 8000)
    silent = write_audio(tmp_path / "silent.wav", torch.zeros(9000), 8000)
    result = run(opposite, silent, "--model", model, "--mono", "mean", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "opposite.wav: the mean of the channels is silence: they cancel each other" in result.stdout
    assert "--mono left" in result.stdout
    assert "silent.wav: the input is silent" in result.stdout


def test_an_interruption_says_how_to_continue(model, talk, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("dprnn_lab.separation.file_to_file.separate_file", interrupted)
    result = run(talk, "--model", model)
    assert result.exit_code == 130
    assert "give the same command again to continue" in result.stderr


def test_a_continued_run_says_so(model, talk):
    def stop(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        separate_file(load_model(model), talk, window=1, progress=stop)
    result = run(talk, "--model", model, "--window", 1)
    assert re.search(r"talk\.flac: continued after window 1 of 3", result.stdout)


def test_help_has_examples_and_options():
    text = run("--help").stdout
    for example in ("dprnn-lab separate talk.flac", "--out voices", "--resample --mono mean"):
        assert example in text
    for option in ("--model", "--recursive", "--scale", "--window", "--tracking", "--float", "--force"):
        assert option in text


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")
def test_a_terminal_gets_a_progress_bar(model, talk):
    import pty

    command = [
        sys.executable,
        "-m",
        "dprnn_lab.cli",
        "separate",
        talk,
        "--model",
        model,
        "--window",
        "1",
        "--force",
    ]
    master, slave = pty.openpty()
    subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, check=True)
    os.close(slave)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert "talk.flac" in shown
    assert "100%" in shown


def test_workers_and_precision_reach_the_separation(model, tmp_path):
    talk = write_audio(tmp_path / "talk.wav", 0.1 * torch.randn(20011), 8000)
    expected = {
        precision: separate(load_model(model), talk, window=1, precision=precision)[0]
        for precision in ("float32", "bfloat16")
    }
    assert not torch.equal(*expected.values())
    for workers in (1, 2):
        for precision, estimate in expected.items():
            options = ["--window", 1, "--workers", workers, "--precision", precision, "--verbose"]
            result = run(talk, "--model", model, "--float", "--force", *options)
            assert result.exit_code == 0, result.output
            windows = "1 window" if workers == 1 else "2 windows"
            assert result.stderr == f"dprnn-lab: computing in {precision} on the CPU, {windows} at a time\n"
            written = read_audio(talk.with_name("talk_s1.wav"))[0][0]
            torch.testing.assert_close(written, estimate, atol=1e-6, rtol=1e-5)


def test_impossible_workers_and_precisions_are_one_line(model, talk):
    for arguments, message in [
        (
            ["--workers", 0],
            "--workers is 0: give the number of windows at a time, from 1 (in sequence) to 256",
        ),
        (["--workers", 10**7], "--workers is 10000000: give the number of windows at a time, from 1"),
        (["--precision", "half"], "--precision is 'half': choose one of auto, float32, bfloat16"),
    ]:
        result = run(talk, "--model", model, *arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"dprnn-lab: {message}")
        assert len(result.stderr.splitlines()) == 1
        assert not talk.with_name("talk_s1.wav").exists()


def test_a_short_file_needs_no_slow_imports(model, talk):
    code = (
        "import sys; from dprnn_lab.cli import app\n"
        f"app(['separate', {str(talk)!r}, '--model', {str(model)!r}], standalone_mode=False)\n"
        "print([m for m in ('torchaudio', 'lightning', 'pandas', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
