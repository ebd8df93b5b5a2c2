"""A run folder that came from elsewhere: nothing outside it is removed or written, and no code of it runs."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from dprnn_lab.checkpoint.errors import CheckpointError
from dprnn_lab.training.checkpoints import RunCheckpoints, find_checkpoint


def craft(folder: Path, change) -> None:
    """Change the states of the callbacks in last.ckpt."""
    path = folder / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=False)
    for key, state in content["callbacks"].items():
        if key.startswith("ModelCheckpoint"):
            change(state)
    torch.save(content, path)


@pytest.fixture
def victim(tmp_path):
    folder = tmp_path / "victim"
    (folder / "inside").mkdir(parents=True)
    (folder / "inside" / "thesis.tex").write_text("years of work")
    return folder


@pytest.mark.parametrize("where", ["dots", "absolute", "link"])
def test_a_checkpoint_can_not_delete_folders_outside_its_run(noise_run, victim, where):
    _, folder = noise_run("run", 6)
    checkpoints = (folder / "checkpoints").resolve()
    if where == "link":
        (checkpoints / "way").symlink_to(victim.parent)
    target = {
        "dots": f"{checkpoints}/../../victim",
        "absolute": str(victim),
        "link": f"{checkpoints}/way/victim",
    }[where]

    def change(state):
        steps = state["monitor"] == "step"
        state["best_k_models"] = (
            {target: torch.tensor(0), f"{target}/inside": torch.tensor(1)} if steps else {}
        )
        state["kth_best_model_path"] = state["best_model_path"] = state["last_model_path"] = target
        state["kth_value"] = state["best_model_score"] = torch.tensor(0)
        state["dirpath"] = str(checkpoints)

    craft(folder, change)
    noise_run("run", 15, resume=True)
    assert (victim / "inside" / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("name", ["checkpoints", "curves", "validation", "tensorboard"])
def test_a_folder_that_is_a_link_out_of_the_run_is_refused(noise_run, victim, name):
    _, folder = noise_run("run", 3)
    if name == "checkpoints":
        shutil.copytree(folder / name, victim, dirs_exist_ok=True)
    shutil.rmtree(folder / name)
    (victim / "step0000099.csv").write_text("a table of somebody else")
    (folder / name).symlink_to(victim)
    before = sorted(victim.rglob("*"))
    last = victim / "last.ckpt" if name == "checkpoints" else folder / "checkpoints" / "last.ckpt"
    with pytest.raises(CheckpointError, match=f"run/{name} is a link to .*victim, outside the run's folder"):
        noise_run("run", 6, resume=last)
    assert sorted(victim.rglob("*")) == before


def test_a_run_that_is_itself_a_link_is_the_users_own_choice(noise_run, tmp_path):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "big disk")
    noise_run("run", 3)
    noise_run("run", 6, resume=True)
    assert (tmp_path / "big disk" / "model.safetensors").is_file()


class Evil:
    def __reduce__(self):
        return (os.mkdir, (os.environ["EVIL_FOLDER"],))


def test_no_code_of_a_checkpoint_runs(noise_run, tmp_path, monkeypatch):
    monkeypatch.setenv("EVIL_FOLDER", str(tmp_path / "evil"))
    _, folder = noise_run("run", 3)
    craft(folder, lambda state: state.update(best_k_models={"a": Evil()}))
    with pytest.raises(CheckpointError, match="refused"):
        noise_run("run", 6, resume=True)
    assert not (tmp_path / "evil").exists()
    pickle.loads(pickle.dumps(Evil()))
    assert (tmp_path / "evil").exists()  # it would have run


def test_checkpoints_are_removed_only_in_the_own_folder_and_under_their_own_names(tmp_path):
    files = RunCheckpoints(tmp_path / "run")
    kept = [
        tmp_path / "run" / "config.yaml",
        tmp_path / "run" / "checkpoints" / "notes.txt",
        tmp_path / "last.ckpt",
    ]
    gone = tmp_path / "run" / "checkpoints" / "step0000001.ckpt"
    for path in (*kept, gone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    for path in (
        *kept,
        gone,
        tmp_path / "run" / "checkpoints",
        tmp_path / "run" / "checkpoints" / ".." / "config.yaml",
    ):
        files.remove_checkpoint(str(path))
    assert all(path.is_file() for path in kept)
    assert not gone.exists()
    with pytest.raises(CheckpointError, match="neither written nor removed"):
        files.save_checkpoint({}, tmp_path / "last.ckpt")


def test_scores_in_a_checkpoint_do_not_stop_the_saving_of_new_ones(noise_run):
    _, folder = noise_run("run", 3)

    def change(state):
        if state["monitor"] == "step":
            state["best_k_models"] = {f"{state['dirpath']}/step0000003.ckpt": torch.tensor(10**9)}

    craft(folder, change)
    noise_run("run", 9, resume=True)
    names = {p.name for p in (folder / "checkpoints").glob("step*")}
    assert names == {"step0000006.ckpt", "step0000009.ckpt"}
    assert find_checkpoint(folder).step == 9


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c.pop("loops"),
        lambda c: c["loops"].clear(),
        lambda c: c.update(global_step=-5),
        lambda c: c.update(callbacks=[1]),
        lambda c: c["state_dict"].clear(),
        lambda c: c.update({"pytorch-lightning_version": "no version"}),
        lambda c: c["optimizer_states"].clear(),
        lambda c: c["callbacks"].update({k: {"x": 1} for k in list(c["callbacks"])}),
    ],
)
def test_a_checkpoint_with_parts_missing_is_one_sentence(noise_run, damage):
    _, folder = noise_run("run", 3)
    path = folder / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=False)
    damage(content)
    torch.save(content, path)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=r"last\.ckpt: ") as caught:
        noise_run("run", 6, resume=True)
    assert "\n" not in str(caught.value)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
