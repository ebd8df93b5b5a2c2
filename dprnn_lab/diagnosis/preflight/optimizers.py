"""The optimiser of a training, made again for a copy of its model.

Notebook: 05_training
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...training.muon import MuonAdam

__all__ = ["OPTIMIZERS", "left_out", "optimizer_maker", "rates", "scale_rates"]

OPTIMIZERS = ("muon", "adam", "adamw", "sgd")


def optimizer_maker(
    model: nn.Module, optimizer: Any, rate: float | None
) -> tuple[Callable[[nn.Module], torch.optim.Optimizer], float]:
    """A function from a copy of ``model`` to its optimiser, and the highest learning rate in it.

    Args:
        optimizer: a name; a class or function of ``(parameters, lr=rate)``; or the optimiser of ``model`` itself, of
            which the settings are taken, not the state.
        rate: None for 1e-3, or for the rates of the optimiser given.

    Raises:
        ValueError, TypeError: an unknown name, or something else.
    """
    if rate is not None and not rate > 0:
        raise ValueError(f"lr is {rate}: it must be above 0")
    if isinstance(optimizer, MuonAdam):
        rate = rate or max(group["lr"] for group in optimizer.param_groups)
        optimizer = "muon"
    if isinstance(optimizer, torch.optim.Optimizer):
        return _like(model, optimizer, rate)
    rate = 1e-3 if rate is None else float(rate)
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is {optimizer!r}: choose {', '.join(OPTIMIZERS)}, or give your own")
        return (lambda copy: _by_name(copy, optimizer, rate)), rate
    if callable(optimizer):
        return (lambda copy: optimizer(_trained(copy), lr=rate)), rate
    raise TypeError(f"optimizer is {type(optimizer).__name__}: give a name, a class or an optimiser")


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def _by_name(model: nn.Module, name: str, rate: float) -> torch.optim.Optimizer:
    parameters = _trained(model)
    matrices = {p.dim() == 2 for p in parameters}
    if name == "muon" and matrices == {True, False}:
        return MuonAdam(model, rate)
    if name == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=0.9)
    return (torch.optim.AdamW if name == "adamw" else torch.optim.Adam)(parameters, rate)


def _like(
    model: nn.Module, optimizer: torch.optim.Optimizer, rate: float | None
) -> tuple[Callable[[nn.Module], torch.optim.Optimizer], float]:
    """An optimiser of the same type and settings; parameters are found by their names in the model."""
    own = getattr(model, "_orig_mod", model)
    if isinstance(own, nn.DataParallel | nn.parallel.DistributedDataParallel):
        own = own.module
    names = {id(parameter): name for name, parameter in own.named_parameters()}
    highest = max(group["lr"] for group in optimizer.param_groups)
    factor = 1.0 if rate is None else rate / highest

    def make(copy: nn.Module) -> torch.optim.Optimizer:
        parameters = dict(copy.named_parameters())
        groups = []
        for group in optimizer.param_groups:
            held = [parameters[names[id(p)]] for p in group["params"] if id(p) in names]
            settings = {k: v for k, v in group.items() if k not in ("params", "initial_lr")}
            if held:
                groups.append({**settings, "params": held, "lr": group["lr"] * factor})
        if not groups:
            raise ValueError("the optimiser holds no parameter of the model")
        return type(optimizer)(groups)  # type: ignore[call-arg]  # its settings are in the groups

    return make, highest * factor


def left_out(model: nn.Module, optimizer: Any) -> list[str]:
    """Names of the trained parameters that the user's optimiser does not hold."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return []
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]


def rates(optimizer: torch.optim.Optimizer) -> list[float]:
    """The learning rate of each group."""
    return [float(group["lr"]) for group in optimizer.param_groups]


def scale_rates(optimizer: torch.optim.Optimizer, base: list[float], factor: float) -> None:
    """Set the rate of each group to ``factor`` times its base."""
    for group, rate in zip(optimizer.param_groups, base, strict=True):
        group["lr"] = rate * factor
