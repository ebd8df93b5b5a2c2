"""The table of an evaluation: a row per mixture (and system), and its summary by pair kind.

Notebook: 08_evaluation
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Protocol

import pandas as pd
import torch

from ..audio import SAMPLE_RATE, check_finite
from ..model import DPRNNTasNet
from ..separation.parallel import check_compute, evaluating, goes_in_batches, in_parallel, usable_cores
from ..separation.windows import run_model
from .scores import COLUMNS, score, score_mixture
from .statistics import Interval, bootstrap_mean, cluster_bootstrap

__all__ = [
    "MixtureSet",
    "System",
    "check_sources",
    "evaluate",
    "left_out_of",
    "mixture_scores",
    "overview",
    "read_item",
    "score_item",
    "separate_with",
    "summarise",
    "undefined",
]

# A model, or a function of (mixture [T], sources [S, T], spec) that returns estimates [S, T].
System = torch.nn.Module | Callable[[torch.Tensor, torch.Tensor, object], torch.Tensor]


class MixtureSet(Protocol):
    """Fixed mixtures, such as :class:`FixedMixtures` and :class:`DiskMixtures`, and their specs in the same order."""

    @property
    def specs(self) -> Sequence: ...

    def __getitem__(self, index: int, /) -> tuple: ...


@torch.no_grad()
def evaluate(
    system: System | Mapping[str, System],
    mixtures: Iterable,
    metrics: Sequence[str] = ("si_sdr",),
    skip_bad: bool = False,
    workers: int | None = None,
) -> pd.DataFrame:
    """Separate every ``(mixture [T], sources [S, T], spec)`` and score it under its best permutation.

    Args:
        system: a model; or a function of ``(mixture, sources, spec)`` that returns estimates ``[S, T]``, such as
            the baselines; or several of either by name.
        mixtures: such as :class:`FixedMixtures`.
        metrics: "si_sdr" and, on request, "bss", "stoi" and "pesq" (:func:`score`).
        skip_bad: leave out mixtures whose files can't be read, instead of raising.
        workers: mixtures separated at a time, a core each; None for all cores that the process may use. Only when all
            systems are networks of this package on the CPU: other functions may not be made for threads.

    Returns:
        A row per mixture: ``id``, ``kind``, the scores, ``rtf`` (real-time factor: seconds of computing per
        second of audio; on one core when several mixtures are separated at a time). With several systems the first
        column is ``system``. ``table.attrs["left_out"]`` lists what was left out: pairs of a mixture or file and the
        reason.

    Raises:
        ValueError, OSError: a mixture that can't be read, unless ``skip_bad``; a system whose estimates do not fit.
    """
    check_compute(workers, "float32")
    systems = system if isinstance(system, Mapping) else {"": system}
    left_out = left_out_of(mixtures)
    rows = []
    with ExitStack() as stack:
        if all(map(_suits_threads, systems.values())):
            for network in systems.values():  # once around all: threads would disturb each other
                stack.enter_context(evaluating(network))  # type: ignore[arg-type]
        else:
            workers = 1
        tasks = (
            ((name, item, before), partial(_timed, one, item))
            for item in _items(mixtures, skip_bad, left_out)
            for before in [mixture_scores(item, metrics)]
            for name, one in systems.items()
        )
        count = usable_cores() if workers is None else workers
        called = in_parallel(tasks, count) if count > 1 else ((key, None) for key, _ in tasks)
        for (name, item, before), future in stack.enter_context(closing(called)):
            estimates, seconds = _timed(systems[name], item) if future is None else future.result()
            rows.append({"system": name} | _row(item, estimates, seconds, metrics, before))
    table = pd.DataFrame(rows)
    if not isinstance(system, Mapping) and not table.empty:
        table = table.drop(columns="system")
    table.attrs["left_out"] = left_out
    return table


def left_out_of(mixtures: object) -> list[tuple[str, str]]:
    """What the mixtures themselves left out when they were listed: pairs of a file and the reason."""
    return [(str(file), str(reason)) for file, reason in getattr(mixtures, "left_out", ())]


def _items(mixtures: Iterable, skip_bad: bool, left_out: list[tuple[str, str]]) -> Iterator[tuple]:
    """Every item that can be read; the others are added to ``left_out``, or raise."""
    if not hasattr(mixtures, "specs"):
        yield from mixtures
        return
    for index in range(len(mixtures.specs)):
        item = read_item(mixtures, index, skip_bad)  # type: ignore[arg-type]
        if isinstance(item[1], str):
            left_out.append(item)
        else:
            yield item


def read_item(mixtures: MixtureSet, index: int, skip_bad: bool = False) -> tuple:
    """Item ``index``; with ``skip_bad``, for one that can't be read, the pair of its id and the reason.

    Raises:
        ValueError, OSError: it can't be read, and ``skip_bad`` is False.
    """
    try:
        item = mixtures[index]
        for what, samples in (("mixture", item[0]), ("sources", item[1])):
            check_finite(samples, f"{item[2].id}: the {what}")
        return item
    except (ValueError, OSError) as error:
        if skip_bad:
            return mixtures.specs[index].id, " ".join(str(error).split())
        if "skip_bad" not in str(error):
            error.add_note("skip_bad=True leaves out what can't be read")
        raise


def check_sources(systems: Mapping[str, object], mixtures: MixtureSet) -> None:
    """Raise ValueError for a model with another number of outputs than the mixtures have sources."""
    spec = mixtures.specs[0]
    files = getattr(spec, "sources", None)
    found = len(files) if files is not None else 2 if hasattr(spec, "second") else len(mixtures[0][1])
    for name, system in systems.items():
        outputs = getattr(system, "n_src", found)
        if outputs != found:
            raise ValueError(
                f"{name} has {outputs} outputs (n_src={outputs}) and the mixtures have {found} sources: evaluate it on "
                f"mixtures of {outputs} sources, or give a model with n_src={found}"
            )


def mixture_scores(item: tuple, metrics: Sequence[str]) -> dict[str, float]:
    """The scores of an item's mixture itself, which are the same for every system."""
    mixture, sources, spec = item
    return score_mixture(sources, mixture, metrics, _rate(spec))


