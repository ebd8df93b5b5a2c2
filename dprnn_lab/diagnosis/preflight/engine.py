"""``preflight``: run every check on copies of the training, within a budget of time, and report.

Notebook: 05_training
"""

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ...audio import SAMPLE_RATE
from ...loss import PITLossWrapper, pairwise_neg_sisdr
from .before_training import check_loss_at_start, check_loss_direction, check_outputs, check_targets
from .finding import CHECKS, PreflightFinding
from .gates import check_gates
from .guard import unchanged
from .learning import STEPS as HEART_STEPS
from .learning import check_inputs_matter, check_learn_by_heart, check_update_size
from .material import Material, fill, read_material
from .optimizers import left_out, optimizer_maker
from .passes import check_activations, check_gradients, check_independence
from .range_test import STEPS as SWEEP_STEPS
from .range_test import check_learning_rate
from .report import Layer, PreflightReport
from .running import check_cost, check_reading
from .trial import Clock, DetachedLossError, Skipped, Trial, TrialError

__all__ = ["check_budget", "preflight"]

# What can be looked at without the outputs of the model.
WITHOUT_OUTPUTS = ("outputs", "targets", "loss-direction", "reading")
STEPPING_SHARE = 0.5  # of the budget, for the steps of the sweep and of the learning by heart


def check_budget(budget_s: float) -> None:
    """Raise a ValueError for a time (seconds) in which nothing can be looked at."""
    if not budget_s > 0:
        raise ValueError(f"budget_s is {budget_s:g}: give seconds above 0")


