import numpy as np
import pandas as pd

from dprnn_lab.plots import COLOURS
from dprnn_lab.plots.curves import (
    curve_gallery,
    gradient_spike,
    healthy_band_chart,
    kind_curves,
    line_chart,
    loss_histograms,
    range_test,
    run_curves,
)


def run(level=0.0):
    step = np.arange(25, 101, 25)
    return pd.DataFrame(
        {
            "step": step, "train_loss": level - step / 10, "valid_loss": level - step / 20, "grad_norm": 5.0,
            "si_sdri_man-woman": step / 20, "si_sdri_woman-woman": 0.0,
        }
    )  # fmt: skip


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_line_chart_has_a_curve_a_level_and_a_place():
    figure = line_chart(
        {"one": ([0, 1], [2, 3]), "two": ([0, 1], [4, 5])}, levels={"floor": 1.0}, places={"here": 0.5},
        xlabel="step", title="both",
    )  # fmt: skip
    (axes,) = figure.axes
    assert labels(axes) == ["one", "two", "floor", "here"]
    assert [line.get_color() for line in axes.lines[:2]] == list(COLOURS[1:3])
    assert (axes.get_xlabel(), axes.get_title()) == ("step", "both")


def test_a_single_curve_without_a_label_has_no_legend():
    (axes,) = line_chart(
        {"": (range(3), [1, 2, 3])}, xscale="log", xticks=[1, 2], xticklabels=["1", "2"]
    ).axes
    assert axes.get_legend() is None
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "2"]


def test_runs_show_their_loss_and_their_score():
    left, right = run_curves({"healthy": run(), "broken": run(5)}, "a comparison").axes
    assert labels(left) == ["healthy", "broken"]
    assert list(left.lines[0].get_ydata()) == [-2.5, -5.0, -7.5, -10.0]
    assert list(right.lines[0].get_ydata()) == [1.25, 2.5, 3.75, 5.0]
    assert left.lines[0].get_color() == COLOURS[0]
    assert left.get_title(loc="left") == "a comparison"


def test_a_range_test_names_the_rates():
    (axes,) = range_test({1e-5: run(), 2e-3: run()}).axes
    assert labels(axes) == ["1e-05", "0.002"]


def test_the_norm_has_a_logarithmic_panel():
    left, right = gradient_spike({"clipped": run(), "not clipped": run()}).axes
    assert labels(left) == ["clipped", "not clipped"]
    assert right.get_yscale() == "log"


def test_the_band_has_the_edge_that_was_given():
    worst = pd.Series([1.0] * 4, index=run()["step"])
    (axes,) = healthy_band_chart(run(2), [run(), run(1)], worst).axes
    (band,) = axes.collections
    assert band.get_paths()[0].vertices[:, 1].max() == 1.0
    assert band.get_paths()[0].vertices[:, 1].min() == -10.0
    assert labels(axes) == ["three healthy runs", "the user's run"]


def test_the_gallery_has_eight_named_panels():
    figure = curve_gallery({f"run {i}": (run(), f"caption {i}") for i in range(8)})
    assert [axes.get_title() for axes in figure.axes] == [f"run {i}\ncaption {i}" for i in range(8)]
    assert labels(figure.axes[0]) == ["training", "validation"]


def test_the_gallery_gives_the_decibels_around_zero_room():
    axes = curve_gallery({f"run {i}": (run(), "") for i in range(8)}).axes[0]
    place = axes.transData.transform
    heights = [place((0, level))[1] for level in (-2, 2, 40)]
    assert heights[1] - heights[0] > heights[2] - heights[1]  # 4 dB around 0 have more room than 38 dB above


def test_histograms_count_every_mixture_in_both_panels():
    scores = pd.DataFrame({"kind": ["man-woman"] * 3 + ["woman-woman"] * 2, "si_sdr": [1.0, 2, 3, 8, 9]})
    left, right = loss_histograms(scores, ["man-woman", "woman-woman"]).axes
    assert sum(bar.get_height() for bar in left.patches) == 5
    assert sum(bar.get_height() for bar in right.patches) == 5
    assert labels(right) == ["man-woman", "woman-woman"]


def test_each_kind_has_its_curve():
    table = run().assign(**{"si_sdri_seen-unseen": 1.0})
    left, right = kind_curves(table, ["man-woman", "woman-woman", "seen-unseen"]).axes
    assert len(left.lines) == 1
    assert labels(right) == ["man-woman", "woman-woman", "seen-unseen"]
