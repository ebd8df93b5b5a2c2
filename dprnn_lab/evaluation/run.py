"""Long evaluations: each result saved at once, resumable after a stop, on several processes.

Notebook: 08_evaluation
"""

import hashlib
import importlib.util
import json
import os
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from ..files import (
    check_or_write_settings,
    locked,
    made_folder,
    naming,
    remove_leftovers,
    write_whole,
)
from .executors import Executor, check_executor
from .opening import open_mixtures
from .processes import check_workers, map_in_processes
from .scores import check_metrics
from .scoring_tasks import rows_by_value
from .systems import Address, fingerprint, make_system
from .table import MixtureSet, check_sources, left_out_of, mixture_scores, read_item, score_item

__all__ = ["check_fits", "check_rates", "evaluate_to", "open_mixtures"]


def check_fits(systems: Mapping[str, object], mixtures: MixtureSet) -> None:
    """Raise ValueError for a model with another sample rate, or another number of outputs than there are sources."""
    check_rates(systems, mixtures)
    check_sources(systems, mixtures)


def check_rates(systems: Mapping[str, object], mixtures: MixtureSet) -> None:
    """Raise ValueError for a model with another sample rate than the mixtures: its scores would be meaningless."""
    found = mixtures.specs[0].sample_rate
    for name, system in systems.items():
        wanted = getattr(system, "sample_rate", found)
        if wanted != found:
            raise ValueError(
                f"{name} is a model for {wanted:g} Hz and the mixtures are at {found:g} Hz: use mixtures at its rate "
                f"(--sample-rate {wanted:g} converts the bundled ones)"
            )


def evaluate_to(
    folder: str | os.PathLike,
    systems: Mapping[str, Address],
    mixtures: MixtureSet,
    metrics: Sequence[str] = ("si_sdr",),
    workers: int = 0,
    progress: bool = True,
    parquet: bool = False,
    skip_bad: bool = False,
    executor: Executor | None = None,
) -> pd.DataFrame:
    """Evaluate systems on mixtures and write ``scores.csv`` into a folder.

    Each row is in ``rows.jsonl`` before the next is computed. A call with the same arguments, which are in
    ``settings.json``, continues a stopped one. One process at a time writes into a folder. A call that fails before
    its first row leaves nothing behind.

    Args:
        folder: created if missing.
        systems: name in the table to address: a baseline's name, a checkpoint, or ``conv-tasnet:FILE``.
        mixtures: such as :class:`FixedMixtures` and :class:`DiskMixtures`.
        metrics: as for :func:`score`.
        workers: processes, each with one thread; 0 computes in this one.
        progress: show one bar for all.
        parquet: also write ``scores.parquet``, with all digits; needs pyarrow.
        skip_bad: leave out mixtures whose files can't be read, and list them in ``left_out.json``.
        executor: where the mixtures are separated in place of ``workers``: any ``concurrent.futures.Executor``, such as
            Dask's ``client.get_executor()``; it stays open. Models and mixtures are read here and travel as values:
            other machines need no common file system, only this package.

    Returns:
        The table of :func:`evaluate`, in the order of systems and mixtures; ``table.attrs["left_out"]`` as there.

    Raises:
        ValueError: the folder holds the results of other settings; Parquet without pyarrow; two mixtures of one id;
            a model that does not fit the mixtures; both workers and an executor.
        ChildProcessError, ConnectionError: a worker died and its executor with it; the cluster is gone.
        InUseError: another process writes into the folder.
    """
    check_metrics(metrics)
    check_workers(workers)
    if executor is not None:
        check_executor(executor)
        if workers:
            raise ValueError(
                f"workers is {workers} and there is an executor, which has its own: leave workers out"
            )
    if parquet and importlib.util.find_spec("pyarrow") is None:
        raise ValueError(
            'scores.parquet is written by pyarrow, which is not installed: pip install "dprnn-lab[parquet]"'
        )
    _check_ids(mixtures)
    settings = {
        "systems": {name: fingerprint(address) for name, address in systems.items()},
        "mixtures": _digest(mixtures.specs),
        "metrics": list(metrics),
    }
    with made_folder(folder) as folder, locked(folder, "an evaluation"), _cleared_unless_begun(folder):
        remove_leftovers(folder)
        changed = check_or_write_settings(folder, settings)
        if changed:
            raise ValueError(
                f"{folder} holds an evaluation with other {' and '.join(changed)}: choose another folder, or delete it"
            )
        rows, left_out = _all_rows(folder, systems, mixtures, metrics, workers, progress, skip_bad, executor)
        table = pd.DataFrame(rows)
        table.attrs["left_out"] = left_out
        # Names of files may hold bytes that are not UTF-8.
        write_whole(
            folder / "scores.csv", table.round(4).to_csv(index=False).encode(errors="backslashreplace")
        )
        if parquet:
            write_whole(folder / "scores.parquet", table.to_parquet(index=False))
        if left_out:
            entries = [{"mixture": name, "reason": reason} for name, reason in left_out]
            write_whole(folder / "left_out.json", json.dumps(entries, indent=1).encode())
        else:
            (folder / "left_out.json").unlink(missing_ok=True)  # of a call before the files were mended
    return table


