"""The band of healthy runs: milestones, who is behind it, and what diagnose says of runs beside it."""

import numpy as np
import pandas as pd
import pytest
import yaml

from dprnn_lab.diagnosis import diagnose, healthy_runs
from dprnn_lab.diagnosis.healthy_runs import (
    MEASURE,
    SIZES,
    HealthyRuns,
    read_healthy_runs,
    size_of,
)
from dprnn_lab.files import data_folder
from dprnn_lab.training import Settings

RECORDED = pytest.mark.parametrize(
    "size", [path.stem for path in sorted((data_folder() / "curves" / "healthy").glob("*.csv"))]
)
STEPS = np.arange(50, 1001, 50)


def curve(seed=0, speed=1.0, steps=STEPS):
    """A run that learns like the class's network: 1 dB at step 300, slower with a smaller speed."""
    rng = np.random.default_rng(seed)
    luck = 1 + 0.05 * rng.normal()
    gain = 3.3 * luck * speed * steps / 1000 + 0.03 * rng.normal(size=len(steps))
    table = pd.DataFrame(
        {"step": steps, "train_loss": -gain, "grad_norm": 4.0, "seconds": steps * 0.05 * luck}
    )
    table[MEASURE] = np.where(steps % 100, np.nan, gain)
    return table


def made(count=10):
    return HealthyRuns("class", pd.concat([curve(s).assign(seed=s) for s in range(count)], ignore_index=True))


@pytest.fixture
def recorded(monkeypatch):
    """A band in the place of the recorded one, for diagnose."""
    monkeypatch.setattr("dprnn_lab.diagnosis.checks.healthy_band.read_healthy_runs", lambda size: made())


def folder(path, table, **changes):
    """A run's folder of ours: the class's settings, and its curve."""
    settings = Settings(model=SIZES["class"]["model"], woman_woman=0.0, lr=2.5e-3, steps=1000)
    settings.changed(**changes).write(path / "config.yaml")
    table.to_csv(path / "metrics.csv", index=False)
    return path


def test_the_band_goes_from_the_lowest_to_the_highest_run():
    healthy = made(4)
    band = healthy.band()
    by_seed = healthy.runs.pivot_table(MEASURE, "step", "seed")
    assert list(band.index) == list(range(100, 1001, 100))
    assert np.allclose(band["low"], by_seed.min(axis=1)) and np.allclose(band["high"], by_seed.max(axis=1))
    seconds = healthy.band(over="seconds")
    assert seconds.index.is_monotonic_increasing and seconds.index[-1] < 100
    with pytest.raises(ValueError, match="column is 'pesq'"):
        healthy.band("pesq")


def test_a_step_that_a_run_lacks_is_not_in_the_band():
    runs = made(3).runs
    cut = runs[(runs["seed"] != 1) | (runs["step"] <= 600)]
    assert HealthyRuns("class", cut).band().index.max() == 600


def test_milestones_count_the_runs_that_have_not_arrived():
    runs = pd.concat([
        pd.DataFrame({"seed": seed, "step": [100, 200, 300], MEASURE: values})
        for seed, values in enumerate([[1.0, 2.0, 6.0], [0.5, 1.2, 3.0], [0.2, 0.9, 1.0], [0.1, 0.2, 0.3]])
    ])  # fmt: skip
    one, five = HealthyRuns("small", runs).milestones().to_dict("records")
    assert (one["reached"], one["runs"]) == (3, 4)
    assert (one["step_10"], one["step_50"]) == (100, 200)
    assert np.isnan(one["step_90"])
    assert (five["reached"], five["step_10"]) == (1, 300)
    assert np.isnan(five["step_50"])


def test_no_held_out_healthy_run_is_behind():
    healthy = made()
    for seed in healthy.seeds:
        place = healthy.without(seed).place(healthy.run(seed))
        assert not place.behind, (seed, place)


@RECORDED
def test_no_recorded_run_is_behind_the_others(size):
    """At every validation of every recorded run."""
    healthy = read_healthy_runs(size)
    for seed in healthy.seeds:
        run = healthy.run(seed)
        for step in run.dropna(subset=[MEASURE])["step"]:
            place = healthy.without(seed).place(run[run["step"] <= step])
            assert place is None or not place.behind, (seed, place)


@RECORDED
def test_diagnose_finds_nothing_against_a_recorded_run(size, tmp_path, monkeypatch):
    """Each one beside the band of the others: never a false alarm."""
    healthy = read_healthy_runs(size)
    for seed in healthy.seeds:
        others = healthy.without(seed)
        monkeypatch.setattr(
            "dprnn_lab.diagnosis.checks.healthy_band.read_healthy_runs", lambda _, others=others: others
        )
        path = tmp_path / str(seed)
        path.mkdir()
        settings = Settings(model=SIZES[size]["model"], woman_woman=SIZES[size]["woman_woman"])
        settings.write(path / "config.yaml")
        healthy.run(seed).to_csv(path / "metrics.csv", index=False)
        assert diagnose(run=path)["unhealthy-curve"].state in ("ok", "undecided")


