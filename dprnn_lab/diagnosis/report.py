"""The report: findings in order, for a terminal, a notebook and a program.

Notebook: 06_failures_at_inference
"""

import json
import math
import os
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .catalogue import Finding
from .evidence import Evidence
from .report_html import render

__all__ = ["Report"]

_SIGNS = {"fail": ("✗", "bold red"), "warn": ("!", "yellow"), "undecided": ("?", "dim"), "ok": ("✓", "green")}


class Report:
    """What :func:`dprnn_lab.diagnose` found.

    ``print(report)`` for a terminal; the last line of a notebook cell shows it with pictures and players.

    Args:
        findings: in the order of the report, likeliest cause first.
        evidence: what they were made from.
    """

    def __init__(self, findings: list[Finding], evidence: Evidence):
        self.findings, self.evidence = findings, evidence

    def __getitem__(self, failure: str) -> Finding:
        """The finding on one failure, by its id."""
        for finding in self.findings:
            if finding.id == failure:
                return finding
        raise KeyError(f"{failure!r} is no failure of the catalogue")

    @property
    def state(self) -> str:
        """ "fail", "warn" or "ok": the worst there is."""
        return next((s for s in ("fail", "warn") if any(f.state == s for f in self.findings)), "ok")

    @property
    def exit_code(self) -> int:
        """0, 1 or 2, for a command line."""
        return {"ok": 0, "warn": 1, "fail": 2}[self.state]

    @property
    def causes(self) -> list[Finding]:
        """Failures and warnings that nothing else explains, likeliest first."""
        return [f for f in self.findings if f.bad and f.explained_by is None]

    def summary(self) -> str:
        """One sentence."""
        causes = self.causes
        if not causes:
            looked = sum(f.state == "ok" for f in self.findings)
            return f"Nothing wrong in {looked} checks; {len(self.findings) - looked} had nothing to look at."
        rest = f" Then look at {', '.join(f.id for f in causes[1:4])}." if len(causes) > 1 else ""
        return f"Likeliest cause: {causes[0].id}. {causes[0].says[:1].upper()}{causes[0].says[1:]}.{rest}"

    def to_dict(self) -> dict:
        """Everything, in JSON's types."""
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
            path = Path(path)
            scratch = path.with_name(f".{path.name}.part")
            scratch.write_text(text, encoding="utf-8")
            os.replace(scratch, path)
        return text

    def __rich__(self) -> Table:
        table = Table(title=self.summary(), title_justify="left", title_style="bold", show_lines=False)
        for column in ("", "failure", "finding"):
            table.add_column(column, overflow="fold")
        for finding in self.findings:
            if finding.state in ("fail", "warn"):
                sign, style = _SIGNS[finding.state]
                table.add_row(Text(sign, style), Text(finding.id, style), self._details(finding))
        for state, label in (("ok", "in order"), ("undecided", "not decided")):
            names = [f.id for f in self.findings if f.state == state]
            if names:
                sign, style = _SIGNS[state]
                table.add_row(Text(sign, style), Text(label, style), Text(", ".join(names), "dim"))
        brings = self._brings()
        if brings:
            table.add_row(Text("?", "dim"), Text("to decide more", "dim"), Text("; ".join(brings), "dim"))
        return table

    def _details(self, finding: Finding) -> Text:
        text = Text(finding.says)
        if finding.explained_by:
            text.append(f"\nfollows from {finding.explained_by}", "italic")
        text.append(f"\nline    {finding.threshold}", "dim")
        text.append(f"\nremedy  {finding.remedy}", "cyan")
        text.append(f"\nread    {finding.section}", "dim")
        return text

    def _brings(self) -> list[str]:
        """What would decide more, each once, most wanted first."""
        wanted = [f.bring for f in self.findings if f.state == "undecided" and f.bring]
        return sorted(dict.fromkeys(wanted), key=wanted.count, reverse=True)[:4]

    def __str__(self) -> str:
        console = Console(width=110, force_terminal=False, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return render(self.summary(), self.findings, self.evidence)


def _plain(value):
    """JSON's types: no NaN, no tensors."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
