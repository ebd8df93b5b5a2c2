"""The training under test: copies of its model, its batch, its loss, and single steps of it.

Notebook: 05_training
"""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .guard import copied
from .material import Material

__all__ = ["Clock", "DetachedLossError", "Skipped", "Trial", "TrialError"]

HEART_EXAMPLES = 2  # of the small batch
HEART_SECONDS = 1.0
NEAR_NOISE = 0.1  # of a good estimate, relative to the target: 20 dB


class Skipped(Exception):
    """A check cannot look, because something before it is broken or missing."""


class TrialError(Exception):
    """The user's model or loss raised an exception, or returned something else than agreed."""


class DetachedLossError(TrialError):
    """No gradient leads from the loss to the model."""


class Clock:
    """The time of one check: ``seconds`` of its own, and up to ``limit`` for what it cannot do without."""

    def __init__(self, seconds: float, limit: float | None = None):
        self.start = time.monotonic()
        self.seconds = max(0.0, seconds)
        self.end = self.start + self.seconds
        self.last = self.start + max(self.seconds, limit or 0.0)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    @property
    def over(self) -> bool:
        """Whether no time is left."""
        return self.left <= 0

    @property
    def all_over(self) -> bool:
        """Whether the limit is reached too."""
        return time.monotonic() >= self.last


