"""The second bench: its structure, its judging, and a handful of its cases; `make bench-diagnosis` runs all of it."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from dprnn_lab.diagnosis import CATALOGUE

sys.path.insert(0, str(Path(__file__).parent))

from second_bench import judging
from second_bench.case import PLANNED, Case, World, all_cases
from second_bench.judging import Verdict, judge, qualified
from second_bench.run import main
from second_bench.table import missed_goals, render
from second_bench.voices import Voices

VOICES = Voices()
CASES = {case.name: case for case in all_cases()}


def test_eighty_faults_and_eighty_healthy_cases():
    faults = [case for case in CASES.values() if not case.healthy]
    assert (len(faults), len(CASES) - len(faults)) == (80, 80)
    for case in CASES.values():
        assert case.sees, f"{case.name} does not say what its user sees"
        assert set(case.expect) <= {*CATALOGUE, *PLANNED}, case.name


def test_the_faults_cover_the_catalogue():
    expected = {case.expect[0] for case in CASES.values() if not case.healthy}
    assert len(expected) >= 30


@pytest.mark.parametrize(
    "name",
    [
        "login page of a file host",
        "whole hand written model pickled",
        "filters of the paper for a smaller file",
        "another stride in the package",  # separates well all the same, and the bundled mixtures badly
        "unknown voices with their references",  # remix consistency rises at half the rate, SI-SDRi hardly
        "fixed order of three sources",
        "each estimate takes the target it likes",
        "file lists sorted differently",
        "segments in which one person is silent",
        "eighty decibels for the rest of the run",
        "learnt two hundred mixtures by heart",
        "minus ten is the mean of two clusters",
    ],
)
def test_named_first(name):
    verdict = judge(CASES[name], VOICES)
    assert verdict.found_first, verdict


@pytest.mark.parametrize(
    "name",
    [
        "si snr by hand",
        "snr with a soft threshold",
        "silent sources masked out",
        "hungarian assignment of four sources",
        "spectra at three resolutions",
        "batch of three voices",
        "scores in one cluster",
        "plateau at a good value",
        "four sources from another network",
    ],
)
def test_no_false_failure(name):
    verdict = judge(CASES[name], VOICES)
    assert not verdict.false_failure, verdict


def test_a_case_is_the_same_each_time(tmp_path):
    case = CASES["segments in which one person is silent"]
    first, second = (case.make(World(case.name, tmp_path, VOICES))["batch"] for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_nothing_wrong_counts_as_qualified_only_with_what_is_missing():
    assert not qualified("Nothing wrong in 2 checks; 35 lack input.")
    assert not qualified("Nothing wrong: 40 of 40 checks had what they need.")
    assert qualified("Nothing wrong so far: 12 of 40 checks had what they need.")
    assert qualified("Nothing found; references would decide 9 more.")


def test_an_exception_counts_against_the_case():
    def crash(world):
        raise RuntimeError("no such thing")

    for expect in ((), ("no-pit",)):
        verdict = judge(Case("crashes", "losses", "", expect, crash), VOICES)
        assert "RuntimeError: no such thing" in verdict.crash and not verdict.good
        assert verdict.false_failure == (not expect) and not verdict.found
        assert missed_goals([verdict])


def test_a_model_left_changed_counts(monkeypatch):
    norm = nn.BatchNorm1d(4).train()
    report = judging.diagnose(scores=[1.0, 2.0, 3.0])

    def careless(model):
        model(torch.randn(3, 4))
        model.eval()
        return report

    monkeypatch.setattr(judging, "diagnose", careless)
    verdict = judge(Case("careless", "config", "", (), lambda world: {"model": norm}), VOICES)
    assert "running_mean" in verdict.changed and "mode of the model" in verdict.changed


def test_the_table_counts_and_lists_every_case():
    good, bad = (
        CASES[n] for n in ("fixed order of three sources", "each estimate takes the target it likes")
    )
    fine = CASES["si snr by hand"]
    verdicts = [
        Verdict(good, first="no-pit", named=["no-pit"], failed=["no-pit"]),
        Verdict(bad, summary="Nothing wrong in 2 checks; 35 lack input."),
        Verdict(fine, first="no-pit", named=["no-pit"], failed=["no-pit"]),
    ]
    text = render(verdicts, known_voices=True)
    assert "50.0% (1 of 2)" in text and "**missed**" in text
    assert all(f"| {v.case.name} |" in text for v in verdicts)
    assert len(missed_goals(verdicts)) == 4  # named at all, named first, a false failure, a silent miss
    second = dataclasses.replace(verdicts[0], first="no-pit")
    assert missed_goals([second]) == []


def test_the_command_runs_some_and_writes_nothing(tmp_path, capsys):
    out = tmp_path / "README.md"
    assert main(["--only", "plain snr", "fixed order", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "fixed order of three sources" in shown and "plain snr" in shown
    assert not out.exists()
