"""Group C by trial: does the model separate the same recording better at another rate, sign or level?

Three failures leave no mark that can be measured on the mixture alone. The model is the instrument: it is
given the recording as it is and treated, and the remix score says which it knows.

Notebook: 06_failures_at_inference
"""

import torch

from ...audio import resample
from ..evidence import PIECE, Evidence, loudest
from .verdict import check, fail, fine, number, on_samples, undecided, warn

__all__ = ["polarity", "rate_mismatch", "train_serve_skew"]

BETTER = 2.5  # dB of the remix score that a treatment must gain
TURNED = 3.5  # dB, the same for the sign: one voice alone gains up to 3 by chance
FOUND = 2.5  # dB that the score must have then
KNOWN = 7.0  # dB: a recording that the model knows as it is
EDGE = 0.6  # of the band: energy ends below, the recording was upsampled or its rate is wrong
RATES = (4000, 11025, 16000, 22050, 32000, 44100, 48000)
BRING = "the mixture, and a model that loads"


@check("rate-mismatch")
def rate_mismatch(e: Evidence):
    """The rate that is known, the edge of the spectrum, and other rates tried."""
    if e.sound is None:
        return undecided("there is no audio", "the mixture: a path, or samples and their sample_rate")
    rate, wanted = e.sound.rate, e.rate
    if wanted is not None and rate != wanted:
        return fail(
            f"the mixture is at {rate:g} Hz, the model was trained at {wanted:g} Hz",
            {"rate": rate, "model_rate": wanted, "rate_from": e.sound.rate_from},
            "equal: the filters mean other frequencies at another rate",
            "estimates = separate(model, mixture, resample=True)"
            if e.sound.rate_from == "file"
            else f"mixture, sample_rate = resample(mixture, {rate:g}, {wanted:g}), {wanted:g}",
        )
    if e.clean is None:
        return undecided("nothing to hear in the mixture", "a mixture with sound in it")
    edge, middle = _band(e.clean)
    facts = {"rate": rate, "rate_from": e.sound.rate_from, "edge": number(edge), "middle": number(middle)}
    why = f"{EDGE:.0%} of the band, and {BETTER:g} dB of remix score for another rate"
    suspect = edge < EDGE or middle > 0.13
    tried = _try_rates(e, edge) if suspect and wanted and e.heard is not None else {}
    facts["scores_at_db"] = {f"{r:g}": number(s) for r, (s, _) in tried.items()}
    best = max(tried, key=lambda r: tried[r][0], default=None)
    if best is not None and tried[best][0] > e.heard.score + BETTER and tried[best][0] > FOUND:
        says = f"read as {best:g} Hz the model finds its estimates again {tried[best][0] - e.heard.score:.1f} dB better"
        e.replace_clean(tried[best][1])
        return fail(
            f"{says}; no energy is above {edge:.0%} of the band" if edge < EDGE else says,
            facts,
            why,
            f"mixture, sample_rate = resample(mixture, {best:g}, {wanted:g}), {wanted:g}",
        )
    if edge < EDGE:
        return warn(
            f"no energy above {edge * rate / 2:.0f} Hz, {edge:.0%} of the band: upsampled from a lower rate?",
            facts,
            why,
            "mixture, sample_rate = read_audio(path)  # the original recording, before it was upsampled",
        )
    return fine(f"energy up to {edge * rate / 2:.0f} Hz at {rate:g} Hz", facts, why)


def _band(samples: torch.Tensor) -> tuple[float, float]:
    """Where 99.9 % and 50 % of the energy lie below, as shares of the band."""
    window = min(512, len(samples))
    samples = samples - samples.mean()
    spectrum = torch.stft(
        samples,
        window,
        window // 2,
        window=torch.hann_window(window),
        return_complex=True,
        pad_mode="constant",
    )
    power = spectrum.abs().square().mean(-1)
    total = power.cumsum(0) / power.sum().clamp(min=1e-20)
    return float((total < 0.999).sum() / len(total)), float((total < 0.5).sum() / len(total))


