"""Trainings broken on purpose: each gets the finding that names the cause, and no other failure."""

import copy
import time

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from dprnn_lab import PITLossWrapper, pairwise_neg_sisdr

PIT = PITLossWrapper(pairwise_neg_sisdr)


def only(report, check, state="failure"):
    """The finding of ``check``, after seeing that nothing else is bad."""
    assert [(f.id, f.state) for f in report.findings if f.bad] == [(check, state)], report
    assert report.exit_code == (state in ("failure", "error"))
    assert report[check].remedy and report[check].expected
    assert report.summary().startswith(("Not ready: " if state == "failure" else "Look first: ") + check)
    return report[check]


# The loss


def test_a_loss_with_its_sign_turned(check, net):
    finding = only(check(net(), lambda e, t: -PIT(e, t)), "loss-direction")
    assert "sign" in finding.says and finding.measured["loss_of_good"] > finding.measured["loss_of_noise"]


def test_a_detached_loss(check, net):
    assert "no gradient" in only(check(net(), lambda e, t: PIT(e.detach(), t)), "gradients").says


@pytest.mark.slow
def test_a_loss_of_one_output(check, net):
    def loss(estimates, targets):
        return PIT(torch.stack((estimates[:, 0], estimates[:, 1].detach()), 1), targets)

    assert "output 2" in only(check(net(), loss), "gradients").says


def test_a_constant_loss(check, net):
    assert "does not depend" in only(check(net(), lambda e, t: (0 * e).sum() + 3), "loss-direction").says


def test_a_loss_that_raises(check, net):
    def loss(estimates, targets):
        raise KeyError("wanted")

    finding = only(check(net(), loss), "loss-direction")
    assert "KeyError" in finding.says and "wanted" in finding.says


# The model


def test_a_detached_part(check, net):
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x):
            encoded = self.net.encode(x).detach()
            return self.net.decode(self.net.separator(encoded) * encoded.unsqueeze(1), x.shape[-1])

    finding = only(check(Detached()), "gradients")
    assert finding.measured["without"] == ["net.encoder.filters"]


def test_a_frozen_half(check, net):
    model = net()
    model.separator.blocks.requires_grad_(False)
    finding = only(check(model), "gradients", "warning")
    assert (
        "separator.blocks.0.intra.rnn.weight_ih_l0" in finding.measured["frozen"]
        and "not trained" in finding.says
    )
    assert check(model, frozen=["separator.blocks"])["gradients"].state == "ok"


def test_everything_frozen(check, net):
    assert "frozen" in only(check(net().requires_grad_(False)), "gradients").says


def test_masks_that_are_dead(check, net):
    model = net(mask_act="relu", encoder_activation="relu")
    with torch.no_grad():
        model.separator.mask.weight.copy_(-model.separator.mask.weight.abs())
        model.separator.output_tanh.weight.zero_()
        model.separator.output_tanh.bias.fill_(1.0)
    report = check(model)
    finding = only(report, "activations")
    assert "separator.mask_act (relu)" in finding.says
    assert report["gradients"].follows_from == report["loss-at-start"].follows_from == "activations"


@pytest.mark.parametrize("kind", ["LSTM", pytest.param("GRU", marks=pytest.mark.slow)])
def test_saturated_gates(check, net, kind):
    model = net(rnn_type=kind)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.RNNBase):
                for name, parameter in module.named_parameters():
                    parameter.mul_(300 if name.startswith("weight") else 100)
    finding = only(check(model), "gates")
    assert finding.measured["saturated_share"] > 0.6 or finding.state == "warning"


class Around(nn.Module):
    """A healthy network with something done to its input or output."""

    def __init__(self, net, after):
        super().__init__()
        self.net, self.after = net, after

    def forward(self, x):
        return self.after(self.net(x))


def test_a_mean_over_the_batch(check, net):
    only(check(Around(net(), lambda y: y + 0.3 * y.mean(0, keepdim=True))), "independence")


def test_outputs_that_are_short(check, net):
    finding = only(check(Around(net(), lambda y: y[..., :-16])), "outputs")
    assert finding.measured["estimates"] == [4, 2, 1584]


