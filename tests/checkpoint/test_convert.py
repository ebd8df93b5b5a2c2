"""``dprnn-lab info`` and ``dprnn-lab convert``, and the package that Asteroid reads."""

import warnings

import pytest
import torch
from typer.testing import CliRunner

from dprnn_lab import CheckpointError, load_model, save_model
from dprnn_lab.checkpoint import read_info, save_asteroid
from dprnn_lab.cli import app


def run(*arguments):
    # A wide terminal: messages in a frame are not broken into lines.
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "1000", "TERM": "dumb"})


def test_info_shows_the_report(model, package, save):
    done = run("info", save(package(model)))
    assert done.exit_code == 0
    assert "Asteroid package" in done.stdout
    assert "stride             4         file (model_args)" in done.stdout
    assert done.stdout.endswith("verdict     loads\n")


def test_info_on_what_does_not_load_says_so_and_fails(model, package, save):
    content = package(model, n_repeats=3)
    done = run("info", save(content))
    assert done.exit_code == 1
    assert "the weights say n_repeats=2" in done.stdout
    assert "does not load" in done.stdout


@pytest.mark.parametrize("command", [["info"], ["convert"]])
def test_an_error_is_one_sentence(tmp_path, command):
    path = tmp_path / "model.pth"
    path.write_bytes(b"<html></html>")
    out = [tmp_path / "out.safetensors"] if command == ["convert"] else []
    done = run(*command, path, *out)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"dprnn-lab: {path}: not a checkpoint")
    assert "Traceback" not in done.output
    assert not (tmp_path / "out.safetensors").exists()


def test_there_and_back(model, package, save, tmp_path, same):
    first, ours, back = save(package(model)), tmp_path / "new" / "a.safetensors", tmp_path / "b.pth"
    done = run("convert", first, ours)
    assert done.exit_code == 0, done.output
    assert "parameters from" in done.stdout
    assert run("convert", ours, back).exit_code == 0
    assert same(load_model(ours))
    assert same(load_model(back))
    before, after = torch.load(first, weights_only=False), torch.load(back, weights_only=True)
    assert after["model_name"] == "DPRNNTasNet"
    assert list(after["state_dict"]) == list(before["state_dict"])
    for name, value in before["state_dict"].items():
        assert torch.equal(after["state_dict"][name], value), name
    assert after["infos"] == {"software_versions": {"torch_version": "2.1.0"}}


def test_training_facts_come_along(model, tmp_path):
    path = save_model(model, tmp_path / "a.safetensors", training={"steps": 5})
    assert run("convert", path, tmp_path / "b.pth").exit_code == 0
    assert run("convert", tmp_path / "b.pth", tmp_path / "c.safetensors").exit_code == 0
    assert read_info(tmp_path / "c.safetensors")["training"] == {"infos": {"steps": 5}}


def test_what_a_bare_state_dict_does_not_say_can_be_set(model, theirs, save, tmp_path, silent, same):
    path, out = save(theirs(model)), tmp_path / "a.safetensors"
    options = [text for name, value in silent.items() for text in ("--set", f"{name}={value}")]
    done = run("convert", path, out, *options)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert same(load_model(out))


def test_assumed_values_are_reported(tiny, theirs, save, tmp_path):
    done = run("convert", save(theirs(tiny())), tmp_path / "a.safetensors", "--set", "chunk_size=10")
    assert done.exit_code == 0
    assert "neither the file nor any shape gives stride, mask_act" in done.stderr


def test_nothing_is_overwritten_unless_told_to(model, package, save, tmp_path, same):
    path, out = save(package(model)), tmp_path / "a.safetensors"
    out.write_text("precious")
    done = run("convert", path, out)
    assert done.exit_code == 1
    assert done.stderr == f"dprnn-lab: {out}: exists already; give another name, or --force to overwrite it\n"
    assert out.read_text() == "precious"
    assert run("convert", path, out, "--force").exit_code == 0
    assert same(load_model(out))


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("a.onnx", [], "Asteroid's packages end in .pth"),
        ("a.safetensors", ["--set", "strides=3"], "'strides' is no argument"),
        ("a.safetensors", ["--set", "stride=99"], "stride is 99"),
        ("a.safetensors", ["--set", "n_src=2"], "n_src=2 was given, but the weights say n_src=3"),
    ],
)
def test_a_conversion_that_makes_no_sense(model, package, save, tmp_path, out, options, message):
    done = run("convert", save(package(model)), tmp_path / out, *options)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not (tmp_path / out).exists()


