"""Checkpoints of all known formats load."""

import json
import warnings
from collections import OrderedDict
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader

from dprnn_lab import load_model, save_model
from dprnn_lab.checkpoint import read_info
from dprnn_lab.training import SeparationModule

pytestmark = pytest.mark.usefixtures("no_warnings")


def test_an_asteroid_package(model, package, save, same):
    assert same(load_model(save(package(model))))


def test_an_asteroid_package_keeps_its_facts(model, package, save):
    content = package(model)
    content["infos"]["final_metrics"] = {"si_sdr": torch.tensor(12.5), "n": 3}
    content |= {"dataset": "WHAM", "licenses": "CC"}
    facts = read_info(save(content))["training"]
    assert facts["dataset"] == "WHAM"
    assert facts["infos"]["final_metrics"] == {"si_sdr": 12.5, "n": 3}
    assert facts["infos"]["software_versions"] == {"torch_version": "2.1.0"}
    json.dumps(facts)


@pytest.mark.parametrize("missing", ["sample_rate", "encoder_activation"])
def test_an_argument_missing_from_an_old_package_is_reported_as_assumed(model, package, save, missing):
    content = package(model)
    content["model_args"][missing] = None if missing == "sample_rate" else content["model_args"].pop(missing)
    if missing == "encoder_activation":
        del content["model_args"][missing]
    with pytest.warns(UserWarning, match=rf"gives {missing}; assumed {missing}="):
        load_model(save(content))


def test_asteroids_classes_are_known_by_both_names(model, package, save, same):
    assert same(load_model(save(package(model, norm_type="ChanLN"))))


def test_none_means_half(tiny, package, save):
    loaded = load_model(save(package(tiny(stride=8, kernel_size=16), stride=None, hop_size=None)), stride=8)
    assert (loaded.config["stride"], loaded.config["hop_size"]) == (8, 5)


@pytest.mark.parametrize(
    "prefix",
    ["", "model.", "module.", "module.model.", "model._orig_mod.", "_orig_mod.", "system.net.model."],
)
@pytest.mark.parametrize("naming", ["theirs", "ours"])
def test_a_bare_state_dict_behind_any_prefix(model, theirs, save, same, prefix, naming, silent):
    state = theirs(model, prefix)
    if naming == "ours":
        state = {prefix + name: value for name, value in model.state_dict().items()}
    loaded, report = load_model(save(OrderedDict(state)), report=True, **silent)
    assert same(loaded)
    assert report.prefix == prefix
    assert report.naming == {"theirs": "Asteroid", "ours": "dprnn-lab"}[naming]


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_the_weights_in_somebodys_training_checkpoint(model, theirs, save, same, key, silent):
    path = save({key: theirs(model, "module."), "epoch": 7, "optimizer": {"lr": 0.1}, "loss": 3.0})
    loaded, report = load_model(path, report=True, **silent)
    assert same(loaded)
    assert report.facts == {"epoch": 7}


def test_safetensors_without_a_configuration(model, theirs, tmp_path, same, silent):
    path = tmp_path / "plain.safetensors"
    save_file(theirs(model), path)
    assert same(load_model(path, **silent))


def test_safetensors_that_begin_like_a_pickle(model, tmp_path, same):
    # A file begins with the length of its header; 128 is also the first byte of every pickle.
    path = save_model(model, tmp_path / "a.safetensors")
    for length in range(0, 256, 8):
        save_model(model, path, training={"note": "x" * length})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    assert same(load_model(path))


def test_the_older_format_of_torch_save(model, package, save, same):
    assert same(load_model(save(package(model), _use_new_zipfile_serialization=False)))


def test_the_ending_of_the_name_has_no_effect(model, package, save, same):
    assert same(load_model(save(package(model), "model.safetensors")))


def test_half_precision_becomes_single(model, package, save):
    content = package(model)
    content["state_dict"] = {name: value.half() for name, value in content["state_dict"].items()}
    loaded, report = load_model(save(content), report=True)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert report.dtypes == ["float16"]


