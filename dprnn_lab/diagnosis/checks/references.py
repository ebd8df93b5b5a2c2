"""Group C: do the references belong to this mixture, sample by sample?

SI-SDR, the order of the outputs, and every trial that a check judges by SI-SDRi compare with the references. Those of
another recording, or of this one a millisecond late, make a good separation look like a bad one.

Notebook: 06_failures_at_inference
"""

import torch

from ...loss import si_sdr
from ..acoustics import MANY_VOICES_SIGN, recording_sign
from ..evidence import Evidence, best_order
from ..finding import Finding
from ..reference_fit import foreign_share, moved_back, rest_db, same_voice
from .alignment import (
    CLEAR_CORRELATION,
    LAG_GAIN,
    Positions,
    lag_to,
    out_of_place,
    positions,
    rate_of_references,
)
from .verdict import check, fail, fine, note, number, undecided, warn

__all__ = ["references_mismatch"]

BRING = "the mixture and its references"
SHORTEST_SECONDS = 0.5
# At the best lag. Sources of other mixtures of new people: half of them under 0.06, 96 % under 0.1. Dry voices in a
# hall with hardly any direct sound: 0.12 to 0.24, at the lag of any echo.
NOWHERE_CORRELATION, IN_A_ROOM_CORRELATION = 0.1, 0.4
# What the sum of the references leaves of the mixture. The right ones leave -90 dB, or the noise of the recording; one
# sample late -12 to -2 dB; references of another mixture -0.9 dB and more.
SUMMED_DB, MENDED_DB, MENDED_BY_DB = -30.0, -10.0, 6.0
# A lag of over a millisecond counts with a smaller gain: a filter moves the largest correlation by some samples.
SURE_LAG, SURE_BY_DB = 0.001, 2.0  # seconds, dB
# Between two references. Two people, in 288 mixtures: at most 0.05 over 4 s and 0.27 over half a second.
SAME_CORRELATION = 0.5
FOREIGN_SHARE = 0.15  # of the windows
PARTS, PART_CORRELATION = 8, 0.4  # of a reference, each with a lag of its own
CUT_SAMPLES = 8  # between two parts; a filter gives them different lags, too, of some samples in no order
COPY_DB = 60.0  # SI-SDR between references and estimates: one was copied from the other
# The outputs of the bundled networks leave -35 to -24 dB of 20 mixtures; sources that were rounded to 16 bit far less.
ESTIMATED_DB = -45.0
SOURCES = (
    "references = torch.stack([read_audio(path)[0][0] for path in sources])  # each voice of this mixture"
)


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
    if min(references.shape[-1], len(mixture)) < SHORTEST_SECONDS * rate:
        return undecided("too short to tell", f"{SHORTEST_SECONDS:g} s or more")
    rest = rest_db(references, mixture)
    facts = {
        "reference_samples": references.shape[-1],
        "mixture_samples": len(mixture),
        "rest_db": number(rest, 1),
    }
    found = _copies(e, references, facts)
    if found is None and rest > SUMMED_DB:
        found = _out_of_place(references, mixture, rate, facts) or _in_part(references, mixture, rate, facts)
    return found or _of_another_length(e, references, mixture, facts)


def _copies(e: Evidence, references: torch.Tensor, facts: dict) -> Finding | None:
    """References that hold one and the same voice, or are the estimates."""
    alike, first, second = same_voice(references)
    if alike > SAME_CORRELATION:
        return fail(
            f"references {first + 1} and {second + 1} hold the same sound (correlation {alike:.2f}): each must be one "
            "voice",
            facts | {"correlation_between": number(alike)},
            f"{SAME_CORRELATION:g}: two people stay far below",
            SOURCES,
        )
    estimates = e.estimates
    if estimates is None or len(estimates) != len(references) or facts["rest_db"] < ESTIMATED_DB:
        return None
    length = min(estimates.shape[-1], references.shape[-1])
    estimates, references = estimates[:, :length], references[:, :length]
    if (
        not estimates.isfinite().all()
        or float(si_sdr(best_order(estimates, references), references).min()) < COPY_DB
    ):
        return None
    return fail(
        "the references are the estimates themselves: every score is perfect",
        facts,
        f"{COPY_DB:g} dB of SI-SDR between them, and a sum that is not the mixture",
        SOURCES,
    )


def _out_of_place(
    references: torch.Tensor, mixture: torch.Tensor, rate: float, facts: dict
) -> Finding | None:
    """References that are late, early, of another clock or of another recording."""
    found = positions(references, mixture, rate)
    facts |= {"lags": found.lags, "correlation_at_lag": found.at_lag, "correlation_as_given": found.as_given}
    why = (
        f"a lag counts from one sample on, if the correlation with the mixture is over {CLEAR_CORRELATION:g} there and "
        f"{LAG_GAIN:g} higher than without it; under {NOWHERE_CORRELATION:g} at every lag, a reference is not in this "
        "mixture, if there is neither noise nor an echo in it. rest_db is what the sum of the references, at the best "
        "gains, leaves of the mixture"
    )
    drift = _other_clock(references, mixture, rate, facts)
    if drift is not None:
        return drift
    moved = [lag if i in found.strange or found.late[i] else 0 for i, lag in enumerate(found.lags)]
    if not any(moved):
        return None
    facts |= {"rest_moved_db": number(rest_db(moved_back(references, moved), mixture), 1)}
    gain = facts["rest_db"] - facts["rest_moved_db"]
    if (
        gain > MENDED_BY_DB and facts["rest_moved_db"] < MENDED_DB
    ):  # a faint voice correlates little, and in place
        says, line = out_of_place("reference", moved, rate)
        return fail(says, facts, why, line)
    return _strange(found, references, mixture, rate, facts, why) or _late(found, rate, gain, facts, why)


