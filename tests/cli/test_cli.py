import inspect
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from dprnn_lab import cli, load_model, save_model
from dprnn_lab.checkpoint import read_info
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.evaluation import evaluate
from dprnn_lab.files import data_folder
from dprnn_lab.training import Settings
from dprnn_lab.training.settings import KINDS, MODEL_HELP

SMALL = {"bn-chan": 4, "hid-size": 3, "n-filters": 4, "n-repeats": 1, "chunk-size": 20, "kernel-size": 32}
SHORT = {"epoch-size": 4, "batch": 2, "seconds": 0.1, "warmup": 1}
QUICK = [argument for name, value in (SMALL | SHORT).items() for argument in (f"--{name}", value)]


def run(*arguments):
    # A wide terminal: messages in a frame are not broken into lines.
    return CliRunner().invoke(cli.app, [str(a) for a in arguments], env={"COLUMNS": "1000", "TERM": "dumb"})


@pytest.fixture
def model(tiny, tmp_path):
    return save_model(tiny(n_repeats=1), tmp_path / "model.safetensors")


@pytest.fixture
def mixtures(tmp_path):
    """A list of the first three of the test mixtures, shortened to half a second."""
    lines = (data_folder() / "mixtures" / "test.csv").read_text().splitlines()
    path = tmp_path / "three.csv"
    path.write_text("\n".join(line.replace(",32000", ",4000") for line in lines[:4]) + "\n")
    return path


def test_help_names_the_commands():
    result = run("--help")
    assert result.exit_code == 0
    assert "train" in result.output
    assert "evaluate" in result.output


@pytest.mark.parametrize("command", [cli.train, cli.evaluate, cli.sweep])
def test_help_lists_every_option_with_a_text(command):
    result = run(command.__name__, "--help")
    assert result.exit_code == 0
    for name, annotation in command.__annotations__.items():
        if name != "return":
            (option,) = annotation.__metadata__
            assert option.help in result.output
            given = [n for n in (option.default, *(option.param_decls or ())) if str(n).startswith("--")]
            assert all(shown in result.output.lower() for shown in given or [name.replace("_", "-")])


def test_evaluate_prints_a_row_per_kind(model, mixtures):
    result = run("evaluate", "--model", model, "--data", mixtures)
    assert result.exit_code == 0, result.output
    expected = evaluate(load_model(model), FixedMixtures(mixtures))
    system, kind, count, mean = result.output.splitlines()[1].split()[:4]
    assert (system, kind, count) == ("model", "man-woman", "3")
    assert float(mean) == pytest.approx(expected.si_sdri.mean(), abs=0.006)


def test_evaluate_writes_a_folder_with_baselines_scores_and_report(model, mixtures, tmp_path):
    out = tmp_path / "results"
    arguments = ("evaluate", "--model", model, "--baselines", "--data", mixtures, "--metrics", "si_sdr, bss")
    result = run(*arguments, "--out", out)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out / "scores.csv")
    assert table.system.unique().tolist() == ["model", "mixture", "irm", "ibm", "nmf"]
    assert {"sir", "sar"} <= set(table.columns)
    assert "Is model better than irm?" in (out / "report.md").read_text()
    assert "<audio" in (out / "report.html").read_text()
    again = run(*arguments[:-2], "--out", out)
    assert again.exit_code == 1
    assert "other metrics: choose another folder" in again.output


def test_evaluate_at_the_rate_of_the_model(tiny, mixtures, tmp_path):
    fast = save_model(tiny(n_repeats=1, sample_rate=16000), tmp_path / "fast.safetensors")
    wrong = run("evaluate", "--model", fast, "--data", mixtures)
    assert wrong.exit_code == 1
    assert "fast is a model for 16000 Hz and the mixtures are at 8000 Hz" in " ".join(wrong.output.split())
    right = run("evaluate", "--model", fast, "--data", mixtures, "--sample-rate", 16000)
    assert right.exit_code == 0, right.output


def test_evaluate_reports_errors_in_one_line(model, tmp_path):
    page = tmp_path / "page.safetensors"
    page.write_text("<html>")
    for arguments, message in [
        (("--model", tmp_path / "none.safetensors"), "no such file"),
        (("--model", page), "not a whole safetensors file"),
        (("--model", model, "--data", "dev"), "no mixture list"),
        (("--model", model, "--data", tmp_path), "expected mix, mix_clean or mix_both"),
        (("--model", model, "--metrics", "sdr"), "choose from si_sdr, bss"),
        (("--model", model, "--model", model), "two models have the same name"),
        ((), "nothing to evaluate"),
    ]:
        result = run("evaluate", *arguments)
        assert result.exit_code == 1
        assert message in result.output
        assert len(result.output.splitlines()) == 1


def test_help_shows_the_extra_that_export_needs():
    assert 'pip install "dprnn-lab[onnx]"' in run("export", "--help").output


def test_train_has_an_option_for_every_setting_except_dictionaries():
    options = inspect.signature(cli.train).parameters
    settings = {name for name, kinds in KINDS.items() if dict not in kinds}
    assert set(options) == {"run", "resume", "config", "values"} | settings | set(MODEL_HELP)


