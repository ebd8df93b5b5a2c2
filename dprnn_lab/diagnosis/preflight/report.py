"""The report of a preflight: for a terminal, a notebook, a page and a program.

Notebook: 05_training
"""

import json
import math
import os
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ...files import write_whole
from ..report import plain_text
from .finding import STATES, PreflightFinding, State
from .range_test import RangeTest

__all__ = ["JSON_VERSION", "Layer", "PreflightReport"]

JSON_VERSION = 1
_SIGNS = {
    "failure": ("✗", "bold red"), "error": ("E", "bold red"), "warning": ("!", "yellow"), "note": ("i", "dim"),
    "ok": ("✓", "green"),
}  # fmt: skip
_COLOURS = {
    "failure": "#b00020",
    "error": "#b00020",
    "warning": "#8a5a00",
    "note": "#555555",
    "ok": "#00695c",
}


@dataclass(frozen=True)
class Layer:
    """One trained parameter: the norms of its weights and of its gradient, and its update relative to the weights."""

    name: str
    weight: float
    gradient: float
    update: float | None


class PreflightReport:
    """The result of :func:`dprnn_lab.diagnosis.preflight.preflight`.

    ``print(report)`` for a terminal; as the last line of a notebook cell it shows pictures too; ``report["gradients"]``
    is the finding of one check.

    Args:
        findings: in the order of the checks.
        seconds: that the preflight took.
        range_test: the sweep, if one was made.
        layers: of the trained parameters.
        budget_s: seconds that were allowed.
    """

    def __init__(
        self,
        findings: list[PreflightFinding],
        seconds: float,
        range_test: RangeTest | None = None,
        layers: list[Layer] | None = None,
        budget_s: float = 60.0,
    ):
        self.findings, self.seconds, self.budget_s = findings, seconds, budget_s
        self.range_test, self.layers = range_test, layers or []

    def __getitem__(self, check: str) -> PreflightFinding:
        """The finding of one check, by its id."""
        for finding in self.findings:
            if finding.id == check:
                return finding
        raise KeyError(f"{check!r} is no check: choose one of {', '.join(f.id for f in self.findings)}")

    @property
    def state(self) -> State:
        """The worst of all findings."""
        return min((f.state for f in self.findings), key=STATES.index, default="ok")

    @property
    def exit_code(self) -> int:
        """1 with a failure, or with a check that could not run because of an error in it; else 0."""
        return int(self.state in ("failure", "error"))

    @property
    def causes(self) -> list[PreflightFinding]:
        """Failures, errors and warnings that no other finding explains, the worst first."""
        return sorted((f for f in self.findings if f.bad), key=lambda f: STATES.index(f.state))

    def summary(self) -> str:
        """One sentence: what to do first, or that nothing speaks against the run; and what was not looked at."""
        blind = [f.id for f in self.findings if f.says.startswith("not looked at")]
        short = [f.id for f in self.findings if f.cut_short and f.id not in blind]
        rest = f" Not looked at: {', '.join(blind)}." if blind else ""
        rest += f" Cut short: {', '.join(short)}." if short else ""
        if not self.causes:
            return f"Nothing against this training in {len(self.findings) - len(blind)} checks.{rest}"
        first, *others = self.causes
        head = {"failure": "Not ready", "error": "Not known", "warning": "Look first"}[first.state]
        then = f" Then: {', '.join(f.id for f in others)}." if others else ""
        return f"{head}: {first.id}. {first.says[:1].upper()}{first.says[1:]}.{then}{rest}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, in JSON's types."""
        return {
            "version": JSON_VERSION,
            "state": self.state,
            "summary": self.summary(),
            "seconds": round(self.seconds, 2),
            "budget_s": self.budget_s,
            "findings": [
                {
                    "id": f.id, "state": f.state, "title": f.title, "says": f.says, "measured": _plain(f.measured),
                    "expected": f.expected, "remedy": f.remedy, "follows_from": f.follows_from,
                    "cut_short": f.cut_short, "seconds": round(f.seconds, 3),
                }
                for f in self.findings
            ],
            "range_test": None if self.range_test is None else _plain(asdict(self.range_test)),
            "layers": [_plain(asdict(layer)) for layer in self.layers],
        }  # fmt: skip

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """The report as JSON text; also written to ``path`` when one is given (whole or not at all)."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            write_whole(Path(path), text.encode())
        return text

    def to_html(self, path: str | os.PathLike | None = None) -> str:
        """The report as a page with its pictures; also written to ``path`` when one is given (whole or not at all)."""
        from ...report_page import page  # here: pandas takes a while to import

        text = page("Preflight of a training", [self._repr_html_()])
        if path is not None:
            write_whole(Path(path), text.encode())
        return text

    def __rich__(self) -> Table:
        title = self.summary()
        if self.causes and self.causes[0].remedy:
            title += f"\n{self.causes[0].remedy}"
        table = Table(title=Text(title), title_justify="left", title_style="bold", show_lines=False)
        for column in ("", "check", "finding"):
            table.add_column(column, overflow="fold")
        for f in sorted(self.findings, key=lambda f: STATES.index(f.state)):
            sign, style = _SIGNS[f.state]
            table.add_row(Text(sign, style), Text(f.id, style), _details(f))
        return table

    def __str__(self) -> str:
        return plain_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from ...plots.preflight import range_test_picture, size_picture  # here: they load matplotlib
        from ...report_page import fragment, picture, rows

        cells = []
        for f in sorted(self.findings, key=lambda f: STATES.index(f.state)):
            lines = [escape(f.says)]
            lines += [f"<em>follows from {escape(f.follows_from)}</em>"] if f.follows_from else []
            lines += [f"<small>expected: {escape(f.expected)}</small>"] if f.expected else []
            lines += [f"<code>{escape(f.remedy)}</code>"] if f.bad and f.remedy else []
            lines += [f"<small>cut short: {escape(f.cut_short)}</small>"] if f.cut_short else []
            state = f"<strong style='color:{_COLOURS[f.state]}'>{f.state}</strong>"
            cells.append((state, f"<code>{f.id}</code><br>{escape(f.title)}", "<br>".join(lines)))
        parts = [f"<p><strong>{escape(self.summary())}</strong></p>"]
        if self.causes and self.causes[0].remedy:
            parts.append(f"<p><code>{escape(self.causes[0].remedy)}</code></p>")
        parts.append(rows(("state", "check", "finding and remedy"), cells))
        test = self.range_test
        if test is not None and len(test.rates) > 1:
            figure = range_test_picture(test.rates, test.losses, test.smoothed, test.asked, test.suggestion)
            parts.append(picture(figure, "loss over the learning rate in the range test"))
        if self.layers:
            figure = size_picture(
                [layer.name for layer in self.layers],
                [layer.gradient / layer.weight if layer.weight else math.nan for layer in self.layers],
                [math.nan if layer.update is None else layer.update for layer in self.layers],
            )
            parts.append(picture(figure, "gradients and updates of each layer"))
        return fragment(parts)


def _details(finding: PreflightFinding) -> Text:
    text = Text(finding.says)
    if finding.follows_from:
        text.append(f"\nfollows from {finding.follows_from}", "italic")
    if finding.bad:
        text.append(f"\nexpected  {finding.expected}", "dim")
        text.append(f"\nremedy    {finding.remedy}", "cyan")
    if finding.cut_short:
        text.append(f"\ncut short: {finding.cut_short}", "dim")
    return text


def _plain(value: Any) -> Any:
    """In JSON's types: NaN and infinity become None, other objects text."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
