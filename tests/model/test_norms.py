import pytest
import torch

from dprnn_lab.model.norms import (
    NORMS,
    BatchNorm,
    ChannelLayerNorm,
    FeatureGlobalLayerNorm,
    GlobalLayerNorm,
    _standardise,
)

SHAPES = [(3, 20, 7), (3, 5, 20, 7)]


@pytest.mark.parametrize("shape", SHAPES)
def test_gln_gives_each_example_mean_zero_and_variance_one(shape):
    x = 5 + 3 * torch.randn(shape)
    y = GlobalLayerNorm(7)(x).flatten(1)
    torch.testing.assert_close(y.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, unbiased=False), torch.ones(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("norm", ["gLN", "cLN", "fgLN"])
def test_a_mean_a_hundred_times_the_deviation_leaves_four_digits(norm):
    # A variance as the difference of two mean squares would leave none.
    x = 100 + torch.randn(2, 40, 30, 7)
    torch.testing.assert_close(
        NORMS[norm](7)(x), NORMS[norm](7).double()(x.double()).float(), atol=2e-4, rtol=0
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_gln_keeps_level_differences_between_steps_and_cln_does_not(shape):
    x = torch.randn(shape)
    x[:, 0] *= 10
    loud_over_quiet = {name: norm(7)(x)[:, 0].std() / norm(7)(x)[:, 1].std() for name, norm in NORMS.items()}
    assert loud_over_quiet["gLN"] > 5
    assert 0.8 < loud_over_quiet["cLN"] < 1.25
    assert loud_over_quiet["fgLN"] > 3


@pytest.mark.parametrize("shape", SHAPES)
def test_cln_gives_each_step_mean_zero_and_variance_one(shape):
    x = 5 + 3 * torch.randn(shape)
    y = ChannelLayerNorm(7)(x)
    torch.testing.assert_close(y.mean(-1), torch.zeros(shape[:-1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(-1, unbiased=False), torch.ones(shape[:-1]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_gain_and_bias_act_per_feature(norm):
    module, x = norm(7), torch.randn(2, 20, 7)
    plain = module(x)
    gain = module.weight if norm is BatchNorm else module.gain
    gain.data, module.bias.data = torch.arange(7.0), torch.linspace(-1, 1, 7)
    torch.testing.assert_close(module(x), plain * torch.arange(7.0) + torch.linspace(-1, 1, 7))


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_examples_of_a_batch_do_not_touch_each_other(norm):
    module, x = norm(7).eval(), torch.randn(2, 20, 7)
    louder = torch.stack((x[0], 100 * x[1] + 3))
    torch.testing.assert_close(module(louder)[0], module(x)[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_fgln_gives_each_feature_of_an_example_mean_zero_and_variance_one(shape):
    x = (5 + 3 * torch.randn(shape)) * torch.arange(1, 8)
    y = FeatureGlobalLayerNorm(7)(x).flatten(1, -2)
    torch.testing.assert_close(y.mean(1), torch.zeros(3, 7), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, unbiased=False), torch.ones(3, 7), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_gives_each_feature_mean_zero_and_variance_one_over_the_batch_in_training(shape):
    module, x = BatchNorm(7), (5 + 3 * torch.randn(shape)) * torch.arange(1, 8)
    y = module(x).flatten(0, -2)
    torch.testing.assert_close(y.mean(0), torch.zeros(7), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(0, unbiased=False), torch.ones(7), atol=1e-4, rtol=0)
    assert module.num_batches_tracked == 1


def test_batch_norm_uses_its_running_statistics_in_evaluation():
    module = BatchNorm(7)
    for _ in range(200):
        module(5 + 3 * torch.randn(4, 50, 7))
    y = module.eval()(5 + 3 * torch.randn(1, 5000, 7))
    assert y.mean().abs() < 0.1
    assert 0.9 < y.std() < 1.1
    assert module(torch.full((1, 1, 7), 5.0)).abs().max() < 0.2  # of one frame, where it has no variance


def test_cln_is_causal_and_gln_is_not():
    x = torch.randn(1, 20, 7)
    changed = x.clone()
    changed[:, 12:] = torch.randn(1, 8, 7) * 3
    assert torch.equal(ChannelLayerNorm(7)(x)[:, :12], ChannelLayerNorm(7)(changed)[:, :12])
    assert not torch.allclose(GlobalLayerNorm(7)(x)[:, :12], GlobalLayerNorm(7)(changed)[:, :12], atol=1e-2)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_silence_gives_the_bias_and_finite_gradients(norm):
    module, x = norm(7), torch.zeros(1, 20, 7, requires_grad=True)
    module.bias.data = torch.arange(7.0)
    y = module(x)
    y.square().sum().backward()
    assert torch.equal(y, torch.arange(7.0).expand(1, 20, 7))
    assert x.grad.isfinite().all()


def test_layer_norms_have_the_same_parameters_and_batch_norm_has_more():
    shapes = {name: {k: v.shape for k, v in norm(7).state_dict().items()} for name, norm in NORMS.items()}
    assert shapes["gLN"] == shapes["cLN"] == shapes["fgLN"] == {"gain": (7,), "bias": (7,)}
    assert {"running_mean", "running_var", "num_batches_tracked"} <= shapes["bN"].keys()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_on_a_gpu_the_global_norm_is_computed_another_way_and_is_the_same(dtype):
    x = torch.randn(3, 5, 11, 7, dtype=dtype) * 2 + 1
    same = torch.nn.functional.layer_norm(x.to(torch.float64), x.shape[1:], eps=1e-8)
    found = _standardise(x, range(1, 4))
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.double(), same, rtol=1e-5, atol=1e-5)
