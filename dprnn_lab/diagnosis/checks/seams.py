"""Group D: were the estimates joined from windows without overlap?

The effect of windows is visible in comparison with the model's own output for the whole recording: gaps, or jumps of
the difference between the two at multiples of one length. The confidence grows with the number of seams.

Measured on 40 mixtures of 4 s with the bundled model of 56 100 steps: windows of 1 s normalised one by one (3 seams)
are a failure in 27 and a warning in 5; of 0.5 s (7 seams) in 37 and 2; windows of 0.25 s that were only joined (15
seams) in 40. Of 228 estimates with other changes (two other models, leakage, compression, clipping, automatic gain)
none is a failure and 3 are a warning.

Notebook: 06_failures_at_inference
"""

import torch
from torch.nn import functional as F

from ...audio import correlation
from ...loss import si_sdr
from ..evidence import Evidence, best_order
from ..finding import Finding
from .clicks import (
    CLICK_RATIO,
    FAINT_RATIO,
    GAP_SAMPLES,
    GAP_SECONDS,
    MIN_CLICKS,
    MIXTURE_RATIO,
    clicks,
    gaps,
    grid,
)
from .outputs import CAUSES, CLOSE_CORRELATION
from .verdict import check, fail, fine, number, undecided, warn

__all__ = ["seam_artefact"]

SAME_DB = 30.0  # SI-SDR to the model's own output: above, the estimates were not cut
NEAR_DB = 2.0  # below, they are of another model
MIN_WINDOW = 1600  # samples
ROUND_SECONDS = 0.25  # usual windows last quarters, halves and whole seconds
ROUND_SIGMAS = 3.2  # over chance, for such windows
ANY_SIGMAS = 4.6  # for other windows
HINT_SIGMAS = 2.6  # for a warning, if the level changes too
REMEDY = "estimates = separate(model, mixture, sample_rate)  # the whole recording: its windows overlap and cross-fade"
BRING = "your estimates, the mixture, and the model"


@check("seam-artefact")
def seam_artefact(e: Evidence) -> Finding:
    """Gaps, jumps and levels on a grid."""
    estimates, mixture = e.estimates, e.clean
    if estimates is None or mixture is None or not estimates.isfinite().all():
        return undecided("no estimates of this mixture", BRING)
    length = min(estimates.shape[-1], len(mixture))
    rate = e.rate or 8000
    if length < rate:
        return undecided("too short for a seam", "a second or more")
    found = _in_themselves(estimates[:, :length], mixture[:length], rate)
    if found is not None:
        return found
    if e.cause("late-estimates"):
        return undecided(
            "no gaps or clicks; the estimates do not line up with the mixture", "estimates that do"
        )
    if e.suspected("one-speaker"):
        return undecided("no gaps or clicks; both outputs are of one voice", "a mixture of several people")
    if e.cause("permutation-flip"):
        return undecided("the voices swap", "estimates in a constant order")
    own = e.own
    if e.cause(*CAUSES):
        return undecided("no gaps; another failure hides jumps", "estimates made after it is fixed")
    if own is None or len(own) != len(estimates):
        return undecided("no gaps; jumps show only in comparison with the model's own output", BRING)
    length = min(length, own.shape[-1])
    estimates = best_order(estimates[:, :length], own[:, :length])
    own = own[:, :length]
    near = float(si_sdr(estimates, own).min())
    facts = {"to_own_db": number(near, 1)}
    if len(estimates) > 1 and abs(correlation(estimates)) > CLOSE_CORRELATION:
        return undecided("the estimates are alike", "estimates that differ", facts)
    if near > SAME_DB:
        return fine(
            "the estimates are what the model gives for the whole recording", facts, f"{SAME_DB:g} dB"
        )
    if near < NEAR_DB:
        return undecided("the estimates have little in common with the model's own", BRING, facts)
    jumps = _jumps(estimates, own)
    usual = {period: z for period, z in jumps.items() if period % int(ROUND_SECONDS * rate) == 0}
    period, strength = max(usual.items(), key=lambda item: item[1], default=(0, 0.0))
    any_period, any_strength = max(jumps.items(), key=lambda item: item[1])
    if any_strength > ANY_SIGMAS:
        period, strength = any_period, any_strength
    share, step = _levels(estimates, own, rate)
    facts |= {
        "grid_s": number(period / rate, 3),
        "sigmas": number(strength),
        "level_explained": number(share),
        "level_step_db": number(step),
    }
    why = (
        f"{ROUND_SIGMAS:g} standard deviations over chance for windows of quarters of a second, {ANY_SIGMAS:g} for "
        f"others, {HINT_SIGMAS:g} if the level changes too. Chance reached 3.2 in 228 estimates with other changes"
    )
    if strength > ROUND_SIGMAS:
        return fail(f"the estimates jump every {period / rate:.2f} s", facts, why, REMEDY)
    if strength > HINT_SIGMAS and share > 0.4 and step > 0.7:
        return warn(
            f"the estimates seem to jump every {period / rate:.2f} s, and their level changes by {step:.1f} dB",
            facts,
            why,
            REMEDY,
        )
    return undecided(
        f"the estimates are not what the model gives for the whole recording ({near:.0f} dB), and no grid is visible",
        "a longer recording: few seams can't be distinguished from chance",
        facts,
    )


