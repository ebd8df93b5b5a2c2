"""Why a run failed: the cell, its text and the message, read from the executed notebook.

Notebook: 10_experiments
"""

import json

__all__ = ["find_failure"]


def find_failure(notebook: bytes, error: BaseException) -> dict:
    """``cell`` (execution count or None), ``source`` and ``error`` of a run.

    Args:
        notebook: the executed notebook; may be incomplete.
        error: what ended its execution.
    """
    cells = _cells(notebook)
    for cell in cells:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                message = " ".join(output["evalue"].split())
                text = f"{output['ename']}: {message}" if message else output["ename"]
                return {"cell": cell["execution_count"], "source": _text(cell), "error": text}
    # No cell raised: the kernel died (memory?), in the last cell for which papermill recorded a start.
    number, source = None, ""
    for i, cell in enumerate(c for c in cells if c["cell_type"] == "code"):
        if cell["metadata"].get("papermill", {}).get("start_time"):
            number, source = cell["execution_count"] or i + 1, _text(cell)
    if type(error).__name__ == "DeadKernelError":
        return {
            "cell": number,
            "source": source,
            "error": "the kernel died: did the machine run out of memory?",
        }
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    return {"cell": number, "source": source, "error": text}


def _cells(notebook: bytes) -> list[dict]:
    try:
        return json.loads(notebook.decode("utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        return []


def _text(cell: dict) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
