"""Pieces of losses as they stand in other projects, in order."""

import itertools
from collections.abc import Callable

import torch

from .case import World

__all__ = ["batch", "best_order", "si_snr", "snr"]


def si_snr(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """SI-SDR in dB along the last axis, with the constants that are usual in other projects."""
    estimate = estimate - estimate.mean(-1, keepdim=True)
    target = target - target.mean(-1, keepdim=True)
    dot = (estimate * target).sum(-1, keepdim=True)
    part = dot * target / (target.pow(2).sum(-1, keepdim=True) + 1e-8)
    noise = estimate - part
    return 10 * torch.log10(part.pow(2).sum(-1) / (noise.pow(2).sum(-1) + 1e-8) + 1e-8)


def snr(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """SNR in dB along the last axis."""
    error = (estimate - target).pow(2).sum(-1)
    return 10 * torch.log10(target.pow(2).sum(-1) / (error + 1e-8) + 1e-8)


def orders(estimates: torch.Tensor) -> list[list[int]]:
    """All orders of the sources."""
    return [list(p) for p in itertools.permutations(range(estimates.shape[1]))]


def best_order(each: Callable, estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """``[B]``: of ``each(estimates, sources)``, ``[B, S]``, the mean over sources in the best order of each example."""
    return torch.stack([each(estimates[:, p], sources).mean(1) for p in orders(estimates)]).min(0).values


def batch(world: World, count: int, size: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch in order: mixtures ``[B, T]`` and sources ``[B, S, T]``."""
    sources = torch.stack([world.voices.sources(world.seed + 7 * b, 2.0, count) for b in range(size)])
    return sources.sum(1), sources
