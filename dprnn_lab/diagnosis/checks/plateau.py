"""Group E: a mean over examples that are of two kinds, seen in the curve of a run or in the scores of single examples.

Notebook: 07_failures_in_training
"""

import math

import pandas as pd

from ..catalogue import STATES, Finding
from ..evidence import Evidence
from ..score_table import NAMES, ExampleScores, two_heaps
from .verdict import check, fail, fine, number, undecided, warn

__all__ = ["plateau_reading"]

APART = 3.0  # dB
LOST = 1.5  # dB: what a pair that is not separated stays under
FEWEST_OF_KIND = 3
FEWEST = 20  # examples: of fewer, chance makes two heaps of one too often
EXPLAINED = 0.85  # of 24 normal draws one set in a thousand reaches it
SIGMAS = 2.0


@check("plateau-reading")
def plateau_reading(e: Evidence):
    """SI-SDRi by kind of pair, and its histogram."""
    answers = [
        answer
        for answer in (
            None if e.scores is None else _of_scores(e.scores),
            None if e.run is None else _of_run(e),
        )
        if answer is not None
    ]
    if not answers:
        return undecided(
            "one number for all pairs" if e.run is not None else "no scores of single examples, and no curve",
            "scores per example: scores=evaluation.evaluate(model, FixedMixtures('valid'))",
        )
    return min(answers, key=lambda answer: STATES.index(answer.state))


def _of_run(e: Evidence) -> Finding | None:
    """The last validation's SI-SDRi by kind; None where there are not two kinds."""
    means = {}
    for name in e.run.table:
        if str(name).startswith("si_sdri_") and len(e.run.column(name)):
            means[str(name).removeprefix("si_sdri_")] = float(e.run.column(name).iloc[-1])
    if len(means) < 2:
        return None
    facts = {name: number(value) for name, value in means.items()}
    line = "table = evaluation.evaluate(model, FixedMixtures('valid')); table.hist('si_sdri', by='kind')"
    return _kinds_apart(means, facts, line) or fine(
        f"the kinds of pair differ by {max(means.values()) - min(means.values()):.1f} dB", facts
    )


def _of_scores(scores: ExampleScores) -> Finding:
    """Kinds that differ by more than chance; else heaps that nobody has named."""
    values, kinds = scores.values, scores.by_kind
    facts = _facts(scores)
    large = {name: part for name, part in kinds.items() if len(part) >= FEWEST_OF_KIND}
    means = {name: float(part.mean()) for name, part in large.items()}
    line = f"scores.hist('{scores.metric}', by='kind')"
    found = _kinds_apart(means, facts, line, large) if len(large) > 1 else None
    if found is not None:
        return found
    if len(values) < FEWEST:
        return undecided(
            f"{len(values)} examples: too few to tell two heaps from chance",
            f"the scores of {FEWEST} examples and more",
            facts,
        )
    why = (
        f"two heaps {APART:g} dB apart that explain {EXPLAINED:.0%} of the variance (one normal heap cut in two: 64 %, "
        f"an even spread: 75 %). Under {LOST:g} dB a heap is not separated"
    )
    heaps = two_heaps(values)
    if heaps is not None:
        facts |= {
            "lower_heap_db": number(heaps.low),
            "upper_heap_db": number(heaps.high),
            "lower_share": number(heaps.share),
            "explained": number(heaps.explained),
        }
        if heaps.explained > EXPLAINED and heaps.high - heaps.low > APART:
            says = (
                f"two heaps: {heaps.share:.0%} of the examples about {heaps.low:.1f} dB, the others about "
                f"{heaps.high:.1f} dB; the mean of {facts['mean_db']:.1f} dB describes neither"
            )
            line = f"scores.nsmallest(10, '{scores.metric}')  # who speaks there, and at which level?"
            return (fail if heaps.low < LOST else warn)(says, facts, why, line)
    return fine(f"one heap of {NAMES[scores.metric]} about {facts['mean_db']:.1f} dB", facts, why)


def _facts(scores: ExampleScores) -> dict:
    """The numbers of any such finding."""
    values, kinds = scores.values, scores.by_kind
    facts = {
        "metric": NAMES[scores.metric],
        "examples": len(values),
        "mean_db": number(values.mean()),
        "median_db": number(values.median()),
        "not_separated": int((values < LOST).sum()),
    }
    if scores.undefined:
        facts["undefined"] = scores.undefined
    if {"si_sdr", "si_sdri"} <= set(scores.table):
        facts["mixture_db"] = number((scores.table["si_sdr"] - scores.table["si_sdri"]).mean())
    if len(kinds) > 1:
        facts |= {name: number(part.mean()) for name, part in kinds.items()}
    return facts


def _kinds_apart(
    means: dict[str, float], facts: dict, line: str, parts: dict[str, pd.Series] | None = None
) -> Finding | None:
    """A finding where the kinds lie too far apart for one mean, by more than the chance of ``parts``; else None."""
    best, worst = max(means, key=means.get), min(means, key=means.get)
    spread = means[best] - means[worst]
    error = math.sqrt(sum(float(parts[k].var()) / len(parts[k]) for k in (best, worst))) if parts else 0.0
    if spread <= max(APART, SIGMAS * error):
        return None
    return (fail if means[worst] < LOST else warn)(
        f"{best} {means[best]:.1f} dB, {worst} {means[worst]:.1f} dB: the mean of these describes neither",
        facts | {"spread_db": number(spread)},
        f"{APART:g} dB between kinds: their mean describes neither. Under {LOST:g} dB a kind is not separated",
        line,
    )
