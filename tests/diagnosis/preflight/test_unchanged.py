"""Looking changes nothing: weights, buffers, modes, gradients, optimiser, random state; errors included."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, TensorDataset

from dprnn_lab import PITLossWrapper, pairwise_neg_sisdr
from dprnn_lab.diagnosis.preflight.guard import copied

PIT = PITLossWrapper(pairwise_neg_sisdr)


def everything(model, *more):
    """All state that a preflight could change, as one list of comparable values."""
    tensors = [
        *model.state_dict().values(),
        *(torch.zeros(()) if p.grad is None else p.grad for p in model.parameters()),
    ]
    return (
        [t.clone() for t in (*tensors, *more, torch.get_rng_state())],
        [part.training for part in model.modules()],
        [p.requires_grad for p in model.parameters()],
        [random.getstate(), str(np.random.get_state()), torch.is_grad_enabled(), torch.get_default_dtype()],
    )


def same(before, after):
    return all(map(torch.equal, before[0], after[0])) and before[1:] == after[1:]


@pytest.mark.parametrize("training", [True, False])
def test_nothing_changes(check, net, training):
    model = net(norm_type="bN").train(training)
    model.encoder.eval()
    for parameter in model.decoder.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    before = everything(model)
    assert check(model, optimizer=optimizer).exit_code == 0
    assert same(before, everything(model))
    assert not optimizer.state and optimizer.param_groups[0]["lr"] == 1e-3


def test_nothing_changes_when_the_users_loss_raises_in_the_middle(check, net):
    model, calls = net(norm_type="bN"), []

    def loss(estimates, targets):
        calls.append(1)
        torch.rand(3), np.random.rand(), random.random()
        if len(calls) > 15:
            raise KeyboardInterrupt  # not an Exception: it leaves preflight
        return PIT(estimates, targets)

    before = everything(model)
    with pytest.raises(KeyboardInterrupt):
        check(model, loss)
    assert same(before, everything(model))


def test_a_loss_that_holds_the_model_does_not_touch_it(check, net, batch):
    model = net(norm_type="bN")

    def loss(estimates, targets):
        model(batch()[0])  # moves the batch norm's statistics
        return PIT(estimates, targets) + 1e-6 * sum(p.square().sum() for p in model.parameters())

    before = everything(model)
    check(model, loss)
    assert same(before, everything(model))
    assert all(p.grad is None for p in model.parameters())


def test_inside_no_grad_inference_mode_and_autocast(check, net):
    model = net()
    plain = check(model).to_dict()["layers"]
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad(), torch.inference_mode():
        assert check(model).to_dict()["layers"] == plain
        assert (
            torch.is_autocast_enabled("cpu")
            and torch.is_inference_mode_enabled()
            and not torch.is_grad_enabled()
        )


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(check, net):
    first, second = (check(net(num_layers=2, dropout=0.3, hid_size=8)).to_dict()["layers"] for _ in range(2))
    assert first == second


def test_a_loaders_own_generator_is_put_back(check, net, batch):
    generator = torch.Generator().manual_seed(5)
    loader = DataLoader(TensorDataset(*batch()), 2, shuffle=True, generator=generator)
    before = generator.get_state()
    check(net(), data=loader)
    assert torch.equal(before, generator.get_state())


def test_a_model_with_tensors_of_its_last_pass_can_be_copied(batch):
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = parametrizations.weight_norm(nn.Conv1d(1, 2, 3, padding=1))

        def forward(self, x):
            self.last = self.layer(x)
            return self.last

    model = Keeps()
    model(batch()[0].unsqueeze(1)).sum().backward()
    copy = copied(model)
    assert torch.equal(copy.last, model.last) and copy.last is not model.last
    assert all(p.grad is None for p in copy.parameters()) and all(
        p.grad is not None for p in model.parameters()
    )
