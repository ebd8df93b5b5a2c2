"""How much memory the kernel of a notebook takes, for those who set limits on a server.

Usage: ``python notebooks/kernel_memory.py 00_start_here 02_dual_path``. Each notebook is copied and runs once in a
fresh kernel, at the parameters written in it. The figures are kept in ``kernel_memory.json``, from which
``instructors.py`` writes the table of the guide. Linux only.

A figure is the largest resident set of the kernel's own process (``VmHWM``); the processes that notebooks 02, 05, 09
and 10 start are not in it. Libraries that several kernels share are counted for each, so that thirty kernels take less
than thirty times as much.
"""

import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

__all__ = ["KEPT", "measure", "read_kept"]

FOLDER = Path(__file__).parent
KEPT = FOLDER / "kernel_memory.json"  # notebook: MB
# getrusage would not do: its peak begins with that of the process that started the kernel.
ASK = """print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))  # KiB"""


def measure(path: Path, folder: Path = FOLDER) -> int:
    """Run a copy of the notebook in ``folder``; the peak of its kernel, MB to the next 10.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell(ASK))
    NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return 10 * round(int(notebook.cells[-1].outputs[0].text) * 1024 / 1e7)


def read_kept() -> dict[str, int]:
    """What was measured, MB by notebook; empty before the first measurement."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


if __name__ == "__main__":
    for name in sys.argv[1:] or sys.exit(__doc__):
        peak = measure(FOLDER / f"{name.removesuffix('.ipynb')}.ipynb")
        kept = read_kept() | {name.removesuffix(".ipynb"): peak}
        KEPT.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n", encoding="utf-8")
        print(f"{name}: {peak} MB", flush=True)
