"""Inject a failure of the catalogue: a healthy case in, the broken one out, as a user would break it.

>>> from dprnn_lab.faults import healthy_case, inject
>>> broken = inject("polarity", healthy_case(0))
>>> broken.variant
'inverted'

Notebooks: 06_failures_at_inference, 07_failures_in_training
"""

import inspect
import random
from collections.abc import Callable

from ..diagnosis.catalogue import CATALOGUE
from . import audio, config, curves, data, losses, outputs, references, scores, weights
from .case import Case
from .healthy import healthy_case, healthy_training

__all__ = ["FAULTS", "Case", "has_strength", "healthy_case", "healthy_training", "inject"]

# By failure and variant: ``(case, rng, strength) -> Case``, or ``(case, rng) -> Case`` for a fault without degrees.
_ALL: dict[str, dict[str, Callable]] = {}
for _module in (weights, config, audio, references, outputs, losses, data, curves, scores):
    for _failure, _variants in _module.FAULTS.items():
        _ALL.setdefault(_failure, {}).update(_variants)
FAULTS = {name: _ALL[name] for name in CATALOGUE}


def inject(
    failure: str, case: Case, seed: int = 0, strength: float = 0.5, variant: str | None = None
) -> Case:
    """Break a case in a known way.

    Args:
        failure: an id of the catalogue.
        case: a healthy case; it is not changed.
        seed: of everything random; it also chooses the variant when none is named.
        strength: 0 (just harmful) to 1 (gross), for faults that have degrees.
        variant: one of ``FAULTS[failure]``.

    Raises:
        ValueError: an unknown failure or variant, or a strength out of range.
    """
    if failure not in FAULTS:
        raise ValueError(f"failure is {failure!r}: choose one of {', '.join(FAULTS)}")
    variants = FAULTS[failure]
    if variant is not None and variant not in variants:
        raise ValueError(f"variant is {variant!r}: {failure} has {', '.join(variants)}")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength!r}: it must be from 0 to 1")
    name = variant or list(variants)[seed % len(variants)]
    degree = (strength,) if has_strength(failure, name) else ()
    broken = variants[name](case, random.Random(f"{failure} {seed}"), *degree)
    return broken.change(fault=failure, variant=name)


def has_strength(failure: str, variant: str) -> bool:
    """Whether a variant of a failure has degrees of strength.

    Raises:
        KeyError: no such failure or variant.

    >>> has_strength("level", "offset"), has_strength("level", "sixteen-bit")
    (True, False)
    """
    return "strength" in inspect.signature(FAULTS[failure][variant]).parameters
