"""Which layers of a network still have their random initial values, judged from the values alone.

PyTorch draws the weights and biases of LSTM, GRU, linear and convolution layers uniformly between -k and k, with
k = 1/sqrt(hidden units) or 1/sqrt(inputs). Such a layer has no value beyond k, some close to it, and a mean square
of k^2 / 3 within chance. Training moves some values over the bound and changes the mean square: a layer that still
meets all three conditions was neither loaded nor trained. Norms start with gains of exactly one and biases of
exactly zero, PReLU at 0.25, the filters of encoder and decoder as Gaussian noise (Glorot and Bengio, 2010).

Notebook: 06_failures_at_inference
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

__all__ = ["Layer", "layers"]

SIGMAS = 5  # tolerance of the mean square: one random layer in two million lies outside
MOST_SPREAD = (
    0.5  # of that tolerance, relative: with few filters, training is within five deviations of noise too
)
MIN_NUMBERS = 32  # parameters: with fewer, the distribution says nothing


@dataclass(frozen=True)
class Layer:
    """One layer's parameters, and whether they look initial."""

    name: str
    kind: str  # "uniform", "gaussian" or "constant" (norms, PReLU): how such a layer starts
    numbers: int
    fresh: bool  # with its initial values
    dead: bool  # a weight matrix of one value throughout
    finite: bool


def layers(model: nn.Module) -> list[Layer]:
    """Every layer whose initialisation is known, of this package or Asteroid, in the order of the model."""
    found = []
    for name, module in model.named_modules():
        own = {n: p.detach() for n, p in module.named_parameters(recurse=False)}
        if own:
            layer = _describe(name, module, own)
            if layer is not None:
                found.append(layer)
    return found


def _describe(name: str, module: nn.Module, own: dict[str, torch.Tensor]) -> Layer | None:
    numbers = sum(p.numel() for p in own.values())
    flat = torch.cat([p.flatten().double() for p in own.values()])
    finite = bool(flat.isfinite().all())
    matrices = [p for p in own.values() if p.dim() > 1 and p.numel() >= MIN_NUMBERS]
    dead = any(bool((p == p.flatten()[0]).all()) for p in matrices)
    if isinstance(module, nn.RNNBase):
        kind, fresh = "uniform", _uniform(flat, 1 / math.sqrt(module.hidden_size))
    elif isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
        kind, fresh = "uniform", _uniform(flat, 1 / math.sqrt(own["weight"][0].numel()))
    elif any(n in ("filters", "_filters") for n in own):
        weights = next(iter(own.values()))
        kind, fresh = "gaussian", _gaussian(weights.double())
    elif isinstance(module, nn.PReLU):
        kind, fresh, dead = "constant", bool((flat == 0.25).all()), False
    elif {"gain", "bias"} <= own.keys() or {"gamma", "beta"} <= own.keys():
        gain, bias = (own["gain"], own["bias"]) if "gain" in own else (own["gamma"], own["beta"])
        kind, fresh = "constant", bool((gain == 1).all() and (bias == 0).all())
    else:
        return None
    return Layer(name or type(module).__name__, kind, numbers, fresh and finite, dead, finite)


def _uniform(numbers: torch.Tensor, bound: float) -> bool:
    """Whether these can be uniform draws from -bound to bound."""
    count = len(numbers)
    largest = float(numbers.abs().max())
    # The largest of n draws is below (1 - c) of the bound with probability (1 - c)^n. Half precision rounds.
    if count < MIN_NUMBERS or largest > bound * 1.001 or largest < bound * (1 - max(1e-3, 20 / count)):
        return False
    chance = bound**2 * math.sqrt(4 / 45 / count)
    return abs(float(numbers.square().mean()) - bound**2 / 3) < SIGMAS * chance


def _gaussian(filters: torch.Tensor) -> bool:
    """Whether ``[N, 1, K]`` can be independent draws of noise with Glorot's variance."""
    count = filters.numel()
    n_filters, kernel_size = filters.shape[0], filters.shape[-1]
    variance = 2 / (kernel_size + n_filters * kernel_size)
    tolerance = min(MOST_SPREAD, SIGMAS * math.sqrt(2 / count))
    if count < MIN_NUMBERS or abs(float(filters.square().mean()) / variance - 1) > tolerance:
        return False
    if kernel_size < 2:
        return True
    neighbours = float((filters[..., 1:] * filters[..., :-1]).mean()) / variance
    return abs(neighbours) < SIGMAS / math.sqrt(count)
