"""Everything that people call a checkpoint opens; everything that is none says what it is."""

import contextlib
import io
import json
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader

from dprnn_lab import CheckpointError, load_model, save_model
from dprnn_lab.checkpoint import read_info
from dprnn_lab.training import SeparationModule


@pytest.fixture(autouse=True)
def no_warnings():
    """What is known needs no warning; the tests on warnings expect them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# Files that open


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
def test_what_an_old_package_does_not_say_is_said_to_be_assumed(model, package, save, missing):
    content = package(model)
    content["model_args"][missing] = None if missing == "sample_rate" else content["model_args"].pop(missing)
    if missing == "encoder_activation":
        del content["model_args"][missing]
    with pytest.warns(UserWarning, match=rf"gives {missing}; assumed {missing}="):
        load_model(save(content))


def test_asteroids_classes_are_known_by_both_names(model, package, save, same):
    assert same(load_model(save(package(model, norm_type="ChanLN"))))


def test_a_halved_stride_is_what_none_means(tiny, package, save):
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


def test_the_ending_of_the_name_decides_nothing(model, package, save, same):
    assert same(load_model(save(package(model), "model.safetensors")))


def test_half_precision_becomes_single(model, package, save):
    content = package(model)
    content["state_dict"] = {name: value.half() for name, value in content["state_dict"].items()}
    loaded, report = load_model(save(content), report=True)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert report.dtypes == ["float16"]


# Lightning, for real


class System(L.LightningModule):
    """As Asteroid's: the network under ``self.model``, its configuration in the checkpoint."""

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


# Files that do not


def html(model):
    return b"\n<!DOCTYPE html>\n<html><body>Not found</body></html>"


def zipped(model):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "weights")
    return buffer.getvalue()


def whole(model):
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    return buffer.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1924628\n"
BROKEN = {
    "empty": (lambda model: b"", "the file is empty"),
    "web page": (html, "web page .* Use the download link"),
    "error": (lambda model: b'{"error": "Repository not found"}', "server's error message"),
    "pointer": (lambda model: LFS, "pointer that git-lfs leaves .* of 1,924,628 bytes. Run git lfs pull"),
    "gzip": (lambda model: b"\x1f\x8b\x08 and so on", "gzip"),
    "keras": (lambda model: b"\x89HDF\r\n", "Keras"),
    "zip": (zipped, "zip archive and no checkpoint; it holds readme.txt"),
    "half": (lambda model: whole(model)[:2000], r"not a whole file .* \(2000 bytes, .*its end is missing"),
    "without its end": (lambda model: whole(model)[:-10], "its end is missing"),
    "noise": (lambda model: bytes(range(7, 200)), "begins like no checkpoint known here"),
    "half a pickle": (lambda model: b"\x80\x02}q\x00(X\x03\x00", "not a whole file of torch.save"),
}


@pytest.mark.parametrize("name", ["model.pth", "model.ckpt", "model.safetensors"])
@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_checkpoint_says_what_it_is(model, tmp_path, kind, name):
    make, message = BROKEN[kind]
    path = tmp_path / name
    path.write_bytes(make(model))
    with pytest.raises(CheckpointError, match=message) as error:
        load_model(path)
    assert str(path) in str(error.value)


def test_one_changed_bit_in_the_weights_is_found(model, save):
    path = save(model.state_dict())
    content = bytearray(path.read_bytes())
    weights = model.encoder.filters.detach().numpy().tobytes()
    content[bytes(content).index(weights) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged on its way .* the checksum of \S+ is wrong"):
        load_model(path)


@pytest.mark.parametrize("form", ["zip", "older", "safetensors"])
def test_damage_anywhere_is_an_error_of_ours_or_none(model, package, save, tmp_path, form):
    if form == "safetensors":
        path = save_model(model, tmp_path / "model.safetensors")
    else:
        path = save(package(model), _use_new_zipfile_serialization=form == "zip")
    content = path.read_bytes()
    places = torch.randint(len(content), (60,)).tolist() + list(range(0, 600, 15))
    for place, value in zip(places, torch.randint(256, (len(places),)).tolist(), strict=True):
        path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
        with warnings.catch_warnings(), contextlib.suppress(CheckpointError):
            warnings.simplefilter("ignore")
            load_model(path)


def test_any_cut_of_a_file_is_an_error_of_ours(model, tmp_path):
    content = whole(model)
    path = tmp_path / "model.pth"
    for share in range(1, 20):
        path.write_bytes(content[: len(content) * share // 20])
        with pytest.raises(CheckpointError):
            load_model(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "a list of 2, not a dictionary of weights"),
        (torch.ones(2), r"a tensor \[2\], not a dictionary"),
        ("weights", "a str, not a dictionary"),
        ({}, "a dict of 0 where the weights should be"),
        ({"epoch": 3}, "'epoch' is a int and no tensor"),
        ({"state_dict": {"a": 1}}, "'a' is a int and no tensor"),
        ({"state_dict": {}, "model_args": {}}, "a dict of 0 where the weights should be"),
        ({"conv.weight": torch.ones(3)}, "none of its 1 tensors is a parameter of a DPRNN-TasNet"),
    ],
    ids=str,
)
def test_a_pickle_of_something_else(save, content, message):
    with pytest.raises(CheckpointError, match=message):
        load_model(save(content))


def test_another_model_is_named(model, package, save):
    with pytest.raises(CheckpointError, match="is a ConvTasNet"):
        load_model(save({**package(model), "model_name": "ConvTasNet"}))


@pytest.mark.parametrize("bank", ["stft", "STFTFB", "param_sinc", "analytic_free"])
def test_another_filterbank_is_named(model, package, save, bank):
    with pytest.raises(CheckpointError, match=f"fb_name is '{bank}'"):
        load_model(save(package(model, fb_name=bank)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_filter": 3}, "'n_filter' is no argument of DPRNNTasNet"),
        ({"out_chan": 1}, r"out_chan is 1, it must be n_filters \(5\)"),
        ({"norm_type": "bN"}, "norm_type is 'bN': choose one of"),
        ({"stride": 17}, "stride is 17, larger than kernel_size 16"),
    ],
    ids=str,
)
def test_arguments_that_build_no_model(model, package, save, arguments, message):
    with pytest.raises(CheckpointError, match=f"does not build a model: .*{message}"):
        load_model(save(package(model, **arguments)))


def test_a_torchscript_program(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and still on people's disks
        torch.jit.script(nn.Linear(1, 1)).save(tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="TorchScript"):
        load_model(tmp_path / "model.pt")


def test_a_folder_says_what_is_in_it(model, save):
    path = save(model.state_dict(), "best_model.pth")
    with pytest.raises(CheckpointError, match=r"is a folder; it holds best_model\.pth"):
        load_model(path.parent)


def test_an_empty_folder(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder; give a file"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["nothing.pth", "no/such/file.ckpt", "data/model.safetensors"])
def test_a_missing_file(name):
    with pytest.raises(CheckpointError, match="no such file"):
        load_model(name)


def test_a_number_is_no_path():
    with pytest.raises(TypeError, match="path is int"):
        load_model(3)
