"""How a check answers: ``return fail("what is so", {"number": 1}, threshold="...", remedy="...")``.

Notebook: 06_failures_at_inference
"""

from collections.abc import Callable
from dataclasses import replace

from ..catalogue import Finding

__all__ = ["check", "fail", "fine", "number", "on_samples", "undecided", "warn"]


def check(failure: str) -> Callable:
    """Name the failure that a function looks for; what it returns gets that id."""

    def name(function: Callable) -> Callable:
        def look(evidence) -> Finding:
            return replace(function(evidence), id=failure)

        look.failure = failure
        look.__doc__ = function.__doc__
        return look

    return name


def fail(says: str, evidence: dict, threshold: str, remedy: str, explained_by: str | None = None) -> Finding:
    """Broken, and this is why."""
    return Finding("", "fail", says, evidence, threshold, remedy, explained_by=explained_by)


def warn(says: str, evidence: dict, threshold: str, remedy: str, explained_by: str | None = None) -> Finding:
    """Look at it."""
    return Finding("", "warn", says, evidence, threshold, remedy, explained_by=explained_by)


def fine(says: str, evidence: dict | None = None, threshold: str = "") -> Finding:
    """Nothing wrong here."""
    return Finding("", "ok", says, evidence or {}, threshold)


def undecided(says: str, bring: str, evidence: dict | None = None) -> Finding:
    """What was brought does not tell; ``bring`` does."""
    return Finding("", "undecided", says, evidence or {}, bring=bring)


def on_samples(evidence, line: str) -> str:
    """A line of code on the mixture's samples, with the reading before it when the mixture is a file."""
    if evidence.sound is not None and evidence.sound.rate_from == "file":
        return f"mixture, sample_rate = read_audio(mixture); mixture = mixture[0]; {line}"
    return line


def number(value, digits: int = 2) -> float:
    """A tensor's or array's number, rounded for people and for JSON."""
    return round(float(value), digits)
