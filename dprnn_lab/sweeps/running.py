"""Running a sweep: papermill on any executor, each run saved as it ends, resumable after a stop.

Notebook: 10_experiments
"""

import json
import os
import secrets
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import nbformat
import pandas as pd
from tqdm import tqdm

from ..evaluation.executors import LOST, Executor, check_executor, results_as_they_end, run_on_workers
from ..evaluation.processes import check_workers
from ..files import check_or_write_settings, locked, made_folder, remove_leftovers, was_removed, write_whole
from .executing import Outcome, Task, execute, stop_runs
from .plan import REPORT, SOUNDS, Run, digest, notebook_parameters, plan
from .sounds import sounds_folder
from .summary import SWEEP_COLUMNS

__all__ = ["FAILED", "OK", "read_report", "sweep"]

OK, FAILED = "ok", "failed"
MOST_SUBMITTED = 1000  # runs at a time; each carries the notebook's text
REMOVED = "a sweep", "start the sweep again"
SCRATCH = ".running"  # folder in that of the results


def sweep(
    notebook: str | os.PathLike,
    grid: Mapping[str, Sequence],
    out: str | os.PathLike,
    workers: int = 1,
    seeds: int | Sequence[int] = 1,
    progress: bool = True,
    executor: Executor | None = None,
) -> pd.DataFrame:
    """Execute a notebook once for every combination of the grid and every seed, and collect the results.

    A run gets its values, its ``seed``, and, if the notebook has a parameter ``report``, the path of a JSON file. The
    run writes its results there, an object of numbers and text; they become columns of the table. A notebook with a
    parameter ``sounds`` gets the path of an empty folder, for up to 12 audio files of one channel, 20 MB in all; their
    names name the sounds that :func:`write_report` puts into a player. An error ends only its own run.

    ``out`` then holds ``notebooks/``, an executed notebook per run, named after its values; ``runs/``, the results or
    the error of each run; ``sounds/``, a folder per run that wrote some; ``results.csv``; and ``settings.json``.

    A call with the same arguments continues a stopped one: finished runs are kept, failed and interrupted ones are
    repeated. One process at a time writes into ``out``. A call that fails before its first run has ended leaves nothing
    behind.

    Args:
        grid, seeds: as for :func:`plan`.
        out: created if missing.
        workers: runs at the same time, each with one thread.
        progress: show one bar for all.
        executor: where the runs are executed in place of ``workers``: any ``concurrent.futures.Executor``, such as a
            ``ProcessPoolExecutor``, Dask's ``client.get_executor()`` or mpi4py's ``MPIPoolExecutor``; it stays open.
            Runs travel as values, so that other machines need no common file system, only this package. Data that the
            notebook itself reads must be there. A run works in the notebook's folder, or, where the worker has no such
            folder, in an empty one.

    Returns:
        A row per run, in the order of the plan: its parameters; ``status`` ("ok" or "failed"); ``seconds``, including
        the start of the kernel; its results; ``cell``, the number of the cell that failed, and ``error``, the message;
        ``notebook``, relative to ``out``.

    Raises:
        FileNotFoundError, ValueError: as :func:`plan`; ``out`` holds another sweep, or was removed meanwhile; fewer
            than one worker; both workers and an executor.
        InUseError: another process writes into ``out``.
        ChildProcessError, ConnectionError: the executor broke, or its cluster is gone.
    """
    check_workers(workers, least=1)
    if executor is not None:
        check_executor(executor)
        if workers != 1:
            raise ValueError(
                f"workers is {workers} and there is an executor, which has its own: leave workers out"
            )
    notebook, out = Path(notebook).resolve(), Path(out).resolve()
    runs = plan(notebook, grid, seeds)
    axes = {name: list(dict.fromkeys(run.parameters[name] for run in runs)) for name in runs[0].parameters}
    settings = {"notebook": digest(notebook), "grid": axes}
    with made_folder(out), locked(out, "a sweep"), _cleared_unless_begun(out):
        remove_leftovers(out, out / "runs")
        shutil.rmtree(out / SCRATCH, ignore_errors=True)  # of a sweep that was killed
        changed = check_or_write_settings(out, settings)
        if changed:
            raise ValueError(
                f"{out} holds a sweep with another {' and another '.join(changed)}: choose another folder, or delete it"
            )
        (out / SCRATCH).mkdir(exist_ok=True)
        try:
            return _run_all(notebook, out, runs, workers, progress, executor)
        except Exception as error:
            if _is_removed(out):
                raise was_removed(out, *REMOVED) from error
            raise
        finally:
            shutil.rmtree(out / SCRATCH, ignore_errors=True)


