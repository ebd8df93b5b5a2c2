"""Group E: does the loss function do what permutation-invariant training needs? It is asked with probes.

Notebook: 07_failures_in_training
"""

from collections.abc import Callable

import torch

from ..evidence import Evidence
from .verdict import check, fail, fine, number, undecided

__all__ = ["no_pit", "pit_wrong_axis"]

BATCH, SAMPLES = 3, 1600
NEAR = 0.3  # of the targets' level: noise on the probes' estimates, about 10 dB of SI-SDR
BRING = "your loss function: loss(estimates [B, S, T], sources [B, S, T])"


def _probe(loss: Callable) -> dict[str, float] | str:
    """The loss of estimates whose right order, and right loss relative to each other, is known."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(BATCH, 2, SAMPLES, generator=generator)
    noise = torch.randn(BATCH, 2, SAMPLES, generator=generator)
    near = targets + NEAR * noise
    mixed = near.clone()
    mixed[0] = near[0].flip(0)
    both = targets.sum(1, keepdim=True).expand_as(targets)
    probes = {
        "in order": near,
        "all swapped": near.flip(1),
        "one example swapped": mixed,
        "one target twice": targets[:, :1] + NEAR * noise,
        "the mixture twice": both,
        "the mixture and noise": torch.stack((both[:, 0], noise[:, 0]), 1),
    }
    values = {}
    for name, estimates in probes.items():
        try:
            value = torch.as_tensor(loss(estimates.contiguous(), targets))
            values[name] = float(value.double().mean())
        except Exception as error:  # the user's own function may raise anything, and that is the finding
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return {name: number(value, 3) for name, value in values.items()}


def _differ(a: float, b: float) -> bool:
    return not abs(a - b) <= 0.02 * max(abs(a), abs(b)) + 0.02


@check("no-pit")
def no_pit(e: Evidence):
    """Right estimates in the other order."""
    if e.loss is None:
        return undecided("no loss function", BRING)
    values = _probe(e.loss)
    if isinstance(values, str) or e.cause("pit-wrong-axis"):
        return undecided("the loss can't be probed for this", BRING)
    if _differ(values["in order"], values["all swapped"]):
        return fail(
            f"right estimates cost {values['in order']:.1f}, the same in the other order {values['all swapped']:.1f}",
            values,
            "equal to 2 %: the network can't know which voice is first",
            "loss = PITLossWrapper(pairwise_neg_sisdr)",
        )
    return fine("the order of the estimates makes no difference", values)


@check("pit-wrong-axis")
def pit_wrong_axis(e: Evidence):
    """Probes that a minimum over the wrong axis gets wrong."""
    if e.loss is None:
        return undecided("no loss function", BRING)
    values = _probe(e.loss)
    line = "loss = PITLossWrapper(pairwise_neg_sisdr)"
    if isinstance(values, str):
        return fail(
            f"the loss stops on estimates and sources [B, S, T]: {values}",
            {"error": values},
            "[3, 2, 1600]",
            line,
        )
    right = values["in order"]
    if _differ(right, values["all swapped"]):
        return fine("the loss has a fixed order: there is no minimum", values)
    if _differ(right, values["one example swapped"]):
        return fail(
            f"swapping the estimates of one example changes the loss from {right:.1f} to "
            f"{values['one example swapped']:.1f}: the batch was averaged before the minimum",
            values,
            "equal to 2 %: each example has an order of its own",
            line,
        )
    if values["one target twice"] <= right + 0.25 * abs(right):
        return fail(
            f"two estimates of the same target cost {values['one target twice']:.1f}, right ones {right:.1f}: each "
            "estimate takes its best target, and the other target is free to be lost",
            values,
            "a quarter worse at the least",
            line,
        )
    if not _differ(values["the mixture twice"], values["the mixture and noise"]):
        return fail(
            "an output of noise costs nothing beside one near to both targets: each target takes its best estimate",
            values,
            "different by 2 %: every output must be used once",
            line,
        )
    return fine("swaps cost nothing, lost targets do", values)
