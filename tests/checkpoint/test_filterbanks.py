"""Checkpoints of models whose filterbank is not free."""

import pytest
import torch

from dprnn_lab import CheckpointError, load_model, save_model
from dprnn_lab.checkpoint import save_asteroid

pytestmark = pytest.mark.usefixtures("no_warnings")


BANKS = [
    {"fb_name": "stft", "n_filters": 16},
    {"fb_name": "analytic_free", "n_filters": 8},
    {"fb_name": "param_sinc", "n_filters": 8, "min_low_hz": 20, "sample_rate": 16000},
]


@pytest.mark.parametrize("options", BANKS, ids=str)
@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_filterbank_comes_back_from_every_format(tiny, theirs, save, tmp_path, options, prefix):
    model, mixture = tiny(**options), torch.randn(400)
    loaded, report = load_model(
        save(theirs(model, prefix)), report=True, chunk_size=10, min_low_hz=model.config["min_low_hz"]
    )
    assert report.settings["fb_name"].source == "shapes"
    assert report.complete
    again = load_model(save_model(loaded, tmp_path / "a.safetensors"))
    back = load_model(save_asteroid(again, tmp_path / "b.pth"))
    for other in (loaded, again, back):
        assert other.config == {**model.config, "sample_rate": other.sample_rate}
        assert torch.equal(other(mixture), model(mixture))


def test_a_recipe_names_sizes_that_its_filterbank_rounds(tiny, theirs, save):
    model = tiny(fb_name="param_sinc", n_filters=7, kernel_size=16)  # 6 filters of 17 samples
    recipe = {
        "filterbank": {"fb_name": "param_sinc", "n_filters": 7, "kernel_size": 16, "stride": 8},
        "masknet": {name: model.config[name] for name in ("n_src", "chunk_size", "mask_act")},
    }
    path = save({"state_dict": theirs(model, "model."), "training_config": recipe})
    loaded, report = load_model(path, report=True)
    assert not report.conflicts
    assert loaded.config == model.config
    assert load_model(path, report=True, n_filters=7, kernel_size=16)[1].settings["n_filters"].value == 6


def test_what_only_band_pass_filters_need_is_reported_with_them_alone(tiny, theirs, save):
    plain = load_model(save(theirs(tiny())), report=True)[1]
    assert plain.settings["min_low_hz"].source == "unused"
    assert "min_low_hz" not in str(plain)
    sinc = load_model(save(theirs(tiny(fb_name="param_sinc", n_filters=6))), report=True)[1]
    assert sinc.assumed["min_low_hz"] == 50
    assert "min_low_hz" in str(sinc)


def test_stft_filters_under_the_name_free_are_the_same_model(tiny, theirs, save):
    model, mixture = tiny(fb_name="stft", n_filters=16), torch.randn(400)
    state = {name: value for name, value in theirs(model).items() if "torch_window" not in name}
    loaded, _ = load_model(save(state), report=True, chunk_size=10)
    assert (loaded.config["fb_name"], loaded.config["n_filters"]) == ("free", 18)
    assert torch.equal(loaded(mixture), model(mixture))
    assert load_model(save(state), chunk_size=10, report=True, fb_name="stft")[0].config["n_filters"] == 16


@pytest.mark.parametrize("bank", ["analytic_free", "param_sinc"])
def test_a_filterbank_that_contradicts_the_weights_is_named(model, package, save, bank):
    message = (
        f"fb_name='{bank}' is in the file .*, but the weights say fb_name='free' .encoder.filters is there"
    )
    with pytest.raises(CheckpointError, match=message):
        load_model(save(package(model, fb_name=bank, in_chan=None)))


def test_sizes_that_contradict_an_stft_are_named(tiny, package, save):
    model = tiny(fb_name="stft", n_filters=16)
    with pytest.raises(
        CheckpointError, match=r"the weights say n_filters=16 .encoder\.filters \[18, 1, 16\]"
    ):
        load_model(save(package(model, fb_name="STFTFB", in_chan=None, n_filters=20)))
