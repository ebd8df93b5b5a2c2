"""Several windows at a time, a thread of one core each.

A forward pass of a DPRNN is a thousand small steps one after the other, which several cores share badly; two windows
on a core each take little more time than one. PyTorch computes without Python's lock, so threads suffice: they share
the weights. A window's result does not depend on the number of workers, which only says how many are computed at once.
On a GPU the windows go in batches instead.

Notebook: 09_long_audio
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import torch

from ..audio import AudioError
from ..model.precision import check_precision, computing_in, resolve_precision
from .batches import in_batches

__all__ = [
    "MOST_WORKERS",
    "check_compute",
    "describe_compute",
    "estimates_of",
    "evaluating",
    "forward",
    "goes_in_batches",
    "in_parallel",
    "usable_cores",
]

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
MOST_WORKERS = 256  # threads or processes at a time; a larger number is a mistake


def usable_cores() -> int:
    """The cores that this process may use: its affinity, and no more than PyTorch's number of threads.

    The latter follows OMP_NUM_THREADS and ``torch.set_num_threads``, so that one of several worker processes keeps to
    its own core.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # no such thing on this system
        cores = os.cpu_count() or 1
    return max(1, min(cores, torch.get_num_threads()))


def check_compute(workers: int | None, precision: str) -> None:
    """Raise an AudioError for an impossible number of workers or an unknown precision."""
    if workers is not None and (
        not isinstance(workers, int) or isinstance(workers, bool) or not 1 <= workers <= MOST_WORKERS
    ):
        raise AudioError(
            f"workers is {workers!r}: give the number of windows at a time, from 1 (in sequence) to {MOST_WORKERS}, or "
            "leave workers out for all cores"
        )
    try:
        check_precision(precision)
    except ValueError as error:
        raise AudioError(str(error)) from None


def goes_in_batches(device: torch.device) -> bool:
    """Whether windows are computed in batches on this device, instead of in threads of one core each."""
    return device.type != "cpu"


def describe_compute(model: torch.nn.Module, workers: int | None, precision: str) -> str:
    """How windows will be computed, in words, such as "bfloat16 on the CPU, 2 windows at a time"."""
    device = next(model.parameters()).device
    if goes_in_batches(device):
        return f"{resolve_precision(precision, device)} on {device}, windows in batches that fit its memory"
    count = usable_cores() if workers is None else workers
    several = "1 window" if count == 1 else f"{count} windows"
    return f"{resolve_precision(precision)} on the CPU, {several} at a time"


def estimates_of(
    model: torch.nn.Module,
    windows: Iterable[tuple[K, Callable[[], torch.Tensor]]],
    workers: int | None = None,
    precision: str = "float32",
) -> Generator[tuple[K, "Future[torch.Tensor]"]]:
    """The model's estimates of windows, in their order, computed ahead while the caller uses the first.

    Args:
        model: on any device; in evaluation mode while this runs, then in its former mode. Its training mode, device
            and dtype are kept.
        windows: pairs of a key and a function that returns samples ``[T]`` or raises. Iterated in the caller's
            thread, no more than ``workers`` ahead.
        workers: windows at a time; None for :func:`usable_cores`. At most ``workers + 1`` are held.
        precision: "auto", "float32" or "bfloat16".

    Yields:
        the key of each window and its finished future: ``result()`` gives ``[S, T]``, float32 on the CPU, or raises
        what the function or the model raised. Close the generator to end early: no further window is begun.
    """
    check_compute(workers, precision)
    device = next(model.parameters()).device
    count = usable_cores() if workers is None else workers
    with evaluating(model):
        if not goes_in_batches(device):
            tasks = ((key, partial(_estimate, model, read, precision)) for key, read in windows)
            with closing(in_parallel(tasks, count)) as results:
                yield from results
        else:
            yield from in_batches(partial(forward, model, precision=precision), windows)


@torch.no_grad()
def forward(model: torch.nn.Module, samples: torch.Tensor, precision: str) -> torch.Tensor:
    """``model(samples)`` as float32 on the CPU, without gradients; the model's mode is the caller's matter."""
    weights = next(model.parameters())
    with computing_in(precision, weights.device):
        return model(samples.to(weights)).float().cpu()


def _estimate(model: torch.nn.Module, read: Callable[[], torch.Tensor], precision: str) -> torch.Tensor:
    return forward(model, read(), precision)


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode once around all windows: threads that set and restore it would disturb each other."""
    was_training = model.training
    try:
        model.eval()
        yield
    finally:
        model.train(was_training)


def in_parallel(tasks: Iterable[tuple[K, Callable[[], R]]], workers: int) -> Generator[tuple[K, "Future[R]"]]:
    """Call functions in threads of one core each; keys and finished futures in the order of the tasks.

    A single task runs in the calling thread, on all of PyTorch's threads. One worker runs in it too, in sequence.
    """
    waiting_tasks = iter(tasks)
    first = list(islice(waiting_tasks, 2))
    rest = chain(first, waiting_tasks)
    if len(first) < 2:
        yield from ((key, _called(call)) for key, call in rest)
    elif workers == 1:
        yield from ((key, _called(partial(_on_one_core, call))) for key, call in rest)
    else:
        yield from _in_threads(rest, workers)


def _in_threads(tasks: Iterator[tuple[K, Callable[[], R]]], workers: int) -> Generator[tuple[K, "Future[R]"]]:
    # PyTorch keeps the number of threads per thread: the caller's own stays as it is. What later threads begin with is
    # common to all, so it is set back at the end.
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "window", torch.set_num_threads, (1,))
    held: deque[tuple[K, Future[R]]] = deque()
    try:
        for key, call in tasks:
            held.append((key, pool.submit(call)))
            if len(held) > workers:
                yield _finished(held.popleft())
        while held:
            yield _finished(held.popleft())
    finally:
        # After an error or Ctrl-C: those that run can't be stopped, the others do not begin.
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _finished(pair: tuple[K, "Future[R]"]) -> tuple[K, "Future[R]"]:
    pair[1].exception()  # waits
    return pair


def _called(call: Callable[[], R]) -> "Future[R]":
    """A future of a call in this thread."""
    future: Future[R] = Future()
    try:
        future.set_result(call())
    except Exception as error:
        future.set_exception(error)
    return future


def _on_one_core(call: Callable[[], R]) -> R:
    before = torch.get_num_threads()
    if before == 1:
        return call()
    torch.set_num_threads(1)
    try:
        return call()
    finally:
        torch.set_num_threads(before)
