"""A report of `diagnose` against what was expected of it."""

import copy
import re
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from dprnn_lab import diagnose

from .case import Case, World
from .voices import Voices

__all__ = ["Verdict", "judge", "qualified"]

BROKEN = ("fail", "error")  # "error": a check that crashed


@dataclass
class Verdict:
    """What came of one case."""

    case: Case
    seconds: float = 0.0  # of CPU time, for the diagnosis alone
    first: str = ""  # id of the likeliest cause
    named: list[str] = field(default_factory=list)  # ids of all that the report describes, in its order
    failed: list[str] = field(default_factory=list)  # ids of failures, and of checks that crashed
    summary: str = ""
    crash: str = ""  # the exception that `diagnose` raised, or the making of the case
    changed: list[str] = field(default_factory=list)  # what `diagnose` left changed in the user's model

    @property
    def found(self) -> bool:
        """Whether the report describes one of the expected ids, as a failure, a warning or a note."""
        return not self.crash and any(name in self.case.expect for name in self.named)

    @property
    def found_first(self) -> bool:
        """Whether an expected id is the likeliest cause."""
        return not self.crash and self.first in self.case.expect

    @property
    def silent(self) -> bool:
        """Whether a broken case got an unqualified "nothing wrong"."""
        return not (self.case.healthy or self.crash or self.named) and not qualified(self.summary)

    @property
    def false_failure(self) -> bool:
        """Whether a healthy case got a failure, or an exception."""
        return self.case.healthy and bool(self.failed or self.crash)

    @property
    def good(self) -> bool:
        """Whether nothing is to be said about this case."""
        in_order = not self.failed if self.case.healthy else self.found_first
        return in_order and not self.crash and not self.changed


def qualified(summary: str) -> bool:
    """Whether the first line says that not everything could be looked at: how many of how many, or what would help.

    >>> qualified("Nothing wrong in 2 checks; 35 lack input.")
    False
    >>> qualified("Nothing wrong: 12 of 40 checks had what they need; references would decide 9 more.")
    True
    """
    counts = re.findall(r"(\d+) of (?:the )?(\d+)", summary)
    return any(int(some) < int(of) for some, of in counts) or "would decide" in summary


def judge(case: Case, voices: Voices) -> Verdict:
    """Make a case, have it diagnosed, compare. Never raises."""
    verdict = Verdict(case)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        try:
            torch.manual_seed(0)
            inputs = case.make(World(case.name, Path(folder), voices))
            before = _state(inputs.get("model"))
            began = time.process_time()
            report = diagnose(**inputs)
            verdict.changed = _differences(before, _state(inputs.get("model")))
            text = str(report)
        except Exception as error:
            verdict.seconds = time.process_time() - began
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            verdict.crash = f"{type(error).__name__}: {' '.join(str(error).split())[:200]} ({where})"
            return verdict
    verdict.seconds = time.process_time() - began
    # The report's first line and its summary both count as what a reader sees first; usually they are the same.
    verdict.summary, line = report.summary(), text.strip().splitlines()[0].strip()
    if line not in verdict.summary:
        verdict.summary += f" / {line}"
    verdict.named = [f.id for f in report.findings if f.named]
    verdict.failed = [f.id for f in report.findings if f.state in BROKEN]
    causes = [f for f in report.findings if f.named and f.explained_by is None]
    verdict.first = causes[0].id if causes else ""
    return verdict


def _state(model: object) -> dict[str, object]:
    """Weights, buffers and modes of a live model."""
    if not isinstance(model, nn.Module):
        return {}
    state: dict[str, object] = {name: copy.deepcopy(value) for name, value in model.state_dict().items()}
    state |= {f"mode of {name or 'the model'}": part.training for name, part in model.named_modules()}
    return state


def _differences(before: dict[str, object], after: dict[str, object]) -> list[str]:
    names = []
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        same = (
            torch.equal(one, two) or bool((one.isnan() == two.isnan()).all() and one.isnan().any())
            if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor)
            else one == two
        )
        if not same:
            names.append(name)
    return names