def _run_all(
    notebook: Path, out: Path, runs: list[Run], workers: int, progress: bool, executor: Executor | None
) -> pd.DataFrame:
    """The runs that the folder lacks, and the table of all."""
    names = notebook_parameters(notebook)
    reports, sounds = REPORT in names, SOUNDS in names
    todo = [run for run in runs if not _is_done(out, run)]
    bar = tqdm(total=len(runs), initial=len(runs) - len(todo), unit="run", disable=not progress)
    failed = 0
    try:
        # Closed at once after an error, which ends the runs.
        with bar, closing(_outcomes(notebook, out, todo, workers, reports, sounds, executor)) as ended:
            for run, outcome in ended:
                record = _record(run, outcome, reports)
                _keep(out, run, outcome, record)
                failed += record["status"] == FAILED
                bar.set_postfix_str(f"{failed} failed" if failed else "", refresh=False)
                bar.update()
    except BaseException:  # an interrupt, too
        if any(_record_file(out, run).is_file() for run in runs):
            with suppress(OSError):  # the first error is the one to be told
                _write_table(out, runs)
        raise
    return _write_table(out, runs)


def _is_removed(out: Path) -> bool:
    """Whether somebody has removed or renamed the folder; writing would make it again, with half of the results."""
    return not (out / "settings.json").is_file()


def _keep(out: Path, run: Run, outcome: Outcome, record: dict) -> None:
    """Write a run's notebook and sounds and then its record, which says that the run has ended; or nothing."""
    if _is_removed(out):
        raise was_removed(out, *REMOVED)
    sounds = sounds_folder(out, run.name)
    shutil.rmtree(sounds, ignore_errors=True)  # of a call that was killed before it wrote the record
    write_whole(_notebook_file(out, run), outcome.notebook)
    try:
        for name, content in outcome.sounds.items() if record["status"] == OK else ():
            write_whole(sounds / name, content)
        write_whole(_record_file(out, run), json.dumps(record, indent=1).encode())
    except BaseException:
        _notebook_file(out, run).unlink(missing_ok=True)
        shutil.rmtree(sounds, ignore_errors=True)
        raise


def _write_table(out: Path, runs: list[Run]) -> pd.DataFrame:
    if _is_removed(out):
        raise was_removed(out, *REMOVED)
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
            for name in ("runs", "notebooks", SOUNDS):
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


def _outcomes(
    notebook: Path,
    out: Path,
    runs: list[Run],
    workers: int,
    reports: bool,
    sounds: bool,
    executor: Executor | None,
) -> Generator[tuple[Run, Outcome]]:
    """Each run and what it gave, as they end."""
    text, token = _without_outputs(notebook), secrets.token_hex(8)
    make = partial(
        Task, notebook=text, folder=str(notebook.parent), reports=reports, sounds=sounds, sweep=token
    )
    # Without an executor: threads, since the work of a run is done in its kernel, which is a process of its own.
    own = ThreadPoolExecutor(workers, thread_name_prefix="run") if executor is None else None
    scratch = None if own is None else str(out / SCRATCH)
    calls = [(make(run.name, parameters=run.parameters, scratch=scratch),) for run in runs]
    waiting = {run.name: run for run in runs}
    most = workers if own else MOST_SUBMITTED
    try:
        with closing(results_as_they_end(own or executor, execute, calls, most, most)) as ended:
            for (task,), outcome in ended:
                yield waiting.pop(task.name), _lost(text) if outcome is LOST else outcome
    finally:
        if waiting:  # after an error, or an interrupt
            run_on_workers(executor, stop_runs, token)
        if own:
            own.shutdown(cancel_futures=True)


def _without_outputs(notebook: Path) -> str:
    """The text of a notebook; outputs are made anew, and pictures in them are large."""
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(content)


def _lost(notebook: str) -> Outcome:
    """Of a run that ended its worker each time that it was made."""
    error = "its worker ended each time: did the machine run out of memory?"
    return Outcome(notebook.encode(), None, {"cell": None, "source": "", "error": error}, 0.0)


def _record(run: Run, outcome: Outcome, reports: bool) -> dict:
    """The results of a run that ended, or its error."""
    record = {"status": OK, "seconds": round(outcome.seconds, 2), "reported": {}}
    if outcome.failure is not None:
        return record | {"status": FAILED} | outcome.failure
    if reports:
        try:
            record["reported"] = _parsed(outcome.report, run)
        except ValueError as error:
            return record | {"status": FAILED, "cell": None, "source": "", "error": str(error)}
    return record


def read_report(file: Path, run: Run) -> dict:
    """The results in a run's report.

    Raises:
        ValueError: no report, or one that can't be a row of a table.
    """
    return _parsed(file.read_bytes() if file.is_file() else None, run)


def _parsed(content: bytes | None, run: Run) -> dict:
    """:func:`read_report` of a file with this content; None for no file."""
    if content is None:
        raise ValueError(f"the notebook ran to its end and wrote nothing to its parameter {REPORT!r}")
    try:
        values = json.loads(content.decode("utf-8"))
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
    for name in runs[0].parameters if rows else ():
        if table[name].isna().any():  # None, among numbers: these keep their types
            kept = {
                _notebook_file(out, run).relative_to(out).as_posix(): run.parameters[name] for run in runs
            }
            table[name] = pd.Series([kept[file] for file in table["notebook"]], dtype=object)
    last = [name for name in ("cell", "error", "notebook") if name in table]  # after the results of all runs
    return table[[name for name in table if name not in last] + last].astype({n: "Int64" for n in last[:1]})
