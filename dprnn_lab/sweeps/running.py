"""Running a sweep: papermill in several processes, each run saved as it ends, resumable after a stop.

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
from .failure import find_failure
from .plan import REPORT, Run, digest, notebook_parameters, plan
from .summary import SWEEP_COLUMNS

__all__ = ["FAILED", "OK", "read_report", "sweep"]

OK, FAILED = "ok", "failed"
# One thread per run: runs do not compete for cores, and sums have the same last digit on every machine.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
POLL_SECONDS = 0.1


def sweep(
    notebook: str | os.PathLike,
    grid: Mapping[str, Sequence],
    out: str | os.PathLike,
    workers: int = 1,
    seeds: int | Sequence[int] = 1,
    progress: bool = True,
) -> pd.DataFrame:
    """Execute a notebook once for every combination of the grid and every seed, and collect the results.

    A run gets its values, its ``seed``, and, if the notebook has a parameter ``report``, the path of a JSON file. The
    run writes its results there, an object of numbers and text; they become columns of the table. An error ends only
    its own run.

    ``out`` then holds ``notebooks/``, an executed notebook per run, named after its values; ``runs/``, the results or
    the error of each run; ``results.csv``; and ``settings.json``. A call with the same arguments continues a stopped
    one: finished runs are kept, failed and interrupted ones are repeated.

    Args:
        grid, seeds: as for :func:`plan`.
        out: created if missing.
        workers: runs at the same time, each with one thread.
        progress: show one bar for all.

    Returns:
        A row per run, in the order of the plan: its parameters; ``status`` ("ok" or "failed"); ``seconds``, including
        the start of the kernel; its results; ``cell``, the number of the cell that failed, and ``error``, the message;
        ``notebook``, relative to ``out``.

    Raises:
        FileNotFoundError, ValueError: as :func:`plan`; ``out`` holds another sweep; fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}: a sweep needs at least one")
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
    finally:  # after an interrupt, too
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
    waiting = list(runs)
    running: dict[subprocess.Popen, tuple[Run, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                run = waiting.pop(0)
                running[_start(notebook, out, run, reports)] = run, time.monotonic()
            ended = [child for child in running if child.poll() is not None]
            for child in ended:
                _hang_up(child)
                run, started = running.pop(child)
                yield run, _record(out, run, child.returncode, time.monotonic() - started, reports)
            if not ended:
                time.sleep(POLL_SECONDS)
    finally:
        for child in running:
            child.terminate()  # nbclient stops the kernel, too
        for child in running:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            _hang_up(child)


def _start(notebook: Path, out: Path, run: Run, reports: bool) -> subprocess.Popen:
    executed, report, log = _notebook_file(out, run), _report_file(out, run), _log_file(out, run)
    for file in (executed, report, _record_file(out, run)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)  # of an earlier attempt
    request = {
        "input_path": str(notebook),
        "output_path": str(executed),
        "parameters": run.parameters | ({REPORT: str(report)} if reports else {}),
        "cwd": str(notebook.parent),
    }
    with log.open("wb") as output:
        child = subprocess.Popen(
            # -P: do not import from the folder of this package.
            [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | ONE_THREAD,
        )
    assert child.stdin is not None  # it is a pipe
    child.stdin.write(json.dumps(request).encode() + b"\n")
    child.stdin.flush()  # left open: the child ends when it closes, which happens when this process ends
    return child


def _hang_up(child: subprocess.Popen) -> None:
    """Close the pipe that keeps a child running."""
    if child.stdin is not None:
        child.stdin.close()


def _report_file(out: Path, run: Run) -> Path:
    return out / "runs" / f"{run.name}.report"


def _log_file(out: Path, run: Run) -> Path:
    return out / "runs" / f"{run.name}.log"


def _record(out: Path, run: Run, code: int, seconds: float, reports: bool) -> dict:
    """The results of a run that ended, or its error."""
    log, report = _log_file(out, run), _report_file(out, run)
    record = {"status": OK, "seconds": round(seconds, 2), "reported": {}}
    if code:
        record |= {"status": FAILED} | find_failure(_notebook_file(out, run), code, log)
    elif reports:
        try:
            record["reported"] = read_report(report, run)
        except ValueError as error:
            record |= {"status": FAILED, "cell": None, "source": "", "error": str(error)}
    report.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    return record


def read_report(file: Path, run: Run) -> dict:
    """The results in a run's report.

    Raises:
        ValueError: no report, or one that can't be a row of a table.
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
        if name in run.parameters or name in SWEEP_COLUMNS:
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
    last = [name for name in ("cell", "error", "notebook") if name in table]  # after the results of all runs
    return table[[name for name in table if name not in last] + last].astype({n: "Int64" for n in last[:1]})
