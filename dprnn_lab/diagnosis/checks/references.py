"""Group C: do the references belong to this mixture, sample by sample?

SI-SDR, the order of the outputs, and every trial that a check judges by SI-SDRi compare with the references. Those of
another recording, or of this one a millisecond late, make a good separation look like a bad one.

Notebook: 06_failures_at_inference
"""

import torch

from ...separation.in_memory import scale_to_mixture
from ..acoustics import recording_sign
from ..evidence import Evidence
from ..finding import Finding
from .alignment import (
    CLEAR_CORRELATION,
    LAG_GAIN,
    out_of_place,
    positions,
    rate_of_references,
)
from .verdict import check, fail, fine, note, number, undecided

__all__ = ["references_mismatch"]

BRING = "the mixture and its references"
# At the best lag. Sources of other mixtures of new people: half of them under 0.06, 96 % under 0.1. Dry voices in a
# hall with hardly any direct sound: 0.12 to 0.24, at the lag of any echo.
NOWHERE_CORRELATION, IN_A_ROOM_CORRELATION = 0.1, 0.4
# What the mixture is: the sum of the references, at their gains. Left over of it: -90 dB, or the noise of the
# recording. With a reference one sample late -12 to -2 dB, with references of another mixture -0.9 dB and more.


@check("references-mismatch")
def references_mismatch(e: Evidence) -> Finding:
    """Lag and correlation of each reference with the mixture, and what their sum leaves of it."""
    references, mixture = e.references, e.clean
    if references is None or e.recording is None:
        return undecided("no mixture with references", BRING)
    cause = e.cause("not-finite", "channels", "silence")
    if cause or mixture is None or not references.isfinite().all():
        return undecided(
            f"{cause or 'a silent signal'} comes first", f"the result after {cause or 'it'} is fixed"
        )
    rate = e.rate or e.recording.rate
    if e.recording.rate != rate or rate_of_references(e) is not None:
        return undecided("the sample rates come first", "mixture and references at the model's rate")
    length = min(references.shape[-1], len(mixture))
    found = positions(references, mixture, rate)
    rest = mixture[:length] - scale_to_mixture(references[:, :length], mixture[:length]).sum(0)
    rest_db = number(10 * torch.log10(rest.square().sum() / mixture[:length].square().sum() + 1e-12), 1)
    facts = {
        "reference_samples": references.shape[-1],
        "mixture_samples": len(mixture),
        "lags": found.lags,
        "correlation_at_lag": found.at_lag,
        "correlation_as_given": found.as_given,
        "rest_db": rest_db,
    }
    why = (
        f"a lag counts from one sample on, if the correlation with the mixture is over {CLEAR_CORRELATION:g} there and "
        f"{LAG_GAIN:g} higher than without it; under {NOWHERE_CORRELATION:g} at every lag, a reference is not in this "
        "mixture, if there is neither noise nor an echo in it. rest_db is what the sum of the references, at the best "
        "gains, leaves of the mixture"
    )
    odd = found.strange or [i for i, lag in enumerate(found.late) if lag]
    least = min((found.at_lag[i] for i in odd), default=1.0)
    sign, measured = recording_sign(mixture, rate)
    if (found.strange and (least > NOWHERE_CORRELATION or sign)) or (sign and least < IN_A_ROOM_CORRELATION):
        return undecided(
            f"the references are hardly heard in the mixture as they are (correlation {least:.2f} at the best lag): of "
            f"another recording, or without the room and the noise of this one{f', which has {sign}' if sign else ''}",
            "the sources as they are in this mixture, with its room",
            facts | measured,
        )
    if found.strange:
        which = (
            "the references have"
            if len(found.strange) == len(references)
            else f"reference {found.strange[0] + 1} has"
        )
        return fail(
            f"{which} nothing in common with this mixture (correlation {found.at_lag[found.strange[0]]:.2f} at the "
            "best lag): of another one",
            facts,
            why,
            "mixture = references.sum(0)  # what these are the references of; or give those of this mixture",
        )
    if any(found.late):
        says, line = out_of_place("reference", found.late, rate)
        return fail(says, facts, why, line)
    if references.shape[-1] != len(mixture):
        more = references.shape[-1] - len(mixture)
        return note(
            f"the references begin with the mixture and end {abs(more)} samples {'after' if more > 0 else 'before'} "
            "it: what both have is compared",
            facts,
            "equal lengths",
            "references = references[..., :len(mixture)]"
            if more > 0
            else "mixture = mixture[..., :references.shape[-1]]",
        )
    return fine("the references are in this mixture, and in place", facts, why)
