"""Group E: is the loss function permutation-invariant in the right way? It is called with probe signals.

Notebook: 07_failures_in_training
"""

from collections.abc import Callable

import torch

from ..evidence import Evidence
from ..finding import Finding
from .verdict import check, fail, fine, number, undecided

__all__ = ["no_pit", "pit_wrong_axis"]

BATCH, SAMPLES = 3, 1600
NOISE_LEVEL = 0.3  # of the probes' estimates relative to the targets: an SI-SDR of about 10 dB
TOLERANCE = 0.02  # relative, between losses that should be equal
REMEDY = "loss = PITLossWrapper(pairwise_neg_sisdr)"
BRING = "your loss function: loss(estimates [B, S, T], sources [B, S, T])"


def _probe(loss: Callable) -> dict[str, float] | str:
    """The losses of probes whose correct relation is known; or the error that the loss raised."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(BATCH, 2, SAMPLES, generator=generator)
    noise = torch.randn(BATCH, 2, SAMPLES, generator=generator)
    near = targets + NOISE_LEVEL * noise
    mixed = near.clone()
    mixed[0] = near[0].flip(0)
    both = targets.sum(1, keepdim=True).expand_as(targets)
    probes = {
        "in order": near,
        "all swapped": near.flip(1),
        "one example swapped": mixed,
        "one target twice": targets[:, :1] + NOISE_LEVEL * noise,
        "the mixture twice": both,
        "the mixture and noise": torch.stack((both[:, 0], noise[:, 0]), 1),
    }
    values = {}
    for name, estimates in probes.items():
        try:
            value = torch.as_tensor(loss(estimates.contiguous(), targets))
            values[name] = float(value.double().mean())
        except Exception as error:  # a user's function may raise anything, and that is the finding
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return {name: number(value, 3) for name, value in values.items()}


def _differ(a: float, b: float) -> bool:
    return not abs(a - b) <= TOLERANCE * max(abs(a), abs(b)) + TOLERANCE  # NaN differs


@check("no-pit")
def no_pit(e: Evidence) -> Finding:
    """The loss of correct estimates in swapped order."""
    if e.loss is None:
        return undecided("no loss function", BRING)
    values = _probe(e.loss)
    if isinstance(values, str) or e.cause("pit-wrong-axis"):
        return undecided("the loss can't be probed for this", BRING)
    if _differ(values["in order"], values["all swapped"]):
        return fail(
            f"correct estimates cost {values['in order']:.1f}, the same in swapped order {values['all swapped']:.1f}",
            values,
            f"equal within {TOLERANCE:.0%}: the network can't know which voice is first",
            REMEDY,
        )
    return fine("the order of the estimates makes no difference", values)


@check("pit-wrong-axis")
def pit_wrong_axis(e: Evidence) -> Finding:
    """Probes that reveal a minimum over the wrong axis."""
    if e.loss is None:
        return undecided("no loss function", BRING)
    values = _probe(e.loss)
    if isinstance(values, str):
        return fail(
            f"the loss raises an error on estimates and sources [B, S, T]: {values}",
            {"error": values},
            f"probes of shape [{BATCH}, 2, {SAMPLES}]",
            REMEDY,
        )
    right = values["in order"]
    if _differ(right, values["all swapped"]):
        return fine("the loss has a fixed order, without a minimum", values)
    if _differ(right, values["one example swapped"]):
        return fail(
            f"swapping the estimates of one example changes the loss from {right:.1f} to "
            f"{values['one example swapped']:.1f}: the batch was averaged before the minimum",
            values,
            f"equal within {TOLERANCE:.0%}: each example has its own order",
            REMEDY,
        )
    if values["one target twice"] <= right + 0.25 * abs(right):
        return fail(
            f"two estimates of the same target cost {values['one target twice']:.1f}, correct ones {right:.1f}: each "
            "estimate takes its best target, so the other target may be lost",
            values,
            "at least a quarter worse",
            REMEDY,
        )
    if not _differ(values["the mixture twice"], values["the mixture and noise"]):
        return fail(
            "an output of noise costs nothing beside one close to both targets: each target takes its best estimate",
            values,
            f"different by {TOLERANCE:.0%}: every output must be used once",
            REMEDY,
        )
    return fine("swaps cost nothing, lost targets do", values)
