from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from dprnn_lab import load_model
from dprnn_lab.checkpoint import read_info
from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.datasets.mixing import mix
from dprnn_lab.training import MixingData, SeparationModule, train

SEXES = {"ada": "f", "bea": "f", "carl": "m"}
BATCH = 2


class Recorded(DynamicMixing):
    """Dynamic mixing that records which items of which epochs were read, and fails when told to."""

    broken_after = 10**9  # items

    def __getitem__(self, index):
        self.read.append((self.epoch, index))
        if len(self.read) > self.broken_after:
            raise OSError("power cut")
        return super().__getitem__(index)


@pytest.fixture
def run(tiny, tmp_path):
    """Trainer of a tiny model on noise: ``run(name, max_steps)`` gives model, folder, and items read."""
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(9000, generator=generator) for _ in range(7)]
    voices = dict(zip(SEXES, noise, strict=False))
    valid = [
        (*mix(noise[3][:1000], noise[4][:1000]), SimpleNamespace(id="mw-0", kind="man-woman")),
        (*mix(noise[5][:1000], noise[6][:1000]), SimpleNamespace(id="ww-0", kind="woman-woman")),
    ]

    def start(name, max_steps, size=6, resume=False, broken_at=None, **options):
        torch.manual_seed(3)
        dataset = Recorded(voices, SEXES, samples=400, size=size)
        dataset.read = []
        if broken_at:
            dataset.broken_after = (broken_at - 1) * BATCH
        folder = tmp_path / name
        last = str(folder / "checkpoints" / "last.ckpt") if resume else None
        model = train(
            tiny(n_repeats=1),
            MixingData(dataset, valid, BATCH),
            str(folder),
            max_steps,
            **{"warmup": 2, "ema": 0.5, "resume": last, **options},
        )
        return model, folder, dataset.read

    return start


def curve(folder):
    """All sessions of a run, in order."""
    parts = sorted((folder / "curves").glob("version_*/metrics.csv"))
    return pd.concat([pd.read_csv(part) for part in parts], ignore_index=True)


def largest_difference(first, second):
    return max(
        (a - b).abs().max().item() for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )


# Runs


def test_a_run_leaves_model_checkpoints_and_curve(run, tiny):
    model, folder, read = run("run", 6)
    assert read == [(epoch, index) for epoch in range(2) for index in range(6)]
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == [
        "best.ckpt",
        "last.ckpt",
        "step0000003.ckpt",
        "step0000006.ckpt",
    ]
    saved = load_model(folder / "model.safetensors")
    assert largest_difference(saved, model) == 0
    assert read_info(folder / "model.safetensors")["training"] == {"steps": 6, "seed": 0}
    table = curve(folder)
    assert {"epoch", "step", "train_loss", "valid_loss", "grad_norm"} <= set(table.columns)
    assert {"si_sdri_man-woman", "si_sdri_woman-woman"} <= set(table.columns)
    assert table.valid_loss.count() == table.train_loss.count() == 2
    torch.manual_seed(3)
    assert largest_difference(tiny(n_repeats=1), model) > 1e-3


def test_the_saved_weights_are_the_average_and_not_the_last(run):
    model, folder, _ = run("run", 6)
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)
    name = "separator.bottleneck.weight"
    last, average = (
        checkpoint["current_model_state"][f"model.{name}"],
        checkpoint["state_dict"][f"model.{name}"],
    )
    assert torch.equal(model.state_dict()[name], average)
    assert not torch.equal(last, average)


def test_training_leaves_denormal_numbers_to_the_rest_of_the_process(run):
    smallest = torch.tensor([1e-40])
    for flushed in (False, True):
        torch.set_flush_denormal(flushed)
        try:
            run(f"flushed-{flushed}", 1)
            assert (float(smallest * 1) == 0) is flushed
        finally:
            torch.set_flush_denormal(False)


def test_the_same_seed_gives_the_same_model(run):
    assert largest_difference(run("a", 4)[0], run("b", 4)[0]) == 0


@pytest.mark.parametrize("stop", [3, 4, 5])
def test_a_resumed_run_equals_an_uninterrupted_one(run, stop):
    # Three steps make an epoch: stopped at its end, after its first batch, before its last.
    whole, whole_folder, whole_read = run("whole", 10)
    _, _, first_read = run("parts", stop)
    parts, parts_folder, second_read = run("parts", 10, resume=True)
    assert first_read + second_read == whole_read
    assert len(whole_read) == 10 * BATCH
    assert largest_difference(parts, whole) < 1e-6
    assert read_info(parts_folder / "model.safetensors")["training"]["steps"] == 10
    states = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)
        for folder in (whole_folder, parts_folder)
    ]
    assert states[0]["global_step"] == states[1]["global_step"] == 10
    for name, value in states[0]["current_model_state"].items():
        torch.testing.assert_close(value, states[1]["current_model_state"][name], atol=1e-6, rtol=0)


def test_a_run_can_be_resumed_twice(run):
    _, _, whole_read = run("whole", 8)
    first, second, third = (run("parts", steps, resume=steps > 2)[2] for steps in (2, 5, 8))
    assert first + second + third == whole_read


