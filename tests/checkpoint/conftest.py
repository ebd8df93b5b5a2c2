"""Checkpoints in all known formats, made from one small model."""

import warnings

import pytest
import torch

from dprnn_lab import CheckpointError, load_model
from dprnn_lab.checkpoint import inspect_checkpoint
from dprnn_lab.checkpoint.asteroid import to_asteroid

# No value is the default, so that a value that was lost shows.
OPTIONS = {
    "n_src": 3,
    "chunk_size": 12,
    "hop_size": 5,
    "stride": 4,
    "mask_act": "relu",
    "norm_type": "cLN",
    "encoder_activation": "tanh",
    "sample_rate": 16000,
}


@pytest.fixture
def no_warnings():
    """Warnings are errors, except in tests that expect one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def model(tiny):
    return tiny(**OPTIONS)


@pytest.fixture
def silent():
    """The arguments of the small model that no shape determines."""
    return {name: value for name, value in OPTIONS.items() if name != "n_src"}


@pytest.fixture
def theirs():
    """A model's weights under Asteroid's names: ``theirs(model, prefix="model.")``."""

    def make(model, prefix=""):
        state = to_asteroid(model.state_dict())
        return {prefix + name: value for name, value in state.items()}

    return make


@pytest.fixture
def package(theirs):
    """The result of Asteroid's ``serialize``: ``package(model)``."""

    def make(model, **arguments):
        config = {**model.config, "in_chan": model.config["n_filters"], "out_chan": None, "fb_name": "FreeFB"}
        return {
            "model_name": "DPRNNTasNet",
            "model_args": {**config, **arguments},
            "state_dict": theirs(model),
            "infos": {"software_versions": {"torch_version": torch.torch_version.TorchVersion("2.1.0")}},
        }

    return make


@pytest.fixture
def save(tmp_path):
    """Write with ``torch.save``: ``save(content, "name.pth")``."""

    def write(content, name="model.pth", **options):
        torch.save(content, tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.fixture
def same(model):
    """Whether a loaded model has the small model's configuration, weights and output."""

    def compare(loaded):
        assert loaded.config == model.config
        assert not loaded.training
        mixture = torch.randn(2, 700)
        with torch.no_grad():
            return torch.equal(loaded(mixture), model(mixture))

    return compare


@pytest.fixture
def refuses(tmp_path):
    """``refuses(content, message)`` writes a file and expects one sentence from every way of looking at it."""

    def check(content, message, kind=CheckpointError):
        path = tmp_path / "file.pth"
        path.write_bytes(content)
        for look in (load_model, inspect_checkpoint):
            with pytest.raises(kind, match=message) as error:
                look(path)
            assert str(error.value).startswith(str(path))
            assert str(error.value).isprintable()

    return check
