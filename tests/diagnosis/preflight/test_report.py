"""What is reported: states, texts, JSON, pictures, time that did not suffice, checks that fail themselves."""

import json
import time

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dprnn_lab.diagnosis.preflight import CHECKS, engine, learning, preflight
from dprnn_lab.diagnosis.preflight.finding import PreflightFinding
from dprnn_lab.diagnosis.preflight.gates import gate_shares
from dprnn_lab.diagnosis.preflight.material import BundledMixtures
from dprnn_lab.diagnosis.preflight.report import PreflightReport


def test_every_check_has_a_finding_in_every_form(check, net, tmp_path):
    report = check(net(), steps=1000)
    assert [f.id for f in report.findings] == list(CHECKS)
    assert report["gradients"].title in report.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert (
        page.count("<img") == 2
        and "<script" not in page
        and all(f"<code>{name}</code>" in page for name in CHECKS)
    )
    data = json.loads(report.to_json(tmp_path / "report.json"))
    assert data == json.loads((tmp_path / "report.json").read_text())
    assert (data["version"], data["state"]) == (1, "note") and [f["id"] for f in data["findings"]] == list(
        CHECKS
    )
    assert len(data["range_test"]["rates"]) == len(data["range_test"]["smoothed"]) > 10
    assert {layer["name"] for layer in data["layers"]} == {name for name, _ in net().named_parameters()}
    assert all(name in str(report) for name in CHECKS)
    assert report.summary() == "Nothing against this training in 14 checks."
    with pytest.raises(KeyError, match="choose one of outputs"):
        report["nothing"]


def test_the_expectation_of_the_loss_comes_from_the_data(check, net):
    losses = check(net())["loss-direction"].measured
    assert losses["loss_of_good"] == pytest.approx(-20, abs=0.5) and losses["loss_of_silence"] == 80
    halved = check(net(), lambda e, t: 0.25 * (e - t).square().mean())["loss-direction"].measured
    assert halved["loss_of_silence"] == pytest.approx(0.25 * 0.05**2, rel=0.01)


def test_a_check_that_fails_itself_is_an_error(check, net, monkeypatch):
    def fail(trial, clock):
        raise ZeroDivisionError("of the check")

    monkeypatch.setattr(engine, "check_independence", fail)
    report = check(net())
    assert report["independence"].state == report.state == "error" and report.exit_code == 1
    assert "ZeroDivisionError: of the check" in report.summary()


def test_a_slow_model_is_cut_short_and_says_so(check, net):
    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x):
            time.sleep(0.05)
            return self.net(x)

    start = time.monotonic()
    report = check(Slow(), budget_s=2.5)
    assert time.monotonic() - start < 12
    assert report["learn-by-heart"].cut_short or report["learn-by-heart"].says.startswith("not looked at")
    assert "Cut short" in report.summary() or "Not looked at" in report.summary()
    assert report.exit_code == 0


@pytest.mark.parametrize(("end", "state"), [(-0.55, "note"), (-0.05, "failure"), (-1.2, "ok")])
def test_a_loss_on_its_way_when_time_is_over_is_no_failure(check, net, monkeypatch, end, state):
    """20 of 40 steps, and the way to a good estimate is 30 dB: 1.5 % of it are asked for, and 3 % after all steps."""
    heart = learning.Heart(losses=[0.0] * 18 + [end] * 3, model=net(), way=30.0)
    monkeypatch.setattr(learning, "STEPS", 40)  # the fixture asks for fewer
    monkeypatch.setattr(learning, "learn", lambda trial, clock: heart)
    finding = check(net())["learn-by-heart"]
    assert (finding.state, finding.cut_short) == (state, "20 of 40 steps")


def test_a_follower_is_no_cause():
    findings = [
        PreflightFinding("gradients", "note", "zero", follows_from="activations"),
        PreflightFinding("activations", "failure", "dead", remedy="wake()"),
        PreflightFinding("reading", "warning", "slow"),
    ]
    report = PreflightReport(findings, 1.0)
    assert [f.id for f in report.causes] == ["activations", "reading"]
    assert report.summary() == "Not ready: activations. Dead. Then: reading."
    assert "wake()" in str(report) and "follows from activations" in str(report)


def test_gates_are_those_of_the_layer():
    torch.manual_seed(0)
    for kind, gates in (("LSTM", 4), ("GRU", 3)):
        rnn = getattr(nn, kind)(5, 6, num_layers=2, bidirectional=True)
        x = torch.randn(20, 3, 5)
        assert all(low == high == 0 for low, high in gate_shares(rnn, x).values())
        with torch.no_grad():  # the second gate, everywhere: forget (LSTM) or update (GRU)
            for name, parameter in rnn.named_parameters():
                if name.startswith("bias_ih"):
                    assert len(parameter) == gates * 6
                    parameter[6:12] = -30.0
        shares = gate_shares(rnn, x)
        second = "forget" if kind == "LSTM" else "update"
        assert shares.pop(second) == (1.0, 0.0)
        assert all(low == high == 0 for low, high in shares.values())


# Data


def test_data_of_each_kind(check, net, batch):
    mixtures, sources = batch()
    dataset = TensorDataset(mixtures, sources)
    for data in (
        dataset,
        DataLoader(dataset, 2),
        [(mixtures, sources)] * 3,
        (mixtures.numpy(), sources.numpy()),
    ):
        material = engine.read_material(data, 2, 8000.0)
        engine.fill(material)
        assert material.mixtures.shape[-1] == 1600 and material.sources.shape[1:] == (2, 1600)
        assert torch.equal(material.mixtures[0], mixtures[0])
    material = engine.read_material((mixtures.unsqueeze(1), sources), 2, 8000.0)
    assert material.mixtures.shape == (4, 1600)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (iter([]), TypeError, "an iterator"),
        ("folder", TypeError, "data is str"),
        ((torch.zeros(2, 9), torch.zeros(2, 2, 8)), ValueError, r"\[2, 9\] and sources \[2, 2, 8\]"),
        ([], ValueError, "no batch"),
        ([{"mixture": 1}], TypeError, "a batch is dict"),
    ],
)
def test_other_data_is_refused(net, data, error, words):
    with pytest.raises(error, match=words):
        preflight(net(), data=data)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"optimizer": "adamm"}, ValueError, "choose muon"),
        ({"optimizer": 3}, TypeError, "optimizer is int"),
        ({"lr": 0}, ValueError, "lr is 0"),
        ({"budget_s": 0}, ValueError, "budget_s is 0"),
        ({"loss": 3}, TypeError, "loss is int"),
    ],
)
def test_other_options_are_refused(net, batch, options, error, words):
    with pytest.raises(error, match=words):
        preflight(net(), **{"data": batch(), **options})
    with pytest.raises(TypeError, match="model is str"):
        preflight("model.pth")


@pytest.mark.parametrize("n_src", [1, 3])
def test_bundled_mixtures(n_src):
    mixtures = BundledMixtures(n_src, 4000, 8000, seed=3)
    mixture, sources = mixtures[5]
    assert mixture.shape == (4000,) and sources.shape == (n_src, 4000)
    assert torch.equal(mixtures[5][0], mixture) and not torch.equal(mixtures[6][0], mixture)
    rest = mixture - sources.sum(0)
    assert (
        float(rest.abs().max()) < 1e-6
        if n_src > 1
        else 8 < 10 * torch.log10(sources.square().mean() / rest.square().mean()) < 12
    )
