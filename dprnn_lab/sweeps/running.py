"""Running a sweep: papermill in several processes, each run saved as it ends, resumable after a stop.

Notebook: 10_experiments
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ..evaluation.processes import check_workers
from ..files import check_or_write_settings, locked, made_folder, remove_leftovers, write_whole
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
    one: finished runs are kept, failed and interrupted ones are repeated. One process at a time writes into ``out``. A
    call that fails before its first run has ended leaves nothing behind.

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
        InUseError: another process writes into ``out``.
    """
    check_workers(workers, least=1)
    notebook, out = Path(notebook).resolve(), Path(out).resolve()
    runs = plan(notebook, grid, seeds)
    axes = {name: list(dict.fromkeys(run.parameters[name] for run in runs)) for name in runs[0].parameters}
    settings = {"notebook": digest(notebook), "grid": axes}
    with made_folder(out), locked(out, "a sweep"), _cleared_unless_begun(out):
        remove_leftovers(out, out / "runs")
        changed = check_or_write_settings(out, settings)
        if changed:
            raise ValueError(
                f"{out} holds a sweep with another {' and another '.join(changed)}: choose another folder, or delete it"
            )
        return _run_all(notebook, out, runs, workers, progress)


def _run_all(notebook: Path, out: Path, runs: list[Run], workers: int, progress: bool) -> pd.DataFrame:
    """The runs that the folder lacks, and the table of all."""
    reports = REPORT in notebook_parameters(notebook)
    todo = [run for run in runs if not _is_done(out, run)]
    bar = tqdm(total=len(runs), initial=len(runs) - len(todo), unit="run", disable=not progress)
    failed = 0
    try:
        # Closed at once after an error, which ends the runs.
        with bar, closing(_execute(notebook, out, todo, workers, reports)) as ended:
            for run, record in ended:
                write_whole(_record_file(out, run), json.dumps(record, indent=1).encode())
                failed += record["status"] == FAILED
                bar.set_postfix_str(f"{failed} failed" if failed else "", refresh=False)
                bar.update()
    except BaseException:  # an interrupt, too
        if any(_record_file(out, run).is_file() for run in runs):
            with suppress(OSError):  # the first error is the one to be told
                _write_table(out, runs)
        raise
    return _write_table(out, runs)


def _write_table(out: Path, runs: list[Run]) -> pd.DataFrame:
    table = _table(out, runs)
    write_whole(
        out / "results.csv", table.to_csv(index=False, lineterminator="\n").encode(errors="backslashreplace")
    )
    return table


@contextmanager
def _cleared_unless_begun(out: Path) -> Iterator[None]:
    """After an error, say how many runs are kept; without any, remove what this call has made."""
    new = not (out / "settings.json").exists()
    try:
        yield
    except BaseException as error:
        kept = len(list((out / "runs").glob("*.json")))
        if kept:
            error.add_note(f"{kept} runs are kept in {out}: the same call or command continues after them")
        elif new:
            (out / "settings.json").unlink(missing_ok=True)
            for name in ("runs", "notebooks"):
                with suppress(OSError):  # not empty: something else lies there
                    (out / name).rmdir()
        raise


def _notebook_file(out: Path, run: Run) -> Path:
    return out / "notebooks" / f"{run.name}.ipynb"


def _record_file(out: Path, run: Run) -> Path:
    return out / "runs" / f"{run.name}.json"


def _is_done(out: Path, run: Run) -> bool:
    record, executed = _record_file(out, run), _notebook_file(out, run)
    return executed.is_file() and _read_record(record).get("status") == OK


def _read_record(file: Path) -> dict:
    """A run's record; empty where there is none that can be read: the run is repeated then."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        return (
            record if isinstance(record, dict) and {"status", "seconds", "reported"} <= record.keys() else {}
        )
    except (OSError, ValueError, RecursionError):
        return {}


def _execute(
    notebook: Path, out: Path, runs: list[Run], workers: int, reports: bool
) -> Generator[tuple[Run, dict]]:
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
        for run, _ in running.values():  # of runs that did not end
            for file in (_report_file(out, run), _log_file(out, run), _notebook_file(out, run)):
                with suppress(OSError):
                    file.unlink(missing_ok=True)


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
    try:
        with log.open("wb") as output:
            child = subprocess.Popen(
                # -P: do not import from the folder of this package.
                [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | ONE_THREAD,
            )
    except OSError:
        with suppress(OSError):
            log.unlink(missing_ok=True)
        raise
    assert child.stdin is not None  # it is a pipe
    with suppress(BrokenPipeError):  # it died at once: its exit code and its log say why
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.flush()  # left open: the child ends when it closes, which happens when this process ends
    return child


def _hang_up(child: subprocess.Popen) -> None:
    """Close the pipe that keeps a child running."""
    if child.stdin is not None:
        with suppress(BrokenPipeError):
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
        record = _read_record(_record_file(out, run))
        if not record:
            continue
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
