"""An evaluation on an executor: systems and mixtures travel as values, one mixture and all its systems per call.

Notebook: 08_evaluation
"""

import hashlib
import os
import pickle
import platform
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any

import torch

from ..processes import end_worker_with_parent
from .executors import LOST, Executor, results_as_they_end
from .table import MixtureSet, System, mixture_scores, read_item, score_item

__all__ = ["rows_by_value", "score_task"]

# Calls before the first result, and at most. Few at the beginning, since each worker asks for the systems once.
FIRST, MOST = 8, 256
KEPT = 2  # evaluations whose systems a worker keeps
_systems: dict[
    str, tuple[dict[str, System], tuple[str, ...]]
] = {}  # of this process, by the hash of their bytes


def rows_by_value(
    executor: Executor,
    systems: Mapping[str, System],
    mixtures: MixtureSet,
    metrics: Sequence[str],
    todo: Sequence[tuple[str, int]],
    skip_bad: bool,
) -> Generator[dict]:
    """The rows of ``todo``, pairs (system, index of a mixture) sorted by mixture, as they are made.

    The bytes of the systems are sent only to workers that do not have them yet: a call without them asks for them.

    Yields:
        A row of the table; for a mixture that can't be read, with ``skip_bad``, its id and the reason.

    Raises:
        ValueError, OSError: a mixture that can't be read.
        ChildProcessError: the scoring of a mixture ended its worker each time.
    """
    content = pickle.dumps((dict(systems), tuple(metrics)))
    key, home = hashlib.sha256(content).hexdigest(), (platform.node(), os.getpid())
    again: list[tuple] = []  # calls whose worker asks for the systems
    left_out: list[dict] = []

    def calls() -> Iterator[tuple]:
        for index, group in groupby(todo, key=lambda pair: pair[1]):
            yield from _drained(again)
            item = read_item(mixtures, index, skip_bad)
            if isinstance(item[1], str):
                left_out.append({"id": item[0], "left_out": item[1]})
            else:
                yield key, None, [name for name, _ in group], item, home

    first = FIRST
    remaining: Iterator[tuple] = calls()
    while True:
        with closing(results_as_they_end(executor, score_task, remaining, first, MOST)) as ended:
            for (_, _, names, item, _), rows in ended:
                if rows is LOST:
                    raise ChildProcessError(
                        f"{item[2].id} ended its worker each time: perhaps the memory was too small there"
                    )
                if rows is None:
                    again.append((key, content, names, item, home))
                    continue
                first = min(MOST, first + 1)
                yield from rows
                yield from _drained(left_out)
        yield from _drained(left_out)
        if not again:
            return
        remaining = iter(_drained(again))


def score_task(
    key: str, content: bytes | None, names: Sequence[str], item: tuple, home: tuple[str, int]
) -> list[dict] | None:
    """A row for each named system on an item, ``(mixture [T], sources [S, T], spec)``; None: send the systems.

    Args:
        key: of the systems.
        content: the pickled systems and metrics; None where the worker should have them.
        home: machine and process of the caller. Other processes use one thread each.
    """
    end_worker_with_parent()
    known = _systems.get(key)
    if known is None:
        if content is None:
            return None
        if (platform.node(), os.getpid()) != home:
            torch.set_num_threads(1)
        known = pickle.loads(content)
        while len(_systems) >= KEPT:
            _systems.pop(next(iter(_systems)), None)
        _systems[key] = known
    systems, metrics = known
    with torch.no_grad():
        before = mixture_scores(item, metrics)
        return [{"system": name} | score_item(systems[name], item, metrics, before) for name in names]


def _drained(items: list[Any]) -> list[Any]:
    taken = items[:]
    items.clear()
    return taken