def test_the_command_line_does_not_import_lightning():
    code = "import sys, dprnn_lab.cli; print({'lightning', 'pandas', 'matplotlib'} & set(sys.modules))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "set()\n"


def test_every_kind_of_option_becomes_a_setting(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        "dprnn_lab.training.run.train_run", lambda settings, *rest, **options: made.append(settings)
    )
    options = [
        "--init",
        "a.ckpt",
        "--blocks",
        6,
        "--sample-rate",
        16000,
        "--freeze",
        "encoder",
        "--freeze",
        "decoder",
    ]
    options += [
        "--seconds",
        1,
        "--seconds",
        2.5,
        "--snr-db",
        0,
        10,
        "--rt60",
        0.2,
        0.5,
        "--flip",
        "--noise",
        "pink",
    ]
    result = run(
        "train", tmp_path / "run", *options, "--set", "pair_weights={'ada+bea': 2}", "--set", "steps=7"
    )
    assert result.exit_code == 0, result.output
    assert made == [
        Settings(
            init="a.ckpt", blocks=6, sample_rate=16000, freeze=["encoder", "decoder"], seconds=[1.0, 2.5],
            snr_db=[0.0, 10.0], rt60=[0.2, 0.5], flip=True, noise="pink", pair_weights={"ada+bea": 2}, steps=7,
        )
    ]  # fmt: skip
    run("train", tmp_path / "run", "--kernel-size", 20, "--mask-act", "relu", "--set", "model.stride=5")
    assert made[1] == Settings(model={"kernel_size": 20, "mask_act": "relu", "stride": 5})


def test_train_makes_a_model_and_resumes_it(tmp_path, monkeypatch):
    monkeypatch.setattr("dprnn_lab.datasets.mixing.FixedMixtures.__len__", lambda self: 2)
    folder = tmp_path / "run"
    result = run("train", folder, "--steps", 2, *QUICK)
    assert result.exit_code == 0, result.output
    speakers, line = result.output.splitlines()[:2]
    assert speakers.startswith("the bundled voices: 4 speakers (allison, carlo, ivrvoice, june)")
    assert line.startswith("step 2")
    assert read_info(folder / "model.safetensors")["training"]["steps"] == 2
    result = run("train", folder, "--steps", 4, "--resume", *QUICK)
    assert result.exit_code == 0, result.output
    assert read_info(folder / "model.safetensors")["training"]["steps"] == 4
    config = load_model(folder / "model.safetensors").config
    assert (config["kernel_size"], config["stride"], config["bn_chan"]) == (32, 16, 4)


def test_train_says_that_there_is_nothing_to_resume(tmp_path):
    result = run("train", tmp_path / "run", "--resume", *QUICK)
    assert result.exit_code == 1
    assert "nothing to resume" in result.output
    assert len(result.output.splitlines()) == 1


def test_options_of_train_override_a_file_of_settings(tmp_path, monkeypatch):
    monkeypatch.setattr("dprnn_lab.datasets.mixing.FixedMixtures.__len__", lambda self: 2)
    config = tmp_path / "grow.yaml"
    config.write_text("init: somewhere.safetensors\nblocks: 6\nflip: false\n")
    words = ["--set", "init=null", "--set", "blocks=null", "--set", "flip=true"]
    result = run("train", tmp_path / "run", "--config", config, "--steps", 1, *words, *QUICK)
    assert result.exit_code == 0, result.output
    kept = Settings.read(tmp_path / "run" / "config.yaml")
    assert (kept.init, kept.blocks, kept.flip) == (None, None, True)


def test_what_a_file_switches_on_can_be_switched_off(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        "dprnn_lab.training.run.train_run", lambda settings, *rest, **options: made.append(settings)
    )
    config = tmp_path / "mine.yaml"
    config.write_text("flip: true\nresample: true\ncompile_model: true\n")
    for words in ([], ["--no-flip", "--no-resample", "--no-compile-model"]):
        assert run("train", tmp_path / "run", "--config", config, *words).exit_code == 0
    assert [(s.flip, s.resample, s.compile_model) for s in made] == [(True,) * 3, (False,) * 3]


def test_train_reports_errors_in_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    for arguments, message in [
        (("--accelerator", "tpu"), "accelerator is 'tpu'"),
        (("--devices", 999), "devices is 999"),
        (("--precision", "16"), "precision is '16'"),
        (("--set", "model.n_repeats=100000"), "--n-repeats is 100000: the network would have"),
        (("--set", "model.foo=3"), "DPRNNTasNet has no argument 'foo'"),
        (("--batch", 10**9), "1000000000: it must be above 0 and at most 4096"),
    ]:
        result = run("train", tmp_path / "run", *arguments)
        assert result.exit_code == 1
        assert message in result.output
        assert len(result.output.splitlines()) == 1
        assert not (tmp_path / "run").exists()
    assert "is a file: give the name of a folder" in run("train", tmp_path / "file").output
