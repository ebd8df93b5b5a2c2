"""Group C on purpose: references that are not those of the mixture, sample by sample.

Notebook: 06_failures_at_inference
"""

import random

import torch

from ..datasets.mixing import FixedMixtures
from .case import Case
from .outputs import moved

__all__ = ["FAULTS"]


def _late(*lags: int):
    def fault(case: Case, rng: random.Random) -> Case:
        wanted = lags * 2 if len(lags) == 1 else lags
        late = [moved(x, lag) for x, lag in zip(case.references, wanted, strict=True)]
        return case.change(references=torch.stack(late))

    return fault


def _others(case: Case, rng: random.Random) -> torch.Tensor:
    """Sources ``[2, T]`` of a mixture of two people who are in no other list."""
    mixtures = FixedMixtures("unseen")
    return mixtures[rng.randrange(len(mixtures))][1][:, : case.references.shape[-1]]


def other_mixture(case: Case, rng: random.Random) -> Case:
    """The references of another mixture, as when two lists of files are in different orders."""
    return case.change(references=_others(case, rng))


def one_other(case: Case, rng: random.Random) -> Case:
    """One reference of the mixture and one of another."""
    references = case.references.clone()
    which = rng.randrange(2)
    references[which] = _others(case, rng)[which]
    return case.change(references=references)


FAULTS = {
    "references-mismatch": {
        "50-ms": _late(400),
        "3-ms": _late(24),
        "one-sample": _late(1),
        "early": _late(-160),
        "each-its-own": _late(0, 56),
        "other-mixture": other_mixture,
        "one-other": one_other,
    },
}
