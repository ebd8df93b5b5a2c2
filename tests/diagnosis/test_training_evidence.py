"""Inputs from a training, in all their forms."""

import pandas as pd
import pytest
import torch

from dprnn_lab.audio import Fingerprints, to_pcm16, write_audio
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.diagnosis import diagnose
from dprnn_lab.diagnosis.checks.curves import healthy_band, jump
from dprnn_lab.diagnosis.training_evidence import read_data, read_run
from dprnn_lab.faults import inject
from dprnn_lab.faults.curves import recorded_curve
from dprnn_lab.files import data_folder


@pytest.fixture
def folder(tmp_path):
    """A run's folder of two sessions, written as Lightning's CSVLogger writes."""
    table = recorded_curve("healthy-0")
    for version, part in enumerate((table[table.step <= 300], table[table.step > 300])):
        path = tmp_path / "run" / "curves" / f"version_{version}" / "metrics.csv"
        path.parent.mkdir(parents=True)
        part.to_csv(path, index=False)
    return tmp_path / "run"


def test_a_folder_is_read_with_its_sessions(folder):
    run = read_run(folder)
    assert run.sessions == [325]
    assert run.checkpoint is None
    assert run.broken_at is None
    pd.testing.assert_series_equal(
        run.column("train_loss"), recorded_curve("healthy-0").set_index("step")["train_loss"]
    )
    assert diagnose(run=folder)["resume"].state == "ok"


def test_more_than_ten_sessions_stay_in_order(tmp_path):
    for version in range(12):
        path = tmp_path / "curves" / f"version_{version}" / "metrics.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"step,train_loss\n{version * 10},1\n")
    assert read_run(tmp_path).sessions == [10 * i for i in range(1, 12)]


