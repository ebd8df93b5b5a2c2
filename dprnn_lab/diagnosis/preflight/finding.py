"""The result of one check of a training, and the list of all checks in the order in which they run.

Notebook: 05_training
"""

from dataclasses import dataclass, field
from typing import Literal

import torch

__all__ = ["CHECKS", "STATES", "Check", "PreflightFinding", "State", "number"]

State = Literal["failure", "error", "warning", "note", "ok"]
STATES: tuple[State, ...] = ("failure", "error", "warning", "note", "ok")  # in the order of a report


@dataclass(frozen=True)
class Check:
    """One check: its title, and the checks whose failure explains a bad result of this one."""

    title: str
    share: float  # of the whole budget of time
    follows: tuple[str, ...] = ()


_BROKEN = ("outputs", "targets", "loss-direction", "activations", "gradients", "gates")

# Causes before their consequences.
CHECKS: dict[str, Check] = {
    "outputs": Check("Shape, length and values of the outputs", 0.06),
    "targets": Check("Targets that belong to the mixtures", 0.04, ("outputs",)),
    "loss-direction": Check("A good estimate costs less than noise", 0.04, ("outputs",)),
    "activations": Check("Activations that are alive", 0.04, ("outputs",)),
    "gates": Check("Gates of the RNNs that are not saturated", 0.06, ("outputs",)),
    "gradients": Check(
        "A gradient for every parameter", 0.08, ("outputs", "loss-direction", "activations", "gates")
    ),
    "loss-at-start": Check("Loss at the start", 0.02, _BROKEN),
    "independence": Check("Examples that do not depend on each other", 0.06, ("outputs",)),
    "learn-by-heart": Check("A small batch learnt by heart", 0.24, (*_BROKEN, "learning-rate")),
    "learning-rate": Check("Learning-rate range test", 0.26, _BROKEN),
    "update-size": Check("Size of the updates, relative to the weights", 0.0, (*_BROKEN, "learning-rate")),
    "inputs-matter": Check(
        "Inputs that matter to the outputs", 0.04, (*_BROKEN, "learning-rate", "learn-by-heart")
    ),
    "cost": Check("Time and memory of a step", 0.08, ("outputs",)),
    "reading": Check("Reading the data", 0.06),
}


@dataclass(frozen=True)
class PreflightFinding:
    """The result of one check.

    ``state`` is "failure" (the training would not learn, or for most of its time would wait), "warning" (look at it
    first), "note" (a fact, or a check that could not look), "ok", or "error" (the check itself raised an exception,
    so nothing is known).
    """

    id: str
    state: State
    says: str  # one sentence, with the number measured
    measured: dict[str, object] = field(default_factory=dict)  # numbers and names, in JSON's types
    expected: str = ""  # what the number should be, and why
    remedy: str = ""  # for a failure, warning or error
    follows_from: str | None = None  # id of the failure that explains this one
    cut_short: str = ""  # what the time did not suffice for
    seconds: float = 0.0  # that the check took

    @property
    def title(self) -> str:
        """What the check looks at."""
        return CHECKS[self.id].title

    @property
    def bad(self) -> bool:
        """Whether it is a failure, a warning or an error."""
        return self.state in ("failure", "warning", "error")


def number(value: float | torch.Tensor) -> float:
    """Rounded to four significant digits, for people and for JSON.

    >>> number(0.00123456), number(1234567.0)
    (0.001235, 1235000.0)
    """
    value = value.detach() if isinstance(value, torch.Tensor) else value
    return float(f"{float(value):.4g}")