# Lightning, for real


class System(L.LightningModule):
    """Like Asteroid's: the network under ``self.model``, its configuration in the checkpoint."""

    def __init__(self, state, config):
        super().__init__()
        self.model = tree(state)
        self.loss_func = nn.Linear(1, 1)  # a loss with weights of its own: no part of the network
        self.config = config
        self.save_hyperparameters({"lr": 0.1, "where": "somewhere"})

    def training_step(self, batch):
        loss = self.loss_func(batch).mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())

    def on_save_checkpoint(self, checkpoint):
        checkpoint["training_config"] = self.config


def tree(state):
    """A module whose parameters have the given dotted names."""
    root = nn.Module()
    for name, value in state.items():
        *path, last = name.split(".")
        node = root
        for part in path:
            if not hasattr(node, part):
                node.add_module(part, nn.Module())
            node = getattr(node, part)
        node.register_parameter(last, nn.Parameter(value.clone()))
    return root


def fit(module, folder, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            max_steps=1,
            accelerator="cpu",
            logger=False,
            callbacks=[ModelCheckpoint(folder, monitor="loss" if isinstance(module, System) else None)],
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, DataLoader(data, 1))
    (path,) = Path(folder).glob("*.ckpt")
    return path


def test_a_lightning_checkpoint_of_an_asteroid_recipe(model, theirs, tmp_path, same):
    config = model.config
    bank = {name: config[name] for name in ("n_filters", "kernel_size", "stride")}
    rest = {k: v for k, v in config.items() if k not in bank and k != "sample_rate"}
    recipe = {"filterbank": bank, "masknet": rest, "data": {"sample_rate": 16000}, "optim": {"lr": 0.1}}
    path = fit(System(theirs(model), recipe), tmp_path, torch.randn(2, 1))
    loaded, report = load_model(path, report=True)
    assert same(loaded)
    assert report.format == "Lightning checkpoint"
    assert report.prefix == "model."
    assert report.outside == ["loss_func.weight", "loss_func.bias"]
    assert report.settings["chunk_size"].source == "file (training_config)"
    assert not report.assumed
    facts = report.facts
    assert (facts["epoch"], facts["global_step"], facts["best_score_of"]) == (0, 1, "loss")
    json.dumps(facts)


def test_a_lightning_checkpoint_of_our_own_training(model, tmp_path, same):
    mixture = torch.randn(700)
    data = [(mixture, torch.randn(3, 700))]
    path = fit(SeparationModule(model, lr=0.0), tmp_path, data)
    loaded, report = load_model(path, report=True)
    assert same(loaded)
    assert report.settings["stride"].source == "file (model_config)"
    assert not report.assumed


def test_averaged_weights_are_named_as_such(model, save):
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    content = {"state_dict": state, "averaging_state": {"n": 3}, "pytorch-lightning_version": "2.6"}
    assert "average" in load_model(save(content), report=True)[1].facts["weights"]


# Lightning modules of other people


def hyper(model, names, **others):
    state = {f"net.{name}": value for name, value in model.state_dict().items()}
    arguments = {name: model.config[name] for name in names}
    return {"state_dict": state, "pytorch-lightning_version": "2.5", "hyper_parameters": arguments | others}


def test_arguments_among_the_hyper_parameters(model, save, same):
    loaded, report = load_model(save(hyper(model, model.config, lr=0.1, colour="blue")), report=True)
    assert same(loaded)
    assert report.settings["stride"].source == "file (hyper_parameters)"
    assert report.facts["hyper_parameters"]["lr"] == 0.1


def test_one_word_in_common_is_no_configuration(model, save, silent, same):
    loaded, report = load_model(save(hyper(model, ["n_src"], n_layers=3)), report=True, **silent)
    assert same(loaded)
    assert report.settings["n_src"].source == "shapes"
