"""How a session ends, what it leaves, and what resuming it does: model, results and checkpoints belong together."""

import errno
import json
import os
import shutil
import tempfile
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from dprnn_lab import load_model
from dprnn_lab.audio import AudioError
from dprnn_lab.checkpoint import read_info
from dprnn_lab.files import InUseError, locked
from dprnn_lab.loss import si_sdr
from dprnn_lab.training.checkpoints import find_checkpoint
from dprnn_lab.training.ending import Ending, claim_ending, read_ending, write_ending
from dprnn_lab.training.finite import NotFiniteError


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def averaged(folder, name="last.ckpt"):
    return load_model(folder / "checkpoints" / name).state_dict()


def weights(folder):
    return load_model(folder / "model.safetensors").state_dict()


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def results_fit_the_model(folder):
    step = read_info(folder / "model.safetensors")["training"]["steps"]
    table = pd.read_csv(folder / "validation" / f"step{step:07d}.csv")
    results = pd.read_csv(folder / "results.csv")
    return (results.step == step).all() and results["mean"].tolist() == pytest.approx(
        table.si_sdri.tolist(), abs=1e-3
    )


# Finished runs


@pytest.mark.parametrize("steps", [6, 4])
def test_resuming_a_finished_run_changes_nothing(noise_run, capsys, steps):
    _, folder = noise_run("run", 6)
    before = files(folder)
    model, _ = noise_run("run", steps, resume=True)
    assert files(folder) == before
    assert equal(model.state_dict(), averaged(folder))
    assert "is finished: all 6 steps are made; more steps continue it" in capsys.readouterr().out
    assert results_fit_the_model(folder)


def test_a_kill_between_the_last_checkpoint_and_the_model_is_made_good(noise_run):
    _, folder = noise_run("run", 6)
    whole = files(folder)
    for name in ("model.safetensors", "results.csv", "ended.json"):
        (folder / name).unlink()
    noise_run("run", 6, resume=True)
    assert equal(weights(folder), averaged(folder))
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)
    raw = {k.removeprefix("model."): v for k, v in content["current_model_state"].items()}
    assert not equal(raw, weights(folder))  # the average is another model, and it is the one saved
    now = files(folder)
    assert now.keys() == whole.keys()
    changed = {name for name in whole if now[name] != whole[name]}
    assert changed <= {"ended.json", "model.safetensors"}  # whose metadata have no order
    assert read_ending(folder).state == "finished"


def test_a_model_of_other_weights_beside_a_finished_run_is_replaced(noise_run):
    _, folder = noise_run("run", 6)
    right = weights(folder)
    noise_run("other", 3)
    shutil.copy(folder.parent / "other" / "model.safetensors", folder / "model.safetensors")
    noise_run("run", 6, resume=True)
    assert equal(weights(folder), right)
    assert results_fit_the_model(folder)


def test_after_early_stopping_model_and_results_are_the_best_ones(noise_run, capsys):
    def worse(estimates, sources):  # the opposite of learning
        return si_sdr(estimates, sources).mean()

    options = {"loss": worse, "stop_after": 2, "lr": 0.03, "ema": 0.0}
    _, folder = noise_run("run", 300, **options)
    last = find_checkpoint(folder).step
    assert last < 60
    assert equal(weights(folder), averaged(folder, "best.ckpt"))
    assert not equal(averaged(folder), averaged(folder, "best.ckpt"))
    assert results_fit_the_model(folder)
    assert read_ending(folder).state == "stopped early"
    before = files(folder)
    model, _ = noise_run("run", 300, resume=True, **options)
    assert files(folder) == before
    assert equal(model.state_dict(), averaged(folder, "best.ckpt"))
    assert "made no progress (stop_after is 2); a larger value continues it" in capsys.readouterr().out
    noise_run("run", last + 3, resume=True, **options | {"stop_after": 50})
    assert find_checkpoint(folder).step == last + 3


def test_a_limit_of_time_is_that_of_a_session(noise_run):
    _, folder = noise_run("run", 100_000, max_minutes=0.005)
    first = read_ending(folder)
    assert first.state == "time limit"
    assert equal(weights(folder), averaged(folder))
    assert results_fit_the_model(folder)
    noise_run("run", 100_000, max_minutes=0.005, resume=True)
    second = read_ending(folder)
    assert second.step > first.step
    assert second.state == "time limit"
    assert equal(weights(folder), averaged(folder))
    assert results_fit_the_model(folder)


def test_the_last_step_is_validated_in_an_epoch_that_is_left_out_too(noise_run):
    _, folder = noise_run("parts", 9, valid_every=2)  # epochs of three steps
    assert results_fit_the_model(folder)
    noise_run("parts", 12, valid_every=2, resume=True)
    noise_run("whole", 12, valid_every=2)
    for name, value in weights(folder).items():
        torch.testing.assert_close(value, weights(folder.parent / "whole")[name], atol=1e-6, rtol=0)


