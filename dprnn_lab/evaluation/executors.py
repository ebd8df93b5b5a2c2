"""Calls on any executor: ``concurrent.futures``, Dask's ``client.get_executor()``, mpi4py's, submitit's.

Notebook: 10_experiments
"""

import concurrent.futures
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any

__all__ = ["LOST", "Executor", "check_executor", "results_as_they_end", "run_on_workers"]

Executor = Any  # submit(function, *arguments) returns an object with done(), result() and cancel()
LOST = object()  # the result of a call whose worker was lost each time that the engine made the call again
POLL_SECONDS = 0.2  # for futures that are not those of concurrent.futures


def check_executor(executor: Executor) -> None:
    """Raise TypeError for an object without ``submit``.

    >>> check_executor(4)
    Traceback (most recent call last):
    TypeError: executor is 4: give an executor, such as concurrent.futures.ProcessPoolExecutor(4)
    """
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"executor is {executor!r}: give an executor, such as concurrent.futures.ProcessPoolExecutor(4)"
        )


def results_as_they_end(
    executor: Executor,
    function: Callable[..., Any],
    calls: Iterable[tuple],
    first: int,
    most: int,
) -> Generator[tuple[tuple, Any]]:
    """``(arguments, function(*arguments))`` for each tuple of arguments, in the order in which the calls end.

    Closing the generator, or an error, cancels the calls that have not begun. The executor stays open.

    Args:
        first: calls that are submitted before the first has ended.
        most: calls that are submitted at a time; one more after each result, up to this number. The arguments of these
            calls are in memory.

    Raises:
        ChildProcessError: a process of the executor died, and the executor ends then.
        ConnectionError: the executor was shut down, or its cluster is gone.
        RuntimeError: a worker can't import this package.
        Exception: what ``function`` raised.
    """
    check_executor(executor)
    waiting, ended = iter(calls), 0
    pending: dict[Any, tuple] = {}
    try:
        while True:
            while len(pending) < min(most, first + ended):
                arguments = next(waiting, None)
                if arguments is None:
                    break
                pending[_submit(executor, function, arguments)] = arguments
            if not pending:
                return
            done = _wait(pending)
            while done:
                future = done.pop()
                arguments, result = pending.pop(future), _result(future)
                # A cluster keeps a result, and makes it again if it is lost, as long as there is a future of it.
                del future
                ended += 1
                yield arguments, result
    finally:
        for future in pending:
            with suppress(Exception):
                future.cancel()


def run_on_workers(executor: Executor, function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function once in this process and, if the executor is Dask's, in every worker of its cluster."""
    function(*arguments)
    client: Any = getattr(
        executor, "_client", None
    )  # of Dask's ClientExecutor, which has no public name for it
    if getattr(client, "status", None) == "running":
        with suppress(Exception):  # workers that are gone have nothing to stop
            client.run(function, *arguments, on_error="ignore")


def _submit(executor: Executor, function: Callable[..., Any], arguments: tuple) -> Any:
    try:
        return executor.submit(function, *arguments)
    except concurrent.futures.BrokenExecutor as error:
        raise _broken() from error
    except RuntimeError as error:
        if "shutdown" not in str(error):
            raise
        raise ConnectionError("the executor was shut down: make a new one and call again") from error


def _wait(pending: dict) -> list:
    """Those futures that have ended, at least one."""
    if all(isinstance(future, concurrent.futures.Future) for future in pending):
        return list(concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED).done)
    while True:  # submitit's jobs, and others with done() and result() only
        if ended := [future for future in pending if future.done()]:
            return ended
        time.sleep(POLL_SECONDS)


def _result(future: Any) -> Any:
    try:
        return future.result()
    except concurrent.futures.BrokenExecutor as error:
        raise _broken() from error
    except concurrent.futures.CancelledError as error:
        raise ConnectionError(
            "the executor cancelled a call: its cluster was closed, or the connection to it was lost"
        ) from error
    except ImportError as error:
        raise RuntimeError(
            f"a worker can't import what it needs ({error}): install dprnn-lab there, in the same version as here"
        ) from error
    except Exception as error:
        if type(error).__name__ == "KilledWorker":  # Dask's, after its retries
            return LOST
        raise


def _broken() -> ChildProcessError:
    return ChildProcessError(
        "a worker process ended by itself: perhaps the memory was too small; give fewer workers"
    )