def test_empty_fields_are_not_nan_and_nan_is(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,train_loss,grad_norm\n10,,3.0\n20,1.5,\n")
    assert read_run(path).broken_at is None
    path.write_text("step,train_loss,grad_norm\n10,,3.0\n20,NaN,\n")
    assert read_run(path).broken_at == 20


def checkpoint(folder, **content):
    path = folder / "checkpoints" / "last.ckpt"
    path.parent.mkdir(exist_ok=True)
    torch.save({"state_dict": {"model.x": torch.zeros(1)}, **content}, path)


def test_a_checkpoint_without_the_optimiser_can_not_be_resumed(folder):
    checkpoint(folder)
    finding = diagnose(run=folder)["resume"]
    assert finding.state == "fail"
    assert "no optimiser state" in finding.says
    checkpoint(folder, optimizer_states=[{"state": {}}])
    assert diagnose(run=folder)["resume"].state == "ok"


@pytest.mark.parametrize(("rate", "state"), [(1e-3, "ok"), (0.5, "warn"), (1e-6, "warn")])
def test_the_learning_rate_is_read_from_the_checkpoint(folder, rate, state):
    checkpoint(folder, optimizer_states=[1], lr_schedulers=[{"base_lrs": [rate, rate]}])
    finding = diagnose(run=folder)["learning-rate"]
    assert finding.evidence["learning_rate"] == rate
    assert finding.state == state  # it learns, so that it is a warning at most


@pytest.mark.parametrize(
    ("groups", "state"),
    [
        ({"lr": 1e-3}, "ok"),
        ({"lr": 0.5}, "warn"),
        ({"lr": 1e-6}, "ok"),  # of a run that learns: a scheduler has lowered it
        ({"lr": 1e-6, "initial_lr": 1e-3}, "ok"),
        ({"lr": 1e-6, "initial_lr": 1e-6}, "warn"),
    ],
)
def test_without_a_scheduler_the_optimiser_says_the_rate(folder, groups, state):
    checkpoint(folder, optimizer_states=[{"state": {}, "param_groups": [groups]}])
    assert diagnose(run=folder)["learning-rate"].state == state


def test_a_run_that_does_not_learn_at_the_rate_of_its_optimiser_or_settings(tmp_path):
    rows = "".join(f"{step},{34 - 0.001 * step}\n" for step in range(25, 3000, 25))
    (tmp_path / "metrics.csv").write_text(f"step,train_loss\n{rows}")
    checkpoint(tmp_path, optimizer_states=[{"state": {}, "param_groups": [{"lr": 1e-6}]}])
    assert diagnose(run=tmp_path).causes[0].id == "learning-rate"
    (tmp_path / "checkpoints" / "last.ckpt").unlink()
    (tmp_path / "hparams.yaml").write_text("batch_size: 4\nlr: 1.0e-06\n")
    assert diagnose(run=tmp_path).causes[0].id == "learning-rate"


def test_one_target_needs_not_be_the_mixture():
    source = 0.1 * torch.randn(3, 1, 8000, generator=torch.Generator().manual_seed(0))
    report = diagnose(batch=(source[:, 0] + 0.05 * torch.randn(3, 8000), source))
    assert report["targets-inconsistent"].state == "ok"


def test_the_band_of_healthy_runs_falls():
    band = healthy_band()
    assert band.is_monotonic_decreasing
    assert band.iloc[-1] < -1


def test_every_healthy_run_lies_in_it_and_the_bundled_one_does():
    for name in ("healthy-0", "healthy-1", "healthy-2"):
        assert diagnose(run=recorded_curve(name))["unhealthy-curve"].state == "ok"
    assert diagnose(run=data_folder() / "model" / "curve.csv")["unhealthy-curve"].state == "ok"


def test_a_short_run_is_not_judged():
    assert diagnose(run=recorded_curve("no-pit", until=100))["unhealthy-curve"].state == "undecided"


def test_the_jump_of_a_loss():
    losses = pd.Series([1.0, 0.5, 0.0, -0.5, 20.0, 20.5, 19.0, 20.0], index=range(0, 80, 10))
    at, before, after, _ = jump(losses)
    assert at == 40
    assert before < 1 < 19 < after
    assert jump(losses[:4]) is None


def test_a_single_outlier_is_no_jump():
    losses = pd.Series([1.0, 0.5, 0.0, 20.0, -0.5, -1.0, -1.2, -1.4], index=range(0, 80, 10))
    _, before, after, _ = jump(losses)
    assert after < before + 1


@pytest.fixture
def lists():
    items = list(FixedMixtures("test", kind="man-woman", limit=4))
    return {
        "train": [(s[:, :8000], ("carlo", "june")) for _, s, _ in items[:2]],
        "test": [(s[:, :8000], ("carlo", "june")) for _, s, _ in items[2:]],
    }


def test_a_folder_of_two_splits(lists, tmp_path):
    for split, items in lists.items():
        for i, (sources, _) in enumerate(items):
            for j, samples in enumerate(sources):
                write_audio(tmp_path / "wav8k" / split / f"s{j + 1}" / f"{i}.wav", samples, 8000)
    examples = read_data(tmp_path)
    assert sorted({e.split for e in examples}) == ["test", "train"]
    assert len(examples) == 4
    assert examples[0].sources.shape == (2, 8000)
    report = diagnose(data=tmp_path)
    assert report["leakage"].state == "ok"
    assert report["same-speaker"].state == "undecided"  # a folder names no speakers
    assert "speakers" in report["same-speaker"].bring


def test_speakers_in_both_lists_are_named(lists):
    finding = diagnose(data=lists)["leakage"]
    assert finding.state == "ok"
    assert finding.evidence["speakers_in_both"] == ["carlo", "june"]


@pytest.mark.parametrize(
    ("variant", "hashed"), [("copied", True), ("copied-louder", True), ("overlapping", False)]
)
def test_copies_are_found_by_hash_and_parts_by_correlation(training, variant, hashed):
    evidence = inject("leakage", training(), variant=variant).diagnose()["leakage"].evidence
    assert bool(evidence["same_audio"]) == hashed
    assert bool(evidence["same_audio_shifted"]) != hashed


def test_a_copy_at_another_level_saved_as_16_bit_is_found_and_the_remedy_takes_it_out(lists):
    lists["test"][0] = (to_pcm16(0.7 * lists["train"][0][0]).float() / 2**15, ("carlo", "june"))
    finding = diagnose(data=lists)["leakage"]
    assert finding.state == "fail"
    assert finding.evidence["same_audio"] == 1
    names = {"data": lists, "Fingerprints": Fingerprints}
    exec(finding.remedy, names)
    assert len(names["data"]["test"]) == 1
    assert diagnose(data=names["data"])["leakage"].state == "ok"


def test_sources_without_names_are_examples_too(lists):
    bare = {split: [sources for sources, _ in items] for split, items in lists.items()}
    assert [e.speakers for e in read_data(bare)] == [()] * 4
    mixed = read_data({"train": [(lists["train"][0][0][0], lists["train"][0][0][1])]})
    assert mixed[0].sources.shape == (2, 8000)


@pytest.mark.parametrize("row", [7, 8])
def test_the_gradient_that_exploded_may_stand_a_row_before_the_loss(row):
    losses = [0.5, 0.0, -0.3, -0.6, -0.8, -1.0, -1.2, -1.3, 10.9, 10.6, 9.0, 7.2]
    table = pd.DataFrame({"step": range(25, 325, 25), "train_loss": losses, "grad_norm": 3.0})
    assert diagnose(run=table)["no-clipping"].state == "ok"
    table.loc[row, "grad_norm"] = 1700.0
    finding = diagnose(run=table)["no-clipping"]
    assert (finding.state, finding.evidence["median_norm"]) == ("fail", 3.0)
    table["train_loss"] = -1.0
    assert diagnose(run=table)["no-clipping"].state == "ok"  # it was clipped


def test_a_gap_that_a_wrong_loss_makes_is_no_cause_of_its_own():
    from dprnn_lab.loss import pairwise_neg_sisdr

    case = {
        "run": recorded_curve("fixed-list"),
        "loss": lambda e, s: pairwise_neg_sisdr(e, s).min(-1).values.mean(),
    }
    assert diagnose(**case)["overfit"].explained_by == "pit-wrong-axis"
    assert diagnose(run=case["run"])["overfit"].explained_by is None


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
def test_every_pair_of_sources_is_compared(first, second):
    sources = torch.randn(2, 3, 4000)
    assert diagnose(batch=(sources.sum(1), sources))["same-speaker"].state == "undecided"
    sources[:, second] = sources[:, first]
    assert diagnose(batch=(sources.sum(1), sources))["same-speaker"].state == "fail"
