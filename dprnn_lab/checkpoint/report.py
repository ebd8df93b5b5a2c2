"""The load report: the content of a file, what fits, and the source of each value of the configuration.

Notebook: 06_failures_at_inference
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..error_texts import printable
from .errors import short
from .infer import UNDECIDED
from .settings import Conflict, Setting

__all__ = ["LoadReport"]


@dataclass
class LoadReport:
    """What :func:`dprnn_lab.load_model` found; ``str(report)`` is the readable form.

    Names of parameters are ours, except in ``unexpected`` and ``outside``, which have the file's names.
    """

    path: Path
    format: str
    naming: str  # whose parameter names the file has, "Asteroid" or "dprnn-lab"
    prefix: str  # before every name, "" for none
    settings: dict[str, Setting]
    matched: list[str]
    missing: list[str]  # in the model, not in the file
    unexpected: list[str]  # in the file, not in the model
    reshaped: dict[str, tuple[list[int], list[int]]]  # shape in the file, shape in the model
    outside: list[str]  # without the prefix: not part of the network
    conflicts: list[Conflict]  # values that contradict a shape
    nonfinite: dict[str, int]  # by tensor, the number of NaN or Inf values
    parameters: int  # in the matched tensors
    dtypes: list[str] = field(default_factory=list)
    facts: dict = field(default_factory=dict)  # about the training
    others: list[str] = field(default_factory=list)  # other models in the file, for ``prefix``
    random: int = 0  # numbers of the model that the file does not give, so that they stay random

    @property
    def config(self) -> dict[str, Any]:
        """Every argument's value, ready for ``DPRNNTasNet(**report.config)``."""
        return {name: setting.value for name, setting in self.settings.items()}

    @property
    def assumed(self) -> dict[str, Any]:
        """Arguments that neither the caller nor the file nor a shape determines, and the values used.

        Dropout is left out: it has no effect outside training.
        """
        return {
            name: setting.value for name in UNDECIDED if (setting := self.settings[name]).source == "assumed"
        }

    @property
    def complete(self) -> bool:
        """Whether every parameter was found, with its shape, and nothing else."""
        return not (self.missing or self.unexpected or self.reshaped)

    def problems(self) -> list[str]:
        """Everything that makes a strict load fail, one phrase each."""
        parts = [str(conflict) for conflict in self.conflicts]
        total = len(self.matched) + len(self.missing) + len(self.reshaped)
        counts = [
            f"{len(names)} {what} ({short(next(iter(names)))}{', ...' if len(names) > 1 else ''})"
            for what, names in (
                ("missing", self.missing),
                ("unexpected", self.unexpected),
                ("of another shape", self.reshaped),
            )
            if names
        ]
        if counts:
            parts.append(f"{'; '.join(counts)} of {total} parameters")
        if self.random:
            total = self.random + self.parameters
            parts.append(
                f"{self.random:,} of the model's {total:,} weights ({self.random / total:.0%}) are not in the file"
            )
        if self.nonfinite:
            name, count = next(iter(self.nonfinite.items()))
            more = f" and {len(self.nonfinite) - 1} more" if len(self.nonfinite) > 1 else ""
            parts.append(
                f"{sum(self.nonfinite.values())} weights are NaN or infinite ({count} in {name}{more})"
            )
        return parts

    def __str__(self) -> str:
        lines = [
            str(self.path),
            f"  format      {self.format}, {self.naming} names"
            + (f", prefix {self.prefix!r} taken off" if self.prefix else ""),
            f"  parameters  {self.parameters:,} in {len(self.matched)} tensors ({', '.join(self.dtypes)}); "
            f"{len(self.missing)} missing, {len(self.unexpected)} unexpected, "
            f"{len(self.reshaped)} of another shape",
        ]
        for what, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            lines += [f"    {what}: {name}" for name in _some(names)]
        lines += [
            f"    of another shape: {name}: {theirs} in the file, {ours} in the model"
            for name, (theirs, ours) in self.reshaped.items()
        ][:10]
        if self.outside:
            lines.append(
                f"  left out    {len(self.outside)} tensors that are no part of the network: "
                + ", ".join(_some(self.outside, 3))
            )
        if self.others:
            there = ", ".join(_some([repr(name) for name in self.others], 5))
            lines.append(
                f"  also holds  {there}: load_model(path, prefix={self.others[0]!r}), on the command line "
                f"--prefix {self.others[0] or repr('')}"
            )
        count = sum(self.nonfinite.values())
        where = f" in {', '.join(_some(list(self.nonfinite), 3))}" if count else ""
        lines.append(f"  NaN or Inf  {count or 'none'}{where}")
        lines.append("  configuration")
        for name, setting in self.settings.items():
            if setting.source == "unused":
                continue
            because = f" ({setting.evidence})" if setting.evidence else ""
            lines.append(f"    {name:18} {setting.value!s:9} {setting.source}{because}")
        lines += [f"    contradiction: {conflict}" for conflict in self.conflicts]
        if self.assumed:
            lines.append(f"  undecided   {assumption(self.assumed)}")
        if self.facts:
            lines.append("  training")
            lines += [f"    {name:18} {_short(value)}" for name, value in self.facts.items()]
        problems = self.problems()
        lines.append("  verdict     " + ("does not load: " + "; ".join(problems) if problems else "loads"))
        return "\n".join(printable(line) for line in lines)  # names and facts are somebody else's texts


def assumption(assumed: dict[str, Any]) -> str:
    """A sentence about the values that were assumed, with the two remedies."""
    values = ", ".join(f"{name}={value!r}" for name, value in assumed.items())
    return (
        f"neither the file nor any shape gives {', '.join(assumed)}; assumed {values}. If you know better, give them: "
        "load_model(path, stride=..., ...), or --set stride=... of a command; recover_config can rank candidates on a "
        "mixture"
    )


def _some(names: list[str], limit: int = 5) -> list[str]:
    return names[:limit] + ([f"... {len(names) - limit} more"] if len(names) > limit else [])


def _short(value: object, limit: int = 90) -> str:
    text = printable(value)
    return text if len(text) <= limit else text[: limit - 4] + " ..."
