"""One run of a sweep in its own process, started by ``running.py``, which holds the other end of its stdin.

This file is run as a script, so that a run does not import the package (and PyTorch) twice: its kernel does that.
"""

import json
import os
import sys
import threading

__all__ = ["main"]


def main() -> None:
    """Execute the notebook that the first line of stdin names. Stdin closes when the process of the sweep ends."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import papermill

    papermill.execute_notebook(**request, kernel_name="python3", progress_bar=False)


def _end_with_parent() -> None:
    # A killed sweep must not leave runs behind. The kernel, another process, watches its parent in the same way.
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
