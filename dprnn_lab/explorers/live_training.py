"""The live view of a run: curves, histogram and voices, updated while the network learns.

It is a callback of :func:`dprnn_lab.training.train`: it draws each :class:`EpochRecord`. Without a front end to draw in
(a script, a terminal), it prints a line of text instead.

Notebook: 05_training
"""

from collections.abc import Sequence

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..audio import peak
from ..compare import compare_html
from ..diagnosis.healthy_runs import MEASURE, HealthyRuns, read_healthy_runs
from ..plots import COLOURS, png
from ..plots.healthy import draw_band, draw_milestones
from ..training import EpochRecord, print_line
from .controls import Sounds

__all__ = ["LiveTraining", "draw", "sentence"]

KINDS = {"man-woman": COLOURS[1], "woman-woman": COLOURS[2], "seen-unseen": COLOURS[3]}
BINS_DB = np.arange(-6, 21)  # values outside are counted at the ends
ALIKE_CORRELATION = 0.6  # of the outputs; above, they sound the same, as those of an untrained network


def sentence(
    records: Sequence[EpochRecord], kind: str = "man-woman", healthy: HealthyRuns | None = None
) -> str:
    """The state of the run in words and numbers; with healthy runs, where it lies among them.

    Raises:
        ValueError: no record yet.
    """
    _check(records)
    last = records[-1]
    gains = last.by_kind()
    kind = kind if kind in gains else next(iter(gains))
    gain = gains[kind]
    worst = last.examples[last.examples.kind == kind].si_sdri.min()
    text = (
        f"Step {last.step}, {last.minutes:.1f} min: {kind} mixtures improve by {gain:.1f} dB on average "
        f"(worst {worst:.1f} dB)."
    )
    if len(records) > 1:
        before = records[-2].by_kind().get(kind, float("nan"))
        text += f" Since the last validation: {gain - before:+.1f} dB."
    if healthy is not None:
        text += _beside(records, healthy)
    if not np.isfinite(last.train_loss):
        text += " The loss is not a number: stop, and resume from an earlier checkpoint with half the learning rate."
    elif last.correlation > ALIKE_CORRELATION:
        text += f" The outputs are still alike (correlation {last.correlation:.2f})."
    if last.silent_share:
        text += f" {100 * last.silent_share:.1f} % of the training sources are silent."
    return text


def _beside(records: Sequence[EpochRecord], healthy: HealthyRuns) -> str:
    """A sentence on the healthy runs at the same step; empty before their first validation."""
    differs = healthy.other_network(records[-1].network)
    if differs:
        return (
            f" The healthy runs are of another network ({differs}), which learns at another speed: not shown."
        )
    table = pd.DataFrame([{"step": r.step, MEASURE: r.by_kind().get("man-woman")} for r in records])
    place = healthy.place(table.astype(float))
    if place is None:
        return ""
    text = f" Healthy runs have {place.low:.1f} to {place.high:.1f} dB for man-woman"
    text += f" by step {place.at}"
    text += ", the last recorded one." if place.step > place.recorded_to else "."
    if place.behind:
        text += " This run is behind them: look at its loss, its learning rate and a batch before you go on."
    return text


def draw(records: Sequence[EpochRecord], healthy: HealthyRuns | None = None) -> Figure:
    """Six panels: loss; SI-SDRi and SI-SDR by kind; histogram now; outputs' correlation; gradient; speed.

    With healthy runs, the space between the lowest and the highest of them is shaded, up to the step of this run or
    the last recorded one, and their milestones are marked. They are left out if they are of another network.

    Raises:
        ValueError: no record yet.
    """
    _check(records)
    if healthy is not None and healthy.other_network(records[-1].network):
        healthy = None
    figure, grid = plt.subplots(2, 3, figsize=(11, 5.2), layout="constrained")
    steps = [r.step for r in records]
    loss, gain, histogram, alike, gradient, speed = grid.flat
    if healthy is not None:
        draw_band(loss, healthy, "train_loss", COLOURS[0], "healthy runs")
        draw_band(gradient, healthy, "grad_norm")
        for kind in records[-1].by_kind():
            draw_band(gain, healthy, f"si_sdri_{kind}", KINDS.get(kind, COLOURS[0]))
        draw_milestones(gain, healthy)
    loss.plot(steps, [r.train_loss for r in records], color=COLOURS[0], label="training")
    loss.plot(steps, [r.valid_loss for r in records], color=COLOURS[1], label="validation", marker=".")
    loss.set(title="loss: negative SI-SDR", ylabel="dB")
    for kind in records[-1].by_kind():
        values = [r.by_kind().get(kind) for r in records]
        gain.plot(steps, values, color=KINDS.get(kind, COLOURS[0]), marker=".", label=kind)
        whole = [r.by_kind("si_sdr").get(kind) for r in records]
        gain.plot(steps, whole, color=KINDS.get(kind, COLOURS[0]), linestyle=":", linewidth=1)
    gain.set(title="SI-SDRi (dotted: SI-SDR)", ylabel="dB")
    _histogram(histogram, records[-1])
    alike.plot(steps, [r.correlation for r in records], color=COLOURS[0], marker=".")
    alike.axhline(ALIKE_CORRELATION, color="#999999", linestyle="--", linewidth=1)
    alike.set(title="are the two outputs alike?", ylabel="correlation", ylim=(0, 1))
    gradient.plot(steps, [r.grad_norm for r in records], color=COLOURS[0], marker=".")
    gradient.set(title="gradient norm before clipping", yscale="log")
    speed.plot(steps, [r.examples_per_second for r in records], color=COLOURS[0], marker=".")
    speed.set(title="mixtures per second", ylim=(0, None))
    for axes in (loss, gain, alike, gradient, speed):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.set_xlim(0, max(steps[-1], 1))
    for axes in (loss, gain, histogram):
        axes.legend(fontsize=8)
    plt.close(figure)  # the caller shows it, once
    return figure


