import matplotlib.pyplot as plt
import pandas as pd

from dprnn_lab.plots import experiments


def test_the_base_candidate_is_orange_and_bars_tell_their_steps():
    ranked = pd.DataFrame({"candidate": ["adam", "base"], "si_sdri": [3.0, 5.0], "steps": [900, 1000]})
    (axes,) = experiments.search_bars(ranked).axes
    colours = [plt.matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in axes.patches]
    assert colours == [experiments.BLUE.upper(), experiments.ORANGE.upper()]
    assert [text.get_text() for text in axes.texts] == ["3.0 dB after 900 steps", "5.0 dB after 1000 steps"]


def test_every_recipe_has_a_bar_at_each_kind():
    changes = pd.DataFrame(
        {
            "recipe": ["one", "one", "two", "two"], "kind": ["x", "y"] * 2, "difference": [1.0, -1, 2, -2],
            "low": [0.5, -2, 1, -3], "high": [1.5, 0, 3, -1],
        }
    )  # fmt: skip
    (axes,) = experiments.change_bars(changes).axes
    assert [bar.get_height() for bar in axes.patches] == [1, -1, 2, -2]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["x", "y"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]


def test_a_budget_is_the_mean_over_seeds():
    runs = pd.DataFrame(
        {"hid_size": [16, 16, 32], "trained_s": [10.0, 20, 30], "steps_made": [100, 300, 200]}
    )
    _, axes = plt.subplots()
    experiments.draw_budgets(axes, {"equal time": runs}, "hid_size")
    assert list(axes.lines[0].get_xdata()) == [15, 30]
    assert list(axes.lines[0].get_ydata()) == [200, 200]
    assert [text.get_text() for text in axes.texts] == ["16", "32"]


def test_labels_of_two_budgets_that_meet_do_not_collide():
    runs = pd.DataFrame({"hid_size": [64, 128], "trained_s": [30.0, 60.0], "steps_made": [600, 600]})
    figure, axes = plt.subplots()
    experiments.draw_budgets(axes, {"equal steps": runs, "equal time": runs}, "hid_size")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_the_trained_kind_is_marked():
    scores = pd.DataFrame({"kind": ["man-woman"] * 2 + ["woman-woman"], "si_sdri": [1.0, 3.0, 0.0]})
    figure = experiments.kind_histograms(scores, ["man-woman", "woman-woman"], trained_on="man-woman")
    assert [axes.get_title() for axes in figure.axes] == ["man-woman (trained on)", "woman-woman"]
    assert figure.axes[0].lines[0].get_xdata()[0] == 2
