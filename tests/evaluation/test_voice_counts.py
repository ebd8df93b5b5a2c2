import numpy as np
import pandas as pd
import pytest

from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.evaluation.voice_counts import (
    change_of_score,
    long_trainings,
    read_voice_counts,
    scores_by_voices,
    voices_of_runs,
)

NEW = [s.id.removeprefix("new-") for s in FixedMixtures("unseen").specs if s.kind == "new man-woman"]


def run(voices, seed, steps=300, gain=0.0):
    rng = np.random.default_rng(seed)
    rows = [("new", name, 1.0 + gain + rng.normal()) for name in NEW]
    rows += [(of, f"man-woman-{i:03d}", 2.0 + rng.normal()) for of in ("shared", "own") for i in range(6)]
    table = pd.DataFrame(rows, columns=["set", "mixture", "si_sdri"])
    return table.assign(kind="man-woman", voices=voices, seed=seed, steps=steps)


@pytest.fixture
def table(tmp_path):
    """Two whole seeds, a third that lacks 100 voices, and longer runs of which no seed is whole."""
    parts = [run(n, s, gain=g) for s in (0, 1) for n, g in ((2, 0.0), (100, 3.0))]
    parts += [run(2, 2), run(2, 0, steps=3000)]
    path = tmp_path / "voices.csv"
    pd.concat(parts).to_csv(path, index=False)
    return path


def test_only_whole_seeds_of_the_longest_runs_are_read(table):
    rows = read_voice_counts(table)
    assert set(rows["steps"]) == {300}
    assert set(rows["seed"]) == {0, 1}
    with pytest.raises(ValueError, match="no seed has runs of 3000 steps"):
        read_voice_counts(table, steps=3000)
    pd.concat([pd.read_csv(table), run(100, 0, steps=3000)]).to_csv(table, index=False)
    assert set(read_voice_counts(table)["steps"]) == {3000}


def test_the_mean_is_that_of_all_seeds_and_its_interval_resamples_people(table):
    rows = read_voice_counts(table)
    found = scores_by_voices(rows)
    for number in (2, 100):
        part = rows[(rows["set"] == "new") & (rows["voices"] == number)]["si_sdri"]
        assert np.isclose(found[number].mean, part.mean())
        assert found[number].low < part.mean() < found[number].high
    assert set(scores_by_voices(rows, "own")) == set(scores_by_voices(rows, "shared")) == {2, 100}


def test_the_change_is_paired(table):
    """Both numbers of voices have the same noise in these runs, so that their difference has none."""
    change = change_of_score(read_voice_counts(table), 2, 100)
    assert np.allclose([change.mean, change.low, change.high], 3.0)


def test_what_was_not_recorded(table):
    rows = read_voice_counts(table)
    with pytest.raises(ValueError, match="no run with 50 voices"):
        change_of_score(rows, 2, 50)
    with pytest.raises(ValueError, match="of is 'own'"):
        change_of_score(rows, 2, 100, "own")
    with pytest.raises(ValueError, match="no row of the set 'new' and the kind 'woman-woman'"):
        scores_by_voices(rows, kind="woman-woman")


def test_the_voices_of_each_number_are_counted(table, tmp_path):
    rows = read_voice_counts(table)
    runs = [
        {"voices": n, "seed": s, "steps": 300, "speech_minutes": n / 2 + s}
        for n in (2, 100)
        for s in (0, 1, 2)
    ]
    pd.DataFrame(runs).to_csv(tmp_path / "voices_runs.csv", index=False)
    order = ["people"] * 6 + ["game"] * 27 + ["synthetic"] * 40 + ["changed"] * 27
    drawn = [{"seed": 0, "place": place, "source": source} for place, source in enumerate(order, 1)]
    pd.DataFrame(drawn).to_csv(tmp_path / "voices_drawn.csv", index=False)
    found = voices_of_runs(rows, tmp_path)
    assert found.loc[2].to_dict() == {
        "seeds": 2, "minutes": 1.5, "people": 2, "game": 0, "synthetic": 0, "changed": 0
    }  # fmt: skip
    assert found.loc[100, ["people", "game", "synthetic", "changed"]].tolist() == [6, 27, 40, 27]


def test_the_long_trainings_are_those_of_the_card():
    """The rounded numbers of data/model/README.md."""
    table = long_trainings().round(1)
    assert table.loc[("large", "six voices"), ["new", "known"]].tolist() == [4.6, 14.4]
    assert table.loc[("small", "many voices"), ["new", "known"]].tolist() == [7.7, 6.7]


def test_the_committed_curve_has_every_number_of_voices_up_to_its_largest():
    rows = read_voice_counts()
    sizes = (2, 6, 12, 25, 50, 100)
    assert sorted(set(rows["voices"])) == [size for size in sizes if size <= rows["voices"].max()]
    assert rows["voices"].max() >= 50
    for (voices, seed), part in rows[rows["set"] == "new"].groupby(["voices", "seed"]):
        assert len(part) == len(FixedMixtures("unseen")), (voices, seed)