def _check(records: Sequence[EpochRecord]) -> None:
    if not records:
        raise ValueError("records is empty: train until the first validation")


def _histogram(axes: Axes, record: EpochRecord) -> None:
    groups = list(record.examples.groupby("kind", sort=False).si_sdri)
    values = [np.clip(group, BINS_DB[0], BINS_DB[-1]) for _, group in groups]
    colours = [KINDS.get(kind, COLOURS[0]) for kind, _ in groups]
    axes.hist(values, BINS_DB, stacked=True, color=colours, label=[kind for kind, _ in groups])
    axes.axvline(0, color="#999999", linestyle="--", linewidth=1)
    axes.set(title=f"each validation mixture at step {record.step}", xlabel="SI-SDRi (dB)", ylabel="mixtures")


class LiveTraining(widgets.VBox):
    """Draws while training runs; afterwards, it plays the voices of any validation.

    Give it to ``train(..., callbacks=[live])``. JupyterLab shows it while the cell is running; its
    controls react when the cell has finished. To stop the run, interrupt the kernel: it ends after its step, and can
    be resumed.

    Args:
        live: draw (True) or print lines of text (False); None to draw in a notebook and print elsewhere.
        healthy: recorded runs to draw behind this one, or the name of their size: "class" or "small".

    Attributes: ``records``, ``readout`` (a sentence), ``picture``, ``earlier`` and ``later`` (buttons: which
    validation is played), ``shown`` (its index), ``sounds`` (players).
    """

    def __init__(self, live: bool | None = None, healthy: HealthyRuns | str | None = None):
        self.healthy = read_healthy_runs(healthy) if isinstance(healthy, str) else healthy
        self.live = hasattr(get_ipython(), "kernel") if live is None else live
        self.records: list[EpochRecord] = []
        self.readout = widgets.HTML("<p>Waiting for the first validation.</p>", layout={"min_height": "44px"})
        self.readout.add_class("training-readout")
        self.picture = widgets.Image(
            format="png", layout={"width": "990px", "height": "468px", "object_fit": "contain"}
        )
        # Buttons, not a slider: while the cell is running, the front end's echoes of a slider's changes queue up, and
        # arrive later as if a user had moved it.
        self.earlier = widgets.Button(description="earlier step", icon="arrow-left", disabled=True)
        self.later = widgets.Button(description="later step", icon="arrow-right", disabled=True)
        self.shown = -1  # index of the record that is played
        self.sounds = Sounds(layout={"min_height": "150px"})
        self.sounds.add_class("training-sounds")
        self.earlier.on_click(lambda _: self._play(self.shown - 1))
        self.later.on_click(lambda _: self._play(self.shown + 1))
        super().__init__([self.readout, self.picture, widgets.HBox([self.earlier, self.later]), self.sounds])

    def __repr__(self) -> str:
        return "The live view of a run, a widget: run this notebook in JupyterLab to see it move."

    def __call__(self, record: EpochRecord) -> None:
        """Add a record, and draw."""
        self.records.append(record)
        if not self.live:
            print_line(record)
            return
        self.readout.value = f"<p>{sentence(self.records, healthy=self.healthy)}</p>"
        self.picture.value = png(draw(self.records, self.healthy))
        self._play(len(self.records) - 1)

    def _play(self, index: int) -> None:
        self.shown = index
        self.earlier.disabled, self.later.disabled = index == 0, index == len(self.records) - 1
        self.sounds.value = f"<p>At step {self.records[index].step}:</p>{_players(self.records[index])}"


def _players(record: EpochRecord) -> str:
    """For each mixture its kind and gain, and a player that compares the mixture and the outputs."""
    table = record.examples.set_index("id")
    parts = []
    for name, (mixture, _, estimates) in record.sounds.items():
        sounds = {"mixture": mixture, **{f"output {i + 1}": e for i, e in enumerate(estimates)}}
        # SI-SDR leaves the scale open: normalised, the outputs can be compared.
        levels = {title: sound * (0.9 / max(peak(sound), 1e-9)) for title, sound in sounds.items()}
        parts.append(f"<div>{table.kind[name]}: {table.si_sdri[name]:.1f} dB</div>")
        parts.append(compare_html(levels, view="wave"))
    return "".join(parts)
