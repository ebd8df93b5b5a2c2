import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from dprnn_lab import DPRNNTasNet, PITLossWrapper, loss
from dprnn_lab.checkpoint.asteroid import from_asteroid, to_asteroid

FOLDER = Path(__file__).parents[1] / "reference"
MODELS = ["default", "cln", "mulcat", "gru", "three", "odd", "stft", "analytic", "sinc"]
KINDS = ["neg_sisdr", "neg_sdsdr", "neg_snr"]


def reference(name):
    """Asteroid's arguments, weights, input and output."""
    path = FOLDER / f"asteroid_{name}.safetensors"
    with safe_open(path, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
    tensors = load_file(path)
    state = {key.removeprefix("state."): value for key, value in tensors.items() if key.startswith("state.")}
    return config, state, tensors["input"], tensors["output"]


@pytest.mark.parametrize("name", MODELS)
def test_asteroids_weights_give_asteroids_output(name):
    config, state, mixture, expected = reference(name)
    model = DPRNNTasNet(**config).eval()
    model.load_state_dict(from_asteroid(state))
    with torch.no_grad():
        difference = (model(mixture) - expected).abs().max()
    assert expected.abs().max() > 1e-3
    assert difference < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_names_and_shapes_survive_the_way_there_and_back(name):
    config, state, _, _ = reference(name)
    ours = from_asteroid(state)
    assert {k: v.shape for k, v in ours.items()} == {
        k: v.shape for k, v in DPRNNTasNet(**config).state_dict().items()
    }
    back = to_asteroid(ours)
    assert back.keys() == state.keys()
    assert all(back[key].shape == state[key].shape and torch.equal(back[key], state[key]) for key in state)


@pytest.mark.parametrize(
    "options",
    [{}, {"use_mulcat": True}, {"num_layers": 2, "rnn_type": "RNN"}, {"bidirectional": False}],
    ids=str,
)
def test_our_weights_survive_the_way_there_and_back(tiny, options):
    ours = tiny(**options).state_dict()
    theirs = to_asteroid(ours)
    back = from_asteroid(theirs)
    assert len(theirs) == len(ours)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[key], ours[key]) for key in ours)


def test_gamma_is_the_gain_and_beta_the_bias():
    ours = from_asteroid(
        {"masker.bottleneck.0.gamma": torch.ones(3), "masker.bottleneck.0.beta": torch.zeros(3)}
    )
    assert ours["separator.input_norm.gain"].tolist() == [1, 1, 1]
    assert ours["separator.input_norm.bias"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "name", ["masker.TCN.0.weight", "encoder.filters", "module.masker.mask_net.weight", ""]
)
def test_names_that_asteroid_does_not_have_are_an_error(name):
    with pytest.raises(KeyError, match="not a parameter of Asteroid's DPRNNTasNet"):
        from_asteroid({name: torch.zeros(1)})


@pytest.mark.parametrize("name", ["masker.mask_net.weight", "separator.blocks.x.intra.rnn.weight_ih_l0"])
def test_names_that_we_do_not_have_are_an_error(name):
    with pytest.raises(KeyError, match="not a parameter of our DPRNNTasNet"):
        to_asteroid({name: torch.zeros(1)})


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_asteroids(kind):
    stored = load_file(FOLDER / "asteroid_losses.safetensors")
    estimates, targets = stored["estimates"], stored["targets"]
    for form in ("pairwise", "singlesrc", "multisrc"):
        pair = (estimates[:, 0], targets[:, 1]) if form == "singlesrc" else (estimates, targets)
        value = getattr(loss, f"{form}_{kind}")(*pair)
        torch.testing.assert_close(value, stored[f"{form}_{kind}"], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_pit_is_asteroids(kind):
    stored = load_file(FOLDER / "asteroid_losses.safetensors")
    wrapper = PITLossWrapper(getattr(loss, f"pairwise_{kind}"))
    value, ordered = wrapper(stored["estimates"], stored["targets"], return_est=True)
    torch.testing.assert_close(value, stored[f"pit_{kind}"], atol=1e-4, rtol=1e-5)
    assert torch.equal(ordered, stored[f"ordered_{kind}"])
    assert not torch.equal(ordered, stored["estimates"])


def test_the_stored_references_stay_small():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.safetensors")) < 500_000