def _strange(
    found: Positions, references: torch.Tensor, mixture: torch.Tensor, rate: float, facts: dict, why: str
) -> Finding | None:
    """References that are in the mixture at no lag, or hardly."""
    odd = found.strange or [i for i, lag in enumerate(found.late) if lag]
    least = min((found.at_lag[i] for i in odd), default=1.0)
    sign, measured = recording_sign(mixture, rate)
    sign = "" if sign == MANY_VOICES_SIGN else sign
    which = f"reference {odd[0] + 1} is" if len(odd) < len(references) else "the references are"
    if (found.strange and (least > NOWHERE_CORRELATION or sign)) or (sign and least < IN_A_ROOM_CORRELATION):
        return undecided(
            f"{which} hardly heard in the mixture (correlation {least:.2f} at the best lag): of another recording, or "
            f"without the room and the noise of this one{f', which has {sign}' if sign else ''}",
            "the sources as they are in this mixture, with its room",
            facts | measured,
        )
    if not found.strange:
        return None
    which = f"reference {odd[0] + 1} has" if len(odd) < len(references) else "the references have"
    return fail(
        f"{which} nothing in common with this mixture (correlation {least:.2f} at the best lag): of another one",
        facts,
        why,
        "mixture = references.sum(0)  # what these are the references of; or give those of this mixture",
    )


def _late(found: Positions, rate: float, gain: float, facts: dict, why: str) -> Finding:
    """One lag for each reference: by so much that it is a delay, or by a few samples that explain little."""
    says, line = out_of_place("reference", found.late, rate)
    if gain > MENDED_BY_DB or (gain > SURE_BY_DB and max(map(abs, found.late)) > SURE_LAG * rate):
        return fail(says, facts, why, line)
    return warn(
        f"{says}, as far as a lag can say: moved back they still leave {facts['rest_moved_db']:.0f} dB of the mixture "
        f"({facts['rest_db']:.0f} dB as they are): filtered, by another microphone, or with noise",
        facts,
        f"{MENDED_BY_DB:g} dB less than as they are; {SURE_BY_DB:g} dB for a lag over {1000 * SURE_LAG:g} ms",
        SOURCES,
    )


def _other_clock(references: torch.Tensor, mixture: torch.Tensor, rate: float, facts: dict) -> Finding | None:
    """A lag that changes along the recording."""
    length = min(references.shape[-1], len(mixture))
    size = max(int(rate), length // PARTS)
    most = min(int(rate) // 4, size // 4)
    for i, reference in enumerate(references):
        lags = []
        loud = float(reference.square().mean())
        for start in range(0, length - size + 1, size):
            part = reference[start : start + size]
            lag, best, here = lag_to(part, mixture[start : start + size], most)
            clear = best > PART_CORRELATION and float(part.square().mean()) > loud / 4
            if clear and (lag == 0 or best - here > LAG_GAIN):
                lags.append(lag)
        span, steady = max(lags, default=0) - min(lags, default=0), lags in (sorted(lags), sorted(lags)[::-1])
        if len(lags) > 2 and (span >= CUT_SAMPLES or (span >= 2 and steady and len(lags) > 3)):
            return fail(
                f"the lag of reference {i + 1} changes from {lags[0]} to {lags[-1]} samples along the recording: of "
                "another clock, or cut",
                facts | {"lags_by_part": lags},
                "the same lag in all parts, to a sample",
                SOURCES,
            )
    return None


def _in_part(references: torch.Tensor, mixture: torch.Tensor, rate: float, facts: dict) -> Finding | None:
    """References that fit the mixture for a part of the time."""
    share, begins = foreign_share(references, mixture, rate)
    facts |= {"foreign_share": number(share)}
    if share < FOREIGN_SHARE or begins is None:
        return None
    return fail(
        f"in {share:.0%} of the time, first at {begins:.1f} s, the references have sound that is not in this mixture",
        facts,
        f"{FOREIGN_SHARE:.0%} of the half seconds, while others fit",
        SOURCES,
    )


def _of_another_length(e: Evidence, references: torch.Tensor, mixture: torch.Tensor, facts: dict) -> Finding:
    """All is in order, but for what one has after the end of the other."""
    lengths = () if e.given_references is None else e.given_references.lengths
    which = "the references begin with the mixture and end"
    if len(set(lengths)) > 1:  # they were cut to the shortest
        which = f"reference {lengths.index(min(lengths)) + 1} begins with the mixture and ends"
    more = references.shape[-1] - len(mixture)
    if more == 0:
        return fine("the references are in this mixture, and in place", facts)
    return note(
        f"{which} {abs(more)} samples {'after' if more > 0 else 'before'} it: what both have is compared",
        facts,
        "equal lengths",
        "references = references[..., :len(mixture)]"
        if more > 0
        else "mixture = mixture[..., :references.shape[-1]]",
    )
