"""Group E: is the loss function one that teaches separation? It is called with probe signals.

Notebook: 07_failures_in_training
"""

import itertools
import math

from ..evidence import Evidence
from ..finding import Finding
from ..loss_probes import SNRS_DB, Probes
from .verdict import check, fail, fine, undecided

__all__ = ["detached_loss", "no_pit", "pit_wrong_axis", "sign_of_loss"]

TOLERANCE = 0.02  # of the spread over all probes, between losses that should be equal
CLEAR = 0.05  # of the spread, between losses that should differ
LOST_TARGET = 0.1  # of the way from correct estimates to noise: what losing a target must cost at least
REMEDY = "loss = PITLossWrapper(pairwise_neg_sisdr)"
BRING = "your loss function: loss(estimates [B, S, T], sources [B, S, T])"
PATH = ("noise", *(f"{snr:g} dB" for snr in reversed(SNRS_DB[1:])), "in order")
ONE_VOICE = ("one voice, noise", "one voice, 0 dB", "one voice, in order")


def _facts(probes: Probes) -> dict[str, object]:
    """The values of all probes, to six significant digits."""
    facts: dict[str, object] = {n: float(f"{v:.6g}") for n, v in probes.values.items()}
    facts["sources"] = probes.n_src
    if probes.form:
        facts["called"] = probes.form
    return facts


def _steps(probes: Probes, path: tuple[str, ...]) -> list[float]:
    """Changes of the loss along a path, as shares of the spread."""
    unit = probes.spread or 1.0
    return [(probes[b] - probes[a]) / unit for a, b in itertools.pairwise(path)]


def _constant(probes: Probes) -> bool:
    """Whether no estimates change the loss, as long as the targets are the same."""
    values = [v for name, v in probes.values.items() if name not in ONE_VOICE]
    return max(values) - min(values) <= 1e-6 * max(*map(abs, values), 1e-6)


def _text(value: float) -> str:
    return f"{value:.4g}"


@check("sign-of-loss")
def sign_of_loss(e: Evidence) -> Finding:
    """Whether estimates cost less the nearer they are to the targets."""
    probes = e.loss_probes
    if probes is None:
        return undecided("no loss function", BRING)
    if probes.error or _constant(probes):
        return undecided("the loss gives no values to compare", BRING)
    facts = _facts(probes)
    if not all(map(math.isfinite, probes.values.values())):
        names = [n for n, v in probes.values.items() if not math.isfinite(v)]
        return fail(
            f"the loss of {names[0]!r} is {probes[names[0]]}: no value to compare",
            facts,
            "finite on noise with a level of -20 dBFS",
            REMEDY,
        )
    path, voice = _steps(probes, PATH), _steps(probes, ONE_VOICE)
    # With one voice as every target the order of the outputs does not matter: what rises there is the measure itself.
    if sum(voice) > CLEAR and min(voice) > -CLEAR:
        first, last = ONE_VOICE[0], ONE_VOICE[-1]
        if sum(path) > CLEAR:
            first, last = PATH[0], PATH[-1]
        return fail(
            f"estimates {SNRS_DB[0]:g} dB above the noise cost {_text(probes[last])}, noise alone "
            f"{_text(probes[first])}: the loss rises as estimates get better, so its sign is turned and training "
            "makes them worse",
            facts,
            "a loss must fall on the way from noise to the targets",
            f"{REMEDY}  # or -loss: a ratio such as SI-SDR is to be maximised, so its negative is the loss",
        )
    return fine(f"falls from {_text(probes['noise'])} (noise) to {_text(probes['in order'])}", facts)


@check("detached-loss")
def detached_loss(e: Evidence) -> Finding:
    """Whether the loss depends on the estimates, and its gradient reaches every output."""
    probes = e.loss_probes
    if probes is None:
        return undecided("no loss function", BRING)
    if probes.error:
        return undecided("the loss gives no value", BRING)
    facts = _facts(probes) | {
        "gradient_norms": probes.gradients and [float(f"{g:.4g}") for g in probes.gradients]
    }
    why = "the loss must change with the estimates, and a finite gradient must reach every output"
    remedy = "loss(model(batch[0]), batch[1]).backward()  # no .detach(), .item(), .data, NumPy or no_grad on the way"
    if _constant(probes):
        return fail(
            f"the loss is {_text(probes['in order'])} for estimates of any quality: it does not depend on them",
            facts,
            why,
            remedy,
        )
    gradients = probes.gradients
    if gradients is None or not any(gradients):
        because = f" (it returned {probes.returned})" if probes.returned else ""
        return fail(
            f"no gradient arrives at the estimates{because}: its value falls as they get better, and no weight will "
            "change",
            facts,
            why,
            remedy,
        )
    if not all(map(math.isfinite, gradients)):
        return fail("its gradient at good estimates is NaN or infinite", facts, why, remedy)
    silent = [i + 1 for i, g in enumerate(gradients) if g < 1e-6 * max(gradients)]
    if silent:
        which = ", ".join(map(str, silent))
        return fail(
            f"no gradient arrives at output {which} of {probes.n_src}: that output is not trained",
            facts,
            why,
            remedy,
        )
    return fine("a gradient reaches every output", facts)


