"""Inject all faults and write the table into tests/README.md; exit code 1 if anything went wrong.

python -m tests.injected.run                    # all, for make test-all
python -m tests.injected.run --only train       # the rows whose name begins so; nothing is written
python -m tests.injected.run --only train --update  # and put them into the table, after a mend
python -m tests.injected.run --kills 5
"""

import argparse
import dataclasses
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dprnn_lab.files import write_whole

from . import scenarios
from .fuzz import fuzzed
from .jobs import JOBS, Evaluate, Row, Separate, Sweep, Train
from .process import ROOT

__all__ = ["rows"]

FUZZED = {"checkpoints": 300, "audio": 200, "configurations": 100, "lists": 100}
LIMITS = {Train: 30_000, Separate: 1_000_000, Evaluate: 1_000, Sweep: 3_000}  # bytes of a file
DISKS = {Train: "400k", Separate: "8m", Evaluate: "12k", Sweep: "28k"}  # full in the middle of the work
FAULTS = ("kill", "SIGTERM", "disk", "second", "limit", "removed", "SIGINT", "tmpdir")
TABLE = ROOT / "tests" / "README.md"
OTHER_TMP = Path("/dev/shm")  # a file system of its own on Linux


def rows(
    folder: Path, kills: int = 20, seed: int = 0, only: str = "", workers: int = 1, minutes: float = 1e9
) -> Iterator[Row]:
    """All faults, one row each, in the order of the table; what is not begun after ``minutes`` has 0 times."""
    signals = max(1, kills // 5)

    def fresh(kind: type, name: str):
        return kind(folder / f"{kind.name}-{name}")

    work: dict[str, Callable[[], Row | None]] = {}
    for kind in JOBS:
        n = kind.name
        work |= {
            f"{n} kill": lambda k=kind: scenarios.killed(fresh(k, "kill"), kills, seed),
            f"{n} SIGTERM": lambda k=kind: scenarios.signalled(fresh(k, "term"), "SIGTERM", signals, seed),
            f"{n} SIGINT": lambda k=kind: scenarios.signalled(fresh(k, "int"), "SIGINT", signals, seed),
            f"{n} limit": lambda k=kind: scenarios.file_limit(fresh(k, "limit"), LIMITS[k]),
            f"{n} disk": lambda k=kind: scenarios.small_file_system(fresh(k, "disk"), DISKS[k]),
            f"{n} removed": lambda k=kind: scenarios.deleted_folder(fresh(k, "removed"), seed),
            f"{n} second": lambda k=kind: scenarios.second_process(fresh(k, "second")),
        }
    if OTHER_TMP.is_dir():
        elsewhere, where = {"TMPDIR": str(OTHER_TMP)}, ", TMPDIR on another file system"
        work["train tmpdir"] = lambda: scenarios.killed(
            fresh(Train, "tmpdir"), kills, seed + 1, elsewhere, where
        )
    for kind, count in FUZZED.items():
        work[f"fuzz {kind}"] = lambda k=kind, c=count: fuzzed(k, max(20, c * kills // 20), seed)

    until = time.monotonic() + 60 * minutes

    def inject(name: str) -> Row | None:
        if time.monotonic() > until:
            return Row(name, note="not begun: the time was over")
        row = work[name]()
        print(f"{name}: {row and (row.times, row.problems, row.note)}", file=sys.stderr, flush=True)
        return row

    # The same fault of all commands, then the next one: rows at the same time rarely wait for the same run.
    names = [name for name in work if name.startswith(only)]
    by_fault = sorted(
        names, key=lambda name: FAULTS.index(name.split()[1]) if name.split()[1] in FAULTS else 1
    )
    with ThreadPoolExecutor(workers) as pool:  # threads: they wait for commands in processes of their own
        made = {name: pool.submit(inject, name) for name in by_fault}
        yield from (row for name in names if (row := made[name].result()) is not None)


AGAIN = "injected again, alone"


def updated(text: str, found: list[Row]) -> str:
    """The table with these rows in the place of those of the same name; the sums are counted anew.

    Raises:
        ValueError: the table has no row of that name.
    """
    lines = text.splitlines()
    for row in found:
        places = [number for number, line in enumerate(lines) if name_of(line) == name_of(f"| {row.fault} |")]
        if not places:
            raise ValueError(f"{TABLE} has no row {row.fault!r}: write the whole table, without --only")
        lines[places[0]] = line_of(dataclasses.replace(row, note=f"{row.note}; {AGAIN}".removeprefix("; ")))
    cells = [line.split(" | ") for line in lines if line.startswith("| ") and "**" not in line][1:]
    lines[-1] = sums(sum(int(cell[1]) for cell in cells), sum(int(cell[2]) for cell in cells))
    return "\n".join(lines) + "\n"


def name_of(line: str) -> str:
    """The first cell, without the sizes of limits: those change."""
    return re.sub(r"[\d,]+", "#", line.split(" |")[0])


def line_of(row: Row) -> str:
    note = row.problems[0].replace("|", "/").replace("\n", " ") if row.problems else row.note
    return f"| {row.fault} | {row.times} | {len(row.problems)} | {note} |"


def sums(injected: int, wrong: int) -> str:
    return f"| **all** | **{injected}** | **{wrong}** | |"


def render(found: list[Row], minutes: float, kills: int) -> str:
    """The table in Markdown."""
    lines = [
        "# The tests",
        "",
        "`make test` runs what lies here except what is marked slow; `make test-all` runs all of it, and",
        "`make test-faults`, which injects the faults below into real commands.",
        "",
        "## Faults injected",
        "",
        f"Written by `python -m tests.injected.run --kills {kills}` in {minutes:.0f} minutes; the default is 20 kills",
        "of each command. After each fault the same command is given again, and its result compared with that of a run",
        'that nobody disturbed. "Went wrong" counts results lost, changed or half-written, processes left behind,',
        "tracebacks, more or less than one sentence, another exit code than the right one, exit code 0 for work that",
        "is not done, temporary files left after the end, and files that hang or fill memory.",
        "",
        "| fault | injected | went wrong | |",
        "|---|---|---|---|",
    ]
    lines += [line_of(row) for row in found]
    injected, wrong = sum(row.times for row in found), sum(len(row.problems) for row in found)
    return "\n".join([*lines, sums(injected, wrong)]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kills", type=int, default=20, help="SIGKILLs of each command; signals a fifth of it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="rows whose name begins so, such as train or 'fuzz audio'")
    parser.add_argument("--update", action="store_true", help="put the rows of --only into the table")
    parser.add_argument("--workers", type=int, default=1, help="rows at the same time")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no row after this time")
    chosen = parser.parse_args()
    # A shell's background job ignores SIGINT, and so would the commands that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found, begun = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), chosen.kills, chosen.seed, chosen.only, chosen.workers, chosen.minutes):
            found.append(row)
            print(
                f"{row.fault}: {row.times} injected, {len(row.problems)} went wrong. {row.note}", flush=True
            )
            for problem in row.problems[:10]:
                print(f"    {problem}", flush=True)
    if chosen.only and chosen.update:
        write_whole(TABLE, updated(TABLE.read_text(encoding="utf-8"), found).encode())
    elif not chosen.only:
        write_whole(TABLE, render(found, (time.monotonic() - begun) / 60, chosen.kills).encode())
    return int(any(row.problems for row in found))


if __name__ == "__main__":
    sys.exit(main())
