"""How much was looked at: which checks had what they need, and which further input would decide most.

Notebook: 06_failures_at_inference
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .finding import Finding
from .inputs import Inputs

__all__ = ["NEEDS", "OPTIONS", "Coverage", "could_not_tell", "cover", "given_inputs"]

# The inputs of which a check needs all; several sets are alternatives. The names are the arguments of diagnose();
# "model" is a model or its file.
_MODEL, _MIXTURE, _RUN = ("model",), ("mixture",), ("run",)
_RAN = ("model", "mixture")
NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "weights-unsafe": (_MODEL,),
    "weights-corrupt": (_MODEL,),
    "weights-unmatched": (_MODEL,),
    "weights-partial": (_MODEL,),
    "config-shape": (_MODEL,),
    "not-finite": (_MIXTURE, ("references",), ("estimates",)),
    "channels": (_MIXTURE,),
    "silence": (_MIXTURE, ("references",)),
    "level": (_MIXTURE,),
    "dead-output": (_RAN, _RUN),
    "references-mismatch": (("mixture", "references"),),
    "rate-mismatch": (_MIXTURE,),
    "polarity": (_RAN,),
    "train-serve-skew": (_RAN,),
    "length": (_RAN, ("mixture", "config")),
    "config-silent": (_MODEL,),
    "sources-count": (_RAN, ("model", "references"), ("model", "speakers")),
    "one-speaker": (_RAN, ("estimates",)),
    "domain-mismatch": (_RAN,),
    "unseen-speakers": (_RAN,),
    "late-estimates": (("estimates", "mixture"), ("estimates", "references")),
    "permutation-flip": (("estimates", *_RAN), ("estimates", "mixture", "references")),
    "seam-artefact": (("estimates", "mixture"), ("estimates", "references")),
    "relative-level-lost": (("estimates", "mixture"),),
    "scale-free": (("estimates",),),
    "order-arbitrary": (("estimates", "references"),),
    "sign-of-loss": (("loss",),),
    "detached-loss": (("loss",),),
    "pit-wrong-axis": (("loss",),),
    "no-pit": (("loss",),),
    "silent-target": (("batch",),),
    "targets-inconsistent": (("batch",),),
    "same-speaker": (("data",),),
    "leakage": (("data",),),
    "nan-run": (_RUN,),
    "learning-rate": (_RUN,),
    "no-clipping": (_RUN,),
    "resume": (_RUN,),
    "overfit": (_RUN,),
    "chunk-size": (_MODEL, ("config",)),
    "eval-mode": (_MODEL,),
    "unhealthy-curve": (_RUN,),
    "plateau-reading": (("scores",), _RUN),
    "outputs-alike": (("estimates", "mixture"), _RAN),
}
# On the command line; a loss function and a batch can be given in Python only.
OPTIONS = {
    "model": "--checkpoint",
    "mixture": "--mixture",
    "references": "--reference",
    "estimates": "--estimate",
    "speakers": "--speakers",
    "run": "--run",
    "data": "--data",
    "scores": "--scores",
    "config": "--set",
    "loss": "loss (in Python)",
    "batch": "batch (in Python)",
}
SHOWN = 3  # further inputs in the sentence


def could_not_tell(findings: Sequence[Finding], given: Inputs | None) -> list[Finding]:
    """Findings that are undecided although every input that they need is there: their ``says`` is the reason."""
    have = set() if given is None else given_inputs(given)
    return [
        f for f in findings if f.state == "undecided" and any(set(one) <= have for one in NEEDS.get(f.id, ()))
    ]


@dataclass(frozen=True)
class Coverage:
    """Counts over the checks of one report."""

    looked: int  # had what they need
    total: int
    failed: int = 0  # raised an exception
    would_decide: dict[str, int] = field(
        default_factory=dict
    )  # by input, most first: further checks it allows

    def sentence(self, command_line: bool = False) -> str:
        """In words, without a full stop.

        >>> Coverage(12, 40, 0, {"references": 9, "run": 5}).sentence()
        '12 of 40 checks had what they need; references would decide 9 more, run 5'
        """
        text = f"{self.looked} of {self.total} checks had what they need"
        if self.failed:
            text += f", {self.failed} raised an error"
        shown = list(self.would_decide.items())[:SHOWN]
        names = [OPTIONS[name] if command_line else name for name, _ in shown]
        parts = [f"{name} {count}" for name, (_, count) in zip(names, shown, strict=True)]
        if parts:
            parts[0] = f"{names[0]} would decide {shown[0][1]} more"
            text += "; " + ", ".join(parts)
        return text


def given_inputs(given: Inputs) -> set[str]:
    """Names of the inputs that are there."""
    names = {name for name in OPTIONS if getattr(given, name) is not None}
    if given.checkpoint is not None:
        names.add("model")
    if not given.config:
        names.discard("config")
    return names


def cover(findings: Sequence[Finding], given: Inputs | None) -> Coverage:
    """Count the findings that were looked at, and the undecided ones that a single further input would decide.

    Args:
        given: the inputs of the diagnosis; None if they are not known, and nothing is said about further ones.
    """
    have = set() if given is None else given_inputs(given)
    would: dict[str, int] = {}
    for finding in findings if given is not None else ():
        needs = [set(one) for one in NEEDS.get(finding.id, ())]
        if finding.state != "undecided" or any(one <= have for one in needs):
            continue  # decided, or undecided for another reason than a missing input
        for name in {next(iter(one - have)) for one in needs if len(one - have) == 1}:
            would[name] = would.get(name, 0) + 1
    order = list(OPTIONS)
    ranked = sorted(would, key=lambda name: (-would[name], order.index(name)))
    return Coverage(
        sum(f.looked for f in findings),
        len(findings),
        sum(f.state == "error" for f in findings),
        {name: would[name] for name in ranked},
    )