def test_epochs_are_whole_again_when_a_resumed_run_has_longer_ones(run):
    run("run", 3, size=6)
    _, _, read = run("run", 12, size=8, resume=True)
    epochs = sorted({epoch for epoch, _ in read})
    for epoch in epochs[1:-1]:
        assert [index for e, index in read if e == epoch] == list(range(8))
    assert len(epochs) >= 3


def test_a_resumed_run_takes_the_rate_that_is_asked_for_now(run):
    run("run", 3, lr=0.01)
    _, folder, _ = run("run", 6, resume=True, lr=0.002)
    (schedule,) = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)["lr_schedulers"]
    assert set(schedule["base_lrs"]) == {0.002}
    assert schedule["_last_lr"] == pytest.approx([0.002] * len(schedule["_last_lr"]))


def test_a_resumed_run_keeps_its_curve(run):
    _, folder, _ = run("parts", 3)
    first = curve(folder)
    run("parts", 6, resume=True)
    pd.testing.assert_frame_equal(curve(folder)[: len(first)], first)
    assert curve(folder).train_loss.count() == curve(folder).valid_loss.count() == 2
    assert sorted(curve(folder).epoch.unique()) == [0, 1]


def test_validation_can_be_rarer_than_epochs(run):
    table = curve(run("run", 12, valid_every=2)[1])
    assert table.train_loss.count() == 4
    assert table.valid_loss.count() == 2


def test_training_can_be_limited_in_time(run):
    _, folder, _ = run("run", 10_000, max_minutes=0.02)
    assert 0 < read_info(folder / "model.safetensors")["training"]["steps"] < 10_000
    assert (folder / "checkpoints" / "last.ckpt").is_file()


def test_a_loaded_model_trains_in_training_mode(run, monkeypatch):
    modes = []
    step = SeparationModule.training_step
    monkeypatch.setattr(
        SeparationModule,
        "training_step",
        lambda self, batch: (modes.append(self.model.training), step(self, batch))[1],
    )
    run("run", 2)  # tiny models come in evaluation mode, as load_model's do
    assert modes == [True, True]


def test_two_ranks_read_disjoint_shares(run):
    data = MixingData(
        DynamicMixing({n: torch.randn(900) for n in SEXES}, SEXES, samples=400, size=8), [], BATCH
    )
    shares = []
    for rank in range(2):
        progress = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=0)))
        data.trainer = SimpleNamespace(
            world_size=2, global_rank=rank, current_epoch=5, fit_loop=SimpleNamespace(epoch_loop=progress)
        )
        loader = data.train_dataloader()
        assert data.train.epoch == 5
        shares.append(list(loader.sampler))
    assert sorted(shares[0] + shares[1]) == list(range(8))


def test_an_uneven_rest_is_left_out_of_training_and_kept_in_validation():
    items = DynamicMixing({n: torch.randn(900) for n in SEXES}, SEXES, samples=400, size=7)
    data = MixingData(items, list(range(7)), BATCH)
    progress = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=0)))
    data.trainer = SimpleNamespace(
        world_size=2, global_rank=1, current_epoch=0, fit_loop=SimpleNamespace(epoch_loop=progress)
    )
    assert list(data.train_dataloader().sampler) == [1, 3, 5]
    assert list(data.val_dataloader().sampler) == [1, 3, 5, 0]


def test_a_network_with_batch_norms_trains(run, tiny, tmp_path):
    generator = torch.Generator().manual_seed(1)
    voices = {name: torch.randn(900, generator=generator) for name in SEXES}
    data = MixingData(DynamicMixing(voices, SEXES, samples=400, size=4), [], BATCH)
    model = train(tiny(n_repeats=1, norm_type="bN"), data, tmp_path / "bn", 2, callbacks=())
    counters = [v for k, v in model.state_dict().items() if k.endswith("num_batches_tracked")]
    assert counters and all(int(c) == 2 for c in counters)


@pytest.mark.parametrize(("broken_at", "valid_every"), [(7, 1), (8, 3), (10, 2), (13, 3)])
def test_a_crashed_run_resumes_from_its_last_checkpoint(run, broken_at, valid_every):
    # Three steps make an epoch and a checkpoint; the batches read since then are read again.
    _, whole_folder, whole_read = run("whole", 15, valid_every=valid_every)
    with pytest.raises(OSError, match="power cut"):
        run("parts", 15, valid_every=valid_every, broken_at=broken_at)
    saved = (broken_at - 1) // 3 * 3
    _, parts_folder, second_read = run("parts", 15, resume=True, valid_every=valid_every)
    assert second_read == whole_read[saved * BATCH :]
    states = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)
        for folder in (whole_folder, parts_folder)
    ]
    for name, value in states[0]["current_model_state"].items():
        torch.testing.assert_close(value, states[1]["current_model_state"][name], atol=1e-6, rtol=0)
    rows = [
        curve(folder).groupby("step").first().drop(columns="examples_per_second")
        for folder in (whole_folder, parts_folder)
    ]
    pd.testing.assert_frame_equal(rows[1], rows[0], atol=1e-4, check_like=True)
