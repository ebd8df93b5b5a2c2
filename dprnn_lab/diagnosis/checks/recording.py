"""Group B: is this recording one for this model?

Notebook: 06_failures_at_inference
"""

import torch

from ..evidence import Evidence
from .verdict import check, fail, fine, number, undecided, warn

__all__ = ["domain_mismatch", "sources_count"]

# A recording is unlike the training's where it scores less than LOW, and UNLIKE less than the bundled mixtures, in dB.
# With noise or an echo to explain it the others count: such faults scored up to 8.1, healthy recordings 8.5 and more.
LOW, UNLIKE = 3.0, 4.0
LOW_WITH_SIGN, UNLIKE_WITH_SIGN = 8.3, 2.8
ONE_VOICE_DB = -6.0
PAUSES_DB = 31.0  # between loud and quiet frames: two voices at once leave few pauses


@check("sources-count")
def sources_count(e: Evidence):
    """People in the recording against outputs of the model."""
    outputs = e.n_src if e.n_src is not None else (None if e.estimates is None else len(e.estimates))
    if outputs is None:
        return undecided("there is no model", "the model, or its estimates")
    people = e.people
    if people is not None:
        facts = {"people": people, "outputs": outputs}
        if people == outputs:
            return fine(f"{people} people, {outputs} outputs", facts)
        return fail(
            f"{people} people in the recording, {outputs} outputs of the model",
            facts,
            "equal: the number of outputs is fixed by the weights",
            f"model = load_model(checkpoint)  # of a model with n_src={people}",
        )
    if e.heard is None or e.clean is None:
        return undecided("nothing to listen to", "the mixture, and speakers=2 if you know how many talk")
    spread = _spread(e.clean)
    facts = {"balance_db": number(e.heard.balance, 1), "loud_to_quiet_db": number(spread, 1)}
    why = (
        f"{ONE_VOICE_DB:g} dB between the outputs and {PAUSES_DB:g} dB between loud and quiet frames: mixtures of two "
        "have less of both"
    )
    if e.heard.balance < ONE_VOICE_DB and spread > PAUSES_DB:
        return warn(
            f"the quietest output is {-e.heard.balance:.0f} dB under the loudest and the mixture has pauses: one "
            "voice only?",
            facts,
            why,
            "speakers = 1  # listen; one person needs no separation",
        )
    return fine("two voices and more are heard; whether there are more than outputs is not", facts, why)


def _spread(samples: torch.Tensor, frame: int = 256) -> float:
    """dB between the loud and the quiet frames (95 % and 5 %)."""
    if len(samples) < 20 * frame:
        return 0.0
    power = 10 * torch.log10(samples.unfold(-1, frame, frame // 2).square().mean(-1) + 1e-12)
    return float(torch.quantile(power, 0.95) - torch.quantile(power, 0.05))


@check("domain-mismatch")
def domain_mismatch(e: Evidence):
    """The model is sound and this recording is not for it."""
    if e.broken_weights or e.network is None:
        return undecided("no model to listen with", "a model that loads")
    if e.heard is None:
        return undecided("nothing to listen to", "the mixture")
    other = e.cause(
        "dead-output", "config-silent", "sources-count", "rate-mismatch", "level", "silence", "length"
    )
    if other:
        return undecided(f"{other} comes first", f"the result after {other} was mended")
    here = e.heard.score
    if here >= LOW_WITH_SIGN:
        return fine(
            f"the model finds its estimates of this recording again ({here:.1f} dB)",
            {"score_db": number(here)},
        )
    known = e.control.remix.score if e.control is not None else None
    flat, decay = _noise(e.clean), _decay(e.clean, e.rate or 8000)
    sign = "steady noise" if flat > 0.8 else "a long decay" if decay > -130 else ""
    facts = {
        "score_db": number(here),
        "score_bundled_db": None if known is None else number(known),
        "improvement_bundled_db": None if e.control is None else number(e.control.improvement),
        "improvement_db": None if e.own_score is None else number(e.own_score),
        "noise_flatness": number(flat),
        "decay_db_per_s": number(decay, 0),
    }
    why = (
        f"{LOW:g} dB, and {UNLIKE:g} dB under the bundled mixtures, or {LOW_WITH_SIGN:g} and {UNLIKE_WITH_SIGN:g} dB "
        "where there is a sign: what the model knows it finds again. Flatness of the quiet frames over 0.8 is noise; a "
        "fall slower than 130 dB/s is an echo"
    )
    looks = f"it has {sign}" if sign else "the voices may be unlike those of training, or too like each other"
    low, unlike = (LOW_WITH_SIGN, UNLIKE_WITH_SIGN) if sign else (LOW, UNLIKE)
    if known is not None and here < min(low, known - unlike):
        answer = fail if sign else warn
        return answer(
            f"the model separates the bundled mixtures ({known:.1f} dB), not this recording ({here:.1f} dB); {looks}",
            facts,
            why,
            "model = load_model(checkpoint)  # of a model trained on recordings like this one",
        )
    if known is None and here < 0:
        return warn(
            f"the model does not find its estimates of this recording again ({here:.1f} dB); {looks}",
            facts,
            "0 dB: the error is as large as the estimates",
            "separate(model, mixture)  # a mixture that is surely like the training's, to compare",
        )
    return fine(f"the model finds its estimates of this recording again ({here:.1f} dB)", facts, why)


def _noise(samples: torch.Tensor) -> float:
    """Flatness of the spectrum of the quiet frames, 0 to 1 (white noise)."""
    if len(samples) < 2048:
        return 0.0
    spectrum = (
        torch.stft(samples, 512, 256, window=torch.hann_window(512), return_complex=True).abs().square()
    )
    quiet = spectrum.quantile(0.1, dim=-1) + 1e-12
    return float(quiet.log().mean().exp() / quiet.mean())


def _decay(samples: torch.Tensor, rate: float) -> float:
    """The steepest falls of the level, dB per second (3 % quantile over 96 ms): an echo makes them slow."""
    hop = int(0.008 * rate)
    if len(samples) < 30 * hop:
        return -999.0
    power = 10 * torch.log10(samples.unfold(-1, 2 * hop, hop).square().mean(-1) + 1e-12)
    return float(torch.quantile((power[12:] - power[:-12]) / 0.096, 0.03))
