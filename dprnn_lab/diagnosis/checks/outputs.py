"""Group D: what happened to the estimates after the model?

Notebook: 06_failures_at_inference
"""

import torch

from ...audio import clipped_share
from ...loss import si_sdr
from ...separation.in_memory import scale_to_mixture
from ..evidence import Evidence, best_order
from ..finding import Finding
from .verdict import check, fail, fine, note, number, undecided, warn

__all__ = [
    "order_arbitrary",
    "outputs_alike",
    "permutation_flip",
    "relative_level_lost",
    "scale_free",
]

# Correlation between outputs that are alike, and that deserve a look. Where a bundled model separates (by 5 dB
# or more, data/model/evaluation/scores.csv), it stays under 0.45.
ALIKE_CORRELATION, CLOSE_CORRELATION = 0.9, 0.75
MAX_GAIN_DB = 6.0  # that fits an output to the mixture
GAIN_SPREAD_DB = 1.0  # between the outputs
CLIPPED_SHARE = 1e-3  # of the samples
CLEAR_MARGIN = 0.4  # of correlation, between both orders of two outputs in a window
WINDOW_SECONDS = 0.5
NO_MATCH_DB = -5.0  # SI-SDR; the mixture itself has about 0 dB
BRING = "your estimates, [S, T]"
CAUSES = (
    "weights-unsafe", "weights-corrupt", "weights-unmatched", "weights-partial", "config-shape", "not-finite",
    "channels", "silence", "level", "rate-mismatch", "polarity", "train-serve-skew", "length", "config-silent",
    "sources-count", "domain-mismatch", "dead-output", "no-pit",
)  # fmt: skip


def _pair(e: Evidence) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The user's estimates and the mixture, cut to equal length; None unless both are usable."""
    if e.estimates is None or e.clean is None or not e.estimates.isfinite().all():
        return None
    length = min(e.estimates.shape[-1], len(e.clean))
    return (e.estimates[:, :length], e.clean[:length]) if length > 1 else None


