"""How much memory the kernel of a notebook takes, for those who set limits on a server.

Usage: ``python notebooks/kernel_memory.py 00_start_here 02_dual_path``. Each notebook is copied and runs once in a
fresh kernel, at the parameters written in it. The figures are kept in ``kernel_memory.json``, from which
``instructors.py`` writes the table of the guide. Linux and macOS.

A figure is the largest resident set of the kernel's process, or of the largest of its children: notebooks 02, 05, 09
and 10 start some. Libraries that several kernels share are counted for each, so that thirty kernels take less than
thirty times as much.
"""

import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

__all__ = ["KEPT", "measure", "read_kept"]

FOLDER = Path(__file__).parent
KEPT = FOLDER / "kernel_memory.json"  # notebook: {"kernel": MB, "child": MB}
ASK = """import json, resource, sys
unit = 1e6 if sys.platform == "darwin" else 1e3
print(json.dumps({name: resource.getrusage(who).ru_maxrss / unit for name, who in
    (("kernel", resource.RUSAGE_SELF), ("child", resource.RUSAGE_CHILDREN))}))"""


def measure(path: Path, folder: Path = FOLDER) -> dict[str, int]:
    """Run a copy of the notebook in ``folder``; the peaks of its kernel and of its largest child, MB to the next 10.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell(ASK))
    NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    printed = json.loads(notebook.cells[-1].outputs[0].text)
    return {name: 10 * round(value / 10) for name, value in printed.items()}


def read_kept() -> dict[str, dict[str, int]]:
    """What was measured, by notebook; empty before the first measurement."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


if __name__ == "__main__":
    for name in sys.argv[1:] or sys.exit(__doc__):
        peaks = measure(FOLDER / f"{name.removesuffix('.ipynb')}.ipynb")
        kept = read_kept() | {name.removesuffix(".ipynb"): peaks}
        KEPT.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n", encoding="utf-8")
        print(f"{name}: kernel {peaks['kernel']} MB, its largest child {peaks['child']} MB", flush=True)
