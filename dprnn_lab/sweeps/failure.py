"""Why a run failed: the cell, its text and the message, read from the executed notebook.

Notebook: 10_experiments
"""

import json
from pathlib import Path

__all__ = ["find_failure"]


def find_failure(notebook: Path, code: int, log: Path) -> dict:
    """``cell`` (execution count or None), ``source`` and ``error`` of a run that ended with exit code ``code``.

    Args:
        notebook: the executed notebook; may be missing or incomplete.
        log: the output of the run's process.
    """
    cells = _cells(notebook)
    for cell in cells:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                message = " ".join(output["evalue"].split())
                error = f"{output['ename']}: {message}" if message else output["ename"]
                return {"cell": cell["execution_count"], "source": _text(cell), "error": error}
    # No cell raised: the kernel died (memory?), in the last cell for which papermill recorded a start.
    number, source = None, ""
    for i, cell in enumerate(c for c in cells if c["cell_type"] == "code"):
        if cell["metadata"].get("papermill", {}).get("start_time"):
            number, source = cell["execution_count"] or i + 1, _text(cell)
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if code < 0:
        last = f"ended by signal {-code}"
    elif "DeadKernelError" in last:
        last = "the kernel died: did the machine run out of memory?"
    return {"cell": number, "source": source, "error": last or f"ended with code {code}"}


def _cells(notebook: Path) -> list[dict]:
    try:
        return json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return []


def _text(cell: dict) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