class Trial:
    """One training, prepared.

    Attributes:
        start: the copied model as it was given; never trained.
        mixtures, sources: the full batch ``[B, T]``, ``[B, S, T]``, in the model's precision and on its device.
        small: the same, at most 2 examples of at most a second.
        channel: whether the model takes ``[B, 1, T]``.
        rate: the learning rate asked for; with groups of several rates the highest.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable,
        make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        sample_rate: float,
        clip: float,
        rate: float,
    ):
        self.start = copied(model)
        self.loss = copied(loss) if isinstance(loss, nn.Module) else loss
        self.make_optimizer, self.sample_rate = make_optimizer, sample_rate
        self.clip, self.rate = clip, rate
        self.given_in_training = model.training
        parameter = next((p for p in self.start.parameters() if p.is_floating_point()), torch.zeros(()))
        self.dtype, self.device = parameter.dtype, parameter.device
        self.channel = False
        self.mixtures = self.sources = torch.empty(0)
        self.small: tuple[torch.Tensor, torch.Tensor] = (self.mixtures, self.sources)
        self._references: dict[str, float] = {}
        self.facts: dict[str, Any] = {}  # what one check measures and another needs

    def probe(self, samples: int) -> int:
        """Find out whether the model takes ``[B, T]`` or ``[B, 1, T]``, and return its number of outputs S.

        Raises:
            TrialError: it takes neither, or returns another shape than ``[B, S, T]``.
        """
        noise = 0.05 * torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
        errors = []
        for self.channel in (False, True):
            try:
                with torch.no_grad():
                    output = self.estimates(self.copy(), noise.to(self.device, self.dtype))
            except TrialError as error:
                errors.append(str(error))
                continue
            return output.shape[1]
        self.channel = False
        raise TrialError(f"with mixtures [B, T] {errors[0]}; with [B, 1, T] {errors[1]}")

    def take(self, material: Material) -> None:
        """Take the batch from the data."""
        self.mixtures = material.mixtures.to(self.device, self.dtype)
        self.sources = material.sources.to(self.device, self.dtype)
        samples = min(self.mixtures.shape[-1], round(HEART_SECONDS * self.sample_rate))
        self.small = self._excerpt(samples)

    def shorten(self, factor: float) -> None:
        """Make the small batch shorter, for a model that is slow."""
        samples = int(self.small[0].shape[-1] / factor)
        self.small = self._excerpt(max(samples, min(1000, self.small[0].shape[-1])))

    def _excerpt(self, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the first examples, the excerpt in which the quietest source is loudest."""
        mixtures, sources = self.mixtures[:HEART_EXAMPLES], self.sources[:HEART_EXAMPLES]
        last = mixtures.shape[-1] - samples
        starts = sorted({round(last * part / 7) for part in range(8)})
        begin = max(starts, key=lambda s: float(sources[..., s : s + samples].square().mean(-1).min()))
        return mixtures[:, begin : begin + samples], sources[..., begin : begin + samples]

    def copy(self, training: bool = True) -> nn.Module:
        """The model at its start."""
        return copied(self.start).train(training)

    def estimates(self, model: nn.Module, mixtures: torch.Tensor) -> torch.Tensor:
        """``[B, T]`` to ``[B, S, T']``.

        Raises:
            TrialError: an exception of the model, or another shape.
        """
        try:
            output = model(mixtures.unsqueeze(1) if self.channel else mixtures)
        except Exception as error:  # a user's model may raise anything
            raise TrialError(f"the model raises {_in_words(error)}") from error
        if not isinstance(output, torch.Tensor):
            raise TrialError(f"the model returns {type(output).__name__} and not one tensor [B, S, T]")
        if output.dim() != 3 or len(output) != len(mixtures):
            raise TrialError(
                f"the model returns shape {list(output.shape)} for {len(mixtures)} mixtures and not [B, S, T]"
            )
        return output

    def loss_of(self, estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """The loss, a scalar; a loss per example is averaged.

        Raises:
            TrialError: an exception of the loss, or no tensor or number from it.
        """
        try:
            value = self.loss(estimates, sources)
        except Exception as error:  # a user's loss may raise anything
            raise TrialError(
                f"the loss raises {_in_words(error)} on estimates {list(estimates.shape)} and targets "
                f"{list(sources.shape)}"
            ) from error
        if isinstance(value, int | float):
            value = torch.tensor(float(value))
        if not isinstance(value, torch.Tensor):
            raise TrialError(f"the loss returns {type(value).__name__} and not a tensor")
        return value.mean()

    @torch.no_grad()
    def value(self, estimates: torch.Tensor, sources: torch.Tensor) -> float:
        """The loss as a number."""
        return float(self.loss_of(estimates, sources))

    def references(self) -> dict[str, float]:
        """The loss of stand-ins for an estimate: the target, also at 20 dB, the mixture, noise of its level, silence.

        Raises:
            TrialError: the loss raises an exception.
        """
        if not self._references:
            mixtures, sources = self.mixtures, self.sources
            generator = torch.Generator().manual_seed(0)
            noise = torch.randn(sources.shape, generator=generator, dtype=torch.float64).to(sources)
            level = sources.square().mean(-1, keepdim=True).sqrt()
            loudness = mixtures.square().mean(-1)[:, None, None].sqrt()
            near = sources + NEAR_NOISE * level * noise
            self._references = {
                "target": self.value(sources.clone(), sources),
                "good": self.value(near, sources),
                "good, other order": self.value(near.flip(1), sources),
                "mixture": self.value(mixtures.unsqueeze(1).expand_as(sources).contiguous(), sources),
                "noise": self.value(loudness * noise, sources),
                "silence": self.value(torch.zeros_like(sources), sources),
            }
        return self._references

    @property
    def span(self) -> float:
        """The way from the loss of noise to that of a good estimate."""
        return abs(self.references()["noise"] - self.references()["good"])

    @property
    def trained_already(self) -> bool:
        """Whether the loss at the start is lower than that of all stand-ins but the target."""
        losses = self.references()
        least = min(losses[k] for k in ("mixture", "noise", "silence"))
        return self.facts.get("start", math.inf) < least - 0.02 * self.span

    def backward(self, model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
        """Loss and gradients of one batch.

        Raises:
            DetachedLossError: no gradient leads from the loss to the model.
        """
        for parameter in model.parameters():
            parameter.grad = None
        loss = self.loss_of(self.estimates(model, batch[0]), batch[1])
        if not loss.requires_grad:
            raise DetachedLossError("the loss has no gradient")
        try:
            loss.backward()
        except RuntimeError as error:
            raise TrialError(f"backward raises {_in_words(error)}") from error
        return float(loss.detach())

    def step(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: tuple[torch.Tensor, torch.Tensor],
    ) -> float:
        """One training step, clipped as the training is; returns the loss before it."""
        loss = self.backward(model, batch)
        if self.clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.clip)
        optimizer.step()
        return loss


def _in_words(error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return f"{type(error).__name__}: {first[:200]}" if first else type(error).__name__
