"""Windows in batches that fit a GPU's memory.

Notebook: 09_long_audio
"""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

import torch

__all__ = ["BATCH", "in_batches"]

BATCH = 32  # windows at a time, halved until they fit the memory

K = TypeVar("K")


def in_batches(
    forward: Callable[[torch.Tensor], torch.Tensor],
    windows: Iterable[tuple[K, Callable[[], torch.Tensor]]],
    size: int = BATCH,
) -> Generator[tuple[K, "Future[torch.Tensor]"]]:
    """Estimates of windows, consecutive ones of one length at a time.

    A batch that does not fit the GPU's memory is halved, and so are those after it.

    Args:
        forward: ``[B, T]`` to ``[B, S, T]``.
        windows: pairs of a key and a function that returns samples ``[T]`` or raises.
        size: the largest batch.

    Yields:
        the key of each window, in order, and its finished future.
    """
    waiting: list[tuple[K, Future[torch.Tensor], torch.Tensor]] = []

    def emptied() -> Generator[tuple[K, "Future[torch.Tensor]"]]:
        nonlocal size
        while waiting:
            part = waiting[:size]
            try:
                estimates = forward(torch.stack([samples for _, _, samples in part]))
            except torch.OutOfMemoryError as error:
                if len(part) > 1:
                    size = len(part) // 2
                    continue
                part[0][1].set_exception(error)
            except Exception as error:
                for _, future, _ in part:
                    future.set_exception(error)
            else:
                for (_, future, _), estimate in zip(part, estimates, strict=True):
                    future.set_result(estimate)
            del waiting[: len(part)]
            yield from ((key, future) for key, future, _ in part)

    for key, read in windows:
        future: Future[torch.Tensor] = Future()
        try:
            samples = read()
        except Exception as error:
            yield from emptied()
            future.set_exception(error)
            yield key, future
            continue
        if waiting and len(samples) != len(waiting[0][2]):
            yield from emptied()
        waiting.append((key, future, samples))
        if len(waiting) >= size:
            yield from emptied()
    yield from emptied()
