"""Long evaluations: each result saved at once, resumable after a stop, on several processes.

Notebook: 08_evaluation
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from tqdm import tqdm

from ..audio import SAMPLE_RATE
from ..datasets.disk_mixtures import DiskMixtures
from ..datasets.mixing import FixedMixtures
from ..files import check_or_write_settings, write_whole
from .scores import check_metrics
from .systems import Address, fingerprint, make_system
from .table import MixtureSet, mixture_scores, score_item

__all__ = ["check_rates", "evaluate_to", "open_mixtures"]


def open_mixtures(
    data: str | os.PathLike, mix: str | None = None, sample_rate: float | None = None
) -> FixedMixtures | DiskMixtures:
    """The bundled mixtures of a split ("test", "valid"), a folder of mixtures, or a CSV of either kind.

    Args:
        mix: name of the mixtures' folder, if ``data`` has several.
        sample_rate: Hz that the files on disk must have, and to which the bundled voices are converted.

    Raises:
        FileNotFoundError, ValueError: as :class:`FixedMixtures` and :class:`DiskMixtures` do.
    """
    rate = SAMPLE_RATE if sample_rate is None else sample_rate  # of the bundled voices
    path = Path(data)
    if path.suffix == ".csv" and path.is_file():
        with path.open(encoding="utf-8") as file:
            header = file.readline()
        return (
            DiskMixtures(path, sample_rate)
            if "mixture_path" in header
            else FixedMixtures(path, sample_rate=rate)
        )
    return DiskMixtures(path, sample_rate, mix) if path.is_dir() else FixedMixtures(data, sample_rate=rate)


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
) -> pd.DataFrame:
    """Evaluate systems on mixtures and write ``scores.csv`` into a folder.

    Each row is in ``rows.jsonl`` before the next is computed. A call with the same arguments, which are in
    ``settings.json``, continues a stopped one.

    Args:
        folder: created if missing.
        systems: name in the table to address: a baseline's name, a checkpoint, or ``conv-tasnet:FILE``.
        mixtures: such as :class:`FixedMixtures` and :class:`DiskMixtures`.
        metrics: as for :func:`score`.
        workers: processes, each with one thread; 0 computes in this one.
        progress: show one bar for all.
        parquet: also write ``scores.parquet``, with all digits; needs pyarrow.

    Returns:
        The table of :func:`evaluate`, in the order of systems and mixtures.

    Raises:
        ValueError: the folder holds the results of other settings; Parquet without pyarrow.
    """
    check_metrics(metrics)
    if parquet and importlib.util.find_spec("pyarrow") is None:
        raise ValueError(
            'scores.parquet is written by pyarrow, which is not installed: pip install "dprnn-lab[parquet]"'
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "systems": {name: fingerprint(address) for name, address in systems.items()},
        "mixtures": _digest(mixtures.specs),
        "metrics": list(metrics),
    }
    changed = check_or_write_settings(folder, settings)
    if changed:
        raise ValueError(
            f"{folder} holds an evaluation with other {' and '.join(changed)}: choose another folder, or delete it"
        )
    rows_file = folder / "rows.jsonl"
    rows = _read_rows(rows_file)
    done = {(row["system"], row["id"]) for row in rows}
    # Mixture by mixture: the scores of the mixture itself are computed once for all systems.
    todo = [
        (name, index)
        for index, spec in enumerate(mixtures.specs)
        for name in systems
        if (name, spec.id) not in done
    ]
    bar = tqdm(total=len(todo) + len(done), initial=len(done), unit="mixture", disable=not progress)
    with bar, rows_file.open("a", encoding="utf-8") as file:
        for row in _compute(systems, mixtures, metrics, todo, workers):
            file.write(json.dumps(row) + "\n")
            file.flush()
            rows.append(row)
            bar.update()
    keys = [(name, spec.id) for name in systems for spec in mixtures.specs]
    order = {key: i for i, key in enumerate(keys)}
    table = pd.DataFrame(sorted(rows, key=lambda row: order[row["system"], row["id"]]))
    write_whole(folder / "scores.csv", table.round(4).to_csv(index=False).encode())
    if parquet:
        write_whole(folder / "scores.parquet", table.to_parquet(index=False))
    return table


def _digest(specs: Sequence) -> str:
    """A hash of the whole specs, since mix_clean and mix_both have the same ids."""
    return f"{len(specs)} {hashlib.sha256(repr(specs).encode()).hexdigest()[:16]}"


def _read_rows(file: Path) -> list[dict]:
    """The rows of an earlier run; an incomplete last line is removed, in the file too."""
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def _compute(
    systems: Mapping[str, Address],
    mixtures: MixtureSet,
    metrics: Sequence[str],
    todo: list[tuple[str, int]],
    workers: int,
) -> Iterator[dict]:
    if workers == 0:
        _prepare(systems, mixtures, metrics)
        yield from map(_row, todo)
        return
    # Fresh processes: a forked copy of PyTorch's threads can hang.
    with ProcessPoolExecutor(
        workers, get_context("spawn"), partial(_prepare, dict(systems), mixtures, tuple(metrics), threads=1)
    ) as pool:
        yield from pool.map(_row, todo, chunksize=len(systems))


_work: dict = {}  # the state of a process, filled by _prepare


def _prepare(
    addresses: Mapping[str, Address], mixtures: MixtureSet, metrics: Sequence[str], threads: int | None = None
) -> None:
    if threads:
        torch.set_num_threads(threads)
    _work.update(addresses=addresses, systems={}, mixtures=mixtures, metrics=metrics, before={})


@torch.no_grad()
def _row(task: tuple[str, int]) -> dict:
    name, index = task
    if name not in _work["systems"]:
        _work["systems"][name] = make_system(_work["addresses"][name])
    item, metrics, before = _work["mixtures"][index], _work["metrics"], _work["before"]
    if index not in before:
        before[index] = mixture_scores(item, metrics)
    return {"system": name} | score_item(_work["systems"][name], item, metrics, before[index])
