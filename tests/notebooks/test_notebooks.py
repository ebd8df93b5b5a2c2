"""Every notebook runs top to bottom in a fresh kernel, at sizes small enough for a test."""

import re
from pathlib import Path

import nbformat
import papermill
import pytest
from claims import ENFORCE

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))
# `make test` runs the others as committed, with nbval: running them small as well is left to `make test-all`.
LONG = re.search(r"^LONG = .*,(.*)\)$", (FOLDER.parent / "Makefile").read_text(), re.MULTILINE)[1].split()

# What makes a notebook small; a notebook that is small as it stands needs no row.
SMALL = {
    "00_start_here": {"mixtures_per_kind": 2, "seed": 3},
    "01_encoder_decoder": {"oracle_steps": 10, "seed": 3},
    "02_dual_path": {"mixtures": 1, "cost_seconds": 1.0},
    "03_loss_and_pit": {"mixtures_per_kind": 2, "levels_per_kind": 1, "steps": 20, "most_sources": 5},
    "04_data": {"mixtures": 2, "seconds": 1.0, "seed": 3},
    "05_training": {
        "steps": 30,
        "by_hand": 12,
        "preflight_seconds": 2,
        "resume_steps": 10,
        "tuning_steps": 4,
        "mixtures_per_kind": 3,
        "timed_steps": 2,
    },
    "06_failures_at_inference": {"mixtures": 2, "clip_seconds": 1.0, "seed": 3},
    "07_failures_in_training": {"steps": 60, "probe_steps": 10, "mixtures_per_kind": 2, "seed": 3},
    "08_evaluation": {"mixtures_per_kind": 3, "slow_per_kind": 1, "seed": 3},
    "09_long_audio": {"longest": 4, "talk_seconds": 40.0, "talks": 1, "mixtures": 3, "seed": 3},
    "10_experiments": {
        "seeds": 2,
        "steps": 6,
        "chunk_sizes": [8, 32],
        "mixtures": 1,
        "trials": 100,
        "seed": 3,
    },
    "11_how_many_voices": {"steps": 12, "mixtures": 2, "seed": 3},
    "12_build_the_network": {"steps": 12, "mixtures": 1, "probe_samples": 80, "seed": 3},
}


def parameter_cell(notebook: nbformat.NotebookNode) -> str:
    cells = [c.source for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert len(cells) == 1, "a notebook has one cell tagged parameters"
    return cells[0]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=() if path.stem in LONG else pytest.mark.slow) for path in NOTEBOOKS],
    ids=lambda p: p.stem,
)
def test_notebook_runs_small_in_a_fresh_kernel(path, tmp_path, monkeypatch):
    monkeypatch.setenv(ENFORCE, "small")
    result = tmp_path / path.name
    papermill.execute_notebook(
        path,
        result,
        parameters=SMALL.get(path.stem, {}),
        cwd=str(FOLDER),
        kernel_name="python3",
        progress_bar=False,
    )
    notebook = nbformat.read(result, as_version=4)
    assert all(c.execution_count for c in notebook.cells if c.cell_type == "code" and c.source.strip())


def test_the_long_notebooks_are_known():
    assert LONG and set(LONG) <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_keeps_the_house_rules(path):
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    parameters = parameter_cell(notebook)
    assert "seed" in parameters
    for name in SMALL.get(path.stem, {}):
        assert f"{name} =" in parameters, f"{name} is set by the test and unknown to the notebook"
    for part in (
        "You will be able to",
        "**Time**",
        "**Before you start**",
        "## Recap",
        "## References",
        "Predict",
    ):
        assert part in text, f"{part!r} is missing"
    assert any("nbval-check-output" in c.metadata.get("tags", []) for c in notebook.cells)


def test_changing_a_parameter_changes_the_result(tmp_path):
    """The numbers come from the code: another seed hears another mixture."""
    path = FOLDER / "00_start_here.ipynb"
    texts = []
    for seed in (1, 2):
        result = tmp_path / f"{seed}.ipynb"
        papermill.execute_notebook(
            path,
            result,
            parameters={"mixtures_per_kind": 1, "seed": seed},
            cwd=str(FOLDER),
            kernel_name="python3",
            progress_bar=False,
        )
        outputs = [
            o.text for c in nbformat.read(result, 4).cells for o in c.get("outputs", []) if "text" in o
        ]
        texts.append(next(t for t in outputs if "MixtureSpec" in t))
    assert texts[0] != texts[1]
