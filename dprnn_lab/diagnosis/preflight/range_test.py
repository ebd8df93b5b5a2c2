"""The learning-rate range test: one sweep over rising rates, and what it says about the rate asked for.

The test is L. N. Smith's, "Cyclical Learning Rates for Training Neural Networks" (arXiv 1506.01186); the suggestion,
the rate at which the loss falls fastest, is that of S. Gugger, "How Do You Find a Good Learning Rate" (2018).

Notebook: 05_training
"""

import math
import time
from dataclasses import dataclass, field

from .finding import PreflightFinding, number
from .learning import LEARNT, Heart
from .optimizers import rates, scale_rates
from .trial import Clock, Skipped, Trial

__all__ = ["RangeTest", "check_learning_rate", "run_range_test"]

STEPS, LEAST_STEPS = 48, 12
SMOOTHING = 0.5  # of the loss over the steps of a sweep
# Relative to the way from the loss of noise to that of a good estimate: the rise over the minimum that ends a sweep,
# and the fall that makes a suggestion.
TURNED, FALLS = 0.1, 0.01
# Of the weights by one step, relative to the weights at the start. Around 0.001 is usual; 0.02 is common in the first
# steps of Adam. At the upper limit all weights are replaced within ten steps.
LARGE_UPDATE, SMALL_UPDATE, TINY_UPDATE = 0.1, 2.5e-4, 1e-4
BEHIND = 0.5  # share of the sweep's fall that as many steps at the rate asked for should reach


@dataclass
class RangeTest:
    """Loss over an exponentially rising learning rate, on the small batch."""

    asked: float = 0.0
    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    smoothed: list[float] = field(default_factory=list)
    suggestion: float | None = None  # where the smoothed loss falls fastest; None if it does not fall
    highest: float | None = None  # where it is lowest before it rises; None if it does not rise

    @property
    def fall(self) -> float:
        """From the start to the lowest smoothed loss."""
        return self.smoothed[0] - min(self.smoothed) if self.smoothed else 0.0


def run_range_test(trial: Trial, clock: Clock) -> RangeTest:
    """One sweep from the model's start; ends where the loss has clearly turned up, or with the time."""
    test = RangeTest(trial.rate)
    low, high = min(1e-6, trial.rate / 10), max(1.0, trial.rate * 2)
    span = trial.span
    model = trial.copy()
    optimizer = trial.make_optimizer(model)
    base = rates(optimizer)
    average = 0.0
    place, began = 0.0, time.monotonic()  # place: 0 at the lowest rate, 1 at the highest
    for i in range(STEPS):
        rate = low * (high / low) ** place
        scale_rates(optimizer, base, rate / trial.rate)
        loss = trial.step(model, optimizer, trial.small)
        rose = bool(test.smoothed) and not math.isfinite(loss)
        if math.isfinite(loss):
            average = SMOOTHING * average + (1 - SMOOTHING) * loss
            test.rates.append(rate)
            test.losses.append(loss)
            test.smoothed.append(average / (1 - SMOOTHING ** (i + 1)))
            rose = test.smoothed[-1] > min(test.smoothed) + max(0.25 * test.fall, TURNED * span)
        if rose:
            test.highest = test.rates[test.smoothed.index(min(test.smoothed))]
        if rose or not math.isfinite(loss) or place >= 1 or clock.all_over:
            break
        # The whole range in the time there is: with little of it the steps between rates are larger.
        each = (time.monotonic() - began) / (i + 1)
        left = min(STEPS - 1 - i, max(LEAST_STEPS - 1 - i, math.floor(clock.left / each), 1))
        place = min(1.0, place + (1 - place) / left)
    least = test.smoothed.index(min(test.smoothed)) if test.smoothed else 0
    # The loss at i + 1 is that after the step at rate i.
    slopes = [test.smoothed[i] - test.smoothed[i + 1] for i in range(least)]
    if slopes and test.fall > FALLS * span:
        test.suggestion = test.rates[slopes.index(max(slopes))]
    return test