def test_a_setting_that_contradicts_the_file_is_refused_unless_forced(model, tmp_path):
    ours = save_model(model, tmp_path / "ours.safetensors")
    stated = model.config["stride"]
    out = tmp_path / "out.safetensors"
    done = run("convert", ours, out, "--set", f"stride={stated + 1}")
    assert done.exit_code == 1
    assert f"states stride={stated} (not {stated + 1}, as --set says)" in done.stderr
    assert "--force" in done.stderr
    assert not out.exists()
    done = run("convert", ours, out, "--set", f"stride={stated + 1}", "--force")
    assert done.exit_code == 0
    assert f"states stride={stated}" in done.stderr
    assert load_model(out).config["stride"] == stated + 1
    done = run("convert", ours, tmp_path / "same.safetensors", "--set", f"stride={stated}")
    assert done.exit_code == 0 and done.stderr == ""


def test_a_setting_without_a_value(model, package, save, tmp_path):
    done = run("convert", save(package(model)), tmp_path / "a.pth", "--set", "stride")
    assert done.exit_code == 2
    assert "write NAME=VALUE" in done.stderr


@pytest.mark.parametrize("command", ["info", "convert"])
def test_the_help_explains(command):
    text = " ".join(run(command, "--help").stdout.split())
    words = {
        "info": ["every value of the configuration and its origin", "No code in the file is run"],
        "convert": ["--set chunk_size=250"],
    }
    assert all(word in text for word in words[command])


# The package


@pytest.mark.parametrize(
    "options", [{}, {"use_mulcat": True, "mask_act": "prelu", "encoder_activation": "prelu"}]
)
def test_a_package_comes_back(tiny, tmp_path, options):
    model = tiny(**options)
    path = save_asteroid(model, tmp_path / "a.pth", infos={"note": "mine"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded, report = load_model(path, report=True)
    assert loaded.config == model.config
    assert report.facts == {"infos": {"note": "mine"}}
    mixture = torch.randn(400)
    assert torch.equal(loaded(mixture), model(mixture))


def test_a_package_needs_nothing_from_us(model, tmp_path):
    content = torch.load(save_asteroid(model, tmp_path / "a.pt"), weights_only=True)
    assert content.keys() == {"model_name", "model_args", "state_dict", "infos"}
    assert content["model_args"]["fb_name"] == "free"
    assert not any(value.requires_grad for value in content["state_dict"].values())


def test_a_package_has_one_of_its_endings(model, tmp_path):
    with pytest.raises(CheckpointError, match=r"packages end in \.pth, \.pt, \.bin"):
        save_asteroid(model, tmp_path / "a.safetensors")


def test_a_failed_write_leaves_nothing(model, tmp_path):
    with pytest.raises((TypeError, AttributeError, RuntimeError)):
        save_asteroid(model, tmp_path / "a.pth", infos={"f": lambda: 1})
    assert list(tmp_path.iterdir()) == []


def test_a_package_names_what_its_filterbank_needs(tiny, tmp_path):
    def arguments(model):
        return torch.load(save_asteroid(model, tmp_path / "a.pth"), weights_only=True)["model_args"]

    plain = arguments(tiny())
    assert (plain["in_chan"], plain["out_chan"]) == (5, 5)
    assert "min_low_hz" not in plain
    stft = arguments(tiny(fb_name="stft", n_filters=16, out_chan=1))
    assert (stft["in_chan"], stft["out_chan"]) == (18, 1)
    assert arguments(tiny(fb_name="param_sinc", n_filters=6, min_low_hz=20))["min_low_hz"] == 20


def test_one_of_several_models_is_chosen_by_its_prefix(tiny, theirs, save, tmp_path):
    model = tiny()
    path = save({**theirs(model, "model."), **theirs(tiny(), "ema.")})
    for command in (["info", path], ["convert", path, tmp_path / "a.safetensors"]):
        refused = run(*command)
        assert refused.exit_code == 1
        assert "holds 2 complete models" in refused.stderr
        assert run(*command, "--prefix", "model.").exit_code == 0
    loaded = load_model(tmp_path / "a.safetensors")
    assert torch.equal(loaded.encoder.filters, model.encoder.filters)
