"""No code in a file is run: tested with files that contain some."""

import argparse
import os
import pathlib
import pickle
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest
import torch

from dprnn_lab import CheckpointError, load_model
from dprnn_lab.checkpoint import inspect_checkpoint


class Attack:
    """Calls a given function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def pickled(content, path, protocol):
    path.write_bytes(pickle.dumps(content, protocol))


FORMATS = {
    "zip": lambda content, path: torch.save(content, path),
    "older": lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=False),
    **{
        f"pickle {p}": lambda content, path, p=p: pickled(content, path, p)
        for p in (2, 3, 4, pickle.HIGHEST_PROTOCOL)
    },
}


def attacks(marker):
    """Calls that a malicious file may contain, by the name that the refusal shows."""
    return {
        "builtins.open": Attack(open, str(marker), "w"),
        "builtins.eval": Attack(eval, f"open({str(marker)!r}, 'w')"),
        f"{os.system.__module__}.system": Attack(os.system, f"echo > {marker}"),
        "subprocess.check_output": Attack(
            subprocess.check_output, [sys.executable, "-c", f"open({str(marker)!r}, 'w')"]
        ),
        "_io.open_code": Attack(os.mkdir, str(marker)),
    }


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("where", ["alone", "in infos", "as a weight", "in Lightning's callbacks"])
def test_nothing_in_a_file_is_run(model, package, theirs, tmp_path, form, where):
    marker, path = tmp_path / "it-ran", tmp_path / "model.pth"
    attack = Attack(open, str(marker), "w")
    content = package(model)
    if where == "alone":
        content = attack
    elif where == "in infos":
        content["infos"]["note"] = attack
    elif where == "as a weight":
        content["state_dict"]["masker.mask_net.weight"] = attack
    else:
        content = {"state_dict": theirs(model, "model."), "callbacks": {"ModelCheckpoint": attack}}
    FORMATS[form](content, path)
    for look in (load_model, inspect_checkpoint):
        with pytest.raises(CheckpointError, match="refused, nothing of it was run") as error:
            look(path)
        assert "open" in str(error.value)
    assert not marker.exists()
    if where == "alone" and form.startswith("pickle"):  # the attack is a real one
        pickle.loads(path.read_bytes()).close()
        assert marker.exists()


@pytest.mark.parametrize("form", ["zip", "older", "pickle 4"])
@pytest.mark.parametrize("index", range(5))
def test_the_refusal_names_what_the_file_would_call(tmp_path, form, index):
    marker, path = tmp_path / "it-ran", tmp_path / "model.pth"
    attack = list(attacks(marker).values())[index]
    FORMATS[form]({"state_dict": attack}, path)
    with pytest.raises(CheckpointError) as error:
        load_model(path)
    assert attack.call[0].__name__ in str(error.value)
    assert not marker.exists()


def test_an_environment_variable_does_not_disable_the_check(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    marker, path = tmp_path / "it-ran", tmp_path / "model.pth"
    torch.save({"a": Attack(open, str(marker), "w")}, path)
    with pytest.raises(CheckpointError, match="refused"):
        load_model(path)
    assert not marker.exists()


def test_a_second_pickle_in_the_archive_is_not_looked_at(model, package, save, tmp_path, same):
    marker, path = tmp_path / "it-ran", save(package(model))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/other.pkl", pickle.dumps(Attack(open, str(marker), "w"), 2))
    assert same(load_model(path))
    assert not marker.exists()


def test_an_attack_through_an_allowed_name(tmp_path):
    # A Namespace is allowed; what it is asked to hold is not.
    marker, path = tmp_path / "it-ran", tmp_path / "model.pth"
    torch.save({"hyper_parameters": argparse.Namespace(x=Attack(open, str(marker), "w"))}, path)
    with pytest.raises(CheckpointError, match="refused"):
        load_model(path)
    assert not marker.exists()


def test_a_whole_model_is_refused_with_the_way_out(model, save):
    with pytest.raises(
        CheckpointError, match=r"a whole model.*DualPathBlock.*torch\.save\(model\.state_dict\(\)"
    ):
        load_model(save(model))


def test_an_array_of_objects_is_refused(model, theirs, save):
    with pytest.raises(CheckpointError):
        load_model(save({"state_dict": theirs(model), "infos": np.array([print, None], dtype=object)}))


# Harmless objects in real files


@pytest.fixture
def attribute_dict(monkeypatch):
    """Lightning's old class, as if it were installed while the file is written and gone afterwards."""
    module = types.ModuleType("pytorch_lightning.utilities.parsing")
    kind = type("AttributeDict", (dict,), {"__module__": module.__name__, "__qualname__": "AttributeDict"})
    module.AttributeDict = kind
    with monkeypatch.context() as patch:
        for name in ("pytorch_lightning", "pytorch_lightning.utilities", module.__name__):
            patch.setitem(sys.modules, name, module)
        yield kind


HARMLESS = {
    "numpy number": np.float64(1.5),
    "numpy single": np.float32(1.5),
    "numpy whole": np.int64(3),
    "numpy truth": np.bool_(True),
    "numpy array": np.arange(3.0),
    "dtype": np.dtype("float32"),
    "namespace": argparse.Namespace(lr=0.1, where=pathlib.PurePosixPath("exp")),
    "path": pathlib.Path("exp") / "tmp",
    "pure path": pathlib.PurePosixPath("exp"),
    "other system's path": pathlib.PureWindowsPath("exp"),
    "torch version": torch.torch_version.TorchVersion("2.9.0"),
    "torch types": [torch.float32, torch.device("cpu"), torch.Size([1])],
    "set": {1, 2},
}


@pytest.mark.parametrize("form", ["zip", "older"])
@pytest.mark.parametrize("kind", HARMLESS)
def test_harmless_objects_are_read(model, package, tmp_path, same, kind, form):
    content = package(model)
    content["infos"]["fact"] = HARMLESS[kind]
    FORMATS[form](content, tmp_path / "model.pth")
    assert same(load_model(tmp_path / "model.pth"))


def test_numbers_written_by_another_numpy(model, package, tmp_path, same):
    content = package(model)
    content["infos"]["fact"] = np.float64(1.5)
    path = tmp_path / "model.pth"
    torch.save(content, path, _use_new_zipfile_serialization=False)
    raw = path.read_bytes()
    old, new = b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n"
    assert (old in raw) != (new in raw)
    path.write_bytes(raw.replace(old, new) if old in raw else raw.replace(new, old))
    loaded, report = load_model(path, report=True)
    assert same(loaded)
    assert report.facts["infos"]["fact"] == 1.5


def test_lightnings_attribute_dict(model, theirs, save, attribute_dict, same, silent):
    content = {"state_dict": theirs(model, "model."), "hyper_parameters": attribute_dict(lr=0.1)}
    path = save({**content, "pytorch-lightning_version": "1.4.0"})
    sys.modules.pop("pytorch_lightning.utilities.parsing")
    assert same(load_model(path, **silent))


def test_the_global_list_of_allowed_names_is_unchanged(model, package, save):
    before = set(torch.serialization.get_safe_globals())
    load_model(save(package(model)))
    assert set(torch.serialization.get_safe_globals()) == before
