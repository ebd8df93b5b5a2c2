"""The notebook that sweeps execute: what it reports, and what it refuses."""

import json
import re
from pathlib import Path

import papermill
import pytest

TEMPLATE = Path(__file__).parents[2] / "notebooks" / "experiments" / "one_run.ipynb"
REPORTED = {
    "si_sdri", "si_sdri_man_woman", "si_sdri_woman_woman", "worst", "correlation", "train_loss", "steps_made",
    "step_ms", "trained_s", "rtf_ms", "kept_mib", "weights",
}  # fmt: skip


def execute(tmp_path, **parameters):
    report = tmp_path / "report.json"
    papermill.execute_notebook(
        TEMPLATE,
        tmp_path / "run.ipynb",
        parameters={"mixtures": 1, "seconds": 0.5, "report": str(report), **parameters},
        cwd=str(tmp_path),
        kernel_name="python3",
        progress_bar=False,
    )
    return json.loads(report.read_text()), (tmp_path / "run.ipynb").read_text()


def test_a_run_at_a_given_time_without_pit_on_sorted_sources(tmp_path):
    found, _ = execute(tmp_path, train_seconds=0.3, pit=False, order="sorted", hid_size=8, bn_chan=8)
    assert set(found) == REPORTED
    assert found["si_sdri"] == found["si_sdri_man_woman"]
    assert found["steps_made"] >= 10
    assert found["kept_mib"] > 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report.json",
        "run.ipynb",
    ]  # leaves nothing else


def test_a_run_from_the_trained_network_on_two_women(tmp_path):
    found, _ = execute(tmp_path, steps=1, init="bundled", pairs="woman-woman", lr=1e-4)
    assert found["steps_made"] == 1
    assert found["si_sdri"] == found["si_sdri_woman_woman"]
    assert found["si_sdri_man_woman"] > 3  # one step takes nothing away


def test_a_value_that_is_not_known_is_refused_at_once(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match=re.escape("order is 'sort': choose")):
        execute(tmp_path, order="sort")
