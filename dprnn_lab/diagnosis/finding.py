"""The answer of one check: its state, its numbers, and the line of code that fixes the failure.

Notebook: 06_failures_at_inference
"""

from dataclasses import dataclass, field

from .catalogue import CATALOGUE, Entry

__all__ = ["STATES", "Finding"]

STATES = ("fail", "error", "warn", "note", "undecided", "ok")  # in the order of a report


@dataclass(frozen=True)
class Finding:
    """The answer of one check.

    ``state`` is "fail" (broken; ``says`` gives the reason), "warn" (worth a look), "note" (good to know, and no reason
    for a bad separation), "ok", "undecided" (not enough input; ``bring`` says what is missing), or "error" (the check
    itself raised an exception, and nothing is known about this failure).
    """

    id: str
    state: str
    says: str  # one sentence, with the numbers that matter
    evidence: dict[str, object] = field(default_factory=dict)  # numbers and names, in JSON's types
    threshold: str = ""  # the limit, and the reason for it
    remedy: str = ""  # a line of code over the names model, mixture, sample_rate, estimates, references ...
    bring: str = ""  # for "undecided": the input that would decide
    explained_by: str | None = None  # id of the cause, when this follows from another finding

    @property
    def entry(self) -> Entry:
        """Its entry in the catalogue."""
        return CATALOGUE[self.id]

    @property
    def title(self) -> str:
        """The failure's readable name."""
        return self.entry.title

    @property
    def section(self) -> str:
        """The notebook section that explains it."""
        return self.entry.section

    @property
    def bad(self) -> bool:
        """Whether it is a failure or a warning."""
        return self.state in ("fail", "warn")

    @property
    def named(self) -> bool:
        """Whether a report describes it: a failure, a warning or a note."""
        return self.bad or self.state == "note"

    @property
    def looked(self) -> bool:
        """Whether the check had what it needs."""
        return self.state not in ("undecided", "error")
