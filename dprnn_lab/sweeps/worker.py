"""One run of a sweep, in a process of its own: started by ``running.py``, which holds the other end of its stdin.

This file is run as a script, so that a run need not import the package (and PyTorch) twice: its kernel does that.
"""

import json
import os
import sys
import threading

__all__ = ["main"]


def main() -> None:
    """Execute the notebook that the first line of stdin asks for; stdin ends when the sweep's own process does."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import papermill

    papermill.execute_notebook(**request, kernel_name="python3", progress_bar=False)


def _end_with_parent() -> None:
    # A sweep that was killed must not leave runs behind, which nobody would collect. The kernel, a process of its
    # own, looks after its parent in the same way.
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
