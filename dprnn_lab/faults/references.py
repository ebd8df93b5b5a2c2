"""Group C on purpose: references that are not those of the mixture, sample by sample.

Notebook: 06_failures_at_inference
"""

import random

import torch

from ..datasets.mixing import FixedMixtures
from .case import Case
from .outputs import late

__all__ = ["FAULTS"]


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
        "50-ms": late("references", 400),
        "3-ms": late("references", 24),
        "one-sample": late("references", 1),
        "early": late("references", -160),
        "each-its-own": late("references", 0, 56),
        "other-mixture": other_mixture,
        "one-other": one_other,
    },
}
