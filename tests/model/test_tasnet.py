import inspect
import json
import math

import numpy as np
import pytest
import torch

from dprnn_lab import DPRNNTasNet

VARIANTS = [
    {},
    {"norm_type": "cLN", "bidirectional": False, "rnn_type": "GRU"},
    {"use_mulcat": True, "rnn_type": "RNN", "num_layers": 2, "dropout": 0.1},
    {"n_src": 3, "mask_act": "softmax", "encoder_activation": "prelu"},
    {"n_src": 1, "mask_act": "prelu", "kernel_size": 15, "stride": 4, "chunk_size": 9, "hop_size": 4},
    {"kernel_size": 2, "stride": 1, "chunk_size": 30, "hop_size": 7, "mask_act": "relu"},
    {"fb_name": "stft", "n_filters": 20, "norm_type": "fgLN"},
    {"fb_name": "analytic_free", "n_filters": 7, "kernel_size": 15, "stride": 4, "norm_type": "bN"},
    {"fb_name": "param_sinc", "n_filters": 6, "min_low_hz": 20, "out_chan": 1},
]


@pytest.mark.parametrize(("kernel", "stride"), [(16, 8), (15, 4), (2, 1)])
def test_encoder_and_decoder_give_back_every_length_from_1_to_5000(tiny, kernel, stride):
    model, samples = tiny(kernel_size=kernel, stride=stride, n_filters=2), torch.randn(1, 5000)
    with torch.inference_mode():
        for length in range(1, 5001):
            encoded = model.encode(samples[:, :length])
            assert model.decode(encoded.unsqueeze(1), length).shape == (1, 1, length)


def test_the_whole_model_gives_back_the_length_it_got(tiny):
    model, samples = tiny(n_repeats=1), torch.randn(5000)
    with torch.inference_mode():
        for length in [*range(1, 200), *range(200, 5001, 83), 4999, 5000]:
            estimates = model(samples[:length])
            assert estimates.shape == (2, length)
            assert estimates.isfinite().all()


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_variants_give_back_the_length_they_got(tiny, options):
    model = tiny(**options)
    with torch.inference_mode():
        for length in (1, 2, 15, 16, 17, 401, 1000):
            assert model(torch.randn(2, length)).shape == (2, options.get("n_src", 2), length)


def test_one_two_and_three_dimensions_hold_the_same_mixture(tiny):
    model, mixture = tiny(), torch.randn(500)
    one, two, three = model(mixture), model(mixture[None]), model(mixture[None, None])
    assert one.shape == (2, 500)
    assert two.shape == three.shape == (1, 2, 500)
    assert torch.equal(one, two[0])
    assert torch.equal(two, three)


def test_memory_layout_does_not_matter(tiny):
    model, mixtures = tiny(), torch.randn(500, 3)
    assert not mixtures.T.is_contiguous()
    torch.testing.assert_close(model(mixtures.T), model(mixtures.T.contiguous()))
    torch.testing.assert_close(model(mixtures[::2, 0]), model(mixtures[::2, 0].clone()))


def test_the_input_is_left_as_it_was(tiny):
    mixture = torch.randn(2, 500)
    before = mixture.clone()
    tiny()(mixture)
    assert torch.equal(mixture, before)


def test_float64_agrees_with_float32(tiny):
    model, mixture = tiny(), torch.randn(2, 700)
    single = model(mixture)
    double = model.double()(mixture.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, atol=1e-6 * double.abs().max().item(), rtol=0)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_mixtures_of_a_batch_do_not_touch_each_other(tiny, options):
    model, mixtures = tiny(**options), torch.randn(3, 600)
    mixtures[1] *= 50
    alone = torch.stack([model(mixture) for mixture in mixtures])
    torch.testing.assert_close(model(mixtures), alone, atol=1e-5, rtol=1e-4)


def test_silence_gives_silence(tiny):
    assert torch.equal(tiny()(torch.zeros(800)), torch.zeros(2, 800))


def test_samples_past_the_last_whole_frame_are_zero(tiny):
    estimates = tiny()(torch.randn(16 + 8 * 20 + 5))
    assert torch.equal(estimates[:, -5:], torch.zeros(2, 5))
    assert estimates[:, -6].abs().min() > 0