def test_outputs_that_are_short_at_other_lengths(check, net):
    finding = only(check(Around(net(), lambda y: y[..., : y.shape[-1] // 32 * 32])), "outputs")
    assert finding.measured["other_length"] == 1563


def test_outputs_that_are_not_finite(check, net):
    only(check(Around(net(), lambda y: y / (y - y))), "outputs")


def test_as_many_outputs_as_sources(check, net, batch):
    assert "3 outputs, and the data 2 sources" in only(check(net(n_src=3), data=batch(2)), "outputs").says


def test_a_model_that_ignores_its_input(check, batch):
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.signal = nn.Parameter(
                0.05 * torch.randn(2, 1600, generator=torch.Generator().manual_seed(0))
            )

        def forward(self, x):
            return self.signal[..., : x.shape[-1]].expand(len(x), -1, -1)

    only(check(Constant()), "inputs-matter")


def test_a_model_that_raises(check):
    class Broken(nn.Linear):
        def forward(self, x):
            raise RuntimeError("size mismatch")

    assert "size mismatch" in only(check(Broken(2, 2)), "outputs").says


# The data


def test_targets_of_other_mixtures(check, net, batch):
    mixtures, sources = batch()
    report = check(net(), data=(mixtures[:2], sources[2:]))
    assert "2 of 2 examples" in only(report, "targets").says


def test_targets_shuffled_within_the_batch(check, net, batch):
    mixtures, sources = batch()
    assert (
        "sources[0] belong to mixtures[3]"
        in only(check(net(), data=(mixtures, sources.roll(1, 0))), "targets").says
    )


@pytest.mark.slow
def test_one_wrong_source(check, net, batch):
    mixtures, sources = batch()
    sources[1, 0] = sources[2, 0]
    assert (
        "sources[1, 0] is not in mixtures[1]" in only(check(net(), data=(mixtures, sources)), "targets").says
    )


@pytest.mark.slow
def test_late_targets(check, net, batch):
    mixtures, sources = batch()
    assert "late (80 samples)" in only(check(net(), data=(mixtures, sources.roll(80, -1))), "targets").says


def test_data_that_is_not_finite(check, net, batch):
    mixtures, sources = batch()
    sources[0, 0, 7] = float("nan")
    report = check(net(), data=(mixtures, sources))
    assert report["targets"].state == "failure" and "not finite" in report["targets"].says


def test_a_loader_that_sleeps(check, net, batch):
    mixtures, sources = batch()

    class Slow(Dataset):
        def __len__(self):
            return 100

        def __getitem__(self, index):
            time.sleep(0.1)
            return mixtures[index % 4], sources[index % 4]

    finding = only(check(net(), data=Slow(), batch_size=4), "reading")
    assert finding.measured["seconds_per_batch"] >= 0.4


# The learning rate


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("muon", marks=pytest.mark.slow)])
def test_a_rate_100_times_too_high(check, net, optimizer):
    lr = {"adam": 0.2, "muon": 0.5}[optimizer]
    report = check(net(), optimizer=optimizer, lr=lr)
    finding = only(report, "learning-rate")
    assert "too high" in finding.says and finding.measured["update_to_weight"] > 0.1
    assert report["update-size"].follows_from == "learning-rate"
    assert float(finding.remedy.removeprefix("lr = ")) < lr / 10


@pytest.mark.parametrize(
    ("optimizer", "loss"),
    [
        ("adam", None),
        pytest.param("muon", None, marks=pytest.mark.slow),
        ("adam", nn.MSELoss()),
        pytest.param("muon", nn.MSELoss(), marks=pytest.mark.slow),
    ],
)
def test_a_rate_100_times_too_low(check, net, optimizer, loss):
    finding = only(check(net(), loss, optimizer=optimizer, lr=1e-5), "learning-rate")
    assert "too low" in finding.says
    assert float(finding.remedy.removeprefix("lr = ")) > 1e-4


def test_an_optimiser_of_another_model(check, net):
    model = net()
    other = copy.deepcopy(model)
    optimizer = torch.optim.Adam([*model.encoder.parameters(), *other.separator.parameters()], lr=1e-3)
    finding = only(check(model, optimizer=optimizer), "gradients")
    assert "separator.bottleneck.weight" in finding.measured["left_out"]