def score_item(system: System, item: tuple, metrics: Sequence[str], before: Mapping[str, float]) -> dict:
    """One row of the table; ``before`` is what :func:`mixture_scores` gave for the item."""
    return _row(item, *_timed(system, item), metrics, before)


@torch.no_grad()
def _timed(system: System, item: tuple) -> tuple[torch.Tensor, float]:
    """Estimates ``[S, T]``, and the seconds that they took."""
    start = time.perf_counter()
    estimates = separate_with(system, *item)
    return estimates, time.perf_counter() - start


def _row(
    item: tuple, estimates: torch.Tensor, seconds: float, metrics: Sequence[str], before: Mapping[str, float]
) -> dict:
    mixture, sources, spec = item
    rate = _rate(spec)
    scores = score(estimates, sources, mixture, metrics, rate, before)
    return {"id": spec.id, "kind": spec.kind} | scores | {"rtf": seconds * rate / mixture.shape[-1]}


def _suits_threads(system: System) -> bool:
    """Whether several threads may use it at a time: a network of this package on the CPU."""
    return isinstance(system, DPRNNTasNet) and not goes_in_batches(next(system.parameters()).device)


def _rate(spec: object) -> float:
    return getattr(spec, "sample_rate", SAMPLE_RATE)


def separate_with(system: System, mixture: torch.Tensor, sources: torch.Tensor, spec: object) -> torch.Tensor:
    """Estimates ``[S, T]`` on the CPU, of a model (its training mode is left as it was) or a function."""
    if not isinstance(system, torch.nn.Module):
        return system(mixture, sources, spec)
    return run_model(system, mixture)  # type: ignore[arg-type]


def summarise(
    table: pd.DataFrame,
    metric: str = "si_sdri",
    seed: int = 0,
    clusters: Mapping[str, tuple[str, ...]] | None = None,
) -> pd.DataFrame:
    """The metric by system (when there are several) and pair kind, in the order of the table.

    Args:
        table: of :func:`evaluate`.
        metric: a column of it.
        seed: of the resampling.
        clusters: labels of each mixture by its id (:func:`.clusters_of`), for an interval that allows for shared
            voices.

    Columns: ``mixtures``; ``mean`` with the ends ``low`` and ``high`` of its 95 % bootstrap interval; with ``clusters``
    also ``cluster_low`` and ``cluster_high``, those of :func:`.cluster_bootstrap`; ``std``,
    ``worst``, ``best``; ``correlation`` between the outputs, mean; ``undefined``, the number of mixtures
    whose score is NaN, which the other columns leave out (only if there are any).
    """
    if table.empty:
        raise ValueError("the table has no mixtures: evaluate at least one before summarising")
    if metric not in table:
        raise ValueError(f"metric is {metric!r}: the table has {', '.join(table.columns)}")
    keys = [k for k in ("system", "kind") if k in table]
    rows = []
    for key, group in table.groupby(keys, sort=False):
        values = group[metric].dropna()
        wider = {}
        if clusters:
            labels = [clusters[name] for name in group.loc[values.index, "id"]]
            found = (
                cluster_bootstrap(values, labels, seed=seed) if len(values) else Interval(*[float("nan")] * 3)
            )
            wider = {"cluster_low": found.low, "cluster_high": found.high}
        interval = bootstrap_mean(values, seed=seed) if len(values) else Interval(*[float("nan")] * 3)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"mixtures": len(values), "mean": interval.mean, "low": interval.low, "high": interval.high}
            | wider
            | {"std": values.std(), "worst": values.min(), "best": values.max()}
            | {"correlation": group["correlation"].mean(), "undefined": len(group) - len(values)}
        )
    summary = pd.DataFrame(rows)
    return summary if summary["undefined"].any() else summary.drop(columns="undefined")


def overview(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """:func:`summarise`, with a column for the mean of every score of the other metrics; NaN if none is defined."""
    summary = summarise(table)
    keys = [k for k in ("system", "kind") if k in table]
    for name in (column for metric in metrics for column in COLUMNS.get(metric, ()) if column in table):
        means = table.groupby(keys, sort=False)[name].mean()
        summary[name] = means.to_numpy()
    return summary


def undefined(table: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Sentences on the scores that are not defined on some mixtures, with their number."""
    names = ["si_sdri", *(column for metric in metrics for column in COLUMNS.get(metric, ()))]
    counts: dict[int, list[str]] = {}
    for name in (name for name in names if name in table):
        missing = table.loc[table[name].isna(), "id"].nunique()
        if missing:
            counts.setdefault(missing, []).append(name)
    return [
        f"{', '.join(names)}: not defined for {missing} of {table['id'].nunique()} mixtures, which the means leave out "
        "(a source or an estimate is silent, sources are equal, or there is too little sound)"
        for missing, names in counts.items()
    ]
