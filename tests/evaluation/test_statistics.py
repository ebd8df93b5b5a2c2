"""Intervals, comparisons and worst cases against values computed by other means."""

import math

import numpy as np
import pandas as pd
import pytest

from dprnn_lab.evaluation import bootstrap_mean, compare, worst
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