def _in_themselves(estimates: torch.Tensor, mixture: torch.Tensor, rate: float) -> Finding | None:
    """Gaps on a grid, or clicks: visible without the model."""
    zeros = gaps(estimates, mixture, rate)
    on_grid = grid([end for _, end in zeros], rate, len(mixture))
    if on_grid is not None:
        period, places = on_grid
        return fail(
            f"the estimates are exactly zero in {len(zeros)} short stretches, every {period / rate:.2f} s",
            {"gaps": len(zeros), "grid_s": number(period / rate, 3), "times_s": _seconds(places, rate)},
            f"two stretches of {GAP_SAMPLES} samples to {GAP_SECONDS * 1000:g} ms on one grid, where the mixture is "
            "not zero",
            REMEDY,
        )
    places, on_grid = clicks(estimates, mixture, rate)
    if len(places) < 2 or (on_grid is None and len(places) < MIN_CLICKS):
        return None
    facts = {"clicks": len(places), "times_s": _seconds(places, rate)}
    why = (
        f"two clicks on a grid, {MIN_CLICKS} elsewhere: a third difference {CLICK_RATIO:g} times that around it "
        f"({FAINT_RATIO:g} on a grid of three and more) and {MIXTURE_RATIO:g} times that of the mixture there"
    )
    if on_grid is None:
        return warn(
            f"the estimates click in {len(places)} places where the mixture does not, first at "
            f"{places[0] / rate:.2f} s",
            facts,
            why,
            REMEDY,
        )
    return fail(
        f"the estimates click every {on_grid[0] / rate:.2f} s, {len(places)} times, where the mixture does not",
        facts | {"grid_s": number(on_grid[0] / rate, 3)},
        why,
        REMEDY,
    )


def _seconds(places: list[int], rate: float) -> list[float]:
    return [number(place / rate, 3) for place in places[:10]]


def _jumps(estimates: torch.Tensor, own: torch.Tensor) -> dict[int, float]:
    """For every period in samples: the jumps of the difference to the model's own output, in standard deviations."""
    gain = (estimates * own).sum(-1, keepdim=True) / own.square().sum(-1, keepdim=True).clamp(min=1e-9)
    x = estimates - gain * own
    step = (x[:, 3:] - 3 * x[:, 2:-1] + 3 * x[:, 1:-2] - x[:, :-3]).abs()  # third difference
    around = F.avg_pool1d(step[:, None], 321, 1, 160, count_include_pad=False)[:, 0]
    jump = (step / (around + 0.05 * step.mean(-1, keepdim=True) + 1e-12)).amax(0)
    # Where a gate opens or closes, the jump is its own.
    zero = F.max_pool1d((estimates == 0).any(0).float()[None, None], 33, 1, 16)[0, 0][: len(jump)] > 0
    jump = torch.where(zero, jump.median(), jump)
    wide = F.max_pool1d(jump[None, None], 7, 1, 3)[0, 0].clamp(min=1e-3).log()
    wide = (wide - wide.mean()) / wide.std().clamp(min=1e-6)
    strengths = {}
    for period in range(MIN_WINDOW, len(wide) // 2, 20):
        on_grid = wide[period - 2 :: period]
        strengths[period] = float(on_grid.mean()) * len(on_grid) ** 0.5
    return strengths or {MIN_WINDOW: 0.0}


def _levels(estimates: torch.Tensor, own: torch.Tensor, rate: float) -> tuple[float, float]:
    """How far the level relative to the model's own output is constant within windows, and differs between them.

    Returns the share of the variance that one level per window explains (corrected for their number; the best of all
    lengths from a tenth of a second on), and the mean step between windows in dB.
    """
    frame = int(0.025 * rate)
    a, b = (x.unfold(-1, frame, frame) for x in (estimates, own))
    level = 20 * torch.log10((a.norm(dim=-1) + 1e-6) / (b.norm(dim=-1) + 1e-6))
    weight = b.square().sum(-1)
    weight = weight / weight.sum(-1, keepdim=True).clamp(min=1e-9)
    count = level.shape[-1]
    mean = (level * weight).sum(-1, keepdim=True)
    total = ((level - mean).square() * weight).sum()
    best = (0.0, 0.0)
    if count < 16 or total < 1e-3:
        return best
    for size in range(4, count // 2 + 1):
        index = torch.arange(count) // size
        windows = int(index[-1]) + 1
        sums = torch.zeros(len(level), windows).index_add_(1, index, level * weight)
        weights = torch.zeros(len(level), windows).index_add_(1, index, weight).clamp(min=1e-9)
        rest = ((level - (sums / weights)[:, index]).square() * weight).sum()
        share = 1 - float(rest / total) * (count - 1) / (count - windows)
        best = max(best, (share, float((sums / weights).diff(dim=-1).abs().mean())))
    return best
