"""What a sweep will run: every combination, and what is refused before anything runs."""

import re

import nbformat
import pytest

from dprnn_lab.sweeps import plan, sweep


def test_every_combination_in_order_with_a_name_of_its_own(notebook):
    runs = plan(notebook, {"size": [1, 2], "die": [False, True], "held": [9]}, seeds=2)
    assert len(runs) == len({run.name for run in runs}) == 8
    assert runs[1].parameters == {"size": 1, "die": False, "held": 9, "seed": 1}
    assert runs[1].name == "size=1,die=False,seed=1"
    assert [run.parameters["seed"] for run in plan(notebook, {}, seeds=[7, 3])] == [7, 3]


def test_names_are_made_safe_for_files_and_stay_different(notebook):
    values = ["a/b", "a?b", "x" * 300]
    names = [run.name for run in plan(notebook, {"held": values})]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"[\w.,=+-]{1,120}", name) for name in names)


@pytest.mark.parametrize(
    ("grid", "seeds", "message"),
    [
        ({"sise": [1]}, 1, r"tiny.ipynb has no parameter 'sise': did you mean 'size'\?"),
        ({"zzz": [1]}, 1, "choose from seed, size, held, die, report"),
        ({"size": []}, 1, "size has no values"),
        ({"size": 3}, 1, r"size is 3: give a list of values, such as \[8, 32, 128\]"),
        ({"size": "12"}, 1, "give a list of values"),
        ({"size": [1, 2, 1]}, 1, "size has 1 twice"),
        ({"size": range(10**9)}, 1, "size has 1,000,000,000 values: give at most 10,000"),
        ({}, 10**9, "seeds has 1,000,000,000 values"),
        ({"size": range(200)}, 100, "the sweep has 20,000 runs, at most 10,000"),
        ({"size": [[1]]}, 1, r"size has the value \[1\]"),
        ({"held": [float("nan")]}, 1, "held has the value nan"),
        ({"seed": [1]}, 1, "give the seeds separately"),
        ({"report": ["x"]}, 1, "the sweep itself sets it"),
        ({"size": [1]}, 0, "seeds is 0: give their number"),
    ],
)
def test_invalid_grids_are_refused_before_anything_runs(notebook, tmp_path, grid, seeds, message):
    with pytest.raises(ValueError, match=message):
        sweep(notebook, grid, tmp_path / "out", seeds=seeds, progress=False)
    assert not (tmp_path / "out").exists()


def test_true_and_1_are_two_values(notebook):
    assert len(plan(notebook, {"die": [True, 1]})) == 2


def test_files_that_are_not_a_notebook_with_parameters(notebook, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.ipynb: no such notebook"):
        plan(tmp_path / "none.ipynb", {})
    (tmp_path / "page.ipynb").write_text("<html>")
    with pytest.raises(ValueError, match=r"page.ipynb is not a notebook"):
        plan(tmp_path / "page.ipynb", {})
    book = nbformat.read(notebook, 4)
    book.cells[0].metadata.tags = []
    nbformat.write(book, notebook)
    with pytest.raises(ValueError, match="tag the cell that sets them with 'parameters'"):
        plan(notebook, {})


def test_no_workers(notebook, tmp_path):
    with pytest.raises(ValueError, match="workers is 0"):
        sweep(notebook, {}, tmp_path / "out", workers=0)
