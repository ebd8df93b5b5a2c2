"""The error for a file that is no checkpoint names its kind and the remedy."""

import contextlib
import io
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from dprnn_lab import CheckpointError, load_model, save_model

pytestmark = pytest.mark.usefixtures("no_warnings")


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
def test_a_file_that_is_no_checkpoint_is_identified(model, tmp_path, kind, name):
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


@pytest.mark.parametrize("bank", ["torch_stft", "TorchSTFTFB", "multiphase_gammatone"])
def test_a_filterbank_that_is_not_here_is_named(model, package, save, bank):
    with pytest.raises(
        CheckpointError, match=f"fb_name is '{bank}'.*choose one of free, stft, analytic_free"
    ):
        load_model(save(package(model, fb_name=bank)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_filter": 3}, "'n_filter' is no argument of DPRNNTasNet"),
        ({"out_chan": 3}, "out_chan is 3: it must be 5"),
        ({"in_chan": 4}, "in_chan is 4, but n_filters=5 makes 5 features"),
        ({"norm_type": "cgLN"}, "norm_type is 'cgLN' .*no DPRNN runs with it.*: choose one of gLN"),
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


def test_the_error_for_a_folder_lists_its_files(model, save):
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


def test_a_file_without_read_permission(model, save, monkeypatch):
    path = save(model.state_dict())

    def refuse(self, *args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CheckpointError, match="can't be read: Permission denied"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.to("meta"), "a shape without numbers"),
        (lambda value: value.to(torch.complex64), "torch.complex64"),
        (lambda value: value.to_sparse(), "torch.float32, torch.sparse_coo"),
    ],
    ids=["meta", "complex", "sparse"],
)
def test_tensors_that_are_no_dense_real_numbers(model, theirs, save, change, message):
    state = theirs(model)
    state["masker.net_out.0.bias"] = change(state["masker.net_out.0.bias"])
    with pytest.raises(CheckpointError, match=rf"masker\.net_out\.0\.bias is {message}"):
        load_model(save(state))