# Checkpoints


@pytest.mark.parametrize("damage", ["empty", "half", "gone", "page"])
def test_resuming_falls_back_to_the_newest_good_checkpoint(noise_run, damage):
    _, folder = noise_run("run", 6)
    last = folder / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    if damage == "gone":
        last.unlink()
    else:
        last.write_bytes({"empty": b"", "half": content[: len(content) // 2], "page": b"<html>"}[damage])
    found = find_checkpoint(folder)
    assert (found.path.name, found.step) == ("step0000006.ckpt", 6)
    assert "last.ckpt" in found.note
    assert found.note.endswith("resuming from step0000006.ckpt, step 6")
    (folder / "checkpoints" / "step0000006.ckpt").write_bytes(b"")
    assert find_checkpoint(folder).step == 3


def test_checkpoints_are_written_in_the_runs_folder_wherever_tmpdir_is(noise_run, monkeypatch, tmp_path):
    (tmp_path / "read-only").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    replaced = []
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (replaced.append((str(a), str(b))), real(a, b))[1])
    noise_run("run", 3)
    pairs = [pair for pair in replaced if pair[1].endswith(".ckpt")]
    assert pairs and all(os.path.dirname(a) == os.path.dirname(b) for a, b in pairs)


def test_leftovers_of_a_killed_session_are_removed_on_resume(noise_run):
    _, folder = noise_run("run", 3)
    left = [folder / "checkpoints" / ".last-0123abcd.ckpt", folder / ".config-00000000.yaml"]
    kept = [folder / "checkpoints" / ".mine.ckpt", folder / ".notes-0123abcd.txt"]
    for path in (*left, *kept):
        path.write_text("x")
    noise_run("run", 6, resume=True)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


# Not finite


class Poisoned(torch.utils.data.Dataset):
    """A dataset in which one item of each epoch has a sample that is not finite, or can't be read."""

    def __init__(self, dataset, item, value=None, error=None):
        self.dataset, self.item, self.value, self.error = dataset, item, value, error
        self.epoch = 0

    def __len__(self):
        return len(self.dataset)

    def set_epoch(self, epoch):
        self.epoch = epoch
        self.dataset.set_epoch(epoch)

    def __getitem__(self, index):
        mixture, sources, *rest = self.dataset[index]
        if self.epoch == 1 and index == self.item:
            if self.error:
                raise self.error
            mixture = mixture.clone()
            mixture[20] = self.value
        return (mixture, sources, *rest)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_sample_that_is_not_finite_stops_the_run_before_the_step(noise_run, value):
    with pytest.raises(
        NotFiniteError, match=r"^step 5: mixture 2 of the batch .* sample 20,? is (nan|inf)"
    ) as caught:
        noise_run("run", 12, wrap=lambda d: Poisoned(d, 3, value))
    assert "\n" not in str(caught.value)


def test_the_last_good_model_stays_after_a_step_that_is_not_finite(noise_run, tmp_path):
    with pytest.raises(NotFiniteError, match="the checkpoint of step 3 and its averaged model stay"):
        noise_run("run", 12, wrap=lambda d: Poisoned(d, 3, float("nan")))
    folder = tmp_path / "run"
    assert equal(weights(folder), averaged(folder))
    assert read_info(folder / "model.safetensors")["training"]["steps"] == 3
    assert results_fit_the_model(folder)
    ended = read_ending(folder)
    assert (ended.state, ended.step, ended.saved_step) == ("not finite", 4, 3)
    assert ended.fault["what"] == "training data"
    assert (ended.fault["step"], ended.fault["sample"], ended.fault["value"]) == (5, 20, "nan")
    noise_run("run", 12, resume=True)  # without the poison
    assert read_ending(folder).state == "finished"


def test_a_reader_that_names_file_and_sample_is_heard(noise_run, tmp_path):
    error = AudioError(
        "/data/ada/3.wav: 1 of 32000 samples are NaN or infinite, the first one (inf) at sample 20000 (2.5 s); cut it"
    )
    for workers in (0, 1):
        with pytest.raises(NotFiniteError) as caught:
            noise_run(f"run{workers}", 12, wrap=lambda d: Poisoned(d, 2, error=error), workers=workers)
        assert str(caught.value).startswith(f"step 5: {error}")
        assert "Traceback" not in str(caught.value)
        fault = read_ending(tmp_path / f"run{workers}").fault
        assert (fault["file"], fault["sample"], fault["value"]) == ("/data/ada/3.wav", 20000, "inf")


def test_an_unreadable_file_is_one_sentence_from_worker_processes_too(noise_run, tmp_path):
    error = AudioError("/data/ada/3.wav: is no audio file; a silent or not finite one is another error")
    with pytest.raises(ValueError, match=r"^/data/ada/3\.wav: is no audio file; "):
        noise_run("run", 12, wrap=lambda d: Poisoned(d, 2, error=error), workers=2)
    assert read_ending(tmp_path / "run").state == "error"
    assert read_ending(tmp_path / "run").sentence == str(error)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_learning_rate_that_destroys_the_weights_is_named(noise_run, tmp_path, precision):
    with pytest.raises(
        NotFiniteError, match=rf"step \d+: .* \(learning rate 1e\+30, precision {precision}\)"
    ) as caught:
        noise_run("run", 12, lr=1e30, warmup=0, precision=precision)
    assert "lower learning rate" in str(caught.value)
    ended = read_ending(tmp_path / "run")
    assert ended.state == "not finite"
    assert ended.fault["what"] in ("loss", "gradient", "weights", "validation")
    assert ended.fault["learning_rate"] == 1e30
    for path in (tmp_path / "run").rglob("*.ckpt"):
        assert all(torch.isfinite(v).all() for v in load_model(path).state_dict().values())


def test_a_loss_of_ones_own_that_is_not_finite_is_named(noise_run):
    with pytest.raises(NotFiniteError, match="step 1: the loss is inf"):
        noise_run("run", 3, loss=lambda estimates, sources: (estimates.sum() * 0 + 1) / 0)


def test_a_validation_that_is_not_finite_is_named(noise_run, tmp_path):
    bad = [
        (
            torch.full((1000,), float("nan")),
            torch.randn(2, 1000),
            SimpleNamespace(id="bad-1", kind="man-woman"),
        )
    ]
    with pytest.raises(
        NotFiniteError, match="validation after step 3: SI-SDR of the validation mixture 'bad-1' is nan"
    ):
        noise_run("run", 9, valid=bad)
    assert read_ending(tmp_path / "run").fault["what"] == "validation"
    assert not list((tmp_path / "run").rglob("*.ckpt"))


# Disks and folders


def test_a_full_disk_is_one_sentence_and_leaves_the_good_checkpoints(noise_run, tmp_path, monkeypatch):
    _, folder = noise_run("run", 3)
    before = files(folder / "checkpoints")
    real = type(folder).write_bytes

    def full(self, data):
        if self.suffix == ".ckpt":
            real(self, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(type(folder), "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/run/checkpoints/step0000006\.ckpt'"):
        noise_run("run", 9, resume=True)
    assert files(folder / "checkpoints") == before
    assert read_ending(folder).state == "error"
    monkeypatch.undo()
    noise_run("run", 9, resume=True)
    assert results_fit_the_model(folder)


def test_a_folder_that_is_removed_meanwhile_is_named_and_not_made_again(noise_run, tmp_path):
    def remove(record):
        shutil.rmtree(tmp_path / "run")

    with pytest.raises(FileNotFoundError, match="run was removed or renamed while a training wrote to it"):
        noise_run("run", 9, callbacks=[remove])
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_place_of_the_folder_is_named(noise_run, tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(NotADirectoryError, match="run is a file: give the name of a folder"):
        noise_run("run", 3)
    assert (tmp_path / "run").read_text() == "mine"


def test_a_run_that_fails_before_its_first_step_leaves_nothing(noise_run, tmp_path):
    class Broken(Poisoned):
        def __getitem__(self, index):
            raise ValueError("nothing can be read")

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    for name in ("new/deep", "mine"):
        with pytest.raises(ValueError, match="nothing can be read"):
            noise_run(name, 3, wrap=lambda d: Broken(d, 0))
    assert not (tmp_path / "new").exists()
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_second_training_in_a_folder_is_told_of_the_first(noise_run, tmp_path):
    _, folder = noise_run("run", 3)
    before = files(folder)
    with locked(folder, "training"), pytest.raises(InUseError, match=r"run is in use by training \(process"):
        noise_run("run", 6, resume=True)
    assert files(folder) == before


# The record


def test_the_record_says_how_a_session_ended(tmp_path):
    assert read_ending(tmp_path) is None
    write_ending(tmp_path, Ending("running", 3, 10, "goes on", saved_step=3))
    with locked(tmp_path, "training"):
        assert read_ending(tmp_path).state == "running"
    assert read_ending(tmp_path).state == "killed"
    assert "after step 3" in read_ending(tmp_path).sentence
    assert claim_ending(tmp_path, Ending("error", 3, 10, "first"))
    assert not claim_ending(tmp_path, Ending("error", 3, 10, "second"))
    assert read_ending(tmp_path).sentence == "first"
    assert json.loads((tmp_path / "ended.json").read_text())["version"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["ended.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"state": "x"}', "[" * 100_000, '{"state": "error", "step": "x"}']
)
def test_a_record_that_can_not_be_read_is_none(tmp_path, text):
    (tmp_path / "ended.json").write_text(text)
    assert read_ending(tmp_path) is None
