import pytest
import torch
from torch import nn

from dprnn_lab.model.separator import ACTIVATIONS, DualPathSeparator

SIZES = {
    "n_features": 5,
    "bn_chan": 6,
    "hid_size": 4,
    "chunk_size": 10,
    "hop_size": 5,
    "n_repeats": 2,
    "norm_type": "gLN",
    "bidirectional": True,
    "rnn_type": "LSTM",
    "num_layers": 1,
    "dropout": 0,
    "use_mulcat": False,
}


def separator(n_src=2, mask_act="sigmoid", **options):
    return DualPathSeparator(n_src=n_src, mask_act=mask_act, **{**SIZES, **options})


@pytest.mark.parametrize("n_src", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 4, 57])
def test_a_mask_per_source_filter_and_frame(n_src, frames):
    assert separator(n_src)(torch.randn(3, 5, frames)).shape == (3, n_src, 5, frames)


@pytest.mark.parametrize(
    ("mask_act", "low", "high"),
    [("sigmoid", 0, 1), ("tanh", -1, 1), ("relu", 0, torch.inf), ("softmax", 0, 1)],
)
def test_masks_lie_in_the_range_of_their_activation(mask_act, low, high):
    module = separator(mask_act=mask_act)
    module.mask.weight.data *= 20
    masks = module(torch.randn(2, 5, 57))
    assert masks.min() >= low
    assert masks.max() <= high
    assert masks.std() > 0.01


def test_softmax_masks_compete_over_filters_as_in_asteroid():
    masks = separator(n_src=3, mask_act="softmax")(torch.randn(2, 5, 57))
    torch.testing.assert_close(masks.sum(2), torch.ones(2, 3, 57))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_makes_a_module_that_keeps_the_shape(name):
    activation = ACTIVATIONS[name]()
    assert isinstance(activation, nn.Module)
    assert activation(torch.randn(4, 5, 6)).shape == (4, 5, 6)


@pytest.mark.parametrize("name", ["prelu"])
def test_learned_activations_are_not_shared_between_models(name):
    assert ACTIVATIONS[name]().weight is not ACTIVATIONS[name]().weight


def test_sources_get_masks_of_their_own():
    masks = separator()(torch.randn(2, 5, 57))
    assert not torch.allclose(masks[:, 0], masks[:, 1], atol=1e-3)


def test_the_gated_output_and_the_split_are_those_of_figure_1():
    module, encoded = separator(n_repeats=1), torch.randn(1, 5, 20)
    blocks = []
    module.blocks[0].register_forward_hook(lambda *hook: blocks.append(hook[2]))
    masks = module(encoded)
    split = module.source_split(module.source_act(blocks[0]))  # [1, C, K, 2 * 6]
    for s in range(2):
        chunks = split[..., 6 * s : 6 * s + 6]
        frames = torch.zeros(1, 20 + 20, 6)
        for c in range(chunks.shape[1]):
            frames[:, 5 * c : 5 * c + 10] += chunks[:, c]
        frames = frames[:, 10:30]
        gated = module.output_tanh(frames).tanh() * module.output_gate(frames).sigmoid()
        torch.testing.assert_close(masks[:, s], module.mask(gated).sigmoid().transpose(1, 2))
