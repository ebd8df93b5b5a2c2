"""One pass forward and one back: activations that are alive, a gradient for every parameter, independent examples.

"Use backprop to chart dependencies" is from A. Karpathy, "A Recipe for Training Neural Networks" (2019): a gradient
from one example's output to another example's input shows a mistake in an axis. Dead and saturated activations:
Stanford's CS231n, "Neural Networks Part 3" (babysitting the learning process).

Notebook: 05_training
"""

import time
from collections.abc import Collection
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from .finding import PreflightFinding, number
from .trial import Clock, DetachedLossError, Skipped, Trial, TrialError

__all__ = ["check_activations", "check_gradients", "check_independence"]

DEAD = 0.99  # share of zeros of a ReLU, or of saturated values of a sigmoid or tanh
NEARLY_DEAD = 0.95
RECTIFIERS = ("relu", "relu_", "relu6", "prelu", "leaky_relu", "leaky_relu_", "threshold", "hardtanh")
SATURATING = {"sigmoid": (0.0, 1.0), "sigmoid_": (0.0, 1.0), "tanh": (-1.0, 1.0), "tanh_": (-1.0, 1.0)}
MANY_NAMES = 4  # written out in a sentence
LEVEL_DB = -100.0  # of an output, relative to its mixture: silent
DEPENDENT = 1e-4  # of an output's change, relative to the output
LARGE_NORM = 1e6  # of the whole gradient
STEP_SHARE = 0.02  # of the time for learning by heart that one step of it may take


