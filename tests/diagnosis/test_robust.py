"""Any input of a user ends in a report, or in an error of this package."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import dprnn_lab
from dprnn_lab import CheckpointError, DPRNNTasNet, diagnose
from dprnn_lab.audio import AudioError, write_audio


def broke(report):
    return [f"{f.id}: {f.says} {f.evidence['calls']}" for f in report.errors]


def test_with_nothing_nothing_is_decided():
    report = diagnose()
    assert report.state == "ok"
    assert not broke(report)
    assert report.findings[0].state == "undecided"
    assert report.summary().startswith("0 of ")
    assert "Nothing wrong" not in report.summary()


@pytest.mark.parametrize(
    ("content", "failure"),
    [
        (b"", "weights-corrupt"),
        (b"\0" * 2000, "weights-corrupt"),
        (b"PK\x03\x04" + b"x" * 100, "weights-corrupt"),
        (b"\x80\x02}q\x00.", "weights-corrupt"),
        (b"<html>", "weights-corrupt"),
        (bytes(range(256)) * 40, "weights-corrupt"),
    ],
    ids=["empty", "zeros", "zip", "pickle", "page", "bytes"],
)
def test_any_bytes_for_a_checkpoint(tmp_path, content, failure):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    report = diagnose(path)
    assert report.findings[0].id == failure
    assert not broke(report)


SOUNDS = {
    "one sample": torch.ones(1) * 0.1,
    "two samples": torch.ones(2) * 0.1,
    "zeros": torch.zeros(8000),
    "nan": torch.full((8000,), float("nan")),
    "infinite": torch.full((8000,), float("inf")),
    "huge": torch.randn(8000) * 1e30,
    "tiny": torch.randn(8000) * 1e-30,
    "int16": (torch.randn(8000) * 3000).short(),
    "float64": torch.randn(8000).double() * 0.1,
    "numpy reversed": np.random.default_rng(0).normal(0, 0.1, 8000)[::-1],
    "list": [0.1, -0.1] * 4000,
    "eight channels": torch.randn(8, 4000) * 0.1,
    "transposed": torch.randn(4000, 2) * 0.1,
    "constant": torch.ones(8000) * 0.5,
    "noise": torch.randn(8000) * 0.1,
}


@pytest.mark.parametrize("name", SOUNDS)
def test_any_samples(tiny, name):
    report = diagnose(tiny(), SOUNDS[name], references=torch.randn(2, 4000), estimates=torch.randn(2, 4000))
    assert not broke(report)
    report.to_json()
    assert str(report)
    assert report._repr_html_()


@pytest.mark.parametrize(
    "options",
    [{"n_src": 1}, {"n_src": 3}, {"sample_rate": 16000}, {"mask_act": "prelu"}, {"norm_type": "cLN"}],
    ids=str,
)
def test_any_model(tiny, options):
    report = diagnose(tiny(**options), torch.randn(8000) * 0.1)
    assert report.findings[0].id == "weights-unmatched"
    assert not broke(report)


class Raises(nn.Module):
    """A foreign network that raises an error."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        raise RuntimeError("no")


@pytest.mark.parametrize("network", [Raises(), nn.Identity(), nn.Sequential(), nn.Linear(3, 3)], ids=str)
def test_a_network_that_is_none(network):
    assert not broke(diagnose(network.eval(), torch.randn(8000) * 0.1, estimates=torch.randn(2, 8000)))


@pytest.mark.parametrize(
    "estimates", [torch.zeros(2, 8000), torch.full((2, 8000), float("nan")), torch.randn(1, 8000), torch.randn(2, 17)],
    ids=["zeros", "nan", "one", "short"],
)  # fmt: skip
def test_any_estimates(tiny, estimates):
    assert not broke(diagnose(None, torch.randn(8000) * 0.1, estimates=estimates, references=estimates))


@pytest.mark.parametrize(
    "loss",
    [
        lambda e, s: 1 / 0,
        lambda e, s: None,
        lambda e, s: (e - s).square(),
        lambda e: 0,
        lambda e, s: torch.tensor(0.0),
    ],
    ids=["raises", "none", "not reduced", "one argument", "constant"],
)
def test_any_loss(loss):
    report = diagnose(loss=loss)
    assert not broke(report)
    assert report.state == "fail"


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"step": [1]}),
        pd.DataFrame({"step": [1, 2, 3], "train_loss": [None, None, None]}),
        pd.DataFrame({"step": range(100), "train_loss": ["x"] * 100}),
        pd.DataFrame(
            {"step": range(0, 1000, 10), "train_loss": [float("nan")] * 100, "grad_norm": [1e9] * 100}
        ),
        pd.DataFrame({"step": range(0, 1000, 10), "train_loss": [-1.0] * 100, "valid_loss": [-1.0] * 100}),
    ],
    ids=["one", "empty", "text", "nan", "constant"],
)
def test_any_curve(table):
    assert not broke(diagnose(run=table))


