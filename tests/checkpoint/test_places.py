"""Names, folders and places: what is meant is found, or one sentence says what to give."""

import errno
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dprnn_lab import CheckpointError, load_model, save_model
from dprnn_lab.checkpoint import hub, save_asteroid
from dprnn_lab.checkpoint.errors import NotWrittenError

pytestmark = pytest.mark.usefixtures("no_warnings")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("asked the hub")

    monkeypatch.setattr(hub, "download", refuse)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "path is ''"),
        (" ", "path is ' '"),
        (Path("small"), r'the bundled model of this name is given as a string: load_model\(.small.\)'),
        ("smal", "no bundled model of this name"),
        ("a" * 5000, r"is no path \(5000 characters\)"),
        ("user/" + "a" * 5000, r"is no path \(5005 characters\)"),
        ("user/" + "a" * 200, "no id of a model on the hub"),
        ("a" * 300, "File name too long"),
        ("user/a\nb", r"user/a\\nb: no such file"),
        ("user/\x1b[31m", r"user/\\x1b\[31m: no such file"),
        ("user/a..b", "no id of a model on the hub"),
        ("us--er/a", "no id of a model on the hub"),
        ("../../x/y", "no such file"),
        ("user/..", "CheckpointError|is a folder|no such file|no id"),
        ("x\0y", "is no path"),
        ("\udcff/x", r"\\xff/x: no such file"),
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_names_that_are_none(no_network, name, message):
    with pytest.raises(CheckpointError, match=message) as error:
        load_model(name)
    assert len(str(error.value)) < 600
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", [None, 3, b"small", ["small"]], ids=repr)
def test_what_is_no_path_is_a_type_error(name):
    with pytest.raises(TypeError, match=r"path is .*: give a path, or a name or hub id"):
        load_model(name)


def test_the_bundled_models_are_listed_once(monkeypatch):
    asked = []
    whole = hub.bundled_models
    monkeypatch.setattr(hub, "bundled_models", lambda: asked.append(1) or whole())
    hub.locate("small")
    assert len(asked) == 1


def test_the_present_folder_is_a_folder(model, tmp_path, monkeypatch, same):
    model.save_pretrained(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert same(load_model("."))


# Folders


def files(folder, **contents):
    for name, content in contents.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["best_model.pth"], "is a folder; it holds best_model.pth: give {folder}/best_model.pth"),
        (
            ["step1.ckpt", "step2.ckpt"],
            "it holds step1.ckpt, step2.ckpt: give one of them, such as {folder}/step1",
        ),
        (
            ["config.yaml", "last.ckpt"],
            "has not written its model.safetensors yet; .*give {folder}/last.ckpt",
        ),
        (["logs/x.txt", "checkpoints/a.ckpt"], "it holds a.ckpt: give {folder}/checkpoints/a.ckpt"),
        (["readme.txt"], "is a folder; give a file"),
        ([".metadata", "__0_0.distcp"], "format_utils dcp_to_torch {folder} model.pth"),
        (
            ["latest", "global_step5/mp_rank_00_model_states.pt"],
            "give {folder}/global_step5/mp_rank_00_model_states",
        ),
        (["zero_to_fp32.py", "latest"], "python -m deepspeed.utils.zero_to_fp32 {folder} model.pth"),
        (
            ["model.safetensors.index.json", "a-1-of-2.safetensors"],
            "give {folder}/model.safetensors.index.json",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_folder_names_the_file_to_give(tmp_path, names, message):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for given in (tmp_path, str(tmp_path)):
        with pytest.raises(CheckpointError, match=message.format(folder=tmp_path)):
            load_model(given)


def test_a_model_in_several_files(model, theirs, tmp_path, silent, same):
    state = theirs(model)
    names, index = list(state), tmp_path / "model.safetensors.index.json"
    places = {name: f"model-{1 + i % 2}-of-2.safetensors" for i, name in enumerate(names)}
    for file in set(places.values()):
        save_file({name: state[name] for name in names if places[name] == file}, tmp_path / file)
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert same(load_model(index, **silent))
    with pytest.raises(
        CheckpointError, match=r"one of several files that make a model: give the \.index\.json"
    ):
        load_model(tmp_path / "model-1-of-2.safetensors", **silent)
    for text, message in (
        (
            json.dumps({"weight_map": {"a": "../x.safetensors"}}),
            r"lists \.\./x\.safetensors, which is not a file beside",
        ),
        (json.dumps({"weight_map": {"a": "/etc/passwd"}}), "which is not a file beside"),
        (json.dumps({"weight_map": {"a": "x.safetensors"}}), "lists x.safetensors, which is missing"),
        (json.dumps({"weight_map": {"a": 3}}), "is no list of a model's files"),
        ("[" * 50_000, "is no list of a model's files"),
        ("{}", "is no list of a model's files"),
    ):
        index.write_text(text)
        with pytest.raises(CheckpointError, match=message):
            load_model(index)


# Saving


def test_arguments_in_the_wrong_order(model, tmp_path):
    for function, name in ((save_model, "a.safetensors"), (save_asteroid, "a.pth")):
        path = tmp_path / name
        with pytest.raises(TypeError, match=rf"the model comes first: {function.__name__}\(model, path\)"):
            function(path, model)
        with pytest.raises(TypeError, match="model is OrderedDict: give"):
            function(model.state_dict(), path)
        with pytest.raises(TypeError, match="path is int"):
            function(model, 3)
    assert os.listdir(tmp_path) == []


def test_facts_that_json_can_not_hold_are_named(model, tmp_path):
    with pytest.raises(TypeError, match=r"training: .*; give numbers, text"):
        save_model(model, tmp_path / "a.safetensors", training={"x": torch.ones(2)})


def test_a_model_in_a_wrapper_is_saved_as_itself(model, tmp_path, same):
    wrapped = torch.nn.DataParallel(model)
    assert same(load_model(save_model(wrapped, tmp_path / "a.safetensors")))


@pytest.mark.parametrize("name", ["model", "model.pth", "model.safetensor"])
def test_an_unknown_ending_names_the_known_ones(model, tmp_path, name):
    with pytest.raises(CheckpointError, match=r"end the name with \.safetensors, or write Asteroid's \.pth"):
        save_model(model, tmp_path / name)


def test_a_place_that_can_not_be_written_is_named(model, tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(CheckpointError, match=r"file: is a file, .*save_model\(model, .*file\.safetensors"):
        model.save_pretrained(tmp_path / "file")
    for path in (tmp_path / "file" / "a.safetensors", tmp_path / "folder.safetensors"):
        with pytest.raises(
            NotWrittenError, match=rf"{path}: not written: (its folder is a file|Is a directory)"
        ) as error:
            save_model(model, path)
        assert isinstance(error.value, CheckpointError)
        assert error.value.errno in (errno.EEXIST, errno.EISDIR)
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.safetensors"]
    with pytest.raises(TypeError, match="folder is NoneType"):
        model.save_pretrained(None)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission(model, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(NotWrittenError, match="not written: Permission denied"):
        save_model(model, tmp_path / "a.safetensors")


def test_a_full_disk(model, tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for save in (
        save_model,
        lambda m, p: save_asteroid(m, p.with_suffix(".pth")),
        lambda m, p: m.save_pretrained(p),
    ):
        with pytest.raises(
            NotWrittenError, match=r"not written: No space left on device\. Choose another place"
        ):
            save(model, tmp_path / "a.safetensors")
