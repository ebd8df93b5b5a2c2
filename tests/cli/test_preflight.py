"""``dprnn-lab preflight``: the settings of ``dprnn-lab train``, a page, an exit status."""

import inspect
import json

import pytest
from typer.testing import CliRunner

from dprnn_lab import DPRNNTasNet, cli, save_model

TINY = (
    "--n-filters 24 --kernel-size 64 --chunk-size 8 --n-repeats 1 --bn-chan 12 --hid-size 12 --seconds 0.25"
)


def run(*words):
    return CliRunner().invoke(cli.app, ["preflight", *map(str, words)])


def test_it_takes_the_settings_of_train():
    own = {"run", "resume", "checkpoint", "out", "json", "budget_s"}
    train, preflight = (set(inspect.signature(c).parameters) - own for c in (cli.train, cli.preflight))
    assert train == preflight and {"lr", "optimizer", "data", "hid_size", "config", "values"} <= preflight


def test_a_healthy_training(tmp_path):
    files = ["--out", tmp_path / "r.html", "--json", tmp_path / "r.json"]
    result = run(*TINY.split(), "--optimizer", "adam", "--steps", 500, *files)
    assert result.exit_code == 0, result.output
    assert "Nothing against this training" in result.output
    assert "<img" in (tmp_path / "r.html").read_text()
    findings = {f["id"]: f for f in json.loads((tmp_path / "r.json").read_text())["findings"]}
    assert findings["cost"]["measured"]["steps"] == 500 and findings["reading"]["state"] == "ok"


def test_a_failure_is_exit_status_1(tmp_path):
    result = run(*TINY.split(), "--optimizer", "adam", "--lr", 0.5)
    assert result.exit_code == 1 and "learning-rate" in result.output and "too high" in result.output


def test_a_checkpoint_and_a_frozen_part(tmp_path):
    sizes = {"kernel_size": 64, "stride": 32, "chunk_size": 8, "n_repeats": 1, "bn_chan": 12, "hid_size": 12}
    save_model(DPRNNTasNet(n_filters=24, **sizes), tmp_path / "m.safetensors")
    result = run("--checkpoint", tmp_path / "m.safetensors", "--freeze", "encoder", "--seconds", 0.25, "--budget", 20,
                 "--optimizer", "adam", "--json", tmp_path / "r.json")  # fmt: skip
    assert result.exit_code == 0, result.output
    findings = {f["id"]: f for f in json.loads((tmp_path / "r.json").read_text())["findings"]}
    assert findings["gradients"]["state"] == "ok" and findings["gradients"]["measured"]["frozen"] == [
        "encoder.filters"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--checkpoint", "a.pth", "--init", "b.pth"], "leave one of them out"),
        (["--checkpoint", "missing.pth"], "missing.pth"),
        (["--data", "missing"], "missing"),
        (["--set", "stepps=3"], "did you mean 'steps'"),
        (["--accelerator", "tpu"], "choose cpu or gpu"),
        (["--budget", "-5"], "--budget is -5: give seconds above 0"),
    ],
)
def test_one_sentence_for_what_cannot_be_read(words, message):
    result = run(*words)
    assert result.exit_code == 1 and message in result.output and "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
