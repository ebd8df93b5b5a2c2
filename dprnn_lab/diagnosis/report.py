"""The report: sorted findings, for a terminal, a notebook and a program.

Notebook: 06_failures_at_inference
"""

import json
import math
import os
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ..files import write_whole
from .coverage import Coverage, could_not_tell, cover
from .evidence import Evidence
from .finding import Finding
from .remedies import command_line, python_line

__all__ = ["VERSION", "Report", "plain_text", "schema"]

_SIGNS = {
    "fail": ("✗", "bold red"),
    "error": ("⚠", "bold magenta"),
    "warn": ("!", "yellow"),
    "note": ("i", "cyan"),
    "undecided": ("?", "dim"),
    "ok": ("✓", "green"),
}
VERSION = 2  # of the JSON form; 1 had neither this number nor coverage, line, first line and consequences


class Report:
    """The result of :func:`dprnn_lab.diagnose`.

    ``print(report)`` for a terminal; as the last line of a notebook cell it shows pictures and players too.

    Args:
        findings: in the order of the report, likeliest cause first.
        evidence: the inputs; None for a report without pictures and players.
        on_command_line: whether lines to type are commands, or Python.
    """

    def __init__(self, findings: list[Finding], evidence: Evidence | None, on_command_line: bool = False):
        self.findings, self.evidence = findings, evidence
        self.on_command_line = on_command_line

    def __getitem__(self, failure: str) -> Finding:
        """The finding on one failure, by its id."""
        for finding in self.findings:
            if finding.id == failure:
                return finding
        raise KeyError(
            f"{failure!r} is no failure of the catalogue: choose one of {', '.join(f.id for f in self.findings)}"
        )

    @property
    def state(self) -> str:
        """ "fail", "error", "warn" or "ok": the worst of all findings. A note is no reason for worry."""
        return next((s for s in ("fail", "error", "warn") if any(f.state == s for f in self.findings)), "ok")

    @property
    def exit_code(self) -> int:
        """For a command line: 0 nothing wrong, 1 warnings, 2 failures, 3 no failure but a check that raised."""
        return {"ok": 0, "warn": 1, "fail": 2, "error": 3}[self.state]

    @property
    def causes(self) -> list[Finding]:
        """Failures and warnings that no other finding explains, likeliest first."""
        return [f for f in self.findings if f.bad and f.explained_by is None]

    @property
    def notes(self) -> list[Finding]:
        """What is good to know, and no reason for a bad separation."""
        return [f for f in self.findings if f.state == "note"]

    @property
    def errors(self) -> list[Finding]:
        """Checks that raised an exception: nothing is known about these failures."""
        return [f for f in self.findings if f.state == "error"]

    @property
    def coverage(self) -> Coverage:
        """How many checks had what they need, and which input would decide more."""
        return cover(self.findings, None if self.evidence is None else self.evidence.given)

    @property
    def not_told(self) -> list[Finding]:
        """Undecided findings whose inputs are all there, with the reason; none while a failure is the reason."""
        given = None if self.evidence is None else self.evidence.given
        return [] if self.state == "fail" else could_not_tell(self.findings, given)

    def consequences(self, cause: Finding) -> list[Finding]:
        """Failures and warnings that follow from a cause, directly or through others."""
        found = []
        for finding in self.findings:
            by, seen = finding.explained_by, set()
            while by is not None and by != cause.id and by not in seen:
                seen.add(by)
                by = next((f.explained_by for f in self.findings if f.id == by), None)
            if finding.bad and by == cause.id:
                found.append(finding)
        return found

    def line(self, finding: Finding | None = None) -> str:
        """The line to type for a finding, or for the likeliest cause: complete, for the place where the user is.

        Empty when there is nothing to do.
        """
        if finding is None:
            finding = next(iter(self.causes), None)
        given = None if self.evidence is None else self.evidence.given
        if finding is None:
            return ""
        return command_line(finding, given) if self.on_command_line else python_line(finding, given)

    def summary(self) -> str:
        """The likeliest cause, and how much was looked at."""
        coverage = self.coverage
        looked = f"{coverage.sentence(self.on_command_line)}."
        causes = self.causes
        if not causes:
            if coverage.failed:
                names = ", ".join(f.id for f in self.errors[:4])
                return f"{looked} Nothing is known about {names}{', ...' if coverage.failed > 4 else ''}."
            return f"{looked} {self._nothing_wrong()}".rstrip()
        rest = f" Then look at {', '.join(f.id for f in causes[1:4])}." if len(causes) > 1 else ""
        return f"Likeliest cause: {causes[0].id}. {_sentence(causes[0].says)}{rest} {looked}"

    def _nothing_wrong(self) -> str:
        """In how many of the checks, what is noted, and which could not tell although they had what they need."""
        looked, open_ones = self.coverage.looked, [f.id for f in self.not_told]
        said = f"Nothing wrong in {'that one' if looked == 1 else f'these {looked}'}"
        if self.notes:
            said += f", with a note on {', '.join(f.id for f in self.notes)}"
        if open_ones:
            said += f"; can't tell: {', '.join(open_ones[:4])}{', ...' if len(open_ones) > 4 else ''}"
        return f"{said}." if looked else ""

    def headline(self) -> list[str]:
        """The lines at the head of the report: what was looked at and found, in a sentence, and a line to type."""
        causes = self.causes
        if not causes:
            return [self.summary()]
        looked = f"{self.coverage.sentence(self.on_command_line)}."
        lines = [f"Likeliest cause: {causes[0].id}. {looked}", _sentence(causes[0].says)]
        return [*lines, f"Type: {self.line()}"] if self.line() else lines

    def to_dict(self) -> dict[str, Any]:
        """All findings, in JSON's types; :func:`schema` describes the form."""
        coverage = self.coverage
        return {
            "version": VERSION,
            "state": self.state,
            "exit_code": self.exit_code,
            "summary": self.summary(),
            "line": self.line(),
            "coverage": {
                "checks": coverage.total,
                "looked_at": coverage.looked,
                "raised": coverage.failed,
                "would_decide": coverage.would_decide,
            },
            "findings": [
                {
                    "id": f.id,
                    "state": f.state,
                    "title": f.title,
                    "group": f.entry.group,
                    "says": f.says,
                    "evidence": _plain(f.evidence),
                    "threshold": f.threshold,
                    "remedy": self._remedy(f),
                    "bring": f.bring,
                    "explained_by": f.explained_by,
                    "section": f.section,
                }
                for f in self.findings
            ],
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The report as JSON text; also written to ``path`` when one is given (whole or not at all)."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            write_whole(Path(path), text.encode())
        return text

    def _remedy(self, finding: Finding) -> str:
        """In the findings' own rows: short in Python, over the names of the arguments; a whole command elsewhere."""
        return self.line(finding) if self.on_command_line else finding.remedy

    def __rich__(self) -> Group:
        table = Table(show_lines=False)
        for column in ("", "failure", "finding"):
            table.add_column(column, overflow="fold")
        for finding in [*self.causes, *self.errors, *self.notes]:
            sign, style = _SIGNS[finding.state]
            table.add_row(Text(sign, style), Text(finding.id, style), self._details(finding))
        for state in ("ok", "undecided"):
            names = [f.id for f in self.findings if f.state == state]
            if names:
                sign, style = _SIGNS[state]
                table.add_row(Text(sign, style), Text(state, style), Text(", ".join(names), "dim"))
        for finding in self.not_told:
            table.add_row(
                Text("?", "dim"), Text(finding.id, "dim"), Text(f"can't tell: {finding.says}", "dim")
            )
        missing = self._missing()
        if missing:
            table.add_row(Text("?", "dim"), Text("to decide more", "dim"), Text("; ".join(missing), "dim"))
        return Group(Text("\n".join(self.headline()), "bold"), table)

    def _details(self, finding: Finding) -> Text:
        text = Text(finding.says)
        for following in self.consequences(finding):
            text.append(f"\n{following.id} follows from {finding.id}: {following.says}", "italic")
        if finding.state == "error":
            text.append(f"\nreport  {finding.bring}", "dim")
            return text
        text.append(f"\nlimit   {finding.threshold}", "dim")
        text.append(f"\nremedy  {self._remedy(finding)}", "cyan")
        text.append(f"\nread    {finding.section}", "dim")
        return text

    def _missing(self) -> list[str]:
        """The inputs that would decide most checks, most frequent first."""
        wanted = [f.bring for f in self.findings if f.state == "undecided" and f.bring]
        return sorted(dict.fromkeys(wanted), key=wanted.count, reverse=True)[:4]

    def __str__(self) -> str:
        return plain_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .report_html import render  # here: it loads matplotlib

        return render(self)


def plain_text(report: Any) -> str:
    """What rich would print of a report, without colours, at a width of 110 characters."""
    # Without force_jupyter, rich would add an empty output to the cell in which a report is shown.
    console = Console(width=110, force_terminal=False, force_jupyter=False, color_system=None)
    with console.capture() as capture:
        console.print(report)
    return capture.get()


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of :meth:`Report.to_json`; the file is ``report.schema.json`` beside this one."""
    text = resources.files(__package__).joinpath("report.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def _sentence(says: str) -> str:
    return f"{says[:1].upper()}{says[1:]}."


def _plain(value: Any) -> Any:
    """In JSON's types: NaN and infinity become None, other objects text."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
