"""The report for a notebook: one piece of HTML with its pictures and players embedded.

Notebook: 06_failures_at_inference
"""

from contextlib import suppress
from html import escape
from typing import Protocol

import torch
from matplotlib.figure import Figure

from ..audio import SAMPLE_RATE, AudioError, resample
from ..plots import COLOURS, comparison
from ..report_page import fragment, picture, rows
from .evidence import Evidence
from .finding import Finding
from .mixture import Signals
from .score_table import NAMES

__all__ = ["render"]

STATE_COLOURS = {
    "fail": "#b00020",
    "error": "#7b1fa2",
    "warn": "#8a5a00",
    "note": "#00557a",
    "ok": "#00695c",
    "undecided": "#555555",
}
STATE_WORDS = {
    "fail": "failure",
    "error": "check failed",
    "warn": "warning",
    "note": "note",
    "ok": "ok",
    "undecided": "undecided",
}
PLAYED_SECONDS = 4.0


class Shown(Protocol):
    """What is shown of a :class:`~dprnn_lab.diagnosis.Report`, which imports this module."""

    findings: list[Finding]
    evidence: Evidence | None
    on_command_line: bool

    @property
    def causes(self) -> list[Finding]: ...
    @property
    def errors(self) -> list[Finding]: ...
    @property
    def notes(self) -> list[Finding]: ...
    @property
    def not_told(self) -> list[Finding]: ...

    def consequences(self, cause: Finding) -> list[Finding]:
        """Findings that follow from a cause."""
        ...

    def headline(self) -> list[str]:
        """The lines at the head."""
        ...

    def line(self, finding: Finding | None = None) -> str:
        """The line to type."""
        ...


def render(report: Shown) -> str:
    """HTML without links to other files; its one script is that of the comparing player."""
    findings, evidence = report.findings, report.evidence
    cells = [_row(f, report) for f in [*report.causes, *report.errors, *report.notes]]
    for state in ("ok", "undecided"):
        names = ", ".join(f.id for f in findings if f.state == state)
        if names:
            cells.append((_state(state), "", f"<small>{escape(names)}</small>"))
    cells += [
        (_state("undecided"), f"<code>{escape(f.id)}</code>", f"<small>can't tell: {escape(f.says)}</small>")
        for f in report.not_told
    ]
    first, *further = report.headline()
    head = [f"<p><strong>{escape(first)}</strong>"]
    head += [
        f"<br><code>{escape(line.removeprefix('Type: '))}</code>"
        if line.startswith("Type: ")
        else f"<br>{escape(line)}"
        for line in further
    ]
    parts = ["".join(head) + "</p>", rows(("state", "failure", "finding and remedy"), cells)]
    if evidence is not None:
        parts += [_sounds(evidence), _curve(evidence), _histogram(evidence)]
    return fragment(parts)


def _state(state: str) -> str:
    return f"<strong style='color:{STATE_COLOURS[state]}'>{STATE_WORDS[state]}</strong>"


def _row(finding: Finding, report: Shown) -> tuple[str, str, str]:
    """A cause; what follows from it is folded."""
    return (
        _state(finding.state),
        f"<code>{escape(finding.id)}</code><br>{escape(finding.title)}",
        _details(finding, report)
        + "".join(
            f"<details><summary><code>{escape(f.id)}</code> follows from <code>{escape(finding.id)}</code></summary>"
            f"{_details(f, report)}</details>"
            for f in report.consequences(finding)
        ),
    )


def _details(finding: Finding, report: Shown) -> str:
    remedy = report.line(finding) if report.on_command_line else finding.remedy
    numbers = ", ".join(f"{k} {v}" for k, v in finding.evidence.items() if not isinstance(v, dict))
    text = f"{escape(finding.says)}<br><small>{escape(numbers)}</small>"
    if finding.state == "error":
        return f"{text}<br><small>report: {escape(finding.bring)}</small>"
    return (
        f"{text}<br><small>limit: {escape(finding.threshold)}</small><br><code>{escape(remedy)}</code>"
        f"<br><small>read: {escape(finding.section)}</small>"
    )


def _sounds(evidence: Evidence) -> str:
    """Mixture, references and outputs in a player that compares them; those with NaN or infinite samples are named.

    Left out is what is shorter than a frame of the spectrogram, or at a rate that can't be converted.
    """
    files = [s for s in (evidence.given_references, evidence.given_estimates) if s is not None]
    rates = [evidence.rate, None if evidence.recording is None else evidence.recording.rate]
    rates += [rate for signals in files for rate in signals.rates]
    rate = int(next((rate for rate in rates if rate), SAMPLE_RATE))
    sounds = {} if evidence.clean is None else {"mixture": evidence.clean}
    sounds |= _played("reference", evidence.given_references, rate)
    if evidence.given_estimates is not None:
        sounds |= _played("output", evidence.given_estimates, rate)
    elif evidence.own is not None:
        sounds |= {f"output {i}": s for i, s in enumerate(evidence.own, 1)}
    samples = int(PLAYED_SECONDS * rate)
    sounds = {name: s[:samples] for name, s in sounds.items() if len(s) > 512}
    return comparison(sounds, rate) if sounds else ""


def _played(name: str, given: Signals | None, rate: int) -> dict[str, torch.Tensor]:
    """The beginning of each signal at the player's rate; without those that have no rate that can be converted."""
    sounds: dict[str, torch.Tensor] = {}
    if given is None:
        return sounds
    for i, (samples, own) in enumerate(zip(given.samples, given.rates, strict=True), 1):
        with suppress(AudioError):
            own = own or rate
            sounds[f"{name} {i}"] = resample(samples[: int(PLAYED_SECONDS * own)], own, rate)
    return sounds


def _curve(evidence: Evidence) -> str:
    """The run's losses."""
    columns = (("train_loss", COLOURS[1]), ("valid_loss", COLOURS[2]))
    values = {} if evidence.run is None else {name: evidence.run.column(name) for name, _ in columns}
    if not any(len(column) for column in values.values()):
        return ""
    figure = Figure(figsize=(5, 2.2), layout="constrained")
    axes = figure.subplots()
    for name, colour in columns:
        if len(values[name]):
            axes.plot(values[name].index, values[name], color=colour, label=name.replace("_", " "))
    axes.set(xlabel="step", ylabel="loss (dB)")
    axes.legend()
    return picture(figure, "loss over steps")


def _histogram(evidence: Evidence) -> str:
    """The scores of single examples, a colour for each kind; the dashed line is their mean."""
    scores = evidence.scores
    if scores is None:
        return ""
    figure = Figure(figsize=(5, 2.2), layout="constrained")
    axes = figure.subplots()
    kinds = scores.by_kind
    colours = COLOURS[1:] + COLOURS[:1]
    axes.hist(
        list(kinds.values()),
        bins=15,
        stacked=True,
        color=[colours[i % len(colours)] for i in range(len(kinds))],
        label=list(kinds),
    )
    axes.axvline(scores.values.mean(), color="black", linestyle="--", linewidth=1, label="mean")
    axes.set(xlabel=f"{NAMES[scores.metric]} (dB)", ylabel="examples")
    axes.legend(fontsize="small")
    return picture(figure, f"histogram of {NAMES[scores.metric]} over examples")
