"""A mean that hides two clusters, from a curve and from the scores of single examples."""

import numpy as np
import pandas as pd
import pytest

from dprnn_lab.diagnosis import diagnose
from dprnn_lab.diagnosis.score_table import read_scores, two_clusters
from dprnn_lab.faults.curves import recorded_curve
from dprnn_lab.faults.scores import healthy_scores, leaking_scores


def reading(**evidence):
    return diagnose(**evidence)["plateau-reading"]


def clusters(low=0.5, high=10.0, count=40, share=0.5, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    lower = int(count * share)
    return np.concatenate([rng.normal(low, spread, lower), rng.normal(high, spread, count - lower)])


@pytest.mark.parametrize(("other", "state"), [(4.0, "warn"), (7.0, "ok"), (1.0, "fail")])
def test_kinds_in_a_curve(other, state):
    table = recorded_curve("healthy-0").copy()
    table["si_sdri_man-woman"], table["si_sdri_seen-unseen"] = 8.0, other
    assert reading(run=table).state == state


def test_a_curve_of_one_kind_and_no_scores_do_not_tell():
    finding = reading(run=recorded_curve("healthy-0"))
    assert finding.state == "undecided"
    assert "scores=" in finding.bring


@pytest.mark.parametrize(("low", "state"), [(0.5, "fail"), (4.0, "warn"), (8.5, "ok")])
def test_kinds_in_scores(low, state):
    finding = reading(scores={"man-woman": clusters(10, 10), "woman-woman": clusters(low, low)})
    assert finding.state == state
    assert finding.evidence["woman-woman"] == pytest.approx(low, abs=0.5)


@pytest.mark.parametrize(("low", "state"), [(0.5, "fail"), (4.0, "warn"), (10.0, "ok")])
def test_clusters_of_unnamed_examples(low, state):
    finding = reading(scores=clusters(low))
    assert finding.state == state
    if state != "ok":
        assert finding.evidence["lower_cluster_db"] == pytest.approx(low, abs=0.5)
        assert finding.evidence["lower_share"] == 0.5
        assert "50%" in finding.says


def test_clusters_close_together_are_one():
    assert reading(scores=clusters(8, 10, spread=0.1)).state == "ok"


def test_a_wide_cluster_is_one_cluster():
    assert reading(scores=np.linspace(0, 12, 60)).state == "ok"
    draws = [np.random.default_rng(seed).normal(4, 3, 24) for seed in range(200)]
    assert sum(reading(scores=d).bad for d in draws) <= 1


def test_kinds_that_differ_by_chance_are_undecided():
    noisy = {"a": [0.0, 12.0, 3.0], "b": [4.0, 16.0, 10.0]}  # means 5 dB apart, each uncertain by 4 dB
    finding = reading(scores=noisy)
    assert finding.state == "undecided"
    assert "20 examples" in finding.bring


def test_the_worse_of_curve_and_scores_counts():
    table = recorded_curve("healthy-0").copy()
    table["si_sdri_man-woman"], table["si_sdri_woman-woman"] = 8.0, 0.0
    assert reading(run=table, scores=healthy_scores(0)).state == "fail"
    assert reading(run=recorded_curve("healthy-0"), scores=clusters()).state == "fail"


def test_a_table_of_several_systems_is_of_the_first():
    tables = [
        pd.DataFrame({"system": n, "kind": "x", "si_sdri": [v]}) for n, v in (("mine", 5.0), ("irm", 11.0))
    ]
    assert reading(scores=pd.concat(tables * 30)).evidence["mean_db"] == 5.0


def test_sisdr_is_not_called_sisdri():
    table = pd.DataFrame({"si_sdr": clusters(10, 10), "si_sdri": clusters(15, 15)})
    finding = reading(scores=table)
    assert finding.evidence["metric"] == "SI-SDRi"
    assert finding.evidence["mixture_db"] == pytest.approx(-5)  # what noise in the mixture makes
    assert reading(scores=table[["si_sdr"]]).evidence["metric"] == "SI-SDR"


def test_scores_that_are_not_defined_are_counted_and_left_out():
    finding = reading(scores=[*clusters(10, 10), float("nan")])
    assert (finding.evidence["examples"], finding.evidence["undefined"]) == (40, 1)


def test_the_folder_of_an_evaluation(tmp_path):
    leaking_scores({"man-woman": [8.0, 9.0]}).to_csv(tmp_path / "scores.csv", index=False)
    read = read_scores(tmp_path)
    assert sorted(read.values) == pytest.approx([8, 9], abs=1.5)  # voices are not quite orthogonal
    assert read_scores(read) is read


def test_the_folder_of_a_run_includes_its_last_validation(tmp_path):
    recorded_curve("healthy-0").to_csv(tmp_path / "metrics.csv", index=False)
    (tmp_path / "validation").mkdir()
    for step, lost in ((100, 10.0), (600, 0.5)):
        table = pd.DataFrame({"kind": ["a"] * 12 + ["b"] * 12, "si_sdri": clusters(lost, 10, 24)})
        table.to_csv(tmp_path / "validation" / f"step{step:07d}.csv", index=False)
    finding = reading(run=tmp_path)
    assert finding.state == "fail"
    assert finding.evidence["a"] == pytest.approx(0.5, abs=0.6)
    healthy = healthy_scores(0)
    assert reading(run=tmp_path, scores=healthy).state == "ok"  # what is given counts


def test_the_cut_explains_the_most():
    split = two_clusters([0, 1, 2, 3, 20, 21])
    assert (split.low, split.high, split.share) == (1.5, 20.5, pytest.approx(4 / 6))
    assert split.explained > 0.98
    assert two_clusters([1, 2, 3, 4]) is None
    assert two_clusters([5.0] * 9) is None
    assert two_clusters([0, 0, 0, 0, 0, 0, 0, 0, 0, 50]).share == 0.8  # an outlier alone is no cluster


def test_one_normal_distribution_explains_two_over_pi():
    values = np.random.default_rng(0).normal(size=200_000)
    assert two_clusters(values).explained == pytest.approx(2 / np.pi, abs=0.01)
    assert two_clusters(np.linspace(0, 1, 10_000)).explained == pytest.approx(0.75, abs=0.01)


def test_html_draws_the_histogram():
    html = diagnose(scores={"man-woman": clusters(10, 10), "woman-woman": clusters(1, 1)})._repr_html_()
    assert "alt='histogram of SI-SDRi over examples'" in html
