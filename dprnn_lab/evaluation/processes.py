"""Worker processes that end with the work: none is left behind when the parent stops, fails, or is killed.

Notebook: 08_evaluation
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from ..separation.parallel import MOST_WORKERS

__all__ = ["MOST_WORKERS", "check_workers", "interrupts_ignored", "map_in_processes"]


def check_workers(workers: int, least: int = 0) -> None:
    """Raise ValueError for a number of processes that nobody means.

    >>> check_workers(-1)
    Traceback (most recent call last):
    ValueError: workers is -1: give a whole number from 0 to 256
    """
    if not isinstance(workers, int) or isinstance(workers, bool) or not least <= workers <= MOST_WORKERS:
        raise ValueError(f"workers is {workers!r}: give a whole number from {least} to {MOST_WORKERS}")


def map_in_processes(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    workers: int,
    prepare: Callable[[], None],
    chunksize: int = 1,
) -> Iterator[Any]:
    """``map(function, tasks)`` in fresh processes; ``prepare`` is called in each of them first.

    Each process watches a pipe whose other end only this process has: it ends at once when that end closes, whether by
    this function or by the death of this process, of whatever kind.

    Raises:
        ChildProcessError: a worker died.
    """
    # Fresh processes: a forked copy of PyTorch's threads can hang.
    context = get_context("spawn")
    watched, held = context.Pipe(duplex=False)
    count = min(workers, -(-len(tasks) // chunksize)) or 1
    pool = ProcessPoolExecutor(count, context, _start, (watched, prepare))
    try:
        with (
            interrupts_ignored()
        ):  # inherited by the workers: Ctrl-C reaches them too, and this process ends them
            results = pool.map(function, tasks, chunksize=chunksize)
        yield from results
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a worker process ended by itself: perhaps the memory was too small; give fewer workers"
        ) from error
    except BaseException:
        held.close()  # ends the workers in the middle of their work
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        held.close()
        watched.close()


def _start(watched: Connection, prepare: Callable[[], None]) -> None:
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    prepare()


def _end_with(watched: Connection) -> None:
    with suppress(EOFError, OSError):
        watched.recv_bytes()
    os._exit(1)


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Processes that start inside ignore SIGINT, if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
