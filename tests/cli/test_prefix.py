"""``--prefix``: which of several models in one file, in every command that loads one."""

import pytest
import torch
from typer.testing import CliRunner

from dprnn_lab import cli, load_model
from dprnn_lab.audio import read_audio, write_audio


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments], env={"COLUMNS": "1000", "TERM": "dumb"})


@pytest.fixture
def two(tiny, tmp_path):
    """A checkpoint with raw and averaged weights."""
    models = {"model.": tiny(n_repeats=1), "ema_model.": tiny(n_repeats=1)}
    state = {prefix + name: value for prefix, m in models.items() for name, value in m.state_dict().items()}
    facts = {"pytorch-lightning_version": "2.1", "hyper_parameters": dict(models["model."].config)}
    torch.save({"state_dict": state} | facts, tmp_path / "two.ckpt")
    return tmp_path / "two.ckpt"


@pytest.fixture
def talk(tmp_path):
    return write_audio(tmp_path / "talk.wav", 0.1 * torch.randn(9000), 8000)


def test_separate_takes_the_model_that_is_meant(two, talk, tmp_path):
    assert run("separate", talk, "--model", two).exit_code == 1
    for prefix in ("model.", "ema_model."):
        result = run("separate", talk, "--model", two, "--prefix", prefix, "--out", tmp_path / prefix)
        assert result.exit_code == 0, result.output
        expected = load_model(two, prefix=prefix).separate(talk)
        written = read_audio(tmp_path / prefix / "talk_s1.wav")[0][0]
        torch.testing.assert_close(written, expected[0], atol=1 / 2**15, rtol=0)


def test_evaluate_compares_two_models_of_one_file(two, tmp_path):
    sources = 0.1 * torch.randn(2, 4000)
    for name, samples in (("mix", sources.sum(0)), ("s1", sources[0]), ("s2", sources[1])):
        write_audio(tmp_path / "data" / name / "a.wav", samples, 8000)
    arguments = ["evaluate", "--data", tmp_path / "data", "--model", two, "--model", two]
    result = run(*arguments, "--prefix", "model.", "--prefix", "ema_model.")
    assert result.exit_code == 0, result.output
    assert "two (model.)" in result.stdout and "two (ema_model.)" in result.stdout
    wrong = run(*arguments, *["--prefix", "a", "--prefix", "b", "--prefix", "c"])
    assert wrong.exit_code == 1
    assert "there are 2 --model and 3 --prefix" in wrong.stderr


def test_diagnose_loads_the_model_that_is_meant(two):
    assert "weights-unmatched" in run("diagnose", "--checkpoint", two, "--prefix", "none").output
    result = run("diagnose", "--checkpoint", two, "--prefix", "ema_model.")
    assert "Traceback" not in result.output
    assert "looks like a bug" not in result.output
    assert "has the name of a DPRNN-TasNet" not in result.output
    assert "random initial values" in result.output  # which is right: this one is not trained


def test_each_command_that_loads_a_model_has_the_option():
    for command in ("separate", "evaluate", "info", "convert", "export", "diagnose"):
        assert "--prefix" in run(command, "--help").output