def preflight(
    model: nn.Module,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    data: Any = None,
    optimizer: Any = "adam",
    lr: float | None = None,
    seed: int = 0,
    budget_s: float = 60.0,
    *,
    clip: float = 5.0,
    batch_size: int = 4,
    seconds: float = 1.0,
    sample_rate: float | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    frozen: Collection[str] = (),
) -> PreflightReport:
    """Look at a training before a long run: would it learn, at this learning rate, and what will it cost?

    The list is that of training guides: A. Karpathy, "A Recipe for Training Neural Networks" (2019); Stanford's CS231n,
    "Neural Networks Part 3"; L. N. Smith (arXiv 1506.01186) for the range test. Each check names its source.

    Everything happens on copies. The model with its modes, buffers and gradients, the optimiser, the loss and all
    random state are afterwards as they were, also when an exception is raised.

    Args:
        model: any module from ``[B, T]`` or ``[B, 1, T]`` to ``[B, S, T]``, in any floating precision, on any device.
        loss: of estimates and sources ``[B, S, T]``; None for PIT with negative SI-SDR.
        data: a batch ``(mixtures [B, T], sources [B, S, T])``, a ``DataLoader`` of such, a dataset of items
            ``(mixture [T], sources [S, T])``, or :class:`dprnn_lab.training.MixingData`; None for the bundled voices.
        optimizer: "muon", "adam", "adamw" or "sgd" (with momentum 0.9); a class or function of
            ``(parameters, lr=...)``; or your optimiser of this model, whose settings are taken.
        lr: the learning rate asked for; None for that of the optimiser given, or 1e-3.
        seed: of everything random here.
        budget_s: seconds for all checks; a check that has to stop early says so.
        clip: largest norm of the gradient in your training; 0 for no clipping.
        batch_size, seconds: of the batches drawn from the bundled voices, or from a dataset.
        sample_rate: Hz; None for that of the model, or 8000.
        steps, minutes: of the run that is planned, for the estimate of its cost.
        frozen: parts that are not trained on purpose, such as "encoder".

    Raises:
        TypeError, ValueError: a model, data or optimiser of another kind, or settings out of range.

    >>> from dprnn_lab import DPRNNTasNet
    >>> from dprnn_lab.datasets import DynamicMixing
    >>> mixtures = DynamicMixing.from_corpus(samples=4000, size=40)
    >>> small = DPRNNTasNet(n_filters=16, bn_chan=16, hid_size=16, chunk_size=20, n_repeats=1)
    >>> report = preflight(small, data=mixtures, lr=1e-3, budget_s=20)
    >>> report["gradients"].state, report.exit_code
    ('ok', 0)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {type(model).__name__}: give a torch module")
    check_budget(budget_s)
    if loss is not None and not callable(loss):
        raise TypeError(f"loss is {type(loss).__name__}: give a function of estimates and sources")
    start = time.monotonic()
    make, rate = optimizer_maker(model, optimizer, lr)
    hz = float(sample_rate or getattr(model, "sample_rate", None) or SAMPLE_RATE)
    loss = PITLossWrapper(pairwise_neg_sisdr) if loss is None else loss
    with unchanged(model):
        torch.manual_seed(seed)
        trial = Trial(model, loss, make, hz, clip, rate)
        trial.facts["left_out"] = left_out(model, optimizer)
        try:
            n_src = trial.probe(round(seconds * hz))
            unusable = None
        except TrialError as error:
            n_src, unusable = 2, str(error)
        material = read_material(data, n_src, hz, batch_size, seconds, seed)
        with unchanged(model, *material.generators):
            fill(material)
            trial.take(material)
            _warm_up()
            findings = _run_checks(trial, material, budget_s, start, seed, unusable, frozen, steps, minutes)
    return PreflightReport(
        findings, time.monotonic() - start, trial.facts.get("range_test"), _layers(trial), budget_s
    )


def _warm_up() -> None:
    """One step on one number: the first step of an optimiser in a process imports for seconds."""
    number = nn.Parameter(torch.zeros(()))
    number.square().backward()
    torch.optim.Adam([number]).step()


def _run_checks(
    trial: Trial,
    material: Material,
    budget: float,
    start: float,
    seed: int,
    unusable: str | None,
    frozen: Collection[str],
    steps: int | None,
    minutes: float | None,
) -> list[PreflightFinding]:
    """In order; what a check does not use of its time goes to those after it."""
    functions: dict[str, Callable[[Trial, Clock], PreflightFinding]] = {
        "outputs": check_outputs, "targets": check_targets, "loss-direction": check_loss_direction,
        "activations": check_activations, "gates": check_gates,
        "gradients": lambda t, c: check_gradients(t, c, frozen),
        "loss-at-start": check_loss_at_start, "independence": check_independence,
        "learn-by-heart": check_learn_by_heart, "learning-rate": check_learning_rate, "update-size": check_update_size,
        "inputs-matter": check_inputs_matter, "cost": lambda t, c: check_cost(t, c, steps, minutes),
        "reading": lambda t, c: check_reading(t, c, material),
    }  # fmt: skip
    found: dict[str, PreflightFinding] = {}
    shares = sum(check.share for check in CHECKS.values())
    for name, check in CHECKS.items():
        left = budget - (time.monotonic() - start)
        clock = Clock(left * check.share / shares if shares > 1e-9 else left, 0.8 * left)
        shares -= check.share
        began = time.monotonic()
        torch.manual_seed(seed)
        if name == "outputs" and unusable is not None:
            found[name] = PreflightFinding(
                name, "failure", unusable, expected="[B, T] or [B, 1, T] to [B, S, T]",
                remedy="model(torch.randn(2, 8000))  # alone, and read the whole traceback",
            )  # fmt: skip
        elif name not in WITHOUT_OUTPUTS and found["outputs"].state == "failure":
            found[name] = _not_looked(name, "the model gives no usable outputs", "outputs")
        elif left <= 0 and check.share:
            found[name] = replace(_not_looked(name, "no time was left"), cut_short="everything")
        else:
            found[name] = replace(_run(functions[name], name, trial, clock), seconds=time.monotonic() - began)
        if name == "gradients":
            _fit_to_time(trial, budget)
    return [_explained(finding, found) for finding in found.values()]


def _run(
    function: Callable[[Trial, Clock], PreflightFinding], name: str, trial: Trial, clock: Clock
) -> PreflightFinding:
    try:
        return function(trial, clock)
    except Skipped as reason:
        return _not_looked(name, str(reason))
    except DetachedLossError as error:
        return _not_looked(name, str(error), "gradients")
    except TrialError as error:
        return PreflightFinding(
            name, "failure", str(error), remedy="run this line alone, and read its traceback"
        )
    except Exception as error:  # one check that fails must not hide the others
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        return PreflightFinding(
            name, "error", f"the check itself failed: {type(error).__name__}: {first[:200]}",
            {"error": type(error).__name__}, remedy="report it with the model and the loss: nothing is known here",
        )  # fmt: skip


def _not_looked(name: str, reason: str, cause: str | None = None) -> PreflightFinding:
    return PreflightFinding(name, "note", f"not looked at: {reason}", follows_from=cause)


def _explained(finding: PreflightFinding, found: dict[str, PreflightFinding]) -> PreflightFinding:
    """A bad finding whose cause was found is a note that names the cause."""
    if finding.state not in ("failure", "warning"):
        return finding
    cause = next((c for c in CHECKS[finding.id].follows if c in found and found[c].state == "failure"), None)
    return finding if cause is None else replace(finding, state="note", follows_from=cause)


def _fit_to_time(trial: Trial, budget: float) -> None:
    """Shorten the small batch if the steps on it would not fit into their share of the budget."""
    seconds = trial.facts.get("small_step")
    if seconds is None:
        return
    wanted = STEPPING_SHARE * budget / (HEART_STEPS + SWEEP_STEPS)
    if seconds <= wanted:
        return
    before = trial.small
    trial.shorten(min(8.0, seconds / wanted))
    try:
        with torch.no_grad():
            fits = trial.estimates(trial.copy(), trial.small[0]).shape == trial.small[1].shape
            trial.loss_of(trial.small[1], trial.small[1])
    except TrialError:
        fits = False
    if fits:
        trial.facts["small_step"] *= trial.small[0].shape[-1] / before[0].shape[-1]
    else:  # a model of one fixed length
        trial.small = before


def _layers(trial: Trial) -> list[Layer]:
    """Sizes of gradients and updates, for each trained parameter."""
    heart = trial.facts.get("heart")
    updates = {} if heart is None else {n: sum(v) / len(v) for n, v in heart.updates.items()}
    return [
        Layer(row["name"], row["weight"], row["gradient"], updates.get(row["name"]))
        for row in trial.facts.get("layers", [])
    ]