@pytest.mark.parametrize("speed", [0.4, 0.0])
def test_a_run_of_less_than_half_the_speed_is_behind(speed):
    assert made().place(curve(3, speed)).behind
    assert not made().place(curve(3, 1.5)).behind


def test_one_bad_validation_is_not_enough():
    run = curve(3)
    run.loc[run.index[-1], MEASURE] = -1.0
    assert not made().place(run).behind


def test_a_run_that_logs_the_steps_from_zero_is_compared_at_the_same_place():
    run = curve(3)
    run["step"] -= 1  # as Lightning does
    found, exact = made().place(run), made().place(curve(3))
    assert (found.low, found.high) == (exact.low, exact.high)


def test_what_cannot_be_placed():
    healthy = made()
    assert healthy.place(curve(3)[["step", "train_loss"]]) is None
    assert healthy.place(curve(3, steps=np.arange(10, 60, 10))) is None
    assert made(2).place(curve(3)) is None
    assert healthy.place(curve(3).rename(columns={"step": "epoch"})) is None


def test_the_size_is_known_by_the_settings():
    own = Settings(model=SIZES["class"]["model"], woman_woman=0.0, lr=2.5e-3)
    assert size_of(vars(own)) == ("class", "")
    assert size_of(vars(Settings())) == ("small", "")
    assert size_of(vars(Settings(steps=77, seed=3, cooldown=10, lr=2e-3))) == ("small", "")
    assert size_of({})[0] == "small"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": {"hid_size": 128}}, "model.hid_size is 128"),
        ({"data": "my_voices"}, "data is my_voices"),
        ({"batch": 8}, "batch is 8"),
        ({"lr": 1e-5}, "lr is 1e-05"),
        ({"noise": "white", "rt60": [0.2, 0.4]}, "noise is white"),
    ],
)
def test_another_network_or_data_has_no_band(change, words):
    size, differs = size_of(vars(Settings(**change)))
    assert size is None
    assert words in differs


def test_a_size_without_runs():
    with pytest.raises(ValueError, match="size is 'large': there are healthy runs of class, small"):
        read_healthy_runs("large")


def test_diagnose_warns_of_a_run_behind_the_band(recorded, tmp_path):
    slow = curve(3, 0.4)
    slow["train_loss"] -= 1.5  # its loss is fine: fewer than 1 dB over the worst
    finding = diagnose(run=folder(tmp_path, slow))["unhealthy-curve"]
    assert finding.state == "warn"
    assert "behind the band" in finding.says and "10 healthy runs of the network 'class'" in finding.says
    assert "What to do" in finding.says
    assert finding.evidence["si_sdri_db"] < finding.evidence["limit_db"]


def test_a_run_longer_than_the_band_is_not_said_to_be_compared_at_its_own_step(recorded, tmp_path):
    steps = np.arange(100, 3001, 100)
    finding = diagnose(run=folder(tmp_path, curve(3, 0.1, steps), steps=3000))["unhealthy-curve"]
    assert (
        "after 3000 steps" in finding.says
        and "dB at step 1000, the last recorded one before it" in finding.says
    )
    assert finding.evidence["healthy_step"] == 1000
    assert "dB at step 1000, in two" in finding.threshold


def test_the_step_of_the_comparison_is_that_of_the_band():
    place = made().place(curve(3, steps=np.arange(100, 380, 90)).assign(**{MEASURE: 0.5}))
    assert (place.step, place.at, place.recorded_to) == (370, 300, 1000)


def test_diagnose_is_content_with_a_healthy_run(recorded, tmp_path):
    assert diagnose(run=folder(tmp_path, curve(17)))["unhealthy-curve"].state == "ok"


@pytest.mark.parametrize("change", [{"data": "my_voices"}, {"model": {"n_repeats": 6}}])
def test_another_network_gets_a_note_and_no_failure(recorded, tmp_path, change):
    slow = curve(3, 0.1)
    report = diagnose(run=folder(tmp_path, slow, **change))
    assert report["unhealthy-curve"].state == "note"
    assert "No healthy run was recorded" in report["unhealthy-curve"].says
    assert not [f for f in report.findings if f.state == "fail"]
    never = pd.DataFrame({"step": np.arange(100, 5000, 100), "train_loss": 0.1})
    never["train_loss"] += 0.01 * np.sin(never["step"])
    never.loc[0, "train_loss"] = 8.0
    again = tmp_path / "again"
    again.mkdir()
    assert diagnose(run=folder(again, never, **change))["unhealthy-curve"].state == "warn"


@pytest.mark.parametrize(
    "text", ["[1, 2]", "model: [", "a: &a [1]\nmodel: *a", "model: 3", "lr: fast\nmodel: {}"]
)
def test_settings_that_are_none(tmp_path, text):
    curve(3).to_csv(tmp_path / "metrics.csv", index=False)
    (tmp_path / "config.yaml").write_text(text)
    assert not diagnose(run=tmp_path).errors


def test_both_networks_are_those_of_the_recording_command():
    """The sizes of the band are written down twice: here, and where they are recorded."""
    from dprnn_lab.training.settings import SMALL

    assert SIZES["small"]["model"] == SMALL
    assert yaml.safe_load(yaml.safe_dump(healthy_runs._SMALL)) == SMALL
