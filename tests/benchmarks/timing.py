"""Fair times on a machine that is never quite quiet: one call of each in turn, many turns, medians of ratios."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["CLOCKS", "Result", "interleave", "run_child"]

# wall: what a person waits. cpu: what the process computes, for a machine that others use; one thread only.
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass
class Result:
    """One row of the table: what was measured, and the median of each contestant."""

    group: str
    case: str
    unit: str
    values: dict[str, float]  # contestant to its median
    ratios: dict[str, float]  # contestant to the median over turns of: Asteroid's value / its own
    turns: int
    note: str = ""

    def as_dict(self) -> dict:
        return asdict(self)


def interleave(
    group: str,
    case: str,
    contestants: dict[str, Callable[[], object]],
    turns: int,
    clock: str = "wall",
    note: str = "",
) -> Result:
    """Time functions in turns, each turn in another order. The first contestant is what the others are held against."""
    now = CLOCKS[clock]
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for function in contestants.values():
        function()  # caches, and memory from the system, once
    names = list(contestants)
    for turn in range(turns):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            start = now()
            contestants[name]()
            times[name].append(now() - start)
    return summarise(group, case, "ms", {n: [1000 * t for t in ts] for n, ts in times.items()}, note)


def summarise(group: str, case: str, unit: str, values: dict[str, list[float]], note: str = "") -> Result:
    """Medians, and the medians of the ratios turn by turn."""
    first = next(iter(values.values()))
    return Result(
        group,
        case,
        unit,
        {name: statistics.median(v) for name, v in values.items()},
        {
            name: statistics.median(a / b for a, b in zip(first, v, strict=True))
            for name, v in list(values.items())[1:]
        },
        len(first),
        note,
    )


def run_child(*arguments: object, threads: int) -> str:
    """Run a Python file of this folder, or ``-m module``, in a process of its own; its standard output."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here.parents[1]), str(here)])
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
