"""A case: what somebody brings to `diagnose`, and which answers are right."""

import importlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from .voices import Voices

__all__ = ["PLANNED", "Case", "World", "all_cases", "fault", "healthy"]

FAULTS = (
    "faults_weights", "faults_config", "faults_audio", "faults_recording", "faults_outputs", "faults_losses",
    "faults_data", "faults_runs",
)  # fmt: skip
HEALTHY = ("healthy_losses", "healthy_networks", "healthy_audio", "healthy_data", "healthy_runs")

# Ids that the catalogue is to get; until then they stand beside the id that comes closest.
PLANNED = (
    "unseen-speakers", "one-speaker", "sign-of-loss", "detached-loss", "late-estimates", "nan-run",
)  # fmt: skip


class World:
    """What a case may use: a folder of its own, real voices, random numbers that depend on its name alone."""

    def __init__(self, name: str, folder: Path, voices: Voices):
        self.folder, self.voices = folder, voices
        self.seed = zlib.crc32(name.encode()) % 100_000

    @cached_property
    def random(self) -> torch.Generator:
        """The case's random numbers."""
        return torch.Generator().manual_seed(self.seed)

    def noise(self, *shape: int) -> torch.Tensor:
        """White Gaussian noise of power 1."""
        return torch.randn(*shape, generator=self.random)


@dataclass(frozen=True)
class Case:
    """One project that somebody brings.

    Args:
        name: unique.
        group: the file it is in, without "faults_" or "healthy_".
        sees: what its user sees.
        expect: catalogue ids that count as "named": the right one first, then those that a fair judge accepts. Empty
            for a healthy case.
        make: from a `World` to the arguments of `diagnose`.
    """

    name: str
    group: str
    sees: str
    expect: tuple[str, ...]
    make: Callable[[World], dict[str, Any]]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.expect


_CASES: dict[str, Case] = {}


def _add(make: Callable[[World], dict[str, Any]], expect: tuple[str, ...]) -> None:
    name = make.__name__.replace("_", " ")
    if name in _CASES:
        raise ValueError(f"two cases are called {name!r}: choose another name")
    group = make.__module__.rpartition(".")[2].partition("_")[2]
    _CASES[name] = Case(name, group, " ".join((make.__doc__ or "").split()), expect, make)


def fault(*expect: str) -> Callable[[Callable], Callable]:
    """Register a broken project: the function's name is the case's, its docstring says what the user sees."""

    def decorate(make: Callable[[World], dict[str, Any]]) -> Callable:
        _add(make, expect)
        return make

    return decorate


def healthy(make: Callable[[World], dict[str, Any]]) -> Callable:
    """Register a project in which nothing is wrong."""
    _add(make, ())
    return make


def all_cases() -> list[Case]:
    """All cases, faults first, in the order of their files."""
    for module in (*FAULTS, *HEALTHY):
        importlib.import_module(f"{__package__}.{module}")
    return list(_CASES.values())
