"""The benchmark of training on several cores: all contestants learn the same from the same, and are timed in turns."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("training_cores")
    for name in ("training_cores", "training_gpu", "machine", "models"):
        sys.modules.pop(name, None)


def test_the_ranks_share_each_batch_of_one(bench):
    whole = next(bench.read(1, 0, 0.1, 0))
    parts = [next(bench.read(2, rank, 0.1, 0)) for rank in (0, 1)]
    for i in (0, 1):
        assert torch.equal(torch.cat([part[i] for part in parts]), whole[i])


def test_steps_and_scores_of_turns_become_ratios_and_curves(bench, tmp_path):
    class Fake:
        precision = "float32"

        def __init__(self, one, seconds):
            self.one, self.seconds, self.made = one, seconds, 0

        def steps(self, count):
            self.made += count
            return self.seconds * count

        def score(self, mixtures):
            return self.made / 10

    first, *_, last = bench.contestants(True, 2)
    assert (first.package, first.processes, first.threads) == ("asteroid", 1, 2)
    assert (last.processes, last.threads, last.precision) == (2, 1, "auto")
    teams = [Fake(first, 0.5), Fake(last, 0.2)]
    rows = bench.measure(teams, 3, 4)
    assert [row["steps_per_second"] for row in rows] == pytest.approx([2, 5])
    assert [row["ratio"] for row in rows] == pytest.approx([1, 2.5])
    for team in teams:
        team.made = 0
    found = bench.curves(teams, 100, 2, 1)
    assert found == {name: [0, 5, 10] for name in (first.name, last.name)}
    found[last.name][-1] = 9.5
    bench.write(tmp_path, rows, found, 100, {"batch": "4"})
    text = (tmp_path / "training_cores.md").read_text()
    assert "| auto, 2 processes | 2 | 1 | float32 | 5.00 | 2.50 |" in text
    assert "| 50 | 5.00 | 5.00 |" in text
    assert "at the end: 0.50 dB" in text
    assert json.loads((tmp_path / "training_cores.json").read_text())["curves"] == found


@pytest.mark.slow
def test_the_command_measures_and_draws_curves_that_agree(bench, tmp_path):
    sizes = [
        "--turns",
        "1",
        "--steps",
        "2",
        "--seconds",
        "0.5",
        "--curve",
        "4",
        "--points",
        "2",
        "--mixtures",
        "2",
    ]
    bench.main(["--no-asteroid", "--tiny", *sizes, "--out", str(tmp_path)])
    found = json.loads((tmp_path / "training_cores.json").read_text())
    assert len(found["rows"]) == len(found["curves"]) == 4
    one, two, *_ = found["curves"].values()
    assert two == pytest.approx(one, abs=1e-3)  # two processes learn what one learns
    assert bench.end_difference(found["curves"]) < 0.5
    bench.main(
        ["--no-asteroid", "--tiny", *sizes, "--turns", "0", "--curve-of", "0", "3", "--out", str(tmp_path)]
    )
    again = json.loads((tmp_path / "training_cores.json").read_text())
    assert again["rows"] == found["rows"]
    assert list(again["curves"]) == [list(found["curves"])[place] for place in (0, 3)]


def test_timings_of_another_machine_are_not_kept(bench, tmp_path):
    with pytest.raises(SystemExit, match="is not there: measure them first"):
        bench.stored_rows(tmp_path, {})
    bench.write(tmp_path, [], {}, 0, {"processor": "A"})
    assert bench.stored_rows(tmp_path, {"processor": "A"}) == []
    with pytest.raises(SystemExit, match=r"has timings of .*'A'.*, not of .*'B'"):
        bench.stored_rows(tmp_path, {"processor": "B"})
