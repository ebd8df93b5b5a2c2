"""Intervals, comparisons and worst cases against values computed by other means."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from dprnn_lab.datasets import FixedMixtures
from dprnn_lab.evaluation import bootstrap_mean, cluster_bootstrap, clusters_of, compare, worst
from dprnn_lab.evaluation.clusters import voices_of
from dprnn_lab.evaluation.report import _histogram
from dprnn_lab.evaluation.statistics import student_mean
from dprnn_lab.plots.basics import finite_rows
from dprnn_lab.plots.experiments import kind_histograms


def table(scores, kind="man-woman", ids=None):
    ids = ids or [f"m{i}" for i in range(len(scores))]
    return pd.DataFrame({"id": ids, "kind": kind, "si_sdri": scores})


def test_the_interval_of_a_large_sample_is_the_normal_one():
    values = np.random.default_rng(0).normal(10, 3, 400)
    found = bootstrap_mean(values)
    error = values.std() / math.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.05)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.05)
    narrower = bootstrap_mean(values, confidence=0.5)
    assert narrower.high - narrower.low == pytest.approx(2 * 0.674 * error, abs=0.05)


def test_the_interval_is_the_same_for_the_same_seed():
    values = np.random.default_rng(1).normal(size=30)
    assert bootstrap_mean(values) == bootstrap_mean(values, seed=0)
    assert bootstrap_mean(values) != bootstrap_mean(values, seed=1)


def test_nans_are_left_out_and_one_value_has_no_interval():
    assert bootstrap_mean([1.0, math.nan, 3.0]).mean == 2
    alone = bootstrap_mean([4.0])
    assert alone.mean == 4
    assert math.isnan(alone.low)
    assert str(bootstrap_mean([2.0, 2.0])) == "2.00 [2.00, 2.00]"


@pytest.mark.parametrize(
    ("values", "options", "reason"),
    [([], {}, "no values"), ([math.nan], {}, "no values"), ([1, 2], {"confidence": 95}, "confidence is 95")],
)
def test_values_without_an_interval_are_refused(values, options, reason):
    with pytest.raises(ValueError, match=reason):
        bootstrap_mean(values, **options)


def test_a_comparison_is_paired_by_id():
    hard, easy = (
        list(range(10)),
        [10 - i for i in range(10)],
    )  # the mixtures differ by far more than the systems
    first = table([float(x) for x in hard])
    second = table([x + 0.5 for x in reversed(hard)], ids=[f"m{i}" for i in reversed(range(10))])
    row = compare(first, second).set_index("kind").loc["all"]
    assert easy[0] == 10
    assert row.difference == pytest.approx(0.5)
    assert row.low == pytest.approx(0.5)
    assert (row.better, row.worse) == (10, 0)
    assert row.p == pytest.approx(2 / 2**10)


def test_a_comparison_has_a_row_per_kind_and_one_for_all():
    first = pd.concat([table([1.0, 2.0]), table([1.0, 1.0], "woman-woman", ["a", "b"])])
    second = pd.concat([table([2.0, 3.0]), table([0.0, 1.0], "woman-woman", ["a", "b"])])
    rows = compare(first, second).set_index("kind")
    assert rows.index.tolist() == ["man-woman", "woman-woman", "all"]
    assert rows.loc["man-woman", "difference"] == 1
    assert rows.loc["woman-woman", ["better", "worse"]].tolist() == [0, 1]  # a tie counts for neither
    assert rows.loc["all", "mixtures"] == 4


def test_equal_systems_do_not_differ():
    row = compare(table([1.0, 2.0]), table([1.0, 2.0])).iloc[-1]
    assert (row.difference, row.better, row.worse, row.p) == (0, 0, 0, 1)


def test_chance_alone_is_seldom_called_a_difference():
    rng = np.random.default_rng(0)
    found = [compare(table(rng.normal(size=40)), table(rng.normal(size=40))).iloc[-1] for _ in range(60)]
    assert sum(row.low > 0 or row.high < 0 for row in found) <= 9
    assert sum(row.p < 0.05 for row in found) <= 9


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (table([1.0, 2.0]), table([1.0]), r"1 mixtures are in only one of the tables \(m1"),
        (
            table([1.0]).drop(columns="si_sdri"),
            table([1.0]),
            "first table has no 'si_sdri': its columns are id",
        ),
        (table([1.0]), table([]), "second table has no"),
        (table([1.0]), pd.concat([table([1.0])] * 2), "second table has a mixture twice"),
    ],
)
def test_tables_that_can_not_be_compared(first, second, reason):
    with pytest.raises(ValueError, match=reason):
        compare(first, second)


def test_the_worst_come_first():
    assert worst(table([3.0, -1.0, 2.0]), 2)["id"].tolist() == ["m1", "m2"]


def test_a_cell_that_is_no_number_is_named_by_its_row():
    ids = [f"m{i}" for i in range(4)]
    good = pd.DataFrame({"id": ids, "kind": "any", "si_sdri": [1.0, 2.0, 3.0, 4.0]})
    bad = good.assign(si_sdri=["1", "2", "oops", "4"])
    for call in (
        lambda: compare(good, bad),
        lambda: worst(bad),
        lambda: finite_rows(bad, "si_sdri"),
        lambda: kind_histograms(bad, ["any"], "any"),
    ):
        with pytest.raises(
            ValueError, match="si_sdri of the row m2 is 'oops', expected a number: correct it"
        ):
            call()
    for mean in (bootstrap_mean, student_mean):
        with pytest.raises(ValueError, match="value of the row 2 is 'oops', expected a number"):
            mean(bad["si_sdri"])


def test_a_picture_shows_the_finite_scores_and_says_where_there_are_none():
    table = pd.DataFrame(
        {"system": "a", "id": ["x", "y", "z"], "kind": "any", "si_sdri": [1.0, math.inf, math.nan]}
    )
    assert finite_rows(table, "si_sdri")["id"].tolist() == ["x"]
    table["si_sdri"] = math.nan
    with pytest.raises(
        ValueError, match=r"si_sdri is not a finite number in any of the 3 rows \(the first is x\)"
    ):
        finite_rows(table, "si_sdri")
    (paragraph,) = _histogram(table)
    assert "There is no histogram: si_sdri is not a finite number" in paragraph


# Clusters


def test_a_cluster_bootstrap_covers_the_mean_where_the_plain_one_does_not():
    """Ten pairs with eight mixtures each, in 100 repetitions: how often each interval contains the true mean."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(10), 8).tolist()
    covered = {"plain": 0, "clusters": 0}
    for _ in range(100):
        values = np.repeat(rng.normal(0, 2, 10), 8) + rng.normal(0, 1, 80)
        for name, found in (
            ("plain", bootstrap_mean(values)),
            ("clusters", cluster_bootstrap(values, labels)),
        ):
            covered[name] += found.low <= 0 <= found.high
    assert covered["plain"] < 70
    assert covered["clusters"] > 80


