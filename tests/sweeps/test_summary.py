"""From runs to numbers: means over the seeds, and differences between settings."""

import re
from pathlib import Path

import pandas as pd
import pytest

from dprnn_lab.evaluation.statistics import student_mean
from dprnn_lab.files import data_folder
from dprnn_lab.sweeps import compare_runs, summarise_runs


def make_table():
    rows = [
        {"size": size, "kind": kind, "seed": seed, "status": "ok", "score": score + seed + (kind == "b")}
        for size, score in ((1, 3.0), (2, 5.0))
        for kind in ("a", "b")
        for seed in (0, 1, 2)
    ]
    return pd.DataFrame(rows)


def test_runs_are_summarised_over_their_seeds():
    table = make_table()
    table.loc[0, "status"] = "failed"
    summary = summarise_runs(table, ["size", "kind"], "score")
    assert summary[["size", "kind"]].values.tolist() == [[1, "a"], [1, "b"], [2, "a"], [2, "b"]]
    assert summary[["runs", "failed"]].values.tolist() == [[2, 1], [3, 0], [3, 0], [3, 0]]
    assert summary["mean"].tolist() == [4.5, 5.0, 6.0, 7.0]
    assert summary["low"][1] == pytest.approx(student_mean([4, 5, 6]).low)
    with pytest.raises(ValueError, match="no column 'colour'"):
        summarise_runs(table, "colour", "score")


def test_two_settings_are_compared_seed_by_seed():
    table = make_table()
    some = table[table["kind"] == "a"].copy()
    some["score"] += [0, 0, 0, 0.1, 0.0, -0.1]
    difference = compare_runs(some, "size", 1, 2, "score")
    expected = student_mean([2.1, 2.0, 1.9])
    assert (difference.mean, difference.low) == pytest.approx((expected.mean, expected.low))
    some.loc[0, "status"] = "failed"
    assert compare_runs(some, "size", 1, 2, "score").mean == pytest.approx(1.95)
    with pytest.raises(ValueError, match="has a seed twice: other parameters vary"):
        compare_runs(table, "size", 1, 2, "score")
    with pytest.raises(ValueError, match="no finished run has size=3"):
        compare_runs(some, "size", 1, 3, "score")
    some.loc[some["size"] == 2, "seed"] += 10
    with pytest.raises(ValueError, match="no seed in common"):
        compare_runs(some, "size", 1, 2, "score")


def test_students_interval():
    assert student_mean([4.0, 5.0, 6.0]).high == pytest.approx(5 + 4.302653 / 3**0.5)
    alone = student_mean([4.0, float("nan")])
    assert alone.mean == 4
    assert alone.low != alone.low
    with pytest.raises(ValueError, match="no values"):
        student_mean([])
    with pytest.raises(ValueError, match="confidence is 95"):
        student_mean([1, 2], 95)


def test_the_readme_has_the_differences_of_the_recorded_experiments():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    names = ("chunk", "pit", "pit-trained", "size-steps", "size-time")
    recorded = {n: pd.read_csv(data_folder() / "curves" / "experiments" / f"{n}.csv") for n in names}
    orders = dict(list(recorded["pit"].groupby("order")))
    pairs = dict(list(recorded["pit-trained"].groupby("pairs")))
    for label, runs, parameter, before, after in [
        ("PIT left out, speakers in random order", orders["random"], "pit", True, False),
        ("PIT left out, the man always first", orders["sorted"], "pit", True, False),
        (
            "six-voices/small goes on for 100 steps without PIT, man-woman",
            pairs["man-woman"],
            "pit",
            True,
            False,
        ),
        ("the same, woman-woman", pairs["woman-woman"], "pit", True, False),
        ("chunks of 2 frames", recorded["chunk"], "chunk_size", 22, 2),
        ("chunks of 250 frames", recorded["chunk"], "chunk_size", 22, 250),
        *(
            (
                f"{size} hidden units in place of 64, equal {way}",
                recorded[f"size-{way}"],
                "hid_size",
                64,
                size,
            )
            for size in (16, 128)
            for way in ("steps", "time")
        ),
    ]:
        row = re.search(rf"^\| {label}[^|]*\|([^|]*)\|", readme, re.MULTILINE)[1]
        found = compare_runs(runs, parameter, before, after, "si_sdri")
        written = [float(number) for number in re.findall(r"[-+]?\d+\.\d+", row)]
        assert written == pytest.approx([found.mean, found.low, found.high], abs=0.0051), label
