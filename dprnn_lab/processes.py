"""Processes that end with the process that started them.

Notebook: 10_experiments
"""

import multiprocessing
import os
import threading
import time

__all__ = ["end_with_parent", "end_worker_with_parent"]

_watched_by: int | None = None  # the process in which the thread runs; a forked process has none


def end_with_parent(seconds: float = 1.0) -> None:
    """End this process when its parent has ended, however that ended; a thread looks every ``seconds``.

    Does nothing when called again, and on Windows, where the parent's number does not tell that it ended.
    """
    global _watched_by
    if _watched_by == os.getpid() or os.name != "posix":
        return
    _watched_by, parent = os.getpid(), os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os._exit(1)  # without the error messages of a broken connection

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def end_worker_with_parent() -> None:
    """:func:`end_with_parent` in a process that :mod:`multiprocessing` started; elsewhere nothing.

    A worker of a ``ProcessPoolExecutor`` whose parent is killed would otherwise wait for ever.
    """
    if multiprocessing.parent_process() is not None:
        end_with_parent()
