"""The answer of a check: ``return fail("sentence", {"number": 1}, threshold="...", remedy="...")``.

Notebook: 06_failures_at_inference
"""

from collections.abc import Callable
from dataclasses import replace

import torch

from ..evidence import Evidence
from ..finding import Finding

__all__ = ["check", "fail", "fine", "note", "number", "on_samples", "undecided", "warn"]


def check(failure: str) -> Callable:
    """Decorator: the failure that a function looks for. Its findings get that id."""

    def name(function: Callable[[Evidence], Finding]) -> Callable[[Evidence], Finding]:
        def look(evidence: Evidence) -> Finding:
            return replace(function(evidence), id=failure)

        look.failure = failure  # type: ignore[attr-defined]
        look.__doc__ = function.__doc__
        return look

    return name


def fail(says: str, evidence: dict, threshold: str, remedy: str, explained_by: str | None = None) -> Finding:
    """Broken; ``says`` gives the reason."""
    return Finding("", "fail", says, evidence, threshold, remedy, explained_by=explained_by)


def warn(says: str, evidence: dict, threshold: str, remedy: str, explained_by: str | None = None) -> Finding:
    """Worth a look."""
    return Finding("", "warn", says, evidence, threshold, remedy, explained_by=explained_by)


def note(says: str, evidence: dict, threshold: str, remedy: str) -> Finding:
    """Good to know, and no reason for a bad separation."""
    return Finding("", "note", says, evidence, threshold, remedy)


def fine(says: str, evidence: dict | None = None, threshold: str = "") -> Finding:
    """Nothing wrong."""
    return Finding("", "ok", says, evidence or {}, threshold)


def undecided(says: str, bring: str, evidence: dict | None = None) -> Finding:
    """Not enough input; ``bring`` says what is missing."""
    return Finding("", "undecided", says, evidence or {}, bring=bring)


def on_samples(evidence: Evidence, line: str) -> str:
    """A line of code on the mixture's samples; when the mixture is a file, the line reads it first."""
    if evidence.recording is not None and evidence.recording.rate_from == "file":
        return f"mixture, sample_rate = read_audio(mixture); mixture = mixture[0]; {line}"
    return line


def number(value: float | torch.Tensor, digits: int = 2) -> float:
    """A tensor's or array's number, rounded for people and for JSON."""
    return round(float(value), digits)
