"""What each system costs beside what it is worth: parameters, time and peak memory, each in a process of its own.

Notebook: 08_evaluation
"""

import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pandas as pd
import torch

from ..forward_cost import ForwardCost, measure_call
from .systems import make_system
from .table import separate_with

__all__ = ["COST_SECONDS", "system_costs"]

COST_SECONDS = 4


def system_costs(systems: Mapping[str, str], item: tuple) -> pd.DataFrame:
    """Cost of separating one mixture with each system.

    Args:
        systems: name to what :func:`make_system` takes.
        item: ``(mixture [T], sources [S, T], spec)``, repeated or cut to :data:`COST_SECONDS`. The baselines need the
            sources and the spec.

    Returns:
        A row per system: ``parameters`` (NaN for a system that is no network), ``seconds``, ``peak MiB`` (of the
        tensors it makes, see :mod:`dprnn_lab.forward_cost`).
    """
    rows = []
    for name, spec in systems.items():
        # A fresh process for each, so that no system finds what another one left in memory.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            parameters, cost = pool.submit(_cost, spec, item, torch.get_num_threads()).result()
        rows.append(
            {
                "system": name,
                "parameters": parameters,
                "seconds": cost.seconds,
                "peak MiB": cost.peak_bytes / 2**20,
            }
        )
    return pd.DataFrame(rows).astype({"parameters": "Int64"})


def _cost(spec: str, item: tuple, threads: int) -> tuple[int | None, ForwardCost]:
    """Runs in the child process."""
    torch.set_num_threads(threads)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the profiler writes its log there, whatever it is told
    system = make_system(spec)
    mixture, sources, about = item
    samples = round(COST_SECONDS * getattr(about, "sample_rate", 8000))
    sources = sources.repeat(1, -(-samples // sources.shape[1]))[:, :samples]
    mixture = mixture.repeat(-(-samples // len(mixture)))[:samples]
    cost = measure_call(lambda: separate_with(system, mixture, sources, about))
    network = system if isinstance(system, torch.nn.Module) else getattr(system, "network", None)
    return (None if network is None else sum(p.numel() for p in network.parameters())), cost
