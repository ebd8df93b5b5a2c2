"""Pickles that no program writes, or another one than PyTorch; and what a refused or damaged file is called."""

import io
import pickle
import struct
import zipfile

import pytest
import torch

from dprnn_lab import CheckpointError, load_model, save_model
from dprnn_lab.checkpoint.errors import DamagedError, RefusedError
from dprnn_lab.checkpoint.pickle_scan import scan

pytestmark = [pytest.mark.usefixtures("no_warnings"), pytest.mark.timeout(60)]


def of_pickle(content):
    """An archive as torch.save writes it, with this pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, part in (("data.pkl", content), ("version", b"3\n"), ("byteorder", b"little")):
            file.writestr(f"a/{name}", part)
    return buffer.getvalue()


# Pickles that no program writes


LONG = b"\x8d" + struct.pack("<Q", 2**62) + b"abc"
DOUBLED = b"K\x01\x85q\x00" + b"".join(bytes([104, i, 104, i, 134, 113, i + 1]) for i in range(60))
PICKLES = {
    "a text of 4 EB": (b"\x80\x04" + LONG + b".", "truncated or damaged"),
    "a text of 4 GB": (b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"abc.", "truncated or damaged"),
    "a name in long texts": (
        b"\x80\x04\x8d" + struct.pack("<Q", 2) + b"os\x8d" + struct.pack("<Q", 6) + b"system\x93.",
        r"refused, nothing of it was run: the file names os\.system",
    ),
    "bytearray": (
        b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
        "it calls builtins.bytearray for 2,147",
    ),
    "tensor": (
        b"\x80\x02ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R.",
        "it calls torch.FloatTensor for 2,147",
    ),
    "doubled tuples": (b"\x80\x02}" + DOUBLED + b"K\x01s.", "tuples in tuples without end"),
    "deep tuples": (b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s.", "tuples in tuples without end"),
    "nothing on the stack": (b"\x80\x02R.", "truncated or damaged"),
    "idna": (
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00idna\x86R.",
        "another codec than latin1",
    ),
}


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("zipped", [False, True])
def test_pickles_that_no_program_writes(refuses, kind, zipped):
    content, message = PICKLES[kind]
    refuses(of_pickle(content) if zipped else content, message)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_pickles_that_are_not_torchs(refuses, theirs, model, protocol):
    arrays = {name: value.numpy() for name, value in theirs(model).items()}
    how = (
        "a pickle of protocol 0 or 1"
        if protocol < 2
        else "written (by pickle, not by|with pickle_protocol=4)"
    )
    refuses(pickle.dumps(arrays, protocol), rf"{how}.*torch\.save\(model\.state_dict\(\), path\)")
    refuses(
        pickle.dumps({"a": print}, protocol),
        r"refused, nothing of it was run: the file names .*builtin.*\.print",
    )


def test_texts_of_python_2(model, theirs, save, silent, same):
    path = save({"note": "abcd", "net": theirs(model)}, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    assert content.count(b"X\x04\x00\x00\x00abcd") == 1
    path.write_bytes(content.replace(b"X\x04\x00\x00\x00abcd", b"U\x04caf\xe9"))
    assert same(load_model(path, **silent))


def test_a_scan_executes_nothing_and_names_everything():
    found = scan(pickle.dumps({"a": print, "b": (1, [2.5])}, 4), 1000)
    assert found.complete
    assert found.names == {"builtins.print"}
    assert not scan(pickle.dumps([1, 2, 3], 2)[:-1], 1000).complete


# What else a file says of itself


def test_a_loss_beside_the_weights_is_not_called_a_whole_model(model, theirs, save):
    path = save({"state_dict": theirs(model, "model."), "hyper_parameters": {"loss": torch.nn.L1Loss()}})
    with pytest.raises(RefusedError, match=r"beside the weights the file holds a loss.*L1Loss") as error:
        load_model(path)
    assert "whole model" not in str(error.value)


@pytest.mark.parametrize("older", [False, True])
def test_a_truncated_checkpoint_of_a_run_names_the_others(model, package, save, tmp_path, older):
    save_model(model, tmp_path / "model.safetensors")
    path = save(package(model), "last.ckpt", _use_new_zipfile_serialization=not older)
    for content in (path.read_bytes()[:-5000], b""):
        path.write_bytes(content)
        with pytest.raises(
            DamagedError, match=r"(truncated|the file is empty).*another checkpoint .*model\.safetensors"
        ):
            load_model(path)


def test_only_damaged_files_are_called_damaged(model, save, theirs):
    for content in (
        {"epoch": 3},
        [1, 2],
        {"conv": torch.ones(6)},
        theirs(model) | {"masker.net_out.0.bias": torch.ones(6).bool()},
    ):
        with pytest.raises(CheckpointError) as error:
            load_model(save(content))
        assert not isinstance(error.value, DamagedError)
        assert "ownload it again" not in str(error.value)
