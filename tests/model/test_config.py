"""The typed record of a model's arguments; Asteroid's names and ours mean the same model."""

import inspect

import pytest
import torch
from torch import nn

from dprnn_lab import DPRNNTasNet, ModelConfig


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
