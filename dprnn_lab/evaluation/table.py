"""The table of an evaluation: a row per mixture (and system), and its summary by pair kind.

Notebook: 08_evaluation
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import pandas as pd
import torch

from ..audio import SAMPLE_RATE
from ..separation.windows import run_model
from .scores import score, score_mixture
from .statistics import Interval, bootstrap_mean

__all__ = ["MixtureSet", "System", "evaluate", "mixture_scores", "score_item", "separate_with", "summarise"]

# A model, or a function of (mixture [T], sources [S, T], spec) that returns estimates [S, T].
System = torch.nn.Module | Callable[[torch.Tensor, torch.Tensor, object], torch.Tensor]


class MixtureSet(Protocol):
    """Fixed mixtures, such as :class:`FixedMixtures` and :class:`DiskMixtures`, and their specs in the same order."""

    @property
    def specs(self) -> Sequence: ...

    def __getitem__(self, index: int, /) -> tuple: ...


@torch.no_grad()
def evaluate(
    system: System | Mapping[str, System], mixtures: Iterable, metrics: Sequence[str] = ("si_sdr",)
) -> pd.DataFrame:
    """Separate every ``(mixture [T], sources [S, T], spec)`` and score it under its best permutation.

    Args:
        system: a model; or a function of ``(mixture, sources, spec)`` that returns estimates ``[S, T]``, such as
            the baselines; or several of either by name.
        mixtures: such as :class:`FixedMixtures`.
        metrics: "si_sdr" and, on request, "bss", "stoi" and "pesq" (:func:`score`).

    Returns:
        A row per mixture: ``id``, ``kind``, the scores, ``rtf`` (real-time factor: seconds of computing per
        second of audio). With several systems the first column is ``system``.
    """
    systems = system if isinstance(system, Mapping) else {"": system}
    rows = []
    for item in mixtures:
        before = mixture_scores(item, metrics)
        rows += [{"system": name} | score_item(one, item, metrics, before) for name, one in systems.items()]
    table = pd.DataFrame(rows)
    return table if isinstance(system, Mapping) or table.empty else table.drop(columns="system")


def mixture_scores(item: tuple, metrics: Sequence[str]) -> dict[str, float]:
    """The scores of an item's mixture itself, which are the same for every system."""
    mixture, sources, spec = item
    return score_mixture(sources, mixture, metrics, _rate(spec))


def score_item(system: System, item: tuple, metrics: Sequence[str], before: Mapping[str, float]) -> dict:
    """One row of the table; ``before`` is what :func:`mixture_scores` gave for the item."""
    mixture, sources, spec = item
    start = time.perf_counter()
    estimates = separate_with(system, mixture, sources, spec)
    seconds = time.perf_counter() - start
    rate = _rate(spec)
    scores = score(estimates, sources, mixture, metrics, rate, before)
    return {"id": spec.id, "kind": spec.kind} | scores | {"rtf": seconds * rate / mixture.shape[-1]}


def _rate(spec: object) -> float:
    return getattr(spec, "sample_rate", SAMPLE_RATE)


def separate_with(system: System, mixture: torch.Tensor, sources: torch.Tensor, spec: object) -> torch.Tensor:
    """Estimates ``[S, T]`` on the CPU, of a model (its training mode is left as it was) or a function."""
    if not isinstance(system, torch.nn.Module):
        return system(mixture, sources, spec)
    return run_model(system, mixture)  # type: ignore[arg-type]


def summarise(table: pd.DataFrame, metric: str = "si_sdri", seed: int = 0) -> pd.DataFrame:
    """The metric by system (when there are several) and pair kind, in the order of the table.

    Columns: ``mixtures``; ``mean`` with the ends ``low`` and ``high`` of its 95 % bootstrap interval; ``std``,
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
        interval = bootstrap_mean(values, seed=seed) if len(values) else Interval(*[float("nan")] * 3)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"mixtures": len(values), "mean": interval.mean, "low": interval.low, "high": interval.high}
            | {"std": values.std(), "worst": values.min(), "best": values.max()}
            | {"correlation": group["correlation"].mean(), "undefined": len(group) - len(values)}
        )
    summary = pd.DataFrame(rows)
    return summary if summary["undefined"].any() else summary.drop(columns="undefined")