def test_two_labels_per_value_cover_the_variation_of_voices():
    rng = np.random.default_rng(5)
    pairs = list(itertools.combinations(range(12), 2))
    plain = wide = 0
    for _ in range(60):
        voices = rng.normal(0, 2, 12)
        values = np.array([voices[a] + voices[b] for a, b in pairs]) + rng.normal(0, 1, len(pairs))
        one, two = bootstrap_mean(values), cluster_bootstrap(values, pairs)
        plain += one.low <= 0 <= one.high
        wide += two.low <= 0 <= two.high
    assert plain < 42
    assert wide > 48


def test_without_shared_labels_the_cluster_bootstrap_is_the_plain_one():
    values = np.random.default_rng(0).normal(10, 3, 200)
    plain = bootstrap_mean(values)
    for labels in (list(range(200)), [(f"a{i}", f"b{i}") for i in range(200)]):
        found = cluster_bootstrap(values, labels)
        assert found.mean == plain.mean
        assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.05)


def test_a_cluster_bootstrap_is_seeded_and_leaves_out_nans():
    values, labels = [1.0, 2.0, math.nan, 4.0, 6.0], list("aabbc")
    assert cluster_bootstrap(values, labels) == cluster_bootstrap(values, labels, seed=0)
    assert cluster_bootstrap(values, labels).mean == 3.25
    one = cluster_bootstrap([1.0, 2.0], ["a", "a"])
    assert one.mean == 1.5
    assert math.isnan(one.low)
    with pytest.raises(ValueError, match="5 values and 2 clusters: give a label for each"):
        cluster_bootstrap(values, ["a", "b"])


def test_a_comparison_with_clusters_has_both_intervals():
    ids = [f"m{i}" for i in range(12)]
    rng = np.random.default_rng(2)
    first = table(rng.normal(5, 1, 12), ids=ids)
    second = table(first["si_sdri"] + np.repeat(rng.normal(0.5, 1, 3), 4), ids=ids)
    found = compare(first, second, clusters={name: (f"pair-{i // 4}",) for i, name in enumerate(ids)}).iloc[0]
    assert found["cluster_high"] - found["cluster_low"] > found["high"] - found["low"]
    assert found["cluster_low"] <= found["difference"] <= found["cluster_high"]
    assert "cluster_low" not in compare(first, second)


@dataclass(frozen=True)
class OnDisk:
    id: str
    kind: str = "mix"
    sources: tuple = ("s1/a.wav", "s2/a.wav")


@pytest.mark.parametrize(
    ("name", "voices"),
    [
        ("1089-134686-0000_121-127105-0031", ("1089", "121")),
        ("1089-134686-0000_121-127105-0031.wav", ("1089", "121")),
        ("050a0501_1.7783_442o030z_-1.7783", ("050", "442")),
        ("recording 7", ()),
    ],
)
def test_the_voices_of_a_mixture_on_disk_are_those_of_its_name(name, voices):
    assert voices_of(OnDisk(name)) == voices


def test_new_people_are_the_clusters_of_their_list_and_utterances_those_of_the_known_voices():
    new, known = FixedMixtures("unseen"), FixedMixtures("test")
    labels = clusters_of(new)
    assert len({voice for names in labels.values() for voice in names}) == 12
    assert labels["new-man-woman-00"] == ("steel-sky-anita", "drascula-es-bartender")
    assert clusters_of(known)["man-woman-00"] == (known.specs[0].first, known.specs[0].second)
    assert clusters_of([("no", "specs")]) == {}