@pytest.mark.parametrize(
    "scores",
    [
        [1.0],
        [0.0] * 50,
        torch.zeros(30),
        np.zeros((5, 6)),
        {"a": [1.0], "b": [9.0]},
        {"a": [1.0, float("nan"), float("inf")], "b": []},
        pd.DataFrame({"si_sdri": ["5", "x", None]}),
        pd.DataFrame({"kind": [None, 3, "x"], "si_sdr": [1.0, 2.0, 3.0]}),
    ],
    ids=["one", "constant", "tensor", "matrix", "one a kind", "nan", "text", "kinds"],
)
def test_any_scores(scores):
    report = diagnose(scores=scores)
    assert not broke(report)
    report.to_json()
    assert "<img" in report._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "no/such/file.pth"}, CheckpointError, "no such file"),
        ({"model": 3}, TypeError, "give a path or a torch module"),
        ({"mixture": "none.wav"}, AudioError, "no such file"),
        ({"mixture": torch.zeros(2, 3, 4)}, AudioError, r"\[channels, T\]"),
        ({"mixture": torch.zeros(100, 4000)}, AudioError, "one mixture at a time"),
        ({"mixture": torch.zeros(0)}, AudioError, "with samples in it"),
        ({"mixture": torch.zeros(9, dtype=torch.bool)}, AudioError, "dtype"),
        ({"mixture": ["a", "b"]}, AudioError, "give an array or tensor of numbers"),
        ({"mixture": {}}, TypeError, "mixture is dict"),
        ({"mixture": torch.zeros(9), "sample_rate": -1}, AudioError, "above 0 Hz"),
        ({"references": "one.wav"}, AudioError, "one file per source"),
        ({"references": []}, AudioError, "one signal"),
        ({"estimates": torch.zeros(3, 2, 100)}, AudioError, r"\[S, T\]"),
        ({"batch": torch.zeros(3)}, TypeError, r"mixtures \[B, T\]"),
        ({"batch": (torch.zeros(3, 4), torch.zeros(3, 2, 5))}, AudioError, "the batch has shapes"),
        ({"run": 3}, TypeError, "a folder, a CSV file"),
        ({"run": "nowhere"}, ValueError, "no curve"),
        ({"run": pd.DataFrame({"loss": [1]})}, ValueError, "'step' is missing"),
        ({"run": pd.DataFrame({"step": []})}, ValueError, "no rows"),
        ({"data": 3}, TypeError, "data is int"),
        ({"data": {}}, ValueError, "no examples"),
        ({"data": {"train": [torch.zeros(5)]}}, AudioError, r"give sources \[S, T\]"),
        ({"data": "nowhere"}, ValueError, "no folders s1 and s2"),
        ({"scores": "nowhere.csv"}, ValueError, "no such file"),
        ({"scores": object()}, TypeError, "SI-SDRi per example"),
        ({"scores": []}, ValueError, "at least one"),
        ({"scores": {}}, ValueError, "at least one"),
        ({"scores": [float("nan")]}, ValueError, "at least one"),
        ({"scores": pd.DataFrame({"sdr": [1.0]})}, ValueError, "'si_sdri'"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_what_is_none_of_what_was_asked_for(arguments, error, message):
    with pytest.raises(error, match=message):
        diagnose(**arguments)


def test_an_unknown_argument_of_the_model(talk):
    with pytest.raises(TypeError, match="no argument of DPRNNTasNet"):
        diagnose(talk(0).checkpoint, config={"chunks": 3})


def test_the_model_is_left_as_it_was(talk):
    case = talk(0)
    model = DPRNNTasNet(**case.model.config)
    model.load_state_dict(case.model.state_dict())
    model.train()
    model.separator.blocks[0].eval()
    diagnose(model, case.mixture)
    assert model.training
    assert not model.separator.blocks[0].training
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), case.model.parameters(), strict=True))


def test_paths_for_everything(talk, tmp_path):
    case = talk(0)
    names = {}
    for name, samples in {"mixture": case.mixture[None], "r": case.references, "e": case.estimates}.items():
        names[name] = [write_audio(tmp_path / f"{name}{i}.wav", s, 8000) for i, s in enumerate(samples)]
    report = diagnose(case.checkpoint, names["mixture"][0], references=names["r"], estimates=names["e"])
    assert report.state == "ok", str(report)


def test_the_package_has_it():
    assert dprnn_lab.diagnose is diagnose
    with pytest.raises(AttributeError, match="diagnos"):
        dprnn_lab.diagnos  # noqa: B018
