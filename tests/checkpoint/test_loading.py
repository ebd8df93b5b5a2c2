import inspect
import json
import os
import typing
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dprnn_lab import CheckpointError, DPRNNTasNet, load_model, save_model, separate
from dprnn_lab.audio import AudioError
from dprnn_lab.checkpoint import FORMAT, read_info


@pytest.fixture
def saved(tiny, tmp_path):
    """A model and the file it was saved to."""
    model = tiny(n_src=3, use_mulcat=True, mask_act="prelu")
    return model, save_model(model, tmp_path / "model.safetensors", training={"steps": 7})


def rewrite(path: Path, change, config=None) -> Path:
    """Save the file's tensors again after ``change(tensors)``."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    if config is not None:
        metadata["config"] = json.dumps(config)
    other = path.with_name("changed.safetensors")
    save_file(tensors, other, metadata)
    return other


def test_weights_and_configuration_come_back_bit_by_bit(saved):
    model, path = saved
    again = load_model(path)
    assert again.config == model.config
    assert list(again.state_dict()) == list(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    mixture = torch.randn(500)
    assert torch.equal(again(mixture), model(mixture))


def test_a_loaded_model_is_in_evaluation_mode(saved):
    assert not load_model(saved[1]).training


def test_from_pretrained_is_load_model_under_its_usual_name(saved):
    model, path = saved
    assert torch.equal(DPRNNTasNet.from_pretrained(str(path)).encoder.filters, model.encoder.filters)


def test_the_file_tells_its_configuration_and_training(saved):
    model, path = saved
    assert read_info(path) == {"config": model.config, "training": {"steps": 7}}


def test_training_facts_are_optional(tiny, tmp_path):
    assert read_info(save_model(tiny(), tmp_path / "a.safetensors"))["training"] == {}


def test_any_safetensors_reader_reads_the_file(saved):
    model, path = saved
    tensors = load_file(path)
    assert tensors.keys() == model.state_dict().keys()


def test_saving_leaves_the_model_as_it_was(tiny, tmp_path):
    model = tiny().train()
    save_model(model, tmp_path / "new" / "a.safetensors")
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


def test_the_file_is_an_ordinary_one(saved, tmp_path):
    (tmp_path / "plain").write_text("as a shell would make it")
    assert saved[1].stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("fails", ["writing", "renaming"])
def test_a_failed_save_leaves_nothing_new_and_keeps_the_old_file(tiny, tmp_path, monkeypatch, fails):
    path = save_model(tiny(), tmp_path / "model.safetensors")
    before = path.read_bytes()

    def full(file, *rest):
        if fails == "writing":
            file.touch()
        raise OSError(28, "No space left on device")

    if fails == "writing":
        monkeypatch.setattr(Path, "write_bytes", full)
    else:
        monkeypatch.setattr(os, "replace", full)
    for name in ("model", "other"):
        with pytest.raises(OSError, match="No space left"):
            save_model(tiny(), tmp_path / f"{name}.safetensors")
    assert os.listdir(tmp_path) == ["model.safetensors"]
    assert path.read_bytes() == before


def test_training_facts_that_are_no_json_leave_no_file(tiny, tmp_path):
    with pytest.raises(TypeError):
        save_model(tiny(), tmp_path / "a.safetensors", training={"curve": torch.ones(3)})
    assert os.listdir(tmp_path) == []


def test_another_ending_is_refused(tiny, tmp_path):
    with pytest.raises(CheckpointError, match=r"model\.pth: our format is safetensors"):
        save_model(tiny(), tmp_path / "model.pth")


def test_missing_weights_are_counted_and_named(saved):
    path = rewrite(saved[1], lambda t: (t.pop("encoder.filters"), t.pop("decoder.filters")))
    with pytest.raises(CheckpointError, match=r"2 missing \(decoder\.filters, \.\.\.\) of \d+ parameters"):
        load_model(path)


def test_unexpected_weights_are_counted_and_named(saved):
    path = rewrite(saved[1], lambda t: t.update({"extra.weight": torch.ones(2)}))
    with pytest.raises(CheckpointError, match=r"1 unexpected \(extra\.weight\)"):
        load_model(path)


def test_reshaped_weights_are_counted_and_named(saved):
    path = rewrite(saved[1], lambda t: t.update({"encoder.filters": torch.ones(5, 1, 20)}))
    with pytest.raises(CheckpointError, match=r"1 of another shape \(encoder\.filters\)"):
        load_model(path)


def test_weights_of_another_configuration_are_refused_in_one_sentence(saved):
    model, path = saved
    other = rewrite(path, lambda t: None, config={**model.config, "use_mulcat": False, "hid_size": 5})
    with pytest.raises(CheckpointError, match=r"\d+ unexpected \(.*\); \d+ of another shape \(.*\)"):
        load_model(other)


@pytest.mark.parametrize("config", [{"n_src": 0}, {"colour": "blue"}, [1, 2]])
def test_a_configuration_that_builds_no_model_is_an_error(saved, config):
    path = rewrite(saved[1], lambda t: None, config=config)
    with pytest.raises(CheckpointError, match="the configuration in the file does not build a model"):
        load_model(path)


@pytest.mark.parametrize("load", [load_model, read_info])
@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 a zip file", b"<!DOCTYPE html><html>Not found</html>"],
    ids=["empty", "zip", "html"],
)
def test_a_file_of_another_kind_is_described(tmp_path, load, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        load(path)
    assert f"({len(content)} bytes, beginning with {content[:8]!r})" in str(error.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, share):
    whole = saved[1].read_bytes()
    saved[1].write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_model(saved[1])


@pytest.mark.parametrize("load", [load_model, read_info])
def test_a_missing_file_is_named(tmp_path, load):
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file"):
        load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"format": FORMAT}], ids=str)
def test_safetensors_without_our_configuration_load_with_a_warning(saved, metadata):
    save_file(load_file(saved[1]), saved[1], metadata)
    with pytest.warns(UserWarning, match="neither the file nor any shape gives stride"):
        loaded = load_model(saved[1])
    assert loaded.n_src == saved[0].n_src


# Devices


def test_a_checkpoint_of_a_gpu_opens_without_one(model, package, save, tmp_path, same):
    """Saved from a GPU, a file of ``torch.save`` says "cuda:0" where this one says "cpu"."""
    path, other = save(package(model)), tmp_path / "gpu.pth"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member.endswith("data.pkl"):
                assert content.count(b"X\x03\x00\x00\x00cpu") == 1  # further ones refer to the first
                content = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            new.writestr(member, content)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(other, weights_only=False)
    assert same(load_model(other))


def test_the_device_is_chosen(saved):
    path = saved[1]
    for device in ("cpu", torch.device("cpu"), *(["cuda"] if torch.cuda.is_available() else [])):
        loaded, report = load_model(path, device=device, report=True)
        assert {p.device.type for p in loaded.parameters()} == {torch.device(device).type}
        assert report.complete


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta device"])
def test_a_device_that_is_not_here(saved, device):
    with pytest.raises(ValueError, match=f"device is '{device}': .* Leave it out to use the CPU"):
        load_model(saved[1], device=device)


def test_numpy_numbers_are_arguments(model, theirs, save, silent):
    given = {name: np.int64(value) if isinstance(value, int) else value for name, value in silent.items()}
    loaded = load_model(save(theirs(model)), **given)
    assert loaded.config == model.config
    assert {type(value) for value in loaded.config.values()} <= {int, float, bool, str, type(None)}


# From the model


def test_a_model_separates(tiny):
    model, mixture = tiny(), 0.1 * torch.randn(900)
    assert torch.equal(model.separate(mixture), separate(model, mixture))
    both = model.separate([mixture, mixture.numpy()], 8000, scale="none")
    assert torch.equal(both[0], separate(model, mixture, scale="none"))
    with pytest.raises(AudioError, match="at 16000 Hz"):
        model.separate(mixture, 16000)


def test_the_types_say_whether_there_is_a_report():
    for function in (load_model, DPRNNTasNet.from_pretrained):
        overloads = typing.get_overloads(function)
        plain, told = (getattr(overload, "__func__", overload) for overload in overloads)
        assert inspect.signature(plain).parameters["report"].annotation == typing.Literal[False]
        assert inspect.signature(told).parameters["report"].annotation == typing.Literal[True]
        assert "LoadReport" in str(inspect.signature(told).return_annotation)
