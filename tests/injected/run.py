"""Inject all faults and write the table into tests/README.md; exit code 1 if anything went wrong.

python -m tests.injected.run                    # all, for make test-all
python -m tests.injected.run --only train       # the rows whose name begins so; nothing is written
python -m tests.injected.run --kills 5
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dprnn_lab.files import write_whole

from . import scenarios
from .fuzz import fuzzed
from .jobs import JOBS, Evaluate, Row, Separate, Sweep, Train
from .process import ROOT

__all__ = ["rows"]

FUZZED = {"checkpoints": 300, "audio": 200, "configurations": 100, "lists": 100}
LIMITS = {
    Train: 30_000,
    Separate: 1_000_000,
    Evaluate: 1_000,
    Sweep: 400,
}  # bytes, reached in the middle of the work
DISKS = {Train: "200k", Separate: "8m", Evaluate: "8k", Sweep: "12k"}
TABLE = ROOT / "tests" / "README.md"
OTHER_TMP = Path("/dev/shm")  # a file system of its own on Linux


def rows(folder: Path, kills: int = 20, seed: int = 0, only: str = "") -> Iterator[Row]:
    """All faults, one row each, as they are done."""

    def fresh(kind: type, name: str):
        return kind(folder / f"{kind.name}-{name}")

    work: list[tuple[str, Callable[[], Row | None]]] = []
    for kind in JOBS:
        n = kind.name
        work.append((f"{n} kill", lambda k=kind: scenarios.killed(fresh(k, "kill"), kills, seed)))
        for name in ("SIGTERM", "SIGINT"):
            work.append(
                (
                    f"{n} {name}",
                    lambda k=kind, s=name: scenarios.signalled(fresh(k, s), s, max(1, kills // 5), seed),
                )
            )
        work.append((f"{n} limit", lambda k=kind: scenarios.file_limit(fresh(k, "limit"), LIMITS[k])))
        work.append((f"{n} disk", lambda k=kind: scenarios.small_file_system(fresh(k, "disk"), DISKS[k])))
        work.append((f"{n} removed", lambda k=kind: scenarios.deleted_folder(fresh(k, "removed"), seed)))
        work.append((f"{n} second", lambda k=kind: scenarios.second_process(fresh(k, "second"))))
    if OTHER_TMP.is_dir():
        elsewhere = {"TMPDIR": str(OTHER_TMP)}
        work.append(
            ("train tmpdir", lambda: scenarios.killed(
                fresh(Train, "tmpdir"), kills, seed + 1, elsewhere, ", TMPDIR on another file system"))
        )  # fmt: skip
    for name, count in FUZZED.items():
        work.append((f"fuzz {name}", lambda n=name, c=count: fuzzed(n, max(20, c * kills // 20), seed)))
    for name, inject in work:
        if name.startswith(only):
            row = inject()
            if row is not None:
                yield row


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
    for row in found:
        note = row.problems[0].replace("|", "/").replace("\n", " ") if row.problems else row.note
        lines.append(f"| {row.fault} | {row.times} | {len(row.problems)} | {note} |")
    injected, wrong = sum(row.times for row in found), sum(len(row.problems) for row in found)
    return "\n".join([*lines, f"| **all** | **{injected}** | **{wrong}** | |"]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kills", type=int, default=20, help="SIGKILLs of each command; signals a fifth of it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="rows whose name begins so, such as train or 'fuzz audio'")
    chosen = parser.parse_args()
    found, begun = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), chosen.kills, chosen.seed, chosen.only):
            found.append(row)
            print(
                f"{row.fault}: {row.times} injected, {len(row.problems)} went wrong. {row.note}", flush=True
            )
            for problem in row.problems[:10]:
                print(f"    {problem}", flush=True)
    if not chosen.only:
        write_whole(TABLE, render(found, (time.monotonic() - begun) / 60, chosen.kills).encode())
    return int(any(row.problems for row in found))


if __name__ == "__main__":
    sys.exit(main())