def check_learning_rate(trial: Trial, clock: Clock) -> PreflightFinding:
    """The rate asked for, beside the range test and beside the size of its updates."""
    name = "learning-rate"
    if trial.facts.get("detached"):
        raise Skipped("no gradient leads from the loss to the model")
    test = run_range_test(trial, clock)
    trial.facts["range_test"] = test
    heart: Heart | None = trial.facts.get("heart")
    cut = ""
    if len(test.rates) < STEPS and test.highest is None:
        cut = f"{len(test.rates)} of {STEPS} steps of the sweep"
    update = heart.update if heart is not None else None
    reached = 1.0
    if heart is not None and heart.losses and test.fall > 0:
        reached = (heart.start - heart.end) / test.fall
    facts: dict[str, object] = {
        "asked": number(trial.rate),
        "suggestion": None if test.suggestion is None else number(test.suggestion),
        "highest": None if test.highest is None else number(test.highest),
        "update_to_weight": None if update is None else number(update),
        "share_of_the_sweeps_fall": number(reached),
    }
    expected = (
        f"updates of {SMALL_UPDATE:g} to {LARGE_UPDATE:g} of the weights, and a loss that falls at least "
        f"{BEHIND:.0%} as far as in the sweep"
    )
    better = test.suggestion if test.suggestion is not None else trial.rate
    moves = "" if update is None else f"; a step changes the weights by {update:.2g} of their size"
    tip = "" if test.suggestion is None else f"; the loss of the range test falls fastest at {better:.1e}"
    high = update is not None and update > LARGE_UPDATE
    if heart is not None and heart.progress < LEARNT and test.suggestion is not None:
        # The sweep learns what steps at the rate asked for do not.
        over = trial.rate > test.suggestion and (update or 0.0) > SMALL_UPDATE
        high = high or (over and test.fall > 2 * LEARNT * abs(heart.way))
    if high:
        return PreflightFinding(
            name, "failure", f"the learning rate {trial.rate:g} is too high{moves}{tip}", facts, expected,
            f"lr = {_usable(trial.rate, update, better):.1g}", cut_short=cut,
        )  # fmt: skip
    slow = update is not None and update < SMALL_UPDATE and reached < BEHIND
    if slow and test.suggestion is not None and trial.rate < test.suggestion and not trial.trained_already:
        return PreflightFinding(
            name, "failure",
            f"the learning rate {trial.rate:g} is too low: its steps reach {max(reached, 0):.0%} of the fall in the "
            f"range test{moves}{tip}", facts, expected, f"lr = {_usable(trial.rate, update, better):.1g}",
            cut_short=cut,
        )  # fmt: skip
    if update is not None and update < TINY_UPDATE and not trial.trained_already:
        return PreflightFinding(
            name, "warning", f"the learning rate {trial.rate:g} is low{moves}{tip}", facts, expected,
            f"lr = {_usable(trial.rate, update, better):.1g}", cut_short=cut,
        )  # fmt: skip
    if test.highest is not None and trial.rate > 3 * test.highest:
        return PreflightFinding(
            name, "warning", f"the loss of the range test rises from {test.highest:.1e} on; asked is {trial.rate:g}",
            facts, expected, f"lr = {better:.1g}", cut_short=cut,
        )  # fmt: skip
    if test.suggestion is None:
        why = "the loss does not fall in the range test"
        if len(test.rates) < LEAST_STEPS:
            why = f"the range test got no further than {len(test.rates)} steps"
        return PreflightFinding(name, "note", f"{why}{moves}", facts, expected, cut_short=cut)
    return PreflightFinding(
        name, "ok", f"the learning rate {trial.rate:g} learns{moves}{tip}", facts, expected, cut_short=cut
    )


def _usable(asked: float, update: float | None, suggestion: float) -> float:
    """A rate whose updates are in the middle of the usual range, between the suggestion and that."""
    if not update:
        return suggestion
    usual = asked * 0.005 / update  # the size of an update is proportional to the rate
    return math.sqrt(usual * suggestion) if suggestion != asked else usual