def _gains_db(estimates: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
    """The gains (dB) with which the sum of the estimates comes closest to the mixture."""
    scaled = scale_to_mixture(estimates, mixture)
    return 20 * torch.log10((scaled.norm(dim=-1) + 1e-9) / (estimates.norm(dim=-1) + 1e-9))


def _correlations(estimates: torch.Tensor, mixture: torch.Tensor) -> tuple[float, list[float]]:
    """The largest absolute correlation between two estimates, and that of each with the mixture."""
    table = torch.corrcoef(torch.cat((estimates, mixture[None]))).nan_to_num().abs()
    between = [float(table[i, j]) for i in range(len(estimates)) for j in range(i)]
    return max(between, default=0.0), table[-1, :-1].tolist()


@check("permutation-flip")
def permutation_flip(e: Evidence) -> Finding:
    """Which estimate is closer to which voice, in windows."""
    pair = _pair(e)
    if pair is None or len(pair[0]) != 2:
        return undecided("no two estimates", BRING)
    voices, source = (
        (e.own, "the model's own outputs") if e.own is not None else (e.references, "the references")
    )
    if e.cause(*CAUSES, "late-estimates") or (e.own is None and e.cause("references-mismatch")):
        return undecided("another failure comes first", "estimates made after it is fixed")
    if e.suspected("one-speaker"):
        return undecided("both outputs are of one voice", "a mixture of several people")
    if voices is None or len(voices) != 2 or not voices.isfinite().all():
        return undecided("no voices to compare with", "the model, or the references")
    estimates = pair[0]
    length = min(estimates.shape[-1], voices.shape[-1])
    window = int(WINDOW_SECONDS * (e.rate or 8000))
    if length < 2 * window:
        return undecided("too short to swap", "a second or more")
    straight, crossed = _orders(estimates[:, :length], voices[:, :length], window)
    margin = straight - crossed
    clear = margin.abs() > CLEAR_MARGIN
    first, second = int((margin[clear] > 0).sum()), int((margin[clear] < 0).sum())
    facts = {
        "windows_in_order": first,
        "windows_swapped": second,
        "window_s": WINDOW_SECONDS,
        "against": source,
    }
    if min(first, second) >= 2 and min(first, second) >= 0.15 * (first + second):
        at = (margin[clear].sign().diff() != 0).nonzero().flatten() + 1
        seconds = (clear.nonzero().flatten()[at] * WINDOW_SECONDS).tolist()
        return fail(
            f"the estimates swap voices against {source}, near {', '.join(f'{s:.1f} s' for s in seconds[:4])}",
            facts | {"swaps_s": seconds[:20]},
            f"two windows of {WINDOW_SECONDS:g} s and 15 % of the clear ones (by {CLEAR_MARGIN:g} of correlation)",
            "estimates = separate(model, mixture, sample_rate)  # tracks speakers across its windows",
        )
    return fine(f"the order holds in {max(first, second)} of {first + second} clear windows", facts)


def _orders(estimates: torch.Tensor, voices: torch.Tensor, window: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean absolute correlation per window, in the given order and swapped."""
    a, b = (x.unfold(-1, window, window) for x in (estimates, voices))
    a, b = (x / x.norm(dim=-1, keepdim=True).clamp(min=1e-6) for x in (a, b))
    table = (a[:, None] * b[None]).sum(-1).abs()  # [estimate, voice, window]
    return (table[0, 0] + table[1, 1]) / 2, (table[0, 1] + table[1, 0]) / 2


@check("relative-level-lost")
def relative_level_lost(e: Evidence) -> Finding:
    """Outputs that were normalised one by one."""
    pair = _pair(e)
    if pair is None or len(pair[0]) < 2:
        return undecided("no two estimates", BRING)
    if e.cause("late-estimates", "silence"):
        return undecided("the estimates do not line up with the mixture", "estimates that do")
    if e.suspected("seam-artefact"):
        return undecided(
            "the level changes within the estimates", "estimates that were not normalised in windows"
        )
    estimates, mixture = pair
    between, _ = _correlations(estimates, mixture)
    if between > CLOSE_CORRELATION:
        return undecided("outputs this similar fit the mixture with many gains", "estimates that differ")
    peaks = estimates.abs().amax(-1)
    loud = estimates.square().mean(-1).sqrt()
    gains = _gains_db(estimates, mixture)
    spread = float(gains.max() - gains.min())
    equal = {
        "peak": float(peaks.max() / peaks.min().clamp(min=1e-9)) < 1.02,
        "RMS": float(loud.max() / loud.min().clamp(min=1e-9)) < 1.02,
    }
    facts = {
        "peaks": [number(p, 3) for p in peaks],
        "gains_to_mixture_db": [number(g) for g in gains],
        "gain_spread_db": number(spread),
    }
    if (
        any(equal.values())
        and float(clipped_share(estimates).max()) < CLIPPED_SHARE
        and spread > GAIN_SPREAD_DB
    ):
        what = next(name for name, same in equal.items() if same)
        return fail(
            f"all outputs have the same {what}, and to sum to the mixture their gains must differ by {spread:.1f} dB",
            facts,
            f"{GAIN_SPREAD_DB:g} dB between the gains, with {what}s equal to 2 %",
            "estimates = scale_to_mixture(estimates, mixture)",
        )
    return fine(
        f"the gains to the mixture differ by {spread:.1f} dB",
        facts,
        f"{GAIN_SPREAD_DB:g} dB with equal peaks",
    )


@check("scale-free")
def scale_free(e: Evidence) -> Finding:
    """Peaks, clipping and gains of the outputs."""
    if e.estimates is None or not e.estimates.isfinite().all():
        return undecided("no estimates", BRING)
    peaks = e.estimates.abs().amax(-1)
    clipped = float(clipped_share(e.estimates).max())
    facts = {"peaks": [number(p, 4) for p in peaks], "clipped_share": number(clipped, 4)}
    line = "estimates = scale_to_mixture(estimates, mixture)"
    cause = e.cause(
        "level", "weights-corrupt", "weights-unmatched", "weights-partial", "config-silent", "not-finite",
        "seam-artefact",
    )  # fmt: skip
    mixture_clips = e.cause("level") is not None
    loud = (
        e.recording is not None and float(e.recording.samples.abs().max()) > 1
    )  # so are its estimates, then
    if peaks.max() > 1 and not loud:
        return fail(
            f"a peak of {peaks.max():.2f}: saved as PCM it clips",
            facts,
            "1.0, full scale of PCM",
            line,
            explained_by=cause,
        )
    if clipped > CLIPPED_SHARE and not mixture_clips:
        return fail(
            f"{clipped:.1%} of the samples of an output are clipped",
            facts,
            f"{CLIPPED_SHARE:.1%} of the samples at the largest value, in runs of two and more",
            "estimates = separate(model, mixture, sample_rate)  # scaled to the mixture before it is saved",
            explained_by=cause,
        )
    pair = _pair(e)
    if pair is None:
        return undecided("the right level is not known without the mixture", "the mixture", facts)
    estimates, mixture = pair
    between, _ = _correlations(estimates, mixture)
    if peaks.min() == 0 or between > CLOSE_CORRELATION or e.cause(*CAUSES, "late-estimates"):
        return undecided("these outputs do not fit the mixture with any gain", "estimates that differ", facts)
    if e.suspected("one-speaker"):
        return undecided(
            "the outputs are not the voices of the mixture, with any gain", "estimates that are", facts
        )
    if e.suspected("relative-level-lost") or e.suspected("seam-artefact"):
        return undecided(
            "each output or window was normalised on its own", "the model's estimates, unchanged", facts
        )
    gains = _gains_db(estimates, mixture)
    facts["gains_to_mixture_db"] = [number(g) for g in gains]
    if gains.abs().max() > MAX_GAIN_DB:
        spread = float(gains.max() - gains.min())
        if gains.max() < 0 and spread < GAIN_SPREAD_DB:  # as for a file with a peak near full scale
            return note(
                f"all outputs are {-float(gains.mean()):.1f} dB louder than in the mixture: one gain for all, so that "
                "their relative levels stay; SNR, MSE and a sum need it undone",
                facts,
                f"{MAX_GAIN_DB:g} dB; {GAIN_SPREAD_DB:g} dB between the gains",
                line,
            )
        return fail(
            f"to sum to the mixture an output needs {gains[gains.abs().argmax()]:+.1f} dB",
            facts,
            f"{MAX_GAIN_DB:g} dB: SI-SDR training leaves the level free",
            line,
        )
    return fine("the outputs sum to the mixture with small gains", facts, f"{MAX_GAIN_DB:g} dB")


@check("order-arbitrary")
def order_arbitrary(e: Evidence) -> Finding:
    """The score in the given order, and in the best one."""
    if e.references is None or e.estimates is None or len(e.references) != len(e.estimates):
        return undecided("no estimates and references in equal number", "both, [S, T]")
    length = min(e.references.shape[-1], e.estimates.shape[-1])
    references, estimates = e.references[:, :length], e.estimates[:, :length]
    if not (references.isfinite().all() and estimates.isfinite().all()) or e.cause("silence"):
        return undecided("a signal is not finite, or silent", "signals that can be scored")
    cause = e.cause("late-estimates", "references-mismatch")
    if cause:
        whose = "estimates" if cause == "late-estimates" else "references"
        return undecided(f"the {whose} do not line up with the mixture", f"{whose} that do")
    ordered = best_order(estimates, references)
    fixed, best = float(si_sdr(estimates, references).mean()), float(si_sdr(ordered, references).mean())
    signs = (ordered * references).sum(-1).sign()
    facts = {"as_given_db": number(fixed), "best_order_db": number(best), "signs": signs.int().tolist()}
    line = (
        "estimates = reorder(estimates[None], PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates[None], "
        "references[None])[1])[0]"
    )
    if best - fixed > 3 and best > 0:
        says = f"{fixed:.1f} dB in the given order, {best:.1f} dB in the best order"
        if e.reported is not None and abs(e.reported - fixed) < abs(e.reported - best):
            says += f"; your {e.reported:.1f} dB is the former"
        return fail(says, facts, "3 dB: PIT training leaves the order of the outputs arbitrary", line)
    if signs.min() < 0 and best > 0 and not e.cause("polarity"):
        return fail(
            "an estimate has inverted polarity: SI-SDR ignores it, SNR, MSE and a sum do not",
            facts,
            "a positive correlation",
            "estimates = estimates * (estimates * references).sum(-1, keepdim=True).sign()",
        )
    if best < NO_MATCH_DB:
        return undecided(
            f"{best:.1f} dB in the best order: the estimates are hardly of these references",
            "estimates and references of one mixture",
            facts,
        )
    return fine(f"{fixed:.1f} dB as given, {best:.1f} dB in the best order", facts, "3 dB")


@check("outputs-alike")
def outputs_alike(e: Evidence) -> Finding:
    """Correlation of the outputs, and what explains it."""
    outputs, mixture = e.outputs, e.clean
    if outputs is None or mixture is None or len(outputs) < 2:
        return undecided("no mixture, or no two outputs of it", "the mixture, and estimates or the model")
    length = min(outputs.shape[-1], len(mixture))
    if length < 2 or not outputs.isfinite().all():
        return undecided("the outputs are not finite", "finite outputs")
    outputs, mixture = outputs[:, :length], mixture[:length]
    between, each = _correlations(outputs, mixture)
    near = float(si_sdr(outputs[0], outputs[1]))
    facts = {
        "correlation": number(between, 3),
        "si_sdr_between_db": number(near, 1),
        "correlation_with_mixture": [number(v, 3) for v in each],
    }
    why = (
        f"correlation {ALIKE_CORRELATION:g}, {CLOSE_CORRELATION:g} for a warning; under 0.45 where the bundled models "
        "separate"
    )
    if between < CLOSE_CORRELATION:
        return fine(f"the outputs differ (correlation {between:.2f})", facts, why)
    cause = e.cause(*CAUSES)
    own = None
    if e.estimates is not None and e.own is not None and len(e.own) > 1:
        own, _ = _correlations(e.own[:, :length], mixture[: e.own.shape[-1]])
        facts["correlation_of_the_models_own"] = number(own, 3)
    says = f"the outputs are alike: correlation {between:.2f}, {near:.0f} dB SI-SDR between them"
    if cause is None and own is not None and own < CLOSE_CORRELATION:
        says += f"; the model's own outputs differ ({own:.2f}), so it happened after the model"
    line = "estimates = separate(model, mixture, sample_rate)"
    answer = fail if between >= ALIKE_CORRELATION else warn
    return answer(says, facts, why, line, explained_by=cause)
