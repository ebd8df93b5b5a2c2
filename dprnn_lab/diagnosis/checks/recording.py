"""Group B: does this recording suit this model?

Notebook: 06_failures_at_inference
"""

import torch

from ..evidence import Evidence
from ..finding import Finding
from .verdict import check, fail, fine, number, undecided, warn

__all__ = ["domain_mismatch", "sources_count"]

# A recording is unlike the training data if its remix consistency is below LOW_DB, and more than UNLIKE_DB below that
# of the bundled mixtures. With noise or reverberation as an explanation, the second limits count: such faults scored
# up to 8.1 dB, healthy recordings 8.5 and more.
LOW_DB, UNLIKE_DB = 3.0, 4.0
LOW_WITH_SIGN_DB, UNLIKE_WITH_SIGN_DB = 8.3, 2.8
ONE_VOICE_DB = -6.0  # quietest output relative to the loudest
PAUSES_DB = 31.0  # between loud and quiet frames: two voices at once leave few pauses
NOISE_FLATNESS = 0.8  # of the spectrum of the quiet frames
ECHO_DB_PER_S = -130  # the steepest falls of the level are slower


@check("sources-count")
def sources_count(e: Evidence) -> Finding:
    """People in the recording against outputs of the model."""
    outputs = e.n_src if e.n_src is not None else (None if e.estimates is None else len(e.estimates))
    if outputs is None:
        return undecided("there is no model", "the model, or its estimates")
    people = e.people
    if people is not None:
        facts: dict[str, object] = {"people": people, "outputs": outputs}
        if people == outputs:
            return fine(f"{people} people, {outputs} outputs", facts)
        return fail(
            f"{people} people in the recording, {outputs} outputs of the model",
            facts,
            "equal: the number of outputs is fixed by the weights",
            f"model = load_model(checkpoint)  # of a model with n_src={people}",
        )
    if e.score_on_mixture is None or e.clean is None:
        return undecided(
            "no mixture to score the model on", "the mixture, and speakers=2 if you know how many talk"
        )
    spread, balance = _spread(e.clean), e.score_on_mixture.balance
    facts = {"balance_db": number(balance, 1), "loud_to_quiet_db": number(spread, 1)}
    why = (
        f"{ONE_VOICE_DB:g} dB between the outputs and {PAUSES_DB:g} dB between loud and quiet frames: two "
        "voices have less of both"
    )
    if balance < ONE_VOICE_DB and spread > PAUSES_DB:
        return warn(
            f"the quietest output is {-balance:.0f} dB under the loudest and the mixture has pauses: one voice only?",
            facts,
            why,
            "speakers = 1  # play the mixture; one person needs no separation",
        )
    return fine("at least two voices; whether there are more voices than outputs is not known", facts, why)


def _spread(samples: torch.Tensor, frame: int = 256) -> float:
    """dB between the loud and the quiet frames (95 % and 5 %)."""
    if len(samples) < 20 * frame:
        return 0.0
    power = 10 * torch.log10(samples.unfold(-1, frame, frame // 2).square().mean(-1) + 1e-12)
    return float(torch.quantile(power, 0.95) - torch.quantile(power, 0.05))


@check("domain-mismatch")
def domain_mismatch(e: Evidence) -> Finding:
    """A working model, and a recording that does not suit it."""
    if e.broken_weights or e.network is None:
        return undecided("no model that runs", "a model that loads")
    if e.score_on_mixture is None:
        return undecided("no mixture to score the model on", "the mixture")
    other = e.cause(
        "dead-output", "config-silent", "sources-count", "rate-mismatch", "level", "silence", "length"
    )
    if other:
        return undecided(f"{other} comes first", f"the result after {other} is fixed")
    here = e.score_on_mixture.score
    says = f"remix consistency on this recording is {here:.1f} dB"
    if here >= LOW_WITH_SIGN_DB:
        return fine(says, {"score_db": number(here)})
    known = e.control.remix.score if e.control is not None else None
    assert e.clean is not None  # there is a score of it
    flat, decay = _noise(e.clean), _decay(e.clean, e.rate or 8000)
    sign = "steady noise" if flat > NOISE_FLATNESS else "a long decay" if decay > ECHO_DB_PER_S else ""
    facts = {
        "score_db": number(here),
        "score_bundled_db": None if known is None else number(known),
        "improvement_bundled_db": None if e.control is None else number(e.control.improvement),
        "improvement_db": None if e.own_score is None else number(e.own_score),
        "noise_flatness": number(flat),
        "decay_db_per_s": number(decay, 0),
    }
    why = (
        f"{LOW_DB:g} dB, and {UNLIKE_DB:g} dB under the bundled mixtures, or {LOW_WITH_SIGN_DB:g} and "
        f"{UNLIKE_WITH_SIGN_DB:g} dB with noise or an echo. Spectral flatness of the quiet frames over "
        f"{NOISE_FLATNESS:g} is noise; a level that falls slower than {-ECHO_DB_PER_S} dB/s is an echo"
    )
    looks = f"it has {sign}" if sign else "the voices may differ from those of training, or be too similar"
    low, unlike = (LOW_WITH_SIGN_DB, UNLIKE_WITH_SIGN_DB) if sign else (LOW_DB, UNLIKE_DB)
    if known is not None and here < min(low, known - unlike):
        return (fail if sign else warn)(
            f"remix consistency is {known:.1f} dB on bundled mixtures, {here:.1f} dB on this recording; {looks}",
            facts,
            why,
            "model = load_model(checkpoint)  # of a model trained on recordings like this one",
        )
    if known is None and here < 0:
        return warn(
            f"{says}; {looks}",
            facts,
            "0 dB: the error is as large as the estimates",
            "separate(model, mixture)  # a mixture from the training data, to compare",
        )
    return fine(says, facts, why)


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
    """The steepest falls of the level, dB per second (3 % quantile over 96 ms); reverberation slows them."""
    hop = int(0.008 * rate)
    if len(samples) < 30 * hop:
        return -999.0
    power = 10 * torch.log10(samples.unfold(-1, 2 * hop, hop).square().mean(-1) + 1e-12)
    return float(torch.quantile((power[12:] - power[:-12]) / 0.096, 0.03))
