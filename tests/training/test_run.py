import json
from importlib.metadata import version

import pandas as pd
import pytest
import torch

from dprnn_lab import load_model, save_model
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.training import Settings, train_run


@pytest.fixture(autouse=True)
def few_validation_mixtures(monkeypatch):
    monkeypatch.setattr(
        "dprnn_lab.training.data_sources.FixedMixtures",
        lambda name, **rate: FixedMixtures(name, limit=2, **rate),
    )


def test_a_run_folder_holds_settings_versions_and_results(tmp_path, quick):
    settings = quick()
    model = train_run(settings, tmp_path / "run")
    folder = tmp_path / "run"
    assert Settings.read(folder / "config.yaml") == settings
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["packages"]["torch"] == version("torch")
    results = pd.read_csv(folder / "results.csv")
    assert results.kind.tolist() == ["man-woman", "woman-woman", "seen-unseen"]
    assert results.step.unique().tolist() == [2]
    assert (results.low <= results["mean"]).all() and (results["mean"] <= results.high).all()
    saved = load_model(folder / "model.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), model.parameters(), strict=True))
    hparams = (folder / "curves" / "version_0" / "hparams.yaml").read_text()
    assert "epoch_size: 4" in hparams
    assert not model.training


def test_a_run_is_not_written_over(tmp_path, quick):
    settings = quick()
    train_run(settings, tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match="holds a run already: resume it"):
        train_run(settings, tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    train_run(settings.changed(steps=4), tmp_path / "run", resume=True)
    assert Settings.read(tmp_path / "run" / "config.yaml").steps == 4
    assert pd.read_csv(tmp_path / "run" / "results.csv").step.unique().tolist() == [4]


def test_the_last_step_is_validated_where_it_does_not_end_an_epoch(tmp_path, quick, capsys):
    train_run(quick(steps=3), tmp_path / "run")  # epochs of two steps
    assert pd.read_csv(tmp_path / "run" / "results.csv").step.unique().tolist() == [3]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("step")] == ["2", "3"]
    train_run(quick(steps=4), tmp_path / "run", resume=True)
    assert pd.read_csv(tmp_path / "run" / "results.csv").step.unique().tolist() == [4]


def test_nothing_to_resume_is_an_error_and_leaves_no_folder(tmp_path, quick):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train_run(quick(), tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_fine_tuning_starts_from_the_weights_and_keeps_the_frozen_parts(tmp_path, quick):
    torch.manual_seed(5)
    first = train_run(quick(), tmp_path / "first")
    path = save_model(first, tmp_path / "first.safetensors")
    settings = quick(
        init=str(path), freeze=["encoder", "decoder"], splits=["train", "adapt"], seen_unseen=1.0, woman_woman=0.0,
        model={},
    )  # fmt: skip
    second = train_run(settings, tmp_path / "second")
    changed = {
        name for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True)
        if not torch.equal(a, b)
    }  # fmt: skip
    assert changed
    assert not [name for name in changed if name.startswith(("encoder", "decoder"))]
    far = max((a - b).abs().max() for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert far < 0.02  # two steps away from where it started, not a random start


def test_a_loaded_network_may_grow_and_move_to_another_rate(tmp_path, quick):
    path = save_model(train_run(quick(), tmp_path / "first"), tmp_path / "first.safetensors")
    first = load_model(path)
    changes = {
        "init": str(path), "blocks": 4, "hidden": 20, "stride": first.config["stride"], "sample_rate": 16000,
        "resample": True, "model": {},
    }  # fmt: skip
    second = train_run(quick(**changes), tmp_path / "second")
    assert second.config["n_repeats"] == 4 > first.config["n_repeats"]
    assert second.config["hid_size"] == 20 > first.config["hid_size"]
    assert second.config["stride"] == first.config["stride"]  # at the new rate it was twice as much
    assert (second.sample_rate, second.config["kernel_size"]) == (16000, 2 * first.config["kernel_size"])
    assert Settings.read(tmp_path / "second" / "config.yaml").blocks == 4
    rows = pd.read_csv(tmp_path / "second" / "results.csv")
    assert rows["mixtures"].sum() == 6
    path.unlink()  # the checkpoint of a resumed run contains its network
    third = train_run(quick(**changes, steps=4), tmp_path / "second", resume=True)
    assert (third.config, third.sample_rate) == (second.config, second.sample_rate)


def test_a_resumed_run_keeps_its_network(tmp_path, quick):
    settings = quick()
    train_run(settings, tmp_path / "run")
    other = settings.changed(model={"hid_size": 20})
    with pytest.raises(ValueError, match=r"^model.hid_size is 20, .* started with 3: .* init .*last\.ckpt"):
        train_run(other, tmp_path / "run", resume=True)
    assert Settings.read(tmp_path / "run" / "config.yaml") == settings


def test_early_stopping_gives_the_best_model_and_not_the_last(tmp_path, quick):
    # A rate that destroys the network: the first validation is the best, and three more follow.
    settings = quick(steps=100, lr=10.0, warmup=20, ema=0.0, stop_after=3)
    model = train_run(settings, tmp_path / "run")
    tables = sorted((tmp_path / "run" / "validation").iterdir())
    losses = [-pd.read_csv(t).si_sdr.mean() for t in tables]
    best = losses.index(min(losses))
    assert len(tables) < 50
    assert best < len(tables) - 1
    assert len(tables) == best + 4
    saved = load_model(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), model.parameters(), strict=True))


def test_a_model_of_another_rate_can_not_learn_the_corpus(tmp_path, quick):
    with pytest.raises(ValueError, match="16000 Hz: the bundled voices are at 8000 Hz"):
        train_run(quick().changed(model={"sample_rate": 16000}), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()
