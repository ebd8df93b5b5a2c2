"""Random layers are known by their numbers, trained ones are not taken for random."""

import pytest
import torch
from torch import nn

from dprnn_lab import DPRNNTasNet, load_model
from dprnn_lab.diagnosis.initial_weights import layers
from dprnn_lab.files import data_folder

SHAPES = [
    {},
    {"rnn_type": "GRU", "kernel_size": 2, "stride": 1},
    {"rnn_type": "RNN", "hid_size": 24, "num_layers": 2},
    {"use_mulcat": True, "n_src": 3},
    {"norm_type": "cLN", "bidirectional": False, "mask_act": "prelu"},
]


@pytest.mark.parametrize("options", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_every_layer_of_a_new_model_is_at_its_start(options, seed):
    torch.manual_seed(seed)
    model = DPRNNTasNet(**{"bn_chan": 24, "hid_size": 32, "n_repeats": 2, **options})
    found = layers(model)
    assert sum(layer.numbers for layer in found) == sum(p.numel() for p in model.parameters())
    assert [layer.name for layer in found if not layer.fresh] == []


@pytest.mark.parametrize("half", [False, True])
def test_no_layer_of_a_trained_model_is(half):
    model = load_model(data_folder() / "model" / "small.safetensors")
    found = layers(model.half() if half else model)
    assert [layer.name for layer in found if layer.fresh or layer.dead or not layer.finite] == []


def test_a_random_model_saved_in_half_precision_is_still_random(tiny):
    assert all(layer.fresh for layer in layers(DPRNNTasNet(n_repeats=1).half()))


def test_a_few_steps_of_training_show():
    model = DPRNNTasNet(bn_chan=16, hid_size=16, n_repeats=1, n_filters=16)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        model(torch.randn(2, 800)).square().mean().backward()
        optimizer.step()
    assert not any(layer.fresh for layer in layers(model) if layer.numbers > 500)


@pytest.mark.parametrize("strength", [0.6, 1.35, 2.0])
def test_few_filters_that_were_trained_are_not_at_their_start(strength):
    """Of 32 numbers five standard deviations are more than training changes: the limit is 50 % there."""
    torch.manual_seed(0)
    model = DPRNNTasNet(bn_chan=16, hid_size=16, n_repeats=1, n_filters=16, kernel_size=2, stride=1)
    variance = 2 / (2 + 16 * 2)
    with torch.no_grad():
        for part in (model.encoder, model.decoder):
            part.filters *= strength * (variance / part.filters.square().mean()) ** 0.5
    assert [layer.name for layer in layers(model) if layer.kind == "gaussian" and layer.fresh] == []


def test_a_layer_of_one_value_is_dead_and_of_nan_not_finite():
    model = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20))
    with torch.no_grad():
        model[0].weight.zero_()
        model[1].weight[0, 0] = float("nan")
    first, second = layers(model)
    assert (first.dead, first.finite) == (True, True)
    assert (second.dead, second.finite, second.fresh) == (False, False, False)


def test_one_number_over_the_bound_is_training():
    layer = nn.Linear(64, 64)
    assert layers(layer)[0].fresh
    with torch.no_grad():
        layer.weight[0, 0] = 1.02 / 8  # the bound is 1 / sqrt(64)
    assert not layers(layer)[0].fresh


def test_other_distributions_are_not_the_start():
    model = nn.Linear(64, 64)
    nn.init.xavier_normal_(model.weight)
    assert not layers(model)[0].fresh
    nn.init.uniform_(model.weight, -0.05, 0.05)
    assert not layers(model)[0].fresh


def test_the_layers_of_an_asteroid_model_are_known_too():
    class GlobLN(nn.Module):  # as Asteroid names them
        def __init__(self):
            super().__init__()
            self.gamma, self.beta = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))

    class FreeFB(nn.Module):
        def __init__(self):
            super().__init__()
            self._filters = nn.Parameter(torch.ones(32, 1, 16))
            nn.init.xavier_normal_(self._filters)

    found = layers(
        nn.Sequential(FreeFB(), GlobLN(), nn.Conv1d(32, 16, 1), nn.LSTM(16, 8), nn.Conv2d(16, 32, 1))
    )
    assert [layer.kind for layer in found] == ["gaussian", "constant", "uniform", "uniform", "uniform"]
    assert all(layer.fresh for layer in found)
