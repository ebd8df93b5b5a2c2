"""Group E on purpose: a table of scores whose mean hides two clusters.

The scored system is given the sources and adds a leak of the other voice to each output, so that its SI-SDR on every
mixture is known, independently of any model.

Notebook: 07_failures_in_training
"""

import random

import pandas as pd
import torch

from ..datasets.mixing import FixedMixtures
from ..evaluation import evaluate
from .case import Case

__all__ = ["FAULTS", "healthy_scores", "leaking_scores"]

GOOD_DB, POOR_DB = (10.0, 2.0), (0.3, 0.5)  # mean and standard deviation of SI-SDRi
MIXTURES = 16  # of each kind


def leaking_scores(leaks: dict[str, list[float]], seed: int = 0) -> pd.DataFrame:
    """The table of :func:`dprnn_lab.evaluation.evaluate` for a system of known quality.

    Args:
        leaks: kind of pair to the SI-SDRi (dB) of its mixtures, one number each.
        seed: which mixtures of the test list.
    """
    rng = random.Random(f"scores {seed}")
    items, wanted = [], {}
    for kind, levels in leaks.items():
        mixtures = FixedMixtures("test", kind=kind)
        for index, level in zip(rng.sample(range(len(mixtures)), len(levels)), levels, strict=True):
            items.append(mixtures[index])
            wanted[items[-1][2].id] = level

    def leaking(mixture: torch.Tensor, sources: torch.Tensor, spec) -> torch.Tensor:
        # Other voice and own voice at equal level: their ratio is the SI-SDR, and the mixture's is 0 dB.
        return sources + 10 ** (-wanted[spec.id] / 20) * sources.flip(0)

    return evaluate(leaking, items)


def _levels(rng: random.Random, cluster: tuple[float, float], count: int) -> list[float]:
    return [rng.gauss(*cluster) for _ in range(count)]


def healthy_scores(seed: int = 0) -> pd.DataFrame:
    """Two kinds of pair that a system separates equally well."""
    rng = random.Random(f"healthy scores {seed}")
    return leaking_scores(
        {kind: _levels(rng, GOOD_DB, MIXTURES) for kind in ("man-woman", "woman-woman")}, seed
    )


def one_kind_lost(case: Case, rng: random.Random) -> Case:
    """A man and a woman are separated, two women are not; the table names the kinds."""
    levels = {
        "man-woman": _levels(rng, GOOD_DB, MIXTURES),
        "woman-woman": _levels(rng, POOR_DB, MIXTURES // 2),
    }
    return case.change(scores=leaking_scores(levels, rng.randrange(1000)))


def unnamed_clusters(case: Case, rng: random.Random, strength: float) -> Case:
    """Some mixtures of one kind are separated and others not; the user has a list of numbers."""
    lost = 12 + int(8 * strength)
    levels = _levels(rng, GOOD_DB, 36 - lost) + _levels(rng, POOR_DB, lost)
    rng.shuffle(levels)
    return case.change(scores=leaking_scores({"man-woman": levels}, rng.randrange(1000))["si_sdri"].tolist())


def in_a_file(case: Case, rng: random.Random) -> Case:
    """The file that ``dprnn-lab evaluate --out`` writes, with a kind that is not separated."""
    table = one_kind_lost(case, rng).scores
    path = case.file("scores.csv")
    table.assign(system="mine").to_csv(path, index=False)
    return case.change(scores=path)


FAULTS = {
    "plateau-reading": {
        "one-kind-lost": one_kind_lost,
        "unnamed-clusters": unnamed_clusters,
        "in-a-file": in_a_file,
    },
}
