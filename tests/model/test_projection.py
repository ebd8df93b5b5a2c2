import pytest
import torch
from torch.nn import functional as F

from dprnn_lab.model.dual_path import RNNProjection

# (sequences, steps): enough for the convolution, exactly enough, too few of either, one.
SHAPES = [(22, 100), (16, 16), (15, 40), (40, 15), (1, 200), (200, 1), (1, 1)]


def strided(sequences, steps, features):
    """Like the output of a ``batch_first`` RNN: [sequences, steps, features], stored step by step."""
    return torch.randn(steps, sequences, features).transpose(0, 1)


@pytest.mark.parametrize(("sequences", "steps"), SHAPES)
@pytest.mark.parametrize("make", [strided, torch.randn], ids=["as an RNN leaves it", "contiguous"])
def test_it_is_a_linear_layer(sequences, steps, make):
    layer, x = RNNProjection(12, 5), make(sequences, steps, 12)
    y = layer(x)
    torch.testing.assert_close(y, F.linear(x, layer.weight, layer.bias))
    assert y.is_contiguous()


@pytest.mark.parametrize(("sequences", "steps"), [(22, 100), (3, 4)])
def test_its_gradients_are_those_of_a_linear_layer(sequences, steps):
    layer, x = RNNProjection(12, 5), strided(sequences, steps, 12).requires_grad_()
    given, probe = (x, layer.weight, layer.bias), torch.randn(sequences, steps, 5)
    got = torch.autograd.grad((layer(x) * probe).sum(), given)
    expected = torch.autograd.grad((F.linear(*given) * probe).sum(), given)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def operators(layer, x):
    with torch.profiler.profile() as profile:
        layer(x)
    return {event.key for event in profile.key_averages()}


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")
@pytest.mark.parametrize(("sequences", "steps"), SHAPES)
def test_it_is_a_convolution_where_there_is_enough_to_do(sequences, steps):
    layer, x = RNNProjection(12, 5), strided(sequences, steps, 12)
    assert ("aten::conv2d" in operators(layer, x)) == (min(sequences, steps) >= 16)
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=False):
        assert "aten::conv2d" not in operators(layer, x)
    assert "aten::conv2d" not in operators(layer.double(), x.double())


def test_an_rnns_output_is_not_copied_before_the_product():
    x = strided(22, 100, 12)
    rnn = torch.nn.LSTM(12, 6, bidirectional=True, batch_first=True)
    assert rnn(x)[0].transpose(0, 1).is_contiguous()
