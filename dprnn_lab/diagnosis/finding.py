"""What a check says.

Notebook: 06_failures_at_inference
"""

from dataclasses import dataclass, field

from .catalogue import CATALOGUE, Entry

__all__ = ["STATES", "Finding"]

STATES = ("fail", "warn", "undecided", "ok")  # in the order of a report


@dataclass(frozen=True)
class Finding:
    """The answer of one check.

    ``state`` is "fail" (broken, and this is why), "warn" (look at it), "ok", or "undecided" (what was brought
    does not tell; ``bring`` says what would).
    """

    id: str
    state: str
    says: str  # one sentence, with the numbers that matter
    evidence: dict[str, object] = field(default_factory=dict)  # numbers and names, JSON's types
    threshold: str = ""  # where the line is, and why there
    remedy: str = ""  # a line of code over the names model, mixture, sample_rate, estimates, references ...
    bring: str = ""  # for "undecided"
    explained_by: str | None = None  # the id of the cause, for what follows from another finding

    @property
    def entry(self) -> Entry:
        """Its place in the catalogue."""
        return CATALOGUE[self.id]

    @property
    def title(self) -> str:
        """The failure's name for people."""
        return self.entry.title

    @property
    def section(self) -> str:
        """Where to read on."""
        return self.entry.section

    @property
    def bad(self) -> bool:
        """Whether it is a failure or a warning."""
        return self.state in ("fail", "warn")