def _try_rates(e: Evidence, edge: float) -> dict[float, tuple[float, torch.Tensor]]:
    """Remix score and resampled mixture for rates that the recording may really have."""
    ratios = [r / 8000 for r in RATES]
    rates = [e.rate * q for q in ratios if (q < 1) == (edge >= EDGE)]
    scores = {}
    for rate in rates:
        samples = resample(e.clean, rate, e.rate)
        heard = e.rehear(loudest(samples, int(PIECE * e.rate))) if len(samples) > 0.3 * e.rate else None
        if heard is not None:
            scores[rate] = (heard.score, samples)
    return scores


@check("polarity")
def polarity(e: Evidence):
    """The recording times -1."""
    if e.heard is None or e.cause("dead-output"):
        return undecided("nothing to listen to", BRING)
    if e.people not in (None, e.n_src):
        return undecided("the number of people is not that of the outputs", "a mixture that suits the model")
    if e.heard.score >= KNOWN:
        return _as_it_is(e)
    turned = e.rehear(-e.pieces)
    gain = turned.score - e.heard.score
    facts = {"score_db": number(e.heard.score), "turned_db": number(turned.score)}
    why = f"{TURNED:g} dB better upside down. A model that hears both ways alike shows no difference"
    if gain > TURNED and turned.score > FOUND:
        e.replace_clean(-e.clean)
        return fail(
            f"turned upside down, the model finds its estimates again {gain:.1f} dB better",
            facts,
            why,
            on_samples(e, "mixture = -mixture"),
        )
    return fine(f"as it is {e.heard.score:.1f} dB, upside down {turned.score:.1f} dB", facts, why)


def _as_it_is(e: Evidence):
    """Nothing need be tried on a recording that the model knows."""
    return fine(
        f"the model finds its estimates again ({e.heard.score:.1f} dB)",
        {"score_db": number(e.heard.score)},
        f"{KNOWN:g} dB: no treatment is tried on what is known",
    )


@check("train-serve-skew")
def train_serve_skew(e: Evidence):
    """Other levels of the same recording."""
    if e.heard is None or e.sound is None or e.cause("level", "silence", "dead-output"):
        return undecided("nothing to listen to at its own level", BRING)
    if e.heard.score >= KNOWN and not e.sound.steps:
        return _as_it_is(e)
    deviation = float(e.clean.std())
    raw = e.sound.samples.nan_to_num(0.0, 0.0, 0.0)
    came = float(raw.std(-1).max())  # the clean mixture may have another level
    levels = {
        "as it is": came / deviation,
        "standard deviation 1": 1 / deviation,
        "RMS 0.05": 0.05 / deviation,
    }
    heard = {name: e.rehear(e.pieces * gain) for name, gain in levels.items()}
    scores = {name: number(h.score) for name, h in heard.items() if h is not None}
    best = max(scores, key=scores.get)
    gain = scores[best] - scores["as it is"]
    why = f"{BETTER:g} dB: a model of this kind normalises inside, so that its result should not depend on the level"
    if gain > BETTER and scores[best] > FOUND:
        line = (
            "mixture = (mixture - mixture.mean()) / mixture.std()"
            if best == "standard deviation 1"
            else "mixture = mixture * (0.05 / mixture.std())"
        )
        e.replace_clean(e.clean * levels[best])
        return fail(
            f"at {best} the model finds its estimates again {gain:.1f} dB better: training had another level",
            {"scores_db": scores},
            why,
            on_samples(e, line),
        )
    if max(scores.values()) - min(scores.values()) > BETTER:
        return warn(
            "the result depends on the level: use that of the training",
            {"scores_db": scores},
            why,
            "mixture = mixture * (0.05 / mixture.std())",
        )
    return fine("the level makes no difference to this model", {"scores_db": scores}, why)
