"""A run over the band of the healthy runs of its size: is mine learning?

``healthy`` is what :func:`dprnn_lab.diagnosis.healthy_runs.read_healthy_runs` returns.

Notebook: 05_training
"""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .basics import COLOURS

__all__ = ["draw_band", "draw_milestones", "run_over_band"]

GREY, BLUE, ORANGE, GREEN = COLOURS
PREFIX = "si_sdri_"
KIND_COLOURS = {"man-woman": BLUE, "woman-woman": ORANGE, "seen-unseen": GREEN}


def draw_band(
    axes: Axes, healthy: Any, column: str, colour: str = GREY, label: str = "", over: str = "step"
) -> None:
    """Fill the space between the lowest and the highest healthy run; nothing if the runs lack the column."""
    try:
        band = healthy.band(column, over)
    except ValueError:
        return
    if len(band):
        axes.fill_between(
            band.index, band["low"], band["high"], color=colour, alpha=0.25, linewidth=0, label=label
        )


def draw_milestones(axes: Axes, healthy: Any) -> None:
    """Dotted levels of SI-SDRi (dB), and on each the steps at which 10 to 90 % of the healthy runs reach it."""
    for row in healthy.milestones().itertuples():
        axes.axhline(row.level_db, color=GREY, linestyle=":", linewidth=1)
        if row.step_90 == row.step_90:  # not NaN
            axes.plot([row.step_10, row.step_90], [row.level_db] * 2, color="black", linewidth=2)
            axes.plot(row.step_50, row.level_db, "|", color="black", markersize=10)


def run_over_band(run: Any, healthy: Any, name: str = "this run") -> Figure:
    """Four panels: loss, SI-SDRi by kind of pair, gradient norm over the step; SI-SDRi over the seconds.

    Shaded: from the lowest to the highest healthy run. Dotted: the milestones; black bars: at which steps 10, 50 and
    90 % of the healthy runs reach them. A panel whose column the run does not have shows the band alone.

    Args:
        run: what :func:`dprnn_lab.diagnosis.run_curves.read_run` returns (it reads folders and logs), or a table with
            ``step`` and any of ``train_loss``, ``grad_norm``, ``si_sdri_KIND`` and ``seconds``. Where the settings of
            the run are known and differ from those of the band, the title says so.
        healthy: the recorded runs of one size.
        name: of the run, for the legend.

    Raises:
        TypeError: neither a run nor a table.
        ValueError: epochs and no steps, or nothing that could be drawn over the band.

    Notebook: 05_training
    """
    differs = ""
    if not isinstance(run, pd.DataFrame):
        if not isinstance(getattr(run, "table", None), pd.DataFrame):
            raise TypeError(
                f"run is {type(run).__name__}: give read_run(...) of dprnn_lab.diagnosis.run_curves"
            )
        if run.unit != "step":
            raise ValueError(f"the run counts {run.unit}s, the band steps: log the step with each row")
        differs, run = healthy.differs(run.settings), run.table
    drawable = [c for c in run if c in ("train_loss", "grad_norm") or str(c).startswith(PREFIX)]
    if "step" not in run or not len(run.dropna(subset=["step"])[drawable].dropna(how="all")):
        raise ValueError(
            f"the run has the columns {', '.join(map(str, run.columns))}: nothing of it can be drawn over the band, "
            "which needs 'step' and numbers in 'train_loss', 'grad_norm' or 'si_sdri_KIND'"
        )
    figure, grid = plt.subplots(2, 2, figsize=(10, 5.6), layout="constrained")
    loss, gain, gradient, time = grid.flat
    runs = f"{len(healthy.seeds)} healthy runs"
    for axes, column, title in (
        (loss, "train_loss", "training loss"),
        (gradient, "grad_norm", "gradient norm"),
    ):
        draw_band(axes, healthy, column, label=runs)
        _line(axes, run, column, "step", BLUE, name)
        axes.set(title=title, xlabel="step")
    loss.set_ylabel("dB")
    gradient.set_yscale("log")
    for kind, colour in KIND_COLOURS.items():
        draw_band(gain, healthy, PREFIX + kind, colour)
        _line(gain, run, PREFIX + kind, "step", colour, kind)
    draw_milestones(gain, healthy)
    gain.set(title="SI-SDRi by kind of pair", xlabel="step", ylabel="dB")
    draw_band(time, healthy, PREFIX + "man-woman", BLUE, runs, over="seconds")
    _line(time, run, PREFIX + "man-woman", "seconds", BLUE, name)
    time.set(title="SI-SDRi, man-woman", xlabel="seconds of processor time", ylabel="dB")
    title = f"band of the network {healthy.size!r}"
    figure.suptitle(f"{title}; {name} is no run of it: {differs}" if differs else title, fontsize=10)
    for axes in grid.flat:
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    return figure


def _line(axes: Axes, run: pd.DataFrame, column: str, over: str, colour: str, label: str) -> None:
    if column in run and over in run:
        rows = run.dropna(subset=[column, over])
        if len(rows):
            axes.plot(rows[over], rows[column], color=colour, marker=".", label=label)