@check("no-pit")
def no_pit(e: Evidence) -> Finding:
    """The loss of correct estimates in swapped order."""
    probes = e.loss_probes
    if probes is None:
        return undecided("no loss function", BRING)
    if probes.error or e.cause("pit-wrong-axis", "sign-of-loss") or _constant(probes):
        return undecided("the loss can't be probed for this", BRING)
    facts = _facts(probes)
    if probes.n_src < 2:
        return fine("one source has one order", facts)
    if probes.differ("in order", "all swapped", TOLERANCE):
        return fail(
            f"correct estimates cost {_text(probes['in order'])}, the same in swapped order "
            f"{_text(probes['all swapped'])}",
            facts,
            f"equal within {TOLERANCE:.0%} of the spread over all probes: the network can't know which voice is first",
            REMEDY,
        )
    others = [n for n in probes.values if n.startswith("order ") and probes.differ("in order", n, TOLERANCE)]
    if others:
        return fail(
            f"correct estimates cost {_text(probes['in order'])}, the same in the {others[0]} "
            f"{_text(probes[others[0]])}: not every order of the {probes.n_src} sources is tried",
            facts,
            f"equal within {TOLERANCE:.0%} of the spread over all probes, in every order",
            REMEDY,
        )
    return fine("the order of the estimates makes no difference", facts)


@check("pit-wrong-axis")
def pit_wrong_axis(e: Evidence) -> Finding:
    """Probes that reveal a minimum over the wrong axis, or a maximum."""
    probes = e.loss_probes
    if probes is None:
        return undecided("no loss function", BRING)
    if probes.error:
        return fail(
            f"the loss raises an error on estimates and sources [B, S, T]: {probes.error}",
            {"error": probes.error, "sources": probes.n_src},
            "probes of 1 to 4 sources, in the forms of dprnn_lab.diagnosis.loss_probes",
            REMEDY,
        )
    if e.cause("sign-of-loss") or _constant(probes):
        return undecided("the loss has no minimum at the targets", BRING)
    facts = _facts(probes)
    if probes.n_src < 2:
        return fine("one source has one order", facts)
    right = probes["in order"]
    if probes.differ("in order", "all swapped", TOLERANCE):
        return fine("the loss has a fixed order, without a minimum", facts)
    if probes.differ("in order", "one example swapped", TOLERANCE):
        return fail(
            f"swapping the estimates of one example changes the loss from {_text(right)} to "
            f"{_text(probes['one example swapped'])}: the batch was averaged before the minimum",
            facts,
            f"equal within {TOLERANCE:.0%} of the spread: each example has its own order",
            REMEDY,
        )
    mixture = probes["the mixture in every output"]
    if right > mixture + TOLERANCE * probes.spread:
        return fail(
            f"correct estimates cost {_text(right)}, the mixture in every output only {_text(mixture)}: not the best "
            "order counts but the worst, or the mean of all (a maximum or a mean over the permutations)",
            facts,
            "correct estimates must cost less than the mixture",
            REMEDY,
        )
    lost = min((n for n in probes.values if n.endswith("lost")), key=lambda n: probes[n])
    if probes[lost] <= right + LOST_TARGET * (probes["noise"] - right):
        words = lost.split()
        return fail(
            f"estimates that hold target {words[1]} twice and lost target {words[3]} cost {_text(probes[lost])}, "
            f"correct ones {_text(right)}: each estimate takes its best target, so another target may be lost",
            facts,
            f"worse by {LOST_TARGET:.0%} of the way from correct estimates to noise",
            REMEDY,
        )
    if not probes.differ("the mixture in every output", "the mixture and noise", TOLERANCE / 4):
        return fail(
            "an output of noise costs nothing beside one close to all targets: each target takes its best estimate",
            facts,
            f"different by {TOLERANCE / 4:.1%} of the spread: every output must be used once",
            REMEDY,
        )
    return fine("swaps cost nothing, lost targets do", facts)
