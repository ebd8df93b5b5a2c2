"""Running a sweep: papermill in several processes, each run on disk as it ends, taken up again after a stop.

Notebook: 10_experiments
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ..files import check_or_write_settings, write_whole
from .failure import what_failed
from .plan import REPORT, Run, digest, notebook_parameters, plan

__all__ = ["FAILED", "OK", "sweep"]

OK, FAILED = "ok", "failed"
# One thread a run: two runs on two cores must not fight, and sums that are split otherwise differ in the last digit.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
POLL = 0.1  # s


def sweep(
    notebook: str | Path,
    grid: Mapping[str, Sequence],
    out: str | Path,
    workers: int = 1,
    seeds: int | Sequence[int] = 1,
    progress: bool = True,
) -> pd.DataFrame:
    """Execute a notebook once for every combination of the grid and every seed, and collect what the runs report.

    A run gets its values, its ``seed``, and, where the notebook has a parameter ``report``, the path of a JSON file:
    what it writes there, an object of numbers and text, are its columns of the table. An error ends one run and no
    other.

    ``out`` then holds ``notebooks/``, an executed notebook per run, named after its values; ``runs/``, what each run
    reported or what its error was; ``results.csv``; and ``settings.json``. A call with the same arguments goes on
    where an earlier one was stopped: finished runs are not made again, failed and interrupted ones are.

    Args:
        grid, seeds: as for :func:`plan`.
        out: made when missing.
        workers: runs at one time, each with one thread.
        progress: show one bar for all.

    Returns:
        A row per run, in the order of the plan: its parameters; ``status`` ("ok" or "failed"); ``seconds``, the
        start of the kernel included; what it reported; ``cell``, the number of the cell that failed, and ``error``,
        the message; ``notebook``, relative to ``out``.

    Raises:
        FileNotFoundError, ValueError: as :func:`plan`; ``out`` holds another sweep; fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}: a sweep needs one at the least")
    notebook, out = Path(notebook).resolve(), Path(out).resolve()
    runs = plan(notebook, grid, seeds)
    axes = {name: list(dict.fromkeys(run.parameters[name] for run in runs)) for name in runs[0].parameters}
    changed = check_or_write_settings(out, {"notebook": digest(notebook), "grid": axes})
    if changed:
        raise ValueError(
            f"{out} holds a sweep with another {' and another '.join(changed)}: choose another folder, or delete it"
        )
    reports = REPORT in notebook_parameters(notebook)
    todo = [run for run in runs if not _is_done(out, run)]
    bar = tqdm(total=len(runs), initial=len(runs) - len(todo), unit="run", disable=not progress)
    failed = 0
    try:
        with bar:
            for run, record in _execute(notebook, out, todo, workers, reports):
                write_whole(_record_file(out, run), json.dumps(record, indent=1).encode())
                failed += record["status"] == FAILED
                bar.set_postfix_str(f"{failed} failed" if failed else "", refresh=False)
                bar.update()
    finally:  # after an interrupt, too: what is there can be looked at
        table = _table(out, runs)
        write_whole(out / "results.csv", table.to_csv(index=False, lineterminator="\n").encode())
    return table


def _notebook_file(out: Path, run: Run) -> Path:
    return out / "notebooks" / f"{run.name}.ipynb"


def _record_file(out: Path, run: Run) -> Path:
    return out / "runs" / f"{run.name}.json"


def _is_done(out: Path, run: Run) -> bool:
    record, executed = _record_file(out, run), _notebook_file(out, run)
    return executed.is_file() and record.is_file() and json.loads(record.read_text("utf-8"))["status"] == OK


def _execute(
    notebook: Path, out: Path, runs: list[Run], workers: int, reports: bool
) -> Iterator[tuple[Run, dict]]:
    """Each run and its record, as they end."""
    waiting, running = list(runs), {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                run = waiting.pop(0)
                running[_start(notebook, out, run, reports)] = run, time.monotonic()
            ended = [child for child in running if child.poll() is not None]
            for child in ended:
                child.stdin.close()
                run, started = running.pop(child)
                yield run, _record(out, run, child.returncode, time.monotonic() - started, reports)
            if not ended:
                time.sleep(POLL)
    finally:
        for child in running:
            child.terminate()  # nbclient ends the kernel, too
        for child in running:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdin.close()


def _start(notebook: Path, out: Path, run: Run, reports: bool) -> subprocess.Popen:
    executed, report, log = _notebook_file(out, run), _report_file(out, run), _log_file(out, run)
    for file in (executed, report, _record_file(out, run)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)  # of an earlier try
    request = {
        "input_path": str(notebook),
        "output_path": str(executed),
        "parameters": run.parameters | ({REPORT: str(report)} if reports else {}),
        "cwd": str(notebook.parent),
    }
    with log.open("wb") as file:
        child = subprocess.Popen(
            # -P: the folder of this package is no place to import from.
            [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | ONE_THREAD,
        )
    child.stdin.write(json.dumps(request).encode() + b"\n")
    child.stdin.flush()  # and left open: its end tells the child that this process has ended
    return child


def _report_file(out: Path, run: Run) -> Path:
    return out / "runs" / f"{run.name}.report"


def _log_file(out: Path, run: Run) -> Path:
    return out / "runs" / f"{run.name}.log"


def _record(out: Path, run: Run, code: int, seconds: float, reports: bool) -> dict:
    """What is kept of a run that ended: its report, or its error."""
    log, report = _log_file(out, run), _report_file(out, run)
    record = {"status": OK, "seconds": round(seconds, 2), "reported": {}}
    if code:
        record |= {"status": FAILED} | what_failed(_notebook_file(out, run), code, log)
    elif reports:
        try:
            record["reported"] = _read_report(report, run)
        except ValueError as error:
            record |= {"status": FAILED, "cell": None, "source": "", "error": str(error)}
    report.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    return record


def _read_report(file: Path, run: Run) -> dict:
    """The numbers and texts that a run reported.

    Raises:
        ValueError: none, or what can't be a row of a table.
    """
    if not file.is_file():
        raise ValueError(f"the notebook ran to its end and wrote nothing to its parameter {REPORT!r}")
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"the report is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"the report is a {type(values).__name__}: write an object of names and values")
    for name, value in values.items():
        if name in run.parameters or name in ("status", "seconds", "cell", "error", "notebook"):
            raise ValueError(f"the report has {name!r}, which is another column of the table: rename it")
        if not (value is None or isinstance(value, bool | int | float | str)):
            raise ValueError(f"the report's {name!r} is a {type(value).__name__}: report numbers and text")
    return values


def _table(out: Path, runs: list[Run]) -> pd.DataFrame:
    """The runs that have ended, in the order of the plan."""
    rows = []
    for run in runs:
        if not _record_file(out, run).is_file():
            continue
        record = json.loads(_record_file(out, run).read_text(encoding="utf-8"))
        rows.append(
            run.parameters
            | {"status": record["status"], "seconds": record["seconds"]}
            | record["reported"]
            | {"cell": record.get("cell"), "error": record.get("error", "")}
            | {"notebook": _notebook_file(out, run).relative_to(out).as_posix()}
        )
    table = pd.DataFrame(rows, columns=None if rows else [*runs[0].parameters, "status", "seconds"])
    last = [
        name for name in ("cell", "error", "notebook") if name in table
    ]  # a failed first row reports nothing
    return table[[name for name in table if name not in last] + last].astype({n: "Int64" for n in last[:1]})