def _all_rows(
    folder: Path,
    systems: Mapping[str, Address],
    mixtures: MixtureSet,
    metrics: Sequence[str],
    workers: int,
    progress: bool,
    skip_bad: bool,
    executor: Executor | None,
) -> tuple[list[dict], list[tuple[str, str]]]:
    """The rows that the folder has, those that are missing, which are added to it, and what was left out."""
    order = {
        (name, spec.id): i for i, (name, spec) in enumerate((n, s) for n in systems for s in mixtures.specs)
    }
    rows_file = folder / "rows.jsonl"
    rows = _read_rows(rows_file, order)
    done = {(row["system"], row["id"]) for row in rows}
    # Mixture by mixture: the scores of the mixture itself are computed once for all systems.
    todo = [
        (name, index)
        for index, spec in enumerate(mixtures.specs)
        for name in systems
        if (name, spec.id) not in done
    ]
    left_out = dict(left_out_of(mixtures))
    bar = tqdm(total=len(todo) + len(done), initial=len(done), unit="mixture", disable=not progress)
    # Closed at once after an error, which ends the workers.
    with (
        bar,
        rows_file.open("a", encoding="utf-8") as file,
        closing(_compute(systems, mixtures, metrics, todo, workers, skip_bad, executor)) as made,
    ):
        for row in made:
            bar.update()
            if "left_out" in row:
                left_out[row["id"]] = row["left_out"]
                continue
            with naming(rows_file):
                file.write(json.dumps(row) + "\n")
                file.flush()
            rows.append(row)
    if not rows:
        name, reason = next(iter(left_out.items()))
        raise ValueError(f"all mixtures were left out, {name} because: {reason}")
    return sorted(rows, key=lambda row: order[row["system"], row["id"]]), list(left_out.items())


@contextmanager
def _cleared_unless_begun(folder: Path) -> Iterator[None]:
    """After an error, say how many rows are kept; without any, remove the files that this call has made."""
    made = [file for file in (folder / "settings.json", folder / "rows.jsonl") if not file.exists()]
    try:
        yield
    except BaseException as error:
        try:
            rows = (folder / "rows.jsonl").read_bytes().count(b"\n")
        except OSError:
            rows = 0
        if rows:
            error.add_note(
                f"the {rows} rows so far are kept in {folder}: the same call or command continues there"
            )
        else:
            for file in made:
                file.unlink(missing_ok=True)
        raise


def _check_ids(mixtures: MixtureSet) -> None:
    """Rows are kept by the mixtures' ids, so each may occur once."""
    if not len(mixtures.specs):
        raise ValueError(
            "there are no mixtures to evaluate: the list is empty, or all its files were left out"
        )
    seen: set[str] = set()
    for spec in mixtures.specs:
        if spec.id in seen:
            raise ValueError(
                f"two mixtures have the id {spec.id!r}: give each row of the list an id of its own"
            )
        seen.add(spec.id)


def _digest(specs: Sequence) -> str:
    """A hash of the whole specs, since mix_clean and mix_both have the same ids."""
    return f"{len(specs)} {hashlib.sha256(repr(specs).encode()).hexdigest()[:16]}"


def _read_rows(file: Path, known: Mapping[tuple[str, str], int]) -> list[dict]:
    """The rows of an earlier run, each once; what is no row of this evaluation is removed, in the file too.

    Args:
        known: the keys (system, mixture) that rows may have.

    Warns:
        UserWarning: rows occur twice, lines can't be read, or rows belong to no mixture. (A last line that is
            incomplete is what a killed process leaves, and no reason to warn.)
    """
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    rows: dict[tuple[str, str], dict] = {}
    doubled = unreadable = 0
    for line in whole.splitlines():
        try:
            row = json.loads(line)
            key = row["system"], row["id"]
            known[key]
        except (ValueError, TypeError, KeyError, RecursionError):
            unreadable += 1
            continue
        doubled += key in rows
        rows.setdefault(key, row)
    if doubled or unreadable:
        parts = [f"{doubled} rows that were there twice"] if doubled else []
        parts += [f"{unreadable} lines that are no rows of this evaluation"] if unreadable else []
        warnings.warn(f"{file}: dropped {' and '.join(parts)}", stacklevel=2)
    if whole != text or doubled or unreadable:
        write_whole(file, "".join(json.dumps(row) + "\n" for row in rows.values()).encode())
    return list(rows.values())


def _compute(
    systems: Mapping[str, Address],
    mixtures: MixtureSet,
    metrics: Sequence[str],
    todo: list[tuple[str, int]],
    workers: int,
    skip_bad: bool,
    executor: Executor | None,
) -> Generator[dict]:
    if executor is not None and todo:
        made = {name: make_system(systems[name]) for name in systems}
        check_fits(made, mixtures)
        yield from rows_by_value(executor, made, mixtures, metrics, todo, skip_bad)
        return
    prepare = partial(_prepare, dict(systems), mixtures, tuple(metrics), skip_bad)
    if workers == 0:
        prepare()
        yield from map(_row, todo)
    elif todo:
        yield from map_in_processes(_row, todo, workers, partial(prepare, threads=1), chunksize=len(systems))


_work: dict = {}  # the state of a process, filled by _prepare


def _prepare(
    addresses: Mapping[str, Address],
    mixtures: MixtureSet,
    metrics: Sequence[str],
    skip_bad: bool,
    threads: int | None = None,
) -> None:
    if threads:
        torch.set_num_threads(threads)
    _work.update(
        addresses=addresses, systems={}, mixtures=mixtures, metrics=metrics, before={}, skip_bad=skip_bad
    )


@torch.no_grad()
def _row(task: tuple[str, int]) -> dict:
    """A row of the table; with ``skip_bad``, for a mixture that can't be read, its id and the reason."""
    name, index = task
    mixtures, metrics, before = _work["mixtures"], _work["metrics"], _work["before"]
    if name not in _work["systems"]:
        system = make_system(_work["addresses"][name])
        check_fits({name: system}, mixtures)
        _work["systems"][name] = system
    item = read_item(mixtures, index, _work["skip_bad"])
    if isinstance(item[1], str):
        return {"id": item[0], "left_out": item[1]}
    if index not in before:
        before[index] = mixture_scores(item, metrics)
    return {"system": name} | score_item(_work["systems"][name], item, metrics, before[index])
