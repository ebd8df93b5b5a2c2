"""An evaluation in bfloat16 says so, and is not mixed with one in float32."""

import json

import pytest
import torch
from typer.testing import CliRunner

from dprnn_lab import cli, save_model
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.evaluation.systems import at_precision, fingerprint, make_system, name_of, names_of
from dprnn_lab.evaluation.table import separate_with


def run(*arguments):
    environment = {"COLUMNS": "1000", "TERM": "dumb"}
    return CliRunner().invoke(cli.app, ["evaluate", *map(str, arguments)], env=environment)


@pytest.fixture
def model(tiny, tmp_path):
    return save_model(tiny(n_repeats=1), tmp_path / "model.safetensors")


@pytest.fixture
def mixtures(tmp_path):
    """Two mixtures of half a second in a folder."""
    from dprnn_lab.audio import write_audio

    bundled = FixedMixtures("test")
    for index in range(2):
        mixture, sources, _ = bundled[index]
        for name, samples in {"mix": mixture, "s1": sources[0], "s2": sources[1]}.items():
            write_audio(tmp_path / "data" / name / f"{index}.wav", samples[8000:12000], 8000)
    return tmp_path / "data"


def test_an_address_in_bfloat16_is_the_same_model_in_bfloat16(model):
    address = at_precision(model, "bfloat16")
    assert at_precision(address, "bfloat16") == at_precision(address, "float32") == address
    assert at_precision("irm", "bfloat16") == "irm"
    assert name_of(address) == "model (bfloat16)"
    assert names_of([model, address]) == ["model", "model (bfloat16)"]
    assert fingerprint(address) != fingerprint(model)
    system, plain, mixture = make_system(address), make_system(model), 0.1 * torch.randn(4000)
    assert (system.n_src, system.sample_rate, system.network) == (2, 8000, system.system)
    with torch.no_grad():
        lower = separate_with(system, mixture, torch.zeros(2, 4000), None)
        with torch.autocast("cpu", torch.bfloat16):
            expected = plain(mixture).float()
    assert lower.dtype == torch.float32
    assert torch.equal(lower, expected)
    assert not torch.equal(lower, separate_with(plain, mixture, torch.zeros(2, 4000), None))


def test_the_report_and_the_settings_name_the_precision(model, mixtures, tmp_path):
    out = tmp_path / "out"
    result = run("--model", model, "--data", mixtures, "--out", out, "--precision", "bfloat16")
    assert result.exit_code == 0, result.output
    assert "model (bfloat16)" in result.output
    assert "Computed in bfloat16: model (bfloat16); the others in float32." in (out / "report.md").read_text()
    assert "Computed in bfloat16" in (out / "report.html").read_text()
    assert "bfloat16" in json.dumps(json.loads((out / "settings.json").read_text())["systems"])
    refused = run("--model", model, "--data", mixtures, "--out", out)
    assert refused.exit_code == 1
    assert "holds an evaluation with other systems" in refused.stderr


def test_float32_is_the_default_on_every_processor(model, mixtures, tmp_path, monkeypatch):
    monkeypatch.delenv("DPRNN_LAB_PRECISION")
    monkeypatch.setattr("dprnn_lab.model.precision.has_bfloat16", lambda device="cpu": True)
    assert run("--model", model, "--data", mixtures, "--out", tmp_path / "out").exit_code == 0
    assert "\nComputed in float32.\n" in (tmp_path / "out" / "report.md").read_text()
    auto = run("--model", model, "--data", mixtures, "--precision", "auto")
    assert "model (bfloat16)" in auto.output


def test_an_unknown_precision_is_named(model, mixtures):
    result = run("--model", model, "--data", mixtures, "--precision", "half")
    assert result.exit_code == 1
    assert result.stderr == "dprnn-lab: --precision is 'half': choose one of auto, float32, bfloat16\n"
