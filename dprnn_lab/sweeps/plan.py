"""The runs of a sweep: every combination of a grid, checked against the notebook before anything runs.

Notebook: 10_experiments
"""

import difflib
import hashlib
import itertools
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill

__all__ = ["REPORT", "SEED", "SOUNDS", "Run", "check_names", "digest", "notebook_parameters", "plan"]

SEED = "seed"  # the parameter that gets the seeds of a sweep
REPORT = "report"  # the parameter that gets the path of the file in which a run reports its results
SOUNDS = "sounds"  # the parameter that gets the path of the folder into which a run writes sounds
MOST_RUNS = 10_000  # of a sweep, and values of a parameter
LONGEST_NAME = 100  # characters; file names are limited to 255 bytes


@dataclass(frozen=True)
class Run:
    """One run: its file name without a suffix, and its parameters."""

    name: str
    parameters: dict


def notebook_parameters(notebook: str | os.PathLike) -> list[str]:
    """Names of the parameters of a notebook: the variables that its cell tagged ``parameters`` assigns.

    Raises:
        FileNotFoundError, ValueError: no such file; not a notebook, or no such cell.
    """
    if not Path(notebook).is_file():
        raise FileNotFoundError(f"{notebook}: no such notebook")
    if Path(notebook).suffix != ".ipynb":
        raise ValueError(f"{notebook} is not a notebook: give a file whose name ends with .ipynb")
    try:
        names = list(papermill.inspect_notebook(os.fspath(notebook)))
    except Exception as error:  # of any kind, from the reader of papermill
        raise ValueError(f"{notebook} is not a notebook: {error}") from error
    if not names:
        raise ValueError(
            f"{notebook} has no parameters: tag the cell that sets them with 'parameters', one NAME = VALUE a line"
        )
    return names


def check_names(given: Sequence[str], known: Sequence[str], notebook: str | os.PathLike) -> None:
    """Raise ValueError for a name that the notebook does not have: papermill would set it without an effect."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
            raise ValueError(f"{Path(notebook).name} has no parameter {name!r}: {meant}")


def plan(
    notebook: str | os.PathLike, grid: Mapping[str, Sequence], seeds: int | Sequence[int] = 1
) -> list[Run]:
    """Every combination of the grid's values with every seed; the seed changes fastest.

    Args:
        grid: parameter to its values: numbers, text, True, False or None. A parameter with one value is the same
            in all runs.
        seeds: the parameter ``seed``: a number n for 0 to n - 1, or the seeds themselves.

    Raises:
        FileNotFoundError, ValueError: no such notebook; a parameter that it does not have; no values, a value
            twice, or a value of another type; no seeds; more than 10,000 runs.

    >>> from dprnn_lab.files import data_folder
    >>> template = data_folder().parent / "notebooks" / "experiments" / "one_run.ipynb"
    >>> [run.name for run in plan(template, {"chunk_size": [8, 32]}, seeds=2)]
    ['chunk_size=8,seed=0', 'chunk_size=8,seed=1', 'chunk_size=32,seed=0', 'chunk_size=32,seed=1']
    """
    notebook = Path(notebook)
    axes = {name: _values(name, values) for name, values in grid.items()}
    for name in (REPORT, SOUNDS):
        if name in axes:
            raise ValueError(f"{name!r} is in the grid: the sweep itself sets it")
    if SEED in axes:
        raise ValueError(f"{SEED!r} is in the grid: give the seeds separately, such as seeds={axes[SEED]}")
    if isinstance(seeds, int) and seeds < 1:
        raise ValueError(f"seeds is {seeds}: give their number, from 1 on, or the seeds themselves")
    axes[SEED] = _values("seeds", range(seeds) if isinstance(seeds, int) else seeds)
    count = math.prod(len(values) for values in axes.values())
    if count > MOST_RUNS:
        raise ValueError(
            f"the sweep has {count:,} runs, at most {MOST_RUNS:,} are planned: give fewer values or seeds"
        )
    check_names(list(axes), notebook_parameters(notebook), notebook)
    varied = [name for name, values in axes.items() if len(values) > 1 or name == SEED]
    runs = []
    for values in itertools.product(*axes.values()):
        parameters = dict(zip(axes, values, strict=True))
        runs.append(Run(_name({name: parameters[name] for name in varied}), parameters))
    return runs


def digest(notebook: str | os.PathLike) -> str:
    """A hash of the code cells of a notebook, without their outputs."""
    cells = nbformat.read(notebook, as_version=4).cells
    text = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in cells if cell.cell_type == "code")
    return f"{Path(notebook).name} {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _values(name: str, values: object) -> list:
    if isinstance(values, str | Mapping) or not hasattr(values, "__iter__"):
        raise ValueError(f"{name} is {values!r}: give a list of values, such as [8, 32, 128]")
    if hasattr(values, "__len__") and len(values) > MOST_RUNS:
        raise ValueError(f"{name} has {len(values):,} values: give at most {MOST_RUNS:,}")
    # NumPy numbers become plain ones, for YAML and JSON.
    values = [value.item() if hasattr(value, "item") else value for value in values]
    if not values:
        raise ValueError(f"{name} has no values: give at least one")
    seen = set()
    for value in values:
        plain = value is None or isinstance(value, bool | int | float | str)
        if not plain or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(
                f"{name} has the value {value!r}: give finite numbers, text, True, False or None"
            )
        if (type(value), value) in seen:
            raise ValueError(f"{name} has {value!r} twice: the second would be the same run again")
        seen.add((type(value), value))
    return values


def _name(parameters: Mapping) -> str:
    """A file name that contains the values, or, if that is impossible, a part of them and a hash."""
    full = ",".join(f"{name}={value}" for name, value in parameters.items())
    safe = re.sub(r"[^\w.,=+-]", "-", full)
    if safe == full and len(full) <= LONGEST_NAME:
        return full
    return f"{safe[:LONGEST_NAME]}-{hashlib.sha256(full.encode()).hexdigest()[:8]}"
