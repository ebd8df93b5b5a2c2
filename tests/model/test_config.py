"""The typed record of a model's arguments; Asteroid's names and ours mean the same model."""

import inspect

import pytest
import torch
from torch import nn

from dprnn_lab import DPRNNTasNet, ModelConfig, load_model, save_model


def test_the_record_has_the_arguments_of_the_model():
    ours, models = (inspect.signature(kind).parameters for kind in (ModelConfig, DPRNNTasNet))
    assert list(ours.values()) == list(models.values())


@pytest.mark.parametrize(
    "options", [{}, {"fb_name": "ParamSincFB", "n_filters": 7, "out_chan": 6, "in_chan": 6}]
)
def test_the_record_is_complete_and_canonical(options):
    config = ModelConfig(chunk_size=31, stride=None, norm_type="GlobLN", **options)
    assert (config.hop_size, config.stride, config.norm_type) == (15, 8, "gLN")
    assert config.to_dict() == DPRNNTasNet(chunk_size=31, stride=None, **options).config
    assert ModelConfig(**config.to_dict()) == config
    assert "in_chan" not in config.to_dict()


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("norm_type", "GlobLN", "gLN"),
        ("norm_type", "ChanLN", "cLN"),
        ("norm_type", "FeatsGlobLN", "fgLN"),
        ("norm_type", "BatchNorm", "bN"),
        ("fb_name", "FreeFB", "free"),
        ("fb_name", "STFTFB", "stft"),
        ("fb_name", "AnalyticFreeFB", "analytic_free"),
        ("fb_name", "ParamSincFB", "param_sinc"),
        ("rnn_type", "lstm", "LSTM"),
        ("rnn_type", "gru", "GRU"),
        ("rnn_type", "rnn", "RNN"),
        ("mask_act", "Swish", "swish"),
        ("encoder_activation", "Swish", "swish"),
    ],
)
def test_asteroids_other_names(tiny, name, theirs, ours):
    model = tiny(n_filters=20, **{name: theirs})
    assert model.config[name] == ours
    same = tiny(n_filters=20, **{name: ours})
    same.load_state_dict(model.state_dict())
    mixture = torch.randn(300)
    assert torch.equal(model(mixture), same(mixture))


def test_asteroids_arguments_build_a_model():
    theirs = {
        "fb_name": "STFTFB", "n_filters": 20, "kernel_size": 16, "stride": 8, "sample_rate": 8000, "in_chan": 22,
        "out_chan": 22, "bn_chan": 8, "hid_size": 6, "chunk_size": 20, "hop_size": 10, "n_repeats": 1, "n_src": 2,
        "norm_type": "gLN", "mask_act": "sigmoid", "bidirectional": True, "rnn_type": "LSTM", "num_layers": 1,
        "dropout": 0, "use_mulcat": False, "encoder_activation": None,
    }  # fmt: skip
    config = DPRNNTasNet(**theirs).config
    assert (config["fb_name"], config["out_chan"]) == ("stft", None)
    assert DPRNNTasNet(**config).config == config


def test_one_mask_value_for_all_features(tiny):
    model = tiny(out_chan=1)
    encoded = model.encode(torch.randn(2, 300))
    assert model.separator(encoded).shape == (2, 2, 1, encoded.shape[-1])
    assert model(torch.randn(2, 300)).shape == (2, 2, 300)


def test_softmax_after_the_encoder_is_asteroids_over_the_batch(tiny):
    model = tiny(encoder_activation="softmax")
    assert isinstance(model.encoder_act, nn.Softmax)
    torch.testing.assert_close(model.encode(torch.randn(3, 300)).sum(0), torch.ones(5, 36))


# Bounds: nothing is allocated before them


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_repeats": 100_000}, r"n_repeats is 100000: .* 5\.9e\+10 parameters .*GiB.*; give 1000 or less"),
        (
            {"n_repeats": 500, "bn_chan": 1000, "hid_size": 1000},
            r"n_repeats is 500: .* parameters .*make it smaller",
        ),
        ({"n_filters": 10**9}, r"n_filters is 1000000000: .* parameters .*GiB.*500,000,000 is the most"),
        ({"hid_size": 10**9}, r"hid_size is 1000000000: .* parameters"),
        ({"bn_chan": 10**8}, r"bn_chan is 100000000: .* parameters"),
        ({"num_layers": 10**6}, r"num_layers is 1000000: .* parameters .*; give 100 or less"),
        ({"n_src": 10**6}, r"n_src is 1000000; give 100 or less"),
        ({"chunk_size": 10**8}, r"chunk_size is 100000000; give 100000 or less"),
        ({"chunk_size": 1000, "hop_size": 1}, r"hop_size is 1 and chunk_size 1000: .*computed 1000 times"),
        ({"kernel_size": 10**7, "n_filters": 2}, r"kernel_size is 10000000; give"),
        ({"hid_size": 10**5000}, r"hid_size is far too large"),
    ],
)
def test_a_network_that_fits_no_memory_is_refused_before_it_is_built(options, message):
    with pytest.raises(ValueError, match=message):
        DPRNNTasNet(**options)


@pytest.mark.parametrize("rnn_type", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "bidirectional": False, "n_src": 3},
        {"use_mulcat": True, "mask_act": "prelu", "out_chan": 1, "norm_type": "bN"},
    ],
)
def test_the_count_of_parameters_is_exact(tiny, rnn_type, options):
    model = tiny(rnn_type=rnn_type, **options)
    assert ModelConfig(**model.config).parameters() == sum(p.numel() for p in model.parameters())


def test_a_change_of_the_configuration_reaches_no_file(tiny, tmp_path):
    model = tiny()
    before = model.config
    model.config["mask_act"] = "relu"
    model.config.update(n_src=3)
    assert model.config == before
    with pytest.raises(AttributeError):
        model.config = {**before, "n_src": 3}
    saved = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert saved.config == before
    assert torch.equal(saved.eval()(torch.ones(300)), model(torch.ones(300)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: DPRNNTasNet(n_repeat=3),
            "^DPRNNTasNet has no argument 'n_repeat': did you mean 'n_repeats'",
        ),
        (lambda: DPRNNTasNet(zzz=3), "^DPRNNTasNet has no argument 'zzz': choose from n_src, "),
        (lambda: DPRNNTasNet(2, n_src=2), "^DPRNNTasNet got 'n_src' twice"),
        (lambda: DPRNNTasNet(*range(40)), "^DPRNNTasNet takes 23 arguments, and 40"),
    ],
)
def test_a_wrong_call_is_told_in_the_words_of_the_model(call, message):
    with pytest.raises(TypeError, match=message):
        call()
