"""What a run refuses, before anything on disk changes."""

import random
import threading

import numpy as np
import pytest
import torch

from dprnn_lab.files import InUseError
from dprnn_lab.training import train_run
from dprnn_lab.training.machine import check_machine, is_first_process, lightning_precision

pytestmark = pytest.mark.usefixtures("few_validation_mixtures")


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_failing_resume_changes_nothing_and_the_plain_one_works_afterwards(tmp_path, quick):
    run, settings = tmp_path / "run", quick()
    train_run(settings, run)
    before = files(run)
    for changes, message in [
        (
            {"optimizer": "adam"},
            r"optimizer is 'adam', and .*last\.ckpt was trained with 'muon'.*: leave it out",
        ),
        ({"data": "no/such/folder"}, "no/such/folder"),
        ({"accelerator": "gpu"}, "accelerator is 'gpu': PyTorch .* finds no GPU"),
        (
            {"freeze": ["encoder"]},
            r"last\.ckpt: the state of its optimiser belongs to other parameters .*freeze",
        ),
        (
            {"model": {"hid_size": 5}},
            r"^model\.hid_size is 5, and .*run was started with 3: a resumed run keeps",
        ),
        ({"batch": 4000}, "an epoch has 4 mixtures, fewer than one step takes"),
        ({"devices": 900}, "devices is 900"),
        ({"precision": "16-mixed"}, "precision is '16-mixed': choose"),
    ]:
        if changes.get("accelerator") == "gpu" and (
            torch.cuda.is_available() or torch.backends.mps.is_available()
        ):
            continue
        with pytest.raises((ValueError, OSError), match=message) as caught:
            train_run(settings.changed(steps=4, **changes), run, resume=True)
        assert "\n" not in str(caught.value)
        assert files(run) == before, changes
        assert not (run / "curves" / "version_1").exists()
    train_run(settings.changed(steps=4), run, resume=True)
    assert (run / "curves" / "version_1").is_dir()


def test_a_run_trained_with_adam_is_not_resumed_with_muon(tmp_path, quick):
    train_run(quick(optimizer="adam"), tmp_path / "run")
    with pytest.raises(ValueError, match=r"optimizer is 'muon', and .* was trained with 'adam'"):
        train_run(quick(steps=4), tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "changes", [{"data": "no/such/folder"}, {"freeze": ["encodr"]}, {"init": "none.ckpt", "model": {}}]
)
def test_a_new_run_that_can_not_start_leaves_no_folder(tmp_path, quick, changes):
    with pytest.raises((ValueError, OSError)):
        train_run(quick(**changes), tmp_path / "deep" / "run")
    assert not (tmp_path / "deep").exists()


def test_only_one_process_trains_in_a_folder(tmp_path, quick):
    inside = []

    def second(record):
        def start():
            try:
                train_run(quick(), tmp_path / "run")
            except InUseError as error:
                inside.append(str(error))

        thread = threading.Thread(target=start)
        thread.start()
        thread.join()

    train_run(quick(), tmp_path / "run", callbacks=[second])
    assert len(inside) == 1 and "is in use by training (process" in inside[0]
    assert not (tmp_path / "run" / ".lock").exists()


def test_what_belongs_to_the_process_is_put_back(tmp_path, quick, monkeypatch):
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    torch.manual_seed(77)
    before = (
        torch.get_num_threads(),
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
    )
    train_run(quick(), tmp_path / "run")
    torch.set_num_threads(before[0])
    after = (
        torch.get_num_threads(),
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
    )
    assert torch.equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert "PL_GLOBAL_SEED" not in __import__("os").environ


def test_the_number_of_threads_is_put_back_when_a_run_of_several_processes_fails(tmp_path, quick):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises((ValueError, OSError)):
            train_run(quick(devices=2, data="no/such/folder"), tmp_path / "run")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


# The machine


@pytest.fixture
def machine(monkeypatch):
    """``machine(gpus=0)``: a machine with so many GPUs of CUDA, no other ones, and four cores."""

    def make(gpus=0, bf16=True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        monkeypatch.setattr("os.cpu_count", lambda: 4)
        for name in ("MASTER_ADDR", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"):
            monkeypatch.delenv(name, raising=False)

    return make


@pytest.mark.parametrize(
    ("gpus", "asked", "message"),
    [
        (0, ("gpu", 1, 1, "32-true"), "accelerator is 'gpu': .* finds no GPU on this machine; leave it out"),
        (0, ("cuda", 1, 1, "32-true"), "accelerator is 'cuda': .* finds no GPU"),
        (2, ("mps", 1, 1, "32-true"), "accelerator is 'mps': only Macs"),
        (0, ("tpu", 1, 1, "32-true"), r"accelerator is 'tpu' \(PyTorch/XLA.*: choose cpu, gpu"),
        (0, ("gpus", 1, 1, "32-true"), "accelerator is 'gpus': choose cpu, gpu"),
        (2, ("gpu", 3, 1, "32-true"), "devices is 3: this machine has 2 GPUs; give 2 or fewer"),
        (1, ("auto", 2, 1, "32-true"), "devices is 2: this machine has 1 GPU; give 1 or fewer"),
        (0, ("cpu", 5, 1, "32-true"), "devices is 5: on a CPU .* 4 cores; give 4 or fewer"),
        (0, ("cpu", 1, 1, "16-mixed"), "precision is '16-mixed': choose 32-true or bf16-mixed"),
        (0, ("cpu", 1, 2, "32-true"), "num_nodes is 2: nothing says where the other machines are"),
    ],
)
def test_what_the_machine_does_not_have_is_one_sentence(machine, gpus, asked, message):
    machine(gpus)
    with pytest.raises(ValueError, match=message):
        check_machine(*asked)


def test_what_the_machine_has_is_taken(machine, monkeypatch):
    machine(2)
    for asked in (("gpu", 2), ("cuda", 1), ("auto", 2), ("cpu", 4)):
        check_machine(*asked, 1, "bf16-mixed")
    machine(1, bf16=False)
    with pytest.raises(ValueError, match="this GPU has no bfloat16; give 32-true"):
        check_machine("gpu", 1, 1, "bf16-mixed")
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    check_machine("cpu", 1, 2, "32-true")


def test_the_automatic_precision_is_bfloat16_where_it_is_computed_in(machine, monkeypatch):
    machine(1, bf16=False)
    assert lightning_precision("auto", "gpu") == "32-true"
    machine(1)
    assert lightning_precision("auto", "gpu") == "bf16-mixed"
    for bfloat16, tiles, precision in [
        (True, False, "bf16-mixed"),
        (False, True, "bf16-mixed"),
        (False, False, "32-true"),
    ]:
        monkeypatch.setattr(
            "torch.cpu._is_avx512_bf16_supported", lambda found=bfloat16: found, raising=False
        )
        monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda found=tiles: found, raising=False)
        assert lightning_precision("auto", "cpu") == precision
        assert lightning_precision("32-true", "cpu") == "32-true"


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "3", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}, False),
    ],
)
def test_one_process_of_a_run_is_the_first(monkeypatch, environment, first):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first
