"""Run notebooks in place, at the parameters written in them, and keep what they print.

Usage: ``python notebooks/execute.py [NAME.ipynb ...]`` (all of them without a name), or ``make notebooks``. A name may
have a folder in front, such as ``experiments/one_run.ipynb``.

Each notebook runs in a fresh kernel through papermill into a scratch file, which replaces the notebook only when every
cell has run and every claim of the text holds (``claims.py``). Timing metadata and saved widget state are dropped: both
change at every run. The run's time alone is kept, in ``run_seconds.json``, and the line of the first cell that states
how long the notebook takes is written anew (``reading_time.py``). At the end the map of the course is drawn again
(``course_map.py``), and the tables of the guide (``instructors.py``).
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import instructors
import nbformat
import papermill
import reading_time
from claims import ENFORCE
from course_map import write as write_map

FOLDER = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"  # without its state a trusted notebook shows an error
KEPT_METADATA = ("kernelspec", "language_info")
KEPT_OF_CELLS = ("tags", "jp-MarkdownHeadingCollapsed")  # the second: a section that JupyterLab shows closed


def clean(notebook: nbformat.NotebookNode) -> None:
    """Drop what a run leaves behind and no reader needs."""
    notebook.metadata = {k: v for k, v in notebook.metadata.items() if k in KEPT_METADATA}
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in KEPT_OF_CELLS if cell.metadata.get(key)}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
            if "metadata" in output:
                output.metadata = {k: v for k, v in output.metadata.items() if k != "execution"}


def execute(path: Path) -> None:
    """Run one notebook and put the result in its place."""
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / path.name
        begin = time.monotonic()
        papermill.execute_notebook(
            path, result, cwd=str(path.parent), kernel_name="python3", progress_bar=False
        )
        seconds = time.monotonic() - begin
        notebook = nbformat.read(result, as_version=4)
    clean(notebook)
    scratch_file = path.with_suffix(".ipynb.new")
    nbformat.write(notebook, scratch_file)
    scratch_file.replace(path)
    if reading_time.states_time(path):
        reading_time.keep_run_seconds(path, seconds)
        reading_time.write(path)
    print(f"{path.name}: {len(notebook.cells)} cells, {path.stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    os.environ[ENFORCE] = "all"  # a sentence that its own output contradicts is not written
    everything = [*sorted(FOLDER.glob("[0-9]*.ipynb")), *sorted(FOLDER.glob("experiments/*.ipynb"))]
    for path in [Path(a) for a in sys.argv[1:]] or everything:
        parts = path.parts[-2:] if path.parent.name == "experiments" else path.parts[-1:]
        execute(FOLDER.joinpath(*parts))
    write_map()
    instructors.write()
