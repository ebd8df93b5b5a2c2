"""The report: sorted findings, for a terminal, a notebook and a program.

Notebook: 06_failures_at_inference
"""

import json
import math
import os
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..files import write_whole
from .evidence import Evidence
from .finding import Finding

__all__ = ["Report"]

_SIGNS = {"fail": ("✗", "bold red"), "warn": ("!", "yellow"), "undecided": ("?", "dim"), "ok": ("✓", "green")}


class Report:
    """The result of :func:`dprnn_lab.diagnose`.

    ``print(report)`` for a terminal; as the last line of a notebook cell it shows pictures and players too.

    Args:
        findings: in the order of the report, likeliest cause first.
        evidence: the inputs; None for a report without pictures and players.
    """

    def __init__(self, findings: list[Finding], evidence: Evidence | None):
        self.findings, self.evidence = findings, evidence

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
        """ "fail", "warn" or "ok": the worst of all findings."""
        return next((s for s in ("fail", "warn") if any(f.state == s for f in self.findings)), "ok")

    @property
    def exit_code(self) -> int:
        """0, 1 or 2, for a command line."""
        return {"ok": 0, "warn": 1, "fail": 2}[self.state]

    @property
    def causes(self) -> list[Finding]:
        """Failures and warnings that no other finding explains, likeliest first."""
        return [f for f in self.findings if f.bad and f.explained_by is None]

    def summary(self) -> str:
        """One sentence."""
        causes = self.causes
        if not causes:
            passed = sum(f.state == "ok" for f in self.findings)
            return f"Nothing wrong in {passed} checks; {len(self.findings) - passed} lack input."
        rest = f" Then look at {', '.join(f.id for f in causes[1:4])}." if len(causes) > 1 else ""
        return f"Likeliest cause: {causes[0].id}. {causes[0].says[:1].upper()}{causes[0].says[1:]}.{rest}"

    def to_dict(self) -> dict:
        """All findings, in JSON's types."""
        return {
            "state": self.state,
            "summary": self.summary(),
            "findings": [
                {
                    "id": f.id,
                    "state": f.state,
                    "title": f.title,
                    "group": f.entry.group,
                    "says": f.says,
                    "evidence": _plain(f.evidence),
                    "threshold": f.threshold,
                    "remedy": f.remedy,
                    "bring": f.bring,
                    "explained_by": f.explained_by,
                    "section": f.section,
                }
                for f in self.findings
            ],
        }

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """The report as JSON text; also written to ``path`` when one is given (whole or not at all)."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            write_whole(Path(path), text.encode())
        return text

    def __rich__(self) -> Table:
        table = Table(title=self.summary(), title_justify="left", title_style="bold", show_lines=False)
        for column in ("", "failure", "finding"):
            table.add_column(column, overflow="fold")
        for finding in self.findings:
            if finding.state in ("fail", "warn"):
                sign, style = _SIGNS[finding.state]
                table.add_row(Text(sign, style), Text(finding.id, style), self._details(finding))
        for state in ("ok", "undecided"):
            names = [f.id for f in self.findings if f.state == state]
            if names:
                sign, style = _SIGNS[state]
                table.add_row(Text(sign, style), Text(state, style), Text(", ".join(names), "dim"))
        missing = self._missing()
        if missing:
            table.add_row(Text("?", "dim"), Text("to decide more", "dim"), Text("; ".join(missing), "dim"))
        return table

    def _details(self, finding: Finding) -> Text:
        text = Text(finding.says)
        if finding.explained_by:
            text.append(f"\nfollows from {finding.explained_by}", "italic")
        text.append(f"\nlimit   {finding.threshold}", "dim")
        text.append(f"\nremedy  {finding.remedy}", "cyan")
        text.append(f"\nread    {finding.section}", "dim")
        return text

    def _missing(self) -> list[str]:
        """The inputs that would decide most checks, most frequent first."""
        wanted = [f.bring for f in self.findings if f.state == "undecided" and f.bring]
        return sorted(dict.fromkeys(wanted), key=wanted.count, reverse=True)[:4]

    def __str__(self) -> str:
        console = Console(width=110, force_terminal=False, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .report_html import render  # here: it loads matplotlib

        return render(self.summary(), self.findings, self.evidence)


def _plain(value):
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
