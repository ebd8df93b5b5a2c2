"""``dprnn-lab diagnose`` and its exit status."""

import json
import re

import pytest
from typer.testing import CliRunner

from dprnn_lab import cli
from dprnn_lab.audio import resample, write_audio
from dprnn_lab.diagnosis import CATALOGUE, checklist


def run(*arguments):
    return CliRunner().invoke(
        cli.app, ["diagnose", *map(str, arguments)], env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    )


@pytest.fixture
def recording(talk, tmp_path):
    return write_audio(tmp_path / "talk.wav", talk(0).mixture, 8000)


def test_nothing_wrong_exits_with_0(talk, recording, tmp_path):
    report = tmp_path / "report.json"
    result = run("--checkpoint", talk(0).checkpoint, "--mixture", recording, "--json", report)
    assert result.exit_code == 0, result.output
    assert "Nothing wrong" in result.output
    assert {f["id"] for f in json.loads(report.read_text())["findings"]} == set(CATALOGUE)


def test_a_failure_exits_with_2(broken, recording):
    case = broken("weights-corrupt", "web-page")
    result = run("--checkpoint", case.checkpoint, "--mixture", recording)
    assert result.exit_code == 2
    assert "weights-corrupt" in result.output
    assert "web page" in result.output


def test_a_warning_exits_with_1(talk, tmp_path):
    narrow = resample(resample(talk(0).mixture, 8000, 4000), 4000, 8000)
    path = write_audio(tmp_path / "narrow.wav", narrow, 8000)
    result = run("--checkpoint", talk(0).checkpoint, "--mixture", path)
    assert result.exit_code == 1, result.output
    assert "rate-mismatch" in result.output


def test_references_and_estimates(talk, recording, tmp_path):
    case, arguments = talk(0), []
    for option, signals in (("--reference", case.references), ("--estimate", case.estimates.flip(0))):
        for i, samples in enumerate(signals):
            arguments += [option, write_audio(tmp_path / f"{option}{i}.wav", samples, 8000)]
    result = run("--checkpoint", case.checkpoint, "--mixture", recording, *arguments)
    assert result.exit_code == 2
    assert "order-arbitrary" in result.output


def test_an_argument_that_contradicts_the_weights(talk):
    result = run("--checkpoint", talk(0).checkpoint, "--set", "bn_chan=128")
    assert result.exit_code == 2
    assert "bn_chan=64" in result.output


def test_a_run(broken):
    case = broken("nan-run", "became-nan")
    result = run("--run", case.run)
    assert result.exit_code == 2
    assert "nan-run" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to look at"),
        (("--checkpoint", "none.pth"), "no such file"),
        (("--mixture", "none.wav"), "no such file"),
        (("--run", "nowhere"), "no curve"),
        (("--mixture", "none.wav", "--set", "x"), "NAME=VALUE"),
    ],
)
def test_unreadable_input_exits_with_2_and_one_line(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_the_checklist():
    result = CliRunner().invoke(cli.app, ["checklist"])
    assert result.exit_code == 0
    assert result.output == checklist()


def test_help_lists_every_option_with_a_text():
    result = run("--help")
    assert result.exit_code == 0
    text = re.sub(r"[│\s]+", " ", result.output)
    for name in (
        "--checkpoint",
        "--mixture",
        "--reference",
        "--estimate",
        "--speakers",
        "--run",
        "--data",
        "--json",
    ):
        assert name in text


def test_scores_of_an_evaluation(broken, tmp_path):
    case = broken("plateau-reading", "in-a-file")
    result = run("--scores", case.scores)
    assert result.exit_code == 2
    assert "plateau-reading" in result.output
    assert run("--scores", tmp_path / "none.csv").exit_code == 2