class _Activations(TorchFunctionMode):
    """Notes each call of an activation function, as a module's or alone, with the module in which it happens."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.place: list[str] = []
        self.rows: list[tuple[str, str, float]] = []  # module, function, share that is dead
        self.handles = []
        for name, module in model.named_modules():
            self.handles.append(module.register_forward_pre_hook(lambda *_, n=name: self.place.append(n)))
            self.handles.append(module.register_forward_hook(self._leave))

    def _leave(self, *_) -> None:
        self.place.pop()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        kind = getattr(function, "__name__", "")
        if isinstance(result, torch.Tensor) and result.numel():
            values = result.detach()
            if kind in RECTIFIERS:
                dead = float((values == 0).float().mean())
                self.rows.append((self.place[-1] if self.place else "", kind.strip("_"), dead))
            elif kind in SATURATING:
                low, high = SATURATING[kind]
                edge = (high - low) / 200
                dead = float(((values < low + edge) | (values > high - edge)).float().mean())
                self.rows.append((self.place[-1] if self.place else "", kind.strip("_"), dead))
        return result

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()


def check_activations(trial: Trial, clock: Clock) -> PreflightFinding:
    """ReLU-like functions that give only zeros, sigmoids and tanhs that are saturated, outputs that are silent."""
    name = "activations"
    model = trial.copy()
    recorder = _Activations(model)
    try:
        with torch.no_grad(), recorder:
            estimates = trial.estimates(model, trial.small[0])
    except TrialError as error:
        raise Skipped(str(error)) from error
    finally:
        recorder.close()
    rows = sorted(recorder.rows, key=lambda row: -row[2])
    level = estimates.square().mean((0, 2)) / trial.small[0].square().mean().clamp(min=1e-20)
    level_db = 10 * torch.log10(level.double() + 1e-20)
    facts: dict[str, object] = {
        "activations": len(rows),
        "dead_share": {f"{place} ({kind})": number(dead) for place, kind, dead in rows[:8]},
        "outputs_to_mixture_db": [number(v) for v in level_db],
    }
    expected = f"less than {NEARLY_DEAD:.0%} zeros after a ReLU, or values at the edges of a sigmoid or tanh"
    remedy = "mask_act='sigmoid'  # or smaller weights and a bias of zero in the layer before it"
    dead = [(place, kind) for place, kind, share in rows if share >= DEAD]
    if dead:
        place, kind = dead[0]
        return PreflightFinding(
            name, "failure", f"{rows[0][2]:.0%} of the values of {place or 'a function'} ({kind}) are "
            f"{'zero' if kind in RECTIFIERS else 'saturated'}: no gradient passes", facts, expected, remedy,
        )  # fmt: skip
    silent = [i for i, v in enumerate(level_db) if v < LEVEL_DB]
    if silent:
        return PreflightFinding(
            name, "failure", f"output {silent[0] + 1} is silent: {level_db[silent[0]]:.0f} dB relative to the mixture",
            facts, f"over {LEVEL_DB:g} dB: the gradient of SI-SDR at silence is zero", remedy,
        )  # fmt: skip
    if rows and rows[0][2] >= NEARLY_DEAD:
        place, kind, share = rows[0]
        return PreflightFinding(
            name, "warning", f"{share:.0%} of the values of {place} ({kind}) are zero or saturated", facts, expected,
            remedy,
        )  # fmt: skip
    most = f", at most {rows[0][2]:.0%} of one's values are zero or saturated" if rows else ""
    return PreflightFinding(name, "ok", f"{len(rows)} activation functions{most}", facts, expected)


def check_gradients(trial: Trial, clock: Clock, frozen: Collection[str] = ()) -> PreflightFinding:
    """After one ``backward`` on the small batch: a finite gradient in every parameter, and from every output."""
    name = "gradients"
    model = trial.copy()
    parameters = dict(model.named_parameters())
    start = time.monotonic()
    try:
        trial.backward(model, trial.small)
    except DetachedLossError:
        trial.facts["detached"] = True
        held = [n for n, p in parameters.items() if p.requires_grad]
        why = "every parameter is frozen" if not held else "it was computed from detached values"
        return PreflightFinding(
            name, "failure", f"no gradient leads from the loss to the model: {why}",
            {"trained_parameters": len(held)}, "a gradient for every parameter",
            "loss = loss_of(estimates, sources)  # without .detach(), .item(), .numpy() or no_grad on the way",
        )  # fmt: skip
    except TrialError as error:
        trial.facts["detached"] = True
        return PreflightFinding(
            name,
            "failure",
            str(error),
            {},
            "backward runs",
            "loss.backward()  # alone, and read the whole traceback",
        )
    trial.facts["small_step"] = time.monotonic() - start
    layers: list[dict[str, Any]] = []
    missing, zero, broken, still = [], [], [], []
    for n, p in parameters.items():
        if not p.requires_grad:
            still.append(n)
            continue
        if p.grad is None:
            missing.append(n)
            continue
        norm = float(p.grad.norm())
        layers.append({"name": n, "weight": float(p.detach().norm()), "gradient": norm, "size": p.numel()})
        if not torch.isfinite(p.grad).all():
            broken.append(n)
        elif norm == 0:
            zero.append(n)
    trial.facts["layers"] = layers
    trial.facts["zero"] = zero
    total = sum(row["gradient"] ** 2 for row in layers) ** 0.5
    facts: dict[str, object] = {
        "parameters": len(parameters), "norm": number(total), "without": missing, "zero": zero,
        "not_finite": broken, "frozen": still,
    }  # fmt: skip
    expected = "a finite gradient that is not zero for every parameter"
    if broken:
        return PreflightFinding(
            name, "failure", f"the gradient of {_names(broken)} is not finite", facts, expected,
            "torch.autograd.set_detect_anomaly(True)  # names the operation",
        )  # fmt: skip
    if missing:
        return PreflightFinding(
            name, "failure", f"no gradient reaches {_names(missing)} ({len(missing)} of {len(parameters)} parameters)",
            facts, expected, "look for .detach(), no_grad or a module that forward does not call",
        )  # fmt: skip
    if trial.facts.get("left_out"):
        names = trial.facts["left_out"]
        return PreflightFinding(
            name, "failure", f"the optimiser does not hold {_names(names)} ({len(names)} of {len(parameters)})",
            facts | {"left_out": names}, "every trained parameter is in the optimiser",
            "optimizer = torch.optim.Adam(model.parameters())  # after the model is complete and on its device",
        )  # fmt: skip
    deaf = _outputs_without(trial)
    if deaf:
        return PreflightFinding(
            name, "failure", f"no gradient leads from the loss to output {deaf[0]}", facts | {"outputs_without": deaf},
            "every output has a gradient", "loss = PITLossWrapper(pairwise_neg_sisdr)  # every output, none detached",
        )  # fmt: skip
    dead = [n for n in zero if parameters[n].dim() >= 2 and not _opens_later(trial, n)]
    if dead:
        return PreflightFinding(
            name, "failure", f"the gradient of {_names(dead)} is zero ({len(dead)} of {len(parameters)} parameters)",
            facts, expected, "look at the activation after it: where it is constant, no gradient passes",
        )  # fmt: skip
    unplanned = [n for n in still if not any(n == part or n.startswith(f"{part}.") for part in frozen)]
    if unplanned:
        share = sum(parameters[n].numel() for n in unplanned) / sum(p.numel() for p in parameters.values())
        return PreflightFinding(
            name, "warning", f"{_names(unplanned)} are frozen: {share:.0%} of the model's numbers are not trained",
            facts, "every parameter is trained, but for the parts named in frozen",
            "model.requires_grad_(True)  # or preflight(..., frozen=[...]) if it is meant",
        )  # fmt: skip
    if total > LARGE_NORM and not trial.clip:
        return PreflightFinding(
            name, "warning", f"the gradient's norm is {total:.2g}", facts, f"below {LARGE_NORM:g}, or clipped",
            "torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)",
        )  # fmt: skip
    says = f"all {len(layers)} trained parameters have a gradient; its norm is {total:.3g}"
    if trial.clip and total > trial.clip:
        says += f", clipped to {trial.clip:g}"
    if still:
        says += f"; {len(still)} are frozen, as planned"
    return PreflightFinding(name, "ok", says, facts, expected)


def _names(names: list[str]) -> str:
    rest = f" and {len(names) - MANY_NAMES} more" if len(names) > MANY_NAMES else ""
    return ", ".join(names[:MANY_NAMES]) + rest


def _outputs_without(trial: Trial) -> list[int]:
    """Numbers, from 1, of the outputs to which no gradient leads from the loss."""
    with torch.no_grad():
        estimates = trial.estimates(trial.copy(), trial.small[0])
    estimates = estimates.clone().requires_grad_(True)
    loss = trial.loss_of(estimates, trial.small[1])
    if not loss.requires_grad:
        return []
    (gradient,) = torch.autograd.grad(loss, estimates, allow_unused=True)
    if gradient is None:
        return []
    return [i for i, v in enumerate(gradient.abs().amax((0, 2)), 1) if not v > 0]


def _opens_later(trial: Trial, parameter: str) -> bool:
    """Whether the parameter gets a gradient after a few steps: behind a gain of zero it is zero at first only."""
    if "later" not in trial.facts:
        model = trial.copy()
        optimizer = trial.make_optimizer(model)
        for _ in range(3):
            trial.step(model, optimizer, trial.small)
        trial.facts["later"] = {
            n for n, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())
        }
    return parameter in trial.facts["later"]


def check_independence(trial: Trial, clock: Clock) -> PreflightFinding:
    """The gradient from the first example's output to the inputs of the others, in evaluation mode."""
    name = "independence"
    mixtures = trial.small[0]
    if len(mixtures) < 2:
        raise Skipped("a batch of one example")
    expected = "exactly zero: each output depends on its own mixture"
    share = _dependence(trial, mixtures, training=False)
    facts: dict[str, object] = {"dependence": number(share)}
    if share > DEPENDENT:
        return PreflightFinding(
            name, "failure", "the outputs of an example depend on the other examples of its batch", facts, expected,
            "look for a mean, softmax, reshape or norm over axis 0",
        )  # fmt: skip
    says = "outputs depend on their own example only"
    if any(isinstance(m, _BatchNorm) for m in trial.start.modules()):
        return PreflightFinding(
            name,
            "ok",
            f"{says} in evaluation; in training batch norm uses the statistics of the batch",
            facts,
            expected,
        )
    training = _dependence(trial, mixtures, training=True)
    facts["dependence_in_training"] = number(training)
    if training > DEPENDENT:
        return PreflightFinding(
            name, "warning", "in training, and not in evaluation, outputs depend on the other examples", facts,
            expected, "look for a mean, softmax, reshape or norm over axis 0 that only training uses",
        )  # fmt: skip
    return PreflightFinding(name, "ok", says, facts, expected)


def _dependence(trial: Trial, mixtures: torch.Tensor, training: bool) -> float:
    """Size of the gradient of the first output by the other inputs, relative to that by its own; 0 if independent."""
    inputs = mixtures.clone().requires_grad_(True)
    # cuDNN's RNNs can be differentiated in training mode only.
    with torch.backends.cudnn.flags(enabled=False):
        output = trial.estimates(trial.copy(training), inputs)[0]
        if not output.requires_grad:
            return 0.0
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(0)).to(output)
        (gradient,) = torch.autograd.grad((output * weights).sum(), inputs, allow_unused=True)
    if gradient is None:
        return 0.0
    norms = gradient.flatten(1).norm(dim=1)
    return float(norms[1:].amax() / norms[0].clamp(min=1e-30)) if float(norms[1:].amax()) > 0 else 0.0
