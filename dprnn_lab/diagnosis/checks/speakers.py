"""Group D: are the outputs two people, or parts of one?

Notebook: 06_failures_at_inference
"""

import torch

from ...audio import correlation
from ...loss import si_sdr
from ...separation.in_memory import scale_to_mixture
from ..acoustics import ONE_VOICE_SCORE, noisy_share, one_voice_score
from ..evidence import Evidence
from ..finding import Finding
from ..reference_fit import what_is_left_db
from .noise_outputs import NOISE_OUTPUT_SHARE, outputs_of_noise
from .outputs import CLOSE_CORRELATION
from .verdict import check, fine, number, undecided, warn

__all__ = ["one_speaker"]

SAME_SOURCE_DB = (
    6.0  # by which each output is closer to one reference than to the other, more than the mixture is
)
LOST_REST_DB = -8.0  # of the mixture, that is in no output: a voice is lost
BRING = "the mixture, and estimates or the model"
REMEDY = "speakers = 1  # play the outputs; where one person speaks, take the mixture"


@check("one-speaker")
def one_speaker(e: Evidence) -> Finding:
    """The mixture's pauses and pitch, the sum of the outputs, and an output of noise."""
    outputs, mixture = e.outputs, e.clean
    if outputs is None or mixture is None or len(outputs) < 2:
        return undecided("no mixture, or no two outputs of it", BRING)
    cause = e.broken_weights or e.cause(
        "not-finite",
        "silence",
        "rate-mismatch",
        "config-silent",
        "length",
        "late-estimates",
        "dead-output",
        "domain-mismatch",
    )
    if cause or not outputs.isfinite().all():
        return undecided(
            f"{cause or 'an output that is not finite'} comes first", "outputs made after it is fixed"
        )
    rate = e.rate or (e.recording.rate if e.recording is not None else 8000)
    length = min(outputs.shape[-1], len(mixture))
    outputs, mixture = outputs[:, :length], mixture[:length]
    if length < rate:
        return undecided("too short to tell", "a second or more")
    if abs(correlation(outputs, 0.0)) > CLOSE_CORRELATION:
        return undecided("the outputs are alike", "outputs that differ")
    total = scale_to_mixture(outputs, mixture).sum(0)
    noisy = [noisy_share(x, rate) for x in outputs]
    levels = 10 * torch.log10(outputs.square().mean(-1) + 1e-12)
    facts: dict = {
        "one_voice_score_of_the_mixture": number(one_voice_score(mixture, rate), 1),
        "one_voice_score_of_the_sum": number(one_voice_score(total, rate), 1),
        "rest_db": number(what_is_left_db(mixture, total), 1),
        "noisy_share": [number(x) for x in noisy],
        "levels_db": [number(x, 1) for x in levels],
    }
    why = (
        f"a score over {ONE_VOICE_SCORE:g}: deep pauses and one pitch at a time, in 9 of 10 recordings of one person "
        f"and 1 of 40 of two; steady noise at over {NOISE_OUTPUT_SHARE:.0%} of an output's frequencies"
    )
    follows = "sources-count" if e.suspected("sources-count") else None
    noise = outputs_of_noise(outputs, mixture, rate)
    if noise:
        many = e.people is not None and e.people > 1
        return warn(
            f"output {noise[0] + 1} is steady noise, and the mixture has none: "
            + ("no voice is in it" if many else "there was no second voice to put there?"),
            facts,
            why,
            "estimates = separate(model, mixture, sample_rate)  # compare with the model's own outputs"
            if many
            else REMEDY,
            explained_by=follows,
        )
    if e.people is not None and e.people > 1:
        return _of_known_people(e, outputs, facts, why)
    if e.people == 1 or follows or facts["one_voice_score_of_the_mixture"] > ONE_VOICE_SCORE:
        apart = float(levels.max() - levels.min())
        return warn(
            f"the recording seems to be of one person: the outputs are parts of one voice, {apart:.0f} dB apart",
            facts,
            why,
            REMEDY,
            explained_by=follows,
        )
    if facts["one_voice_score_of_the_sum"] > ONE_VOICE_SCORE and facts["rest_db"] > LOST_REST_DB:
        return warn(
            "the outputs together have one pitch at a time: they seem to be parts of one voice of the mixture",
            facts,
            why,
            "estimates = separate(model, mixture, sample_rate)  # compare with the model's own outputs",
            explained_by=follows,
        )
    return fine("the outputs are of more than one voice", facts, why)


def _of_known_people(e: Evidence, outputs: torch.Tensor, facts: dict, why: str) -> Finding:
    """With references: every output is nearest to one and the same of them."""
    references = e.references
    usable = references is not None and references.isfinite().all() and not e.cause("references-mismatch")
    if references is None or len(references) < 2 or not usable:
        return fine(f"there are {e.people} people in the recording", facts, why)
    length = min(outputs.shape[-1], references.shape[-1])
    table = torch.stack(
        [si_sdr(outputs[:, :length], r[None, :length].expand(len(outputs), -1)) for r in references], 1
    )
    facts = facts | {"si_sdr_db": [[number(v, 1) for v in row] for row in table]}
    nearest = table.argmax(1)
    margin = float((table.topk(2, dim=1).values @ torch.tensor([1.0, -1.0])).min())
    # Copies of the mixture are nearest to its louder voice too, by the difference of the levels.
    mixed = references[:, :length].square().sum(-1).topk(2).values
    of_mixture = 2 * float(10 * torch.log10(mixed[0] / mixed[1].clamp(min=1e-12)))
    if len(set(nearest.tolist())) == 1 and margin > SAME_SOURCE_DB + of_mixture:
        return warn(
            f"every output is of voice {int(nearest[0]) + 1} (by {margin:.0f} dB): it is split over them, and the "
            "others are lost",
            facts,
            f"{SAME_SOURCE_DB:g} dB of SI-SDR between the references over the mixture's own, for every output",
            "estimates = separate(model, mixture, sample_rate)  # compare with the model's own outputs",
        )
    return fine("the outputs are nearest to different voices", facts, why)
