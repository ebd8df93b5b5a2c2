"""A few dozen steps on one small batch: does the loss fall, how far do the weights move, do the inputs matter?

* Learning one batch by heart, and a loss on zeros as a baseline without inputs: A. Karpathy, "A Recipe for Training
  Neural Networks" (2019), "overfit one batch" and "input-independent baseline".
* Updates of about a thousandth of the weights: Stanford's CS231n, "Neural Networks Part 3", "ratio of weights:updates".

Notebook: 05_training
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

import torch
from torch import nn

from .finding import PreflightFinding, number
from .optimizers import rates, scale_rates
from .trial import Clock, Skipped, Trial

__all__ = ["Heart", "check_inputs_matter", "check_learn_by_heart", "check_update_size"]

STEPS, LEAST_STEPS, WARMUP = 40, 8, 3
LEARNT = 0.03  # fall of the loss, relative to the way from the start to a good estimate
MATTERS = (
    0.01  # loss without the inputs over that with them, relative to the way from noise to a good estimate
)
IGNORED = 1e-4  # change of the outputs with other inputs, relative to the outputs
HIGH, LOW = 0.1, 1e-5  # update by one step, relative to the weights


@dataclass
class Heart:
    """What happened while the small batch was learnt by heart."""

    losses: list[float] = field(default_factory=list)  # before each step, and after the last
    updates: dict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )  # of each weight, for each step
    model: nn.Module | None = None
    way: float = 0.0  # from the start to the loss of a good estimate

    @property
    def start(self) -> float:
        """Loss before the first step."""
        return self.losses[0]

    @property
    def end(self) -> float:
        """Mean of the last three."""
        last = self.losses[-3:]
        return sum(last) / len(last)

    @property
    def progress(self) -> float:
        """Fall of the loss, relative to the way; NaN after NaN, or where there is no way to go."""
        return (self.start - self.end) / self.way if self.way > 0 else math.nan

    @property
    def update(self) -> float | None:
        """Median over the weight matrices of the mean change by a step, relative to the weights at the start."""
        means = [sum(values) / len(values) for values in self.updates.values()]
        finite = [v for v in means if math.isfinite(v)]
        return median(finite) if finite else None


def learn(trial: Trial, clock: Clock) -> Heart:
    """Steps at the rate asked for, after three of warm-up, on the small batch."""
    model = trial.copy()
    optimizer = trial.make_optimizer(model)
    base = rates(optimizer)
    heart = Heart(model=model)
    weights = {n: p for n, p in model.named_parameters() if p.requires_grad and p.dim() >= 2}
    sizes = {n: float(p.detach().norm()) for n, p in weights.items()}
    for i in range(STEPS):
        scale_rates(optimizer, base, min(1.0, (i + 1) / (WARMUP + 1)))
        before = {n: p.detach().clone() for n, p in weights.items()}
        heart.losses.append(trial.step(model, optimizer, trial.small))
        if i >= WARMUP:
            for n, p in weights.items():
                if sizes[n] > 0:
                    heart.updates[n].append(float((p.detach() - before[n]).norm()) / sizes[n])
        enough = clock.over if i + 1 >= LEAST_STEPS else clock.all_over
        if not math.isfinite(heart.losses[-1]) or (enough and i + 1 < STEPS):
            break
    with torch.no_grad():
        heart.losses.append(trial.value(trial.estimates(model, trial.small[0]), trial.small[1]))
    heart.way = heart.start - trial.references()["good"]
    return heart


def check_learn_by_heart(trial: Trial, clock: Clock) -> PreflightFinding:
    """Whether the loss of one small batch falls clearly within a few dozen steps."""
    name = "learn-by-heart"
    if trial.facts.get("detached"):
        raise Skipped("no gradient leads from the loss to the model")
    heart = learn(trial, clock)
    trial.facts["heart"] = heart
    steps = len(heart.losses) - 1
    cut = "" if steps == STEPS or not math.isfinite(heart.end) else f"{steps} of {STEPS} steps"
    examples, samples = trial.small[0].shape
    facts: dict[str, object] = {
        "steps": steps, "start": number(heart.start), "end": number(heart.end), "progress": number(heart.progress),
        "examples": examples, "samples": samples,
    }  # fmt: skip
    expected = (
        f"a fall of at least {LEARNT:.0%} of the way to a good estimate ({trial.references()['good']:.3g})"
    )
    says = f"in {steps} steps on {examples} examples the loss went from {heart.start:.3g} to {heart.end:.3g}"
    if not math.isfinite(heart.end):
        return PreflightFinding(
            name, "failure", f"after {steps} steps on {examples} examples the loss is {heart.end:g}", facts, expected,
            "lr = lr / 10  # then torch.autograd.set_detect_anomaly(True)", cut_short=cut,
        )  # fmt: skip
    if heart.way <= 0:
        return PreflightFinding(
            name,
            "ok",
            f"{says}: it was below that of a good estimate already",
            facts,
            expected,
            cut_short=cut,
        )
    if heart.progress >= LEARNT:
        return PreflightFinding(name, "ok", says, facts, expected, cut_short=cut)
    if steps < LEAST_STEPS or (
        cut and heart.progress >= LEARNT * steps / STEPS
    ):  # on its way when time was over
        return PreflightFinding(
            name,
            "note",
            f"{says}: too few steps to tell",
            facts,
            expected,
            "preflight(..., budget_s=300)",
            cut_short=cut,
        )
    return PreflightFinding(
        name, "failure", f"{says}: it cannot learn even two examples by heart", facts, expected,
        "train on this one batch first: is every parameter in the optimiser, does the loss see the outputs?",
        cut_short=cut,
    )  # fmt: skip


def check_update_size(trial: Trial, clock: Clock) -> PreflightFinding:
    """The change of the weights by a step, relative to the weights, for each part of the model."""
    name = "update-size"
    heart: Heart | None = trial.facts.get("heart")
    if heart is None or heart.update is None:
        raise Skipped("no step was made")
    parts: dict[str, list[float]] = defaultdict(list)
    for weight, values in heart.updates.items():
        parts[weight.partition(".")[0]].append(sum(values) / len(values))
    facts: dict[str, object] = {
        "median": number(heart.update),
        "parts": {part: number(median(values)) for part, values in parts.items()},
    }
    expected = f"around 0.001 to 0.01 at the start, between {LOW:g} and {HIGH:g}"
    says = f"a step changes the weights by {heart.update:.2g} of their size (median over {len(heart.updates)} weights)"
    if not LOW <= heart.update <= HIGH:
        how = "lr = lr / 10" if heart.update > HIGH else "lr = 10 * lr"
        state = "failure" if heart.update > HIGH else "warning"
        return PreflightFinding(name, state, says, facts, expected, how)  # type: ignore[arg-type]
    return PreflightFinding(name, "ok", says, facts, expected)


def check_inputs_matter(trial: Trial, clock: Clock) -> PreflightFinding:
    """The outputs for other inputs; and, after learning by heart, the loss on zeros and on other mixtures."""
    name = "inputs-matter"
    mixtures, sources = trial.small
    others = mixtures.roll(1, 0) if len(mixtures) > 1 else mixtures.roll(mixtures.shape[-1] // 2, -1)
    with torch.no_grad():
        start = trial.copy(training=False)
        own, other = trial.estimates(start, mixtures), trial.estimates(start, others)
        change = float((own - other).norm() / own.norm().clamp(min=1e-20))
    facts: dict[str, object] = {"change_with_other_inputs": number(change)}
    expected = (
        f"outputs that change with the input, and a loss at least {MATTERS:.0%} of the way from a good estimate to "
        "noise higher on zeros or on other mixtures"
    )
    if change < IGNORED:
        return PreflightFinding(
            name, "failure", f"the outputs do not depend on the input: for other mixtures they change by {change:.1g}",
            facts, expected, "follow the mixture through forward: which line drops it?",
        )  # fmt: skip
    heart: Heart | None = trial.facts.get("heart")
    if heart is None or heart.model is None:
        return PreflightFinding(
            name, "ok", f"other inputs change the outputs by {change:.2g}", facts, expected
        )
    with torch.no_grad():
        losses = {
            "data": trial.value(trial.estimates(heart.model, mixtures), sources),
            "zeros": trial.value(trial.estimates(heart.model, torch.zeros_like(mixtures)), sources),
            "other mixtures": trial.value(trial.estimates(heart.model, others), sources),
        }
    facts |= {f"loss_on_{k.replace(' ', '_')}": number(v) for k, v in losses.items()}
    says = ", ".join(f"on {k} {v:.3g}" for k, v in losses.items())
    if max(losses["zeros"], losses["other mixtures"]) < losses["data"] + MATTERS * trial.span:
        return PreflightFinding(
            name, "warning", f"the inputs make no difference to the loss: {says}", facts, expected,
            "compare the targets with the mixtures, and the outputs with a constant",
        )  # fmt: skip
    return PreflightFinding(name, "ok", f"the loss after learning by heart is {says}", facts, expected)