def test_the_output_is_the_decoded_product_of_masks_and_encoded_mixture(tiny):
    model, mixture = tiny(encoder_activation="relu"), torch.randn(2, 400)
    encoded = model.encoder(mixture).relu()
    masked = model.separator(encoded) * encoded.unsqueeze(1)
    expected = torch.stack([model.decoder(masked[:, s]) for s in range(2)], 1)
    torch.testing.assert_close(model(mixture), expected)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_a_gradient_reaches_every_parameter(tiny, options):
    model = tiny(**options).train()
    model(torch.randn(2, 900)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_the_configuration_builds_the_same_model_again(tiny, options):
    model = tiny(**options)
    again = DPRNNTasNet(**json.loads(json.dumps(model.config))).eval()
    assert again.config == model.config
    again.load_state_dict(model.state_dict())
    mixture = torch.randn(300)
    assert torch.equal(model(mixture), again(mixture))


def test_the_configuration_names_every_argument():
    # in_chan can't but repeat what the filterbank gives.
    names = [name for name in inspect.signature(DPRNNTasNet).parameters if name != "in_chan"]
    assert list(DPRNNTasNet(n_repeats=1).config) == names


def test_hop_and_stride_are_half_where_they_are_left_out(tiny):
    config = tiny(chunk_size=31, hop_size=None, kernel_size=21, stride=None).config
    assert (config["hop_size"], config["stride"]) == (15, 10)


def test_chunks_and_kernels_of_one_work_without_a_hop(tiny):
    model = tiny(chunk_size=1, kernel_size=1, stride=None)
    assert model(torch.randn(30)).shape == (2, 30)


BAD = [
    *((name, 0) for name in ("n_src", "bn_chan", "hid_size", "chunk_size", "hop_size", "n_repeats")),
    *((name, -1) for name in ("num_layers", "n_filters", "kernel_size", "stride")),
    ("n_src", 2.0),
    ("n_src", True),
    ("n_src", None),
    ("bn_chan", "64"),
    ("chunk_size", "100"),
    ("chunk_size", None),
    ("kernel_size", 16.0),
    ("hop_size", 101),
    ("stride", 17),
    ("norm_type", "BN"),
    ("norm_type", None),
    ("norm_type", ["gLN"]),
    ("mask_act", "sigmoidal"),
    ("mask_act", None),
    ("encoder_activation", "nothing"),
    ("rnn_type", "lstms"),
    ("rnn_type", 3),
    ("fb_name", "torch_stft"),
    ("fb_name", None),
    ("in_chan", 65),
    ("out_chan", 2),
    ("min_low_hz", -1),
    ("min_band_hz", "50"),
    ("min_band_hz", math.nan),
    ("bidirectional", "no"),
    ("use_mulcat", 1),
    ("dropout", 1),
    ("dropout", -0.1),
    ("dropout", "0.1"),
    ("dropout", math.nan),
    ("sample_rate", 0),
    ("sample_rate", math.inf),
    ("sample_rate", None),
    ("sample_rate", "8k"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_argument_is_named_with_its_value(name, value):
    with pytest.raises(ValueError) as error:
        DPRNNTasNet(**{name: value})
    assert str(error.value).startswith(f"{name} is {value!r}")


NUMPY = {
    "n_src": (np.int64(3), int), "hid_size": (np.uint8(4), int), "chunk_size": (np.int32(12), int),
    "hop_size": (np.int16(5), int), "stride": (np.int64(4), int), "num_layers": (np.int8(2), int),
    "dropout": (np.float32(0.5), float), "sample_rate": (np.float64(16000), float), "min_low_hz": (np.int64(20), int),
    "bidirectional": (np.bool_(False), bool), "use_mulcat": (np.True_, bool), "norm_type": (np.str_("cLN"), str),
}  # fmt: skip


def test_numpy_numbers_are_numbers(tiny):
    given = {name: value for name, (value, _) in NUMPY.items()}
    config = tiny(**given).config
    assert {name: type(config[name]) for name in NUMPY} == {name: kind for name, (_, kind) in NUMPY.items()}
    assert config == tiny(**{name: kind(value) for name, (value, kind) in NUMPY.items()}).config
    json.dumps(config)


@pytest.mark.parametrize("value", [np.float64(2), np.bool_(True), np.int64(0)])
def test_numpy_numbers_are_checked_as_others_are(value):
    with pytest.raises(ValueError, match=rf"n_src is {value.item()!r}: it must be a whole number"):
        DPRNNTasNet(n_src=value)


def test_arguments_may_be_given_by_position():
    assert DPRNNTasNet(3, 8, 4).config == DPRNNTasNet(n_src=3, bn_chan=8, hid_size=4).config


def test_the_configuration_is_a_dictionary(tiny):
    config = tiny().config
    assert type(config) is dict
    assert {**config, "stride": 4} == config | {"stride": 4}


def test_every_argument_has_a_bad_value_above():
    assert {name for name, _ in BAD} == set(inspect.signature(DPRNNTasNet).parameters)


def test_an_unknown_argument_is_a_type_error():
    with pytest.raises(TypeError, match="n_sources"):
        DPRNNTasNet(n_sources=2)


@pytest.mark.parametrize("shape", [(), (2, 2, 100), (1, 1, 1, 100), (2, 0), (0,), (1, 1, 0)], ids=str)
def test_a_mixture_of_another_shape_is_an_error_that_names_it(tiny, shape):
    with pytest.raises(ValueError) as error:
        tiny()(torch.zeros(shape))
    assert str(list(shape)) in str(error.value)


@pytest.mark.parametrize(
    ("mixture", "kind"),
    [
        (torch.zeros(100, dtype=torch.int16), "torch.int16"),
        (np.zeros(100, np.float32), "ndarray"),
        ("mixture.wav", "str"),
        ([0.0] * 100, "list"),
    ],
)
def test_a_mixture_of_another_type_is_an_error_that_names_it(tiny, mixture, kind):
    with pytest.raises(TypeError, match=kind):
        tiny()(mixture)


def test_a_mixture_of_another_precision_is_named():
    with pytest.raises(TypeError, match=r"float64.*mixture\.to\(torch\.float32\)"):
        DPRNNTasNet(n_repeats=1, bn_chan=4, hid_size=4)(torch.zeros(100, dtype=torch.float64))
