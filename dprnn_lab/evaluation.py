"""SI-SDR and its improvement on fixed mixtures, per mixture and by pair kind.

Notebook: 08_evaluation
"""

import math
from collections.abc import Iterable

import pandas as pd
import torch

from .loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr

__all__ = ["evaluate", "summarise"]


@torch.no_grad()
def evaluate(model: torch.nn.Module, mixtures: Iterable) -> pd.DataFrame:
    """Separate every ``(mixture [T], sources [S, T], spec)`` and score it under its best permutation.

    Returns a table with a row per mixture: ``id``, ``kind``, ``si_sdr`` (dB, mean over sources), ``si_sdr_in``
    (the mixture itself measured against the sources), ``si_sdri`` (their difference), ``correlation``
    (absolute, between the first two estimates: near 1 when the outputs sound alike).
    """
    pit = PITLossWrapper(pairwise_neg_sisdr)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    rows = []
    for mixture, sources, spec in mixtures:
        mixture, sources = mixture.to(device), sources.to(device)
        estimates = model(mixture)
        score = -float(pit(estimates[None], sources[None]))
        before = float(si_sdr(mixture, sources).mean())
        correlation = float(torch.corrcoef(estimates[:2])[0, 1].abs()) if len(estimates) > 1 else math.nan
        rows.append(
            {
                "id": spec.id,
                "kind": spec.kind,
                "si_sdr": score,
                "si_sdr_in": before,
                "si_sdri": score - before,
                "correlation": correlation,
            }
        )
    model.train(was_training)
    return pd.DataFrame(rows)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Mean, standard deviation, worst and best SI-SDRi (dB) by pair kind, in the order of the table."""
    if table.empty:
        raise ValueError("the table has no mixtures: evaluate at least one before summarising")
    grouped = table.groupby("kind", sort=False)
    summary = grouped["si_sdri"].agg(mixtures="count", mean="mean", std="std", worst="min", best="max")
    summary["correlation"] = grouped["correlation"].mean()
    return summary.reset_index()
