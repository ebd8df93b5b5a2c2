"""A file with several models: none is taken without being asked for, each can be had by name."""

import pytest
import torch
from typer.testing import CliRunner

from dprnn_lab import CheckpointError, DPRNNTasNet, load_model
from dprnn_lab.checkpoint import inspect_checkpoint, read_info
from dprnn_lab.checkpoint.reading import read_file
from dprnn_lab.cli import app

pytestmark = pytest.mark.usefixtures("no_warnings")


@pytest.fixture
def averaged(model):
    """The small model with other weights."""
    other = DPRNNTasNet(**model.config).eval()
    other.load_state_dict({name: value + 0.5 for name, value in model.state_dict().items()})
    return other


def lightning(raw, ema):
    state = {f"model.{k}": v for k, v in raw.items()} | {f"ema_model.{k}": v for k, v in ema.items()}
    return {"state_dict": state, "pytorch-lightning_version": "2.1.0", "epoch": 3}


FORMS = {
    "prefixes": (lightning, "model.", "ema_model."),
    "bare, with a wrapper": (
        lambda raw, ema: (
            raw | {f"ema.module.{k}": v for k, v in ema.items()} | {"ema.n_averaged": torch.tensor(2)}
        ),
        "",
        "ema.module.",
    ),
    "keys": (lambda raw, ema: {"model": raw, "model_ema": ema, "epoch": 3}, "model", "model_ema"),
    "state dicts": (
        lambda raw, ema: {
            "state_dict": {f"model.{k}": v for k, v in raw.items()},
            "ema_state_dict": {f"model.{k}": v for k, v in ema.items()},
        },
        "state_dict",
        "ema_state_dict",
    ),
    "shadow": (
        lambda raw, ema: {
            "generator": raw,
            "ema": {"decay": 0.999, "shadow": ema},
            "optimizer": {"exp_avg": raw},
        },
        "generator",
        "ema",
    ),
    "list": (lambda raw, ema: {"models": [raw, ema], "step": 5}, "models.0", "models.1"),
}


@pytest.mark.parametrize("form", FORMS)
def test_raw_or_averaged_weights_are_chosen_by_name(model, averaged, theirs, save, silent, same, form):
    make, raw, ema = FORMS[form]
    path = save(make(theirs(model), theirs(averaged)))
    for look in (load_model, inspect_checkpoint):
        with pytest.raises(
            CheckpointError, match=r"holds 2 complete models, under '.*load_model\(path, prefix="
        ) as error:
            look(path, **silent)
    message = str(error.value)
    assert "on the command line --prefix" in message
    assert "\n" not in message
    if form != "list":
        assert "the averaged weights" in message
    loaded, report = load_model(path, prefix=raw, report=True, **silent)
    assert same(loaded)
    assert len(report.others) == 1
    assert not report.unexpected
    assert f"also holds  {report.others[0]!r}" in str(report)
    loaded = DPRNNTasNet.from_pretrained(path, prefix=ema, **silent)
    assert torch.equal(loaded.encoder.filters, averaged.encoder.filters)
    assert torch.equal(loaded.separator.mask.weight, averaged.separator.mask.weight)
    assert read_info(path, prefix=ema)["config"]["n_src"] == 3
    for dotted in (raw.rstrip("."), f"{raw.rstrip('.')}." if raw else ""):
        assert same(load_model(path, prefix=dotted, **silent))


@pytest.mark.parametrize("form", FORMS)
def test_equal_models_just_load(model, theirs, save, silent, same, form):
    make, *_ = FORMS[form]
    copy = {name: value.clone() for name, value in theirs(model).items()}
    loaded, report = load_model(save(make(theirs(model), copy)), report=True, **silent)
    assert same(loaded)
    assert len(report.others) == 1


def test_teacher_and_student_have_each_their_own_configuration(tiny, model, package, save, same):
    path = save({"teacher": package(tiny(n_repeats=3, stride=4)), "student": package(model)})
    with pytest.raises(
        CheckpointError, match=r"2 complete models, under 'student\.state_dict\.', 'teacher\."
    ):
        load_model(path)
    assert same(load_model(path, prefix="student"))
    teacher, report = load_model(path, prefix="teacher", report=True)
    assert teacher.config["n_repeats"] == 3
    assert not report.assumed


def test_the_average_of_our_own_training_is_loaded_and_the_raw_weights_are_offered(
    model, averaged, save, same
):
    def state(network):
        return {f"model.{name}": value for name, value in network.state_dict().items()}

    path = save(
        {
            "state_dict": state(model),
            "current_model_state": state(averaged),
            "averaging_state": {"n": 3},
            "model_config": model.config,
            "pytorch-lightning_version": "2.6",
        }
    )
    loaded, report = load_model(path, report=True)
    assert same(loaded)
    assert report.format == "Lightning checkpoint"
    assert "average" in report.facts["weights"]
    assert report.others == ["current_model_state"]
    raw = load_model(path, prefix="current_model_state")
    assert torch.equal(raw.encoder.filters, averaged.encoder.filters)


def test_a_name_that_several_have_or_none_has(model, averaged, theirs, save, silent):
    path = save(lightning(theirs(model), theirs(averaged)))
    with pytest.raises(
        CheckpointError, match=r"behind the prefix 'student'; there are 'model\.', 'ema_model\.'"
    ):
        load_model(path, prefix="student", **silent)
    path = save({"a": {"x": theirs(model)}, "b": {"x": theirs(averaged)}})
    with pytest.raises(CheckpointError, match=r"2 complete models, under 'a\.x\.', 'b\.x\.'"):
        load_model(path, prefix="x", **silent)
    with pytest.raises(TypeError, match="prefix is 3"):
        load_model(path, prefix=3)


def test_the_command_line_says_how_to_choose(model, averaged, theirs, save):
    path = save(lightning(theirs(model), theirs(averaged)))
    result = CliRunner().invoke(app, ["info", str(path)])
    assert result.exit_code == 1
    assert "--prefix ema_model." in result.stderr
    result = CliRunner().invoke(app, ["info", str(path), "--prefix", "ema_model"])
    assert "prefix 'ema_model.' taken off" in result.stdout
    assert "also holds  'model.'" in result.stdout


def test_the_tensors_of_a_file_with_several_models_can_be_read(model, averaged, theirs, save):
    tensors = read_file(save({"model": theirs(model), "model_ema": theirs(averaged)})).tensors
    assert {name.split(".")[0] for name in tensors} == {"model", "model_ema"}
