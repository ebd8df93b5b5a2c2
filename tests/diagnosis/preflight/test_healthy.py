"""Trainings in which nothing is wrong: no failure and no warning."""

import pytest
import torch
from torch import nn

from dprnn_lab import DPRNNTasNet, PITLossWrapper, load_model
from dprnn_lab.diagnosis.preflight import learning, preflight
from dprnn_lab.files import data_folder
from dprnn_lab.loss import pairwise_mse, pairwise_neg_snr
from dprnn_lab.training.settings import SMALL

CLASS = {"kernel_size": 64, "stride": 32, "chunk_size": 32, "n_repeats": 2, "bn_chan": 32, "hid_size": 64}


def bad(report):
    return [(f.id, f.state, f.says) for f in report.findings if f.bad]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rnn_type": "GRU"},
        {"norm_type": "bN"},
        pytest.param({"mask_act": "relu", "encoder_activation": "relu"}, marks=pytest.mark.slow),
        pytest.param({"num_layers": 2, "dropout": 0.2, "hid_size": 8}, marks=pytest.mark.slow),
        {"sample_rate": 16000, "kernel_size": 128, "stride": 64},
    ],
    ids=lambda options: "-".join(map(str, options.values())) or "plain",
)
def test_networks(check, net, options):
    report = check(net(**options))
    assert bad(report) == []
    assert report.state in ("ok", "note") and report.exit_code == 0
    assert [f.id for f in report.findings if f.state == "note"] == ["reading"]  # one batch was given


@pytest.mark.parametrize("n_src", [1, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_numbers_of_sources(check, net, batch, n_src):
    mixtures, sources = batch(n_src)
    if n_src == 1:
        mixtures = mixtures + 0.02 * torch.randn(mixtures.shape, generator=torch.Generator().manual_seed(2))
    assert bad(check(net(n_src=n_src), data=(mixtures, sources))) == []


@pytest.mark.parametrize(
    "loss",
    [
        nn.MSELoss(),
        pytest.param(PITLossWrapper(pairwise_mse), marks=pytest.mark.slow),
        pytest.param(PITLossWrapper(pairwise_neg_snr), marks=pytest.mark.slow),
        pytest.param(nn.L1Loss(), marks=pytest.mark.slow),
    ],
    ids=["mse", "pit-mse", "pit-snr", "l1"],
)
def test_losses(check, net, loss, monkeypatch):
    monkeypatch.setattr(
        learning, "STEPS", 40
    )  # as for users: PIT on SNR falls by less than 3 % of the way in 20
    report = check(net(), loss)
    assert bad(report) == []
    if not isinstance(loss, PITLossWrapper):
        assert report["loss-direction"].state == "note" and "fixed order" in report["loss-direction"].says


class Convolutions(nn.Module):
    """As a user may write it: ``[B, 1, T]`` only."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 16, 17, padding=8), nn.Conv1d(16, 2, 17, padding=8)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


@pytest.mark.parametrize(
    "options", [{}, {"optimizer": torch.optim.AdamW}, {"loss": nn.MSELoss(), "optimizer": "adamw"}]
)
def test_a_convolutional_network_of_the_users(check, options):
    torch.manual_seed(0)
    report = check(Convolutions(), **options)
    assert bad(report) == []
    assert report["outputs"].measured["input"] == "[B, 1, T]"
    assert report["activations"].measured["activations"] == 1  # a function, not a module


def test_double_precision(check, net):
    assert bad(check(net().double())) == []


def test_an_optimiser_of_the_users_with_two_groups(check, net):
    model = net()
    groups = [
        {"params": model.encoder.parameters(), "lr": 1e-4},
        {"params": [*model.separator.parameters(), *model.decoder.parameters()]},
    ]
    optimizer = torch.optim.Adam(groups, lr=1e-3)
    report = check(model, optimizer=optimizer)
    assert bad(report) == [] and report["learning-rate"].measured["asked"] == 1e-3
    assert not optimizer.state


@pytest.mark.slow
def test_noisy_mixtures(check, net, batch):
    mixtures, sources = batch()
    noise = torch.randn(mixtures.shape, generator=torch.Generator().manual_seed(3))
    assert bad(check(net(), data=(mixtures + 0.07 * noise, sources))) == []


@pytest.mark.slow
def test_a_trained_model_goes_on_at_a_low_rate():
    model = load_model(data_folder() / "model" / "small.safetensors")
    report = preflight(model, optimizer="muon", lr=1e-4)
    assert bad(report) == [] and "trained already" in report["loss-at-start"].says


@pytest.mark.slow
@pytest.mark.parametrize("options", [CLASS, {}], ids=["class", "small"])
def test_on_bundled_voices(options):
    torch.manual_seed(0)
    report = preflight(DPRNNTasNet(**(options or SMALL)), optimizer="muon", lr=2.5e-3 if options else 1e-3)
    assert bad(report) == [] and report.seconds < 75  # the last step may end after the budget
