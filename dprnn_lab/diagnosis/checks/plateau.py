"""Group E: a mean that hides two clusters, in the curve of a run or in the scores of single examples.

Notebook: 07_failures_in_training
"""

import math

import pandas as pd

from ..evidence import Evidence
from ..finding import STATES, Finding
from ..run_curves import Run
from ..score_table import NAMES, ExampleScores, two_clusters
from .verdict import check, fail, fine, number, undecided, warn

__all__ = ["plateau_reading"]

APART_DB = 3.0  # between kinds or clusters
NOT_SEPARATED_DB = 1.5  # SI-SDRi: a pair that is not separated stays below
MIN_PER_KIND = 3  # examples
MIN_EXAMPLES = 20  # with fewer, chance splits one cluster in two too often
EXPLAINED_SHARE = 0.85  # of the variance; one set of 24 normal draws in a thousand reaches it
SIGMAS = 2.0  # standard errors between kinds


@check("plateau-reading")
def plateau_reading(e: Evidence) -> Finding:
    """SI-SDRi by kind of pair, and its histogram."""
    answers = [
        answer
        for answer in (
            None if e.scores is None else _of_scores(e.scores),
            None if e.run is None else _of_run(e.run),
        )
        if answer is not None
    ]
    if not answers:
        return undecided(
            "one number for all pairs" if e.run is not None else "no scores of single examples, and no curve",
            "scores per example: scores=evaluation.evaluate(model, FixedMixtures('valid'))",
        )
    return min(answers, key=lambda answer: STATES.index(answer.state))


def _of_run(run: Run) -> Finding | None:
    """The last validation's SI-SDRi by kind; None with fewer than two kinds."""
    means = {}
    for name in run.table:
        if str(name).startswith("si_sdri_") and len(run.column(name)):
            means[str(name).removeprefix("si_sdri_")] = float(run.column(name).iloc[-1])
    if len(means) < 2:
        return None
    facts = {name: number(value) for name, value in means.items()}
    line = "table = evaluation.evaluate(model, FixedMixtures('valid')); table.hist('si_sdri', by='kind')"
    return _kinds_apart(means, facts, line) or fine(
        f"the kinds of pair differ by {max(means.values()) - min(means.values()):.1f} dB", facts
    )


def _of_scores(scores: ExampleScores) -> Finding:
    """Kinds that differ by more than chance; else clusters among unnamed examples."""
    values, kinds = scores.values, scores.by_kind
    facts = _facts(scores)
    large = {name: part for name, part in kinds.items() if len(part) >= MIN_PER_KIND}
    means = {name: float(part.mean()) for name, part in large.items()}
    line = f"scores.hist('{scores.metric}', by='kind')"
    found = _kinds_apart(means, facts, line, large) if len(large) > 1 else None
    if found is not None:
        return found
    if len(values) < MIN_EXAMPLES:
        return undecided(
            f"{len(values)} examples: too few to tell two clusters from chance",
            f"the scores of {MIN_EXAMPLES} examples or more",
            facts,
        )
    why = (
        f"two clusters {APART_DB:g} dB apart that explain {EXPLAINED_SHARE:.0%} of the variance (a normal distribution "
        f"cut in two: 64 %, a uniform one: 75 %). Below {NOT_SEPARATED_DB:g} dB a cluster is not separated"
    )
    split = two_clusters(values)
    if split is not None:
        facts |= {
            "lower_cluster_db": number(split.low),
            "upper_cluster_db": number(split.high),
            "lower_share": number(split.share),
            "explained": number(split.explained),
        }
        if split.explained > EXPLAINED_SHARE and split.high - split.low > APART_DB:
            says = (
                f"two clusters: {split.share:.0%} of the examples about {split.low:.1f} dB, the others about "
                f"{split.high:.1f} dB; the mean of {facts['mean_db']:.1f} dB describes neither"
            )
            line = f"scores.nsmallest(10, '{scores.metric}')  # who speaks there, and at which level?"
            return (fail if split.low < NOT_SEPARATED_DB else warn)(says, facts, why, line)
    return fine(f"one cluster of {NAMES[scores.metric]} about {facts['mean_db']:.1f} dB", facts, why)


def _facts(scores: ExampleScores) -> dict:
    """The numbers of every such finding."""
    values, kinds = scores.values, scores.by_kind
    facts = {
        "metric": NAMES[scores.metric],
        "examples": len(values),
        "mean_db": number(values.mean()),
        "median_db": number(values.median()),
        "not_separated": int((values < NOT_SEPARATED_DB).sum()),
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
    """A finding if the kinds lie too far apart for one mean, by more than the chance within ``parts``; else None."""
    best, worst = max(means, key=lambda k: means[k]), min(means, key=lambda k: means[k])
    spread = means[best] - means[worst]
    error = math.sqrt(sum(float(parts[k].var()) / len(parts[k]) for k in (best, worst))) if parts else 0.0
    if spread <= max(APART_DB, SIGMAS * error):
        return None
    return (fail if means[worst] < NOT_SEPARATED_DB else warn)(
        f"{best} {means[best]:.1f} dB, {worst} {means[worst]:.1f} dB: their mean describes neither",
        facts | {"spread_db": number(spread)},
        f"{APART_DB:g} dB between kinds. Below {NOT_SEPARATED_DB:g} dB a kind is not separated",
        line,
    )
