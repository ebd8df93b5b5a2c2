import numpy as np
import pandas as pd
import pytest

from dprnn_lab.diagnosis.healthy_runs import HealthyRuns
from dprnn_lab.diagnosis.run_curves import Run, read_run
from dprnn_lab.plots.healthy import run_over_band


def runs(count=3):
    steps = np.array([100, 200, 300])
    return HealthyRuns("class", pd.concat([
        pd.DataFrame({
            "seed": seed, "step": steps, "train_loss": -steps / 100, "grad_norm": 3.0 + seed,
            "si_sdri_man-woman": steps / 150 + 0.1 * seed, "seconds": steps * 0.1,
        })
        for seed in range(count)
    ], ignore_index=True))  # fmt: skip


def test_the_run_lies_over_the_band():
    healthy = runs()
    loss, gain, gradient, time = run_over_band(healthy.run(1), healthy, "mine").axes
    assert [len(axes.collections) for axes in (loss, gain, gradient, time)] == [1, 1, 1, 1]
    (own,) = [line for line in gain.lines if line.get_label() == "man-woman"]
    assert np.allclose(own.get_ydata(), healthy.run(1)["si_sdri_man-woman"])
    (own,) = [line for line in time.lines if line.get_label() == "mine"]
    assert list(own.get_xdata()) == [10, 20, 30]
    low = gain.collections[0].get_paths()[0].vertices[:, 1].min()
    assert np.isclose(low, 100 / 150)


def test_a_run_of_another_toolkit_is_drawn_where_it_has_a_column():
    log = pd.DataFrame({"step": [0, 150, 300], "train_loss": [3.0, 0.0, -2.0]})
    loss, gain, _, time = run_over_band(log, runs(), "theirs").axes
    assert [line.get_label() for line in loss.lines] == ["theirs"]
    assert not [line for line in (*gain.lines, *time.lines) if line.get_label() == "theirs"]


def test_milestones_are_marked_only_where_most_runs_reach_them():
    _, gain, _, _ = run_over_band(runs().run(0), runs()).axes
    bars = [line for line in gain.lines if line.get_color() == "black" and len(line.get_xdata()) == 2]
    assert [list(bar.get_xdata()) for bar in bars] == [[200, 200]]  # 1 dB; nobody reaches 5 dB


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": {"hid_size": 128}}, "mine is no run of it: model.hid_size is 128"),
        ({}, "band of the network 'class'"),
        ({"seed": 1}, "mine is no run of it: it has the network and pairs of 'small'"),
    ],
)
def test_the_title_says_that_a_run_is_of_another_size(settings, said):
    figure = run_over_band(Run(runs().run(0), settings=settings), runs(), "mine")
    assert said in figure.get_suptitle()
    assert ("no run of it" in figure.get_suptitle()) == bool(settings)


def test_what_can_not_be_drawn_over_a_band(tmp_path):
    log = tmp_path / "train_log.txt"
    log.write_text(
        "epoch: 1 - train loss: 3.0 - valid loss: 3.1\nepoch: 2 - train loss: 2.0 - valid loss: 2.1\n"
    )
    with pytest.raises(ValueError, match="the run counts epochs, the band steps"):
        run_over_band(read_run(log), runs())
    with pytest.raises(TypeError, match="run is str: give read_run"):
        run_over_band("runs/mine", runs())
    for table in (
        pd.DataFrame({"step": [1], "pesq": [2]}),
        pd.DataFrame({"step": [1], "train_loss": [np.nan]}),
    ):
        with pytest.raises(ValueError, match="nothing of it can be drawn over the band"):
            run_over_band(table, runs())
