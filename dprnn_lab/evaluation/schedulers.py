"""Clusters for evaluations and sweeps: connect to a Dask scheduler, or start one on this machine.

Notebook: 10_experiments
"""

import asyncio
import importlib.util
import logging
import platform
import re
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from .executors import Executor
from .processes import MOST_WORKERS, interrupts_ignored

__all__ = ["check_scheduler", "open_scheduler"]

ADDRESS = re.compile(r"(?:tcp|tls)://(?:\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):(\d{1,5})")
LOCAL = "local:"
CONNECT_SECONDS = 10
EXAMPLES = (
    "give tcp://HOST:PORT of a running Dask scheduler, or local:N for N worker processes on this machine"
)


def check_scheduler(address: str) -> None:
    """Raise ValueError for an address of another form, ImportError without ``distributed``."""
    if address.startswith(LOCAL):
        count = address.removeprefix(LOCAL)
        if not (count.isascii() and count.isdigit()):
            raise ValueError(f"scheduler is {address!r}: {EXAMPLES}")
        if len(count) > 9 or not 1 <= int(count) <= MOST_WORKERS:
            raise ValueError(
                f"scheduler is {address!r}: give local:N with a number of processes N from 1 to {MOST_WORKERS}"
            )
    else:
        match = ADDRESS.fullmatch(address)
        if not match or not 1 <= int(match[1]) <= 65535:
            raise ValueError(f"scheduler is {address!r}: {EXAMPLES}")
    if importlib.util.find_spec("distributed") is None:
        raise ImportError(
            'scheduler needs the package distributed, which is not installed: pip install "dprnn-lab[cluster]"'
        )


@contextmanager
def open_scheduler(address: str) -> Iterator[Executor]:
    """An executor on a Dask cluster, which ends with the ``with`` block: the connection, or the cluster ``local:N``.

    Args:
        address: ``tcp://host:8786`` (or ``tls://``, with the certificates of Dask's configuration); ``local:4`` starts
            four processes with one thread each, which end with this one.

    Raises:
        ValueError: an address of another form; a worker or the scheduler with other versions.
        ImportError: ``distributed`` is not installed.
        ConnectionError: no scheduler answers there.

    Warns:
        UserWarning: the cluster has no workers yet.
    """
    check_scheduler(address)
    import distributed

    with ExitStack() as stack:
        _keep_quiet()
        if address.startswith(LOCAL):
            # The interrupt of a terminal reaches the workers too; closing the cluster ends them.
            with interrupts_ignored():
                cluster = stack.enter_context(
                    distributed.LocalCluster(
                        n_workers=int(address.removeprefix(LOCAL)),
                        threads_per_worker=1,
                        processes=True,
                        host="127.0.0.1",
                        dashboard_address=None,
                        silence_logs=logging.CRITICAL,
                    )
                )
            client = stack.enter_context(distributed.Client(cluster))
        else:
            client = stack.enter_context(_connected(address))
        _check_versions(client, address)
        yield client.get_executor()


def _connected(address: str) -> Any:
    import distributed

    try:
        # Asked first, in a thread, since a notebook has a loop of its own: a client that finds no scheduler waits
        # for another 20 s when it is closed, and for ever where a port is open and nothing answers.
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(asyncio.run, _ask(address)).result()
        if found is None:
            return distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError as error:  # TimeoutError, too
        raise ConnectionError(
            f"no Dask scheduler answers at {address} within {CONNECT_SECONDS} s: start one with 'dask scheduler', and "
            "check the host, the port and firewalls"
        ) from error
    raise ConnectionError(
        f"what answers at {address} is no Dask scheduler ({found}): give the port of the scheduler itself, usually "
        "8786, and not that of its dashboard"
    )


async def _ask(address: str) -> str | None:
    """None if a scheduler answers; the name of the error that another service's answer gives.

    Raises:
        OSError: nothing answers.
    """
    from distributed import Security
    from distributed.core import rpc

    arguments = Security().get_connection_args("client")
    try:
        async with asyncio.timeout(CONNECT_SECONDS), rpc(address, connection_args=arguments) as scheduler:
            await scheduler.identity()
    except OSError:
        raise
    except Exception as error:  # of any kind: another protocol, read as Dask's
        return type(error).__name__.strip("_")
    return None


def _keep_quiet() -> None:
    """Without the log lines of lost workers and of closing: the errors say what matters."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def versions() -> dict[str, str]:
    """What must be the same on both sides: results are pickled, and scores are of one version of the code."""
    import distributed

    return {
        # Of the code itself: an installation in place keeps the number that it had when it was made.
        "dprnn-lab": sys.modules[__name__.partition(".")[0]].__version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "distributed": distributed.__version__,
    }


def _check_versions(client: Any, address: str) -> None:
    here = versions()
    try:  # the scheduler reads what it passes on
        _compare(f"the scheduler {address}", here, client.run_on_scheduler(versions))
    except ImportError as error:
        raise ValueError(
            f"the scheduler {address} can't import dprnn-lab ({error}): install version {here['dprnn-lab']} there"
        ) from error
    found = client.run(versions, on_error="return")
    for worker, answer in found.items():
        if isinstance(answer, BaseException):
            raise ValueError(
                f"the worker {worker} can't import dprnn-lab ({answer}): install version {here['dprnn-lab']} there"
            )
        _compare(f"the worker {worker}", here, answer)
    if not found:
        warnings.warn(f"the cluster at {address} has no workers yet: the work waits for them", stacklevel=4)


def _compare(who: str, here: dict[str, str], there: dict[str, str]) -> None:
    for name, version in here.items():
        if there[name] != version:
            raise ValueError(
                f"{who} has {name} {there[name]} and this process {version}: install the same version on both"
            )
