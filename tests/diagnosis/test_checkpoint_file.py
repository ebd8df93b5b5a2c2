"""What is said of a checkpoint file is true: two models, weights in another place, objects beside them, half a file."""

import os

import pytest
import torch
from torch import nn

from dprnn_lab import CheckpointError, PITLossWrapper, diagnose, load_model, pairwise_neg_sisdr
from dprnn_lab.diagnosis.pickle_layout import foreign_places


@pytest.fixture
def state(tiny):
    return tiny().state_dict()


def loads(path):
    try:
        load_model(path, report=True)
    except CheckpointError:
        return False
    return True


@pytest.mark.parametrize("other", ["ema_model.", "teacher."])
def test_two_models_in_one_file(state, tmp_path, other):
    path = tmp_path / "last.ckpt"
    both = {f"model.{k}": v for k, v in state.items()} | {f"{other}{k}": v + 1 for k, v in state.items()}
    torch.save({"state_dict": both}, path)
    finding = diagnose(path)["weights-unmatched"]
    assert finding.state == "fail"
    assert f"2 models, under {min(other, 'model.')!r}" in finding.says
    assert (
        finding.remedy == f"model = load_model(checkpoint, prefix={other!r})"
    )  # it is called like an average
    assert diagnose(path)["weights-corrupt"].state == "ok"
    chosen = diagnose(path, config={"prefix": "model."})
    assert chosen["weights-unmatched"].says.startswith("99% of the parameters")  # it was read


PLACES = {
    "net": lambda s: {"net": s},
    "model_state": lambda s: {"model_state": s},
    "nested": lambda s: {"params": {"separator": s}},
    "list": lambda s: {"all": [s, 3]},
}


@pytest.mark.parametrize("wrap", PLACES.values(), ids=PLACES)
def test_weights_in_another_place_are_no_damage(state, tmp_path, wrap):
    path = tmp_path / "model.pth"
    torch.save(wrap(state) | {"epoch": 3, "optimizer": {"state": {}}}, path)
    report = diagnose(path)
    assert report["weights-corrupt"].state == "ok", report["weights-corrupt"].says
    assert "download" not in str(report).lower()
    if not loads(path):
        finding = report["weights-unmatched"]
        assert finding.state == "fail"
        assert f"the {len(state)} tensors of a DPRNN-TasNet lie under" in finding.says


def test_the_remedy_for_weights_in_another_place(state, tmp_path, monkeypatch):
    path = tmp_path / "model.pth"
    torch.save({"params": {"net": state}}, path)
    finding = diagnose(path)["weights-unmatched"]
    if loads(path):
        pytest.skip("the loader finds them itself")
    monkeypatch.chdir(tmp_path)
    space = {"torch": torch, "load_model": lambda p: torch.load(p, weights_only=True), "checkpoint": path}
    exec(finding.remedy, space)
    assert space["model"].keys() == state.keys()


class Model(nn.Module):
    """Somebody's model."""


def test_a_loss_beside_the_weights_is_no_whole_model(state, tmp_path):
    path = tmp_path / "last.ckpt"
    hyper = {"lr": 1e-3, "loss_func": PITLossWrapper(pairwise_neg_sisdr), "sizes": [1, nn.MSELoss()]}
    torch.save({"state_dict": state, "hyper_parameters": hyper}, path)
    assert foreign_places(path) == {
        "hyper_parameters.loss_func": "dprnn_lab.loss.PITLossWrapper",
        "hyper_parameters.sizes[1]": "torch.nn.modules.loss.MSELoss",
    }
    if not loads(path):
        says = diagnose(path)["weights-unsafe"].says
        assert says.startswith("beside its weights the file holds an object at 'hyper_parameters.loss_func'")
        assert "whole" not in says


def test_a_whole_model_is_called_one(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(Model(), path)
    assert "the file holds a whole object of" in diagnose(path)["weights-unsafe"].says


class Runs:
    """An object that would run a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_the_layout_is_read_without_running_anything(state, tmp_path):
    path, mark = tmp_path / "bad.ckpt", tmp_path / "ran"
    torch.save({"state_dict": state, "extra": Runs(mark)}, path)
    assert list(foreign_places(path)) == ["extra"]
    assert diagnose(path)["weights-unsafe"].state == "fail"
    assert not mark.exists()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04" + b"x" * 300, b"\x80\x02]q\x00(K\x01", bytes(range(256)) * 9]
)
def test_a_layout_that_can_not_be_read_is_empty(tmp_path, content):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    assert foreign_places(path) == {}


@pytest.mark.parametrize("others", [True, False])
def test_half_a_checkpoint_of_ones_own_run(state, tmp_path, others):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    good = folder / "step=100.ckpt"
    torch.save({"state_dict": state}, good)
    last = folder / "last.ckpt"
    last.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    if not others:
        good.unlink()
    report = diagnose(last)
    finding = report["weights-corrupt"]
    assert finding.state == "fail"
    assert "ownload" not in finding.says + finding.remedy
    if others:
        assert finding.remedy.startswith(f"model = load_model({str(good)!r})")
        report.on_command_line = True
        assert (
            report.line(finding) == f"dprnn-lab info '{good}'"
            or report.line(finding) == f"dprnn-lab info {good}"
        )


def test_half_a_file_from_elsewhere(state, tmp_path):
    path = tmp_path / "model.pth"
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-500])
    assert "new copy" in diagnose(path)["weights-corrupt"].remedy


def test_the_name_of_a_file_decides_nothing(tmp_path):
    for name in ("refused.pth", "damaged.pth", "truncated.pth"):
        (tmp_path / name).write_bytes(b"<html>not found</html>")
        report = diagnose(tmp_path / name)
        assert report["weights-unsafe"].state == "ok"
        assert report["weights-corrupt"].state == "fail"
        assert "web page" in report["weights-corrupt"].says
        assert "new copy" not in report["weights-corrupt"].remedy
