"""The report for a notebook: one piece of HTML, with pictures as PNG data and players as WAV data in it.

Notebook: 06_failures_at_inference
"""

import base64
import io
from collections.abc import Sequence
from html import escape

import soundfile
import torch
from matplotlib.figure import Figure

from ..plots import COLOURS, draw_spectrogram, png
from .catalogue import Finding
from .evidence import Evidence
from .score_table import NAMES

__all__ = ["render"]

_COLOURS = {"fail": "#b00020", "warn": "#8a5a00", "ok": "#00695c", "undecided": "#555555"}
_WORDS = {"fail": "failure", "warn": "warning", "ok": "in order", "undecided": "not decided"}
CLIP = 4.0  # seconds of sound in a notebook


def render(summary: str, findings: Sequence[Finding], evidence: Evidence) -> str:
    """HTML without scripts or links to other files."""
    parts = [
        "<div style='font-family:sans-serif;max-width:60em'>",
        f"<p><strong>{escape(summary)}</strong></p>",
        "<table style='border-collapse:collapse;width:100%;table-layout:auto;text-align:left'><thead><tr>"
        "<th scope='col'>state</th><th scope='col'>failure</th><th scope='col'>finding and remedy</th>"
        "</tr></thead><tbody>",
        *(_row(f) for f in findings if f.bad),
        *(_short(findings, state) for state in ("ok", "undecided")),
        "</tbody></table>",
        _sounds(evidence),
        _curve(evidence),
        _histogram(evidence),
        "</div>",
    ]
    return "".join(parts)


def _row(finding: Finding) -> str:
    numbers = ", ".join(f"{k} {v}" for k, v in finding.evidence.items() if not isinstance(v, dict))
    follows = f"<br><em>follows from {escape(finding.explained_by)}</em>" if finding.explained_by else ""
    cell = "style='text-align:left;vertical-align:top;padding:4px'"
    return (
        f"<tr><td {cell}><strong style='color:{_COLOURS[finding.state]}'>{_WORDS[finding.state]}</strong></td>"
        f"<td {cell}><code>{escape(finding.id)}</code><br>{escape(finding.title)}</td>"
        f"<td {cell}>{escape(finding.says)}{follows}"
        f"<br><small>{escape(numbers)}</small><br><small>line: {escape(finding.threshold)}</small>"
        f"<br><code>{escape(finding.remedy)}</code>"
        f"<br><small>read: {escape(finding.section)}</small></td></tr>"
    )


def _short(findings: Sequence[Finding], state: str) -> str:
    names = [f.id for f in findings if f.state == state]
    if not names:
        return ""
    return (
        f"<tr><td style='color:{_COLOURS[state]};text-align:left;padding:4px'>{_WORDS[state]}</td>"
        "<td style='padding:4px'></td>"
        f"<td style='text-align:left;padding:4px'><small>{escape(', '.join(names))}</small></td></tr>"
    )


def _sounds(evidence: Evidence) -> str:
    """Mixture and outputs as spectrograms and players."""
    sounds = {}
    if evidence.clean is not None:
        sounds["mixture"] = evidence.clean
    if evidence.outputs is not None:
        sounds |= {f"output {i}": s for i, s in enumerate(evidence.outputs)}
    rate = int(evidence.rate or 8000)
    sounds = {
        name: s[: int(CLIP * rate)] for name, s in sounds.items() if len(s) > 512 and bool(s.isfinite().all())
    }
    if not sounds:
        return ""
    figure = Figure(figsize=(3.4 * len(sounds), 2.0), layout="constrained")
    for axes, (name, samples) in zip(
        figure.subplots(1, len(sounds), squeeze=False)[0], sounds.items(), strict=True
    ):
        draw_spectrogram(axes, samples, name, rate)
    cells = "".join(
        f"<div style='flex:1 1 0;min-width:180px'>{escape(name)}<br>{_player(samples, rate, name)}</div>"
        for name, samples in sounds.items()
    )
    return (
        _picture(figure, "spectrograms: " + ", ".join(sounds))
        + f"<div style='display:flex;flex-wrap:wrap'>{cells}</div>"
    )


def _player(samples: torch.Tensor, rate: int, name: str) -> str:
    file = io.BytesIO()
    loudest = max(1.0, float(samples.abs().max()))
    soundfile.write(file, (samples / loudest).numpy(), rate, format="WAV", subtype="PCM_16")
    data = base64.b64encode(file.getvalue()).decode()
    return f"<audio controls aria-label='{escape(name)}' style='width:100%' src='data:audio/wav;base64,{data}'></audio>"


def _curve(evidence: Evidence) -> str:
    """The run's losses."""
    run = evidence.run
    if run is None:
        return ""
    figure = Figure(figsize=(5, 2.2), layout="constrained")
    axes = figure.subplots()
    drawn = False
    for name, colour in (("train_loss", COLOURS[1]), ("valid_loss", COLOURS[2])):
        values = run.column(name)
        if len(values):
            axes.plot(values.index, values, color=colour, label=name.replace("_", " "))
            drawn = True
    if not drawn:
        return ""
    axes.set(xlabel="step", ylabel="loss (dB)")
    axes.legend()
    return _picture(figure, "loss over steps")


def _histogram(evidence: Evidence) -> str:
    """The scores of single examples, a colour for each kind; the dashed line is the mean that hides them."""
    scores = evidence.scores
    if scores is None:
        return ""
    figure = Figure(figsize=(5, 2.2), layout="constrained")
    axes = figure.subplots()
    kinds = scores.by_kind
    axes.hist(
        list(kinds.values()),
        bins=15,
        stacked=True,
        color=[(COLOURS[1:] + COLOURS[:1])[i % len(COLOURS)] for i in range(len(kinds))],
        label=list(kinds),
    )
    axes.axvline(scores.values.mean(), color="black", linestyle="--", linewidth=1, label="mean")
    axes.set(xlabel=f"{NAMES[scores.metric]} (dB)", ylabel="examples")
    axes.legend(fontsize="small")
    return _picture(figure, f"histogram of {NAMES[scores.metric]} over examples")


def _picture(figure: Figure, text: str) -> str:
    data = base64.b64encode(png(figure)).decode()
    return f"<img alt='{escape(text)}' style='max-width:100%' src='data:image/png;base64,{data}'>"
