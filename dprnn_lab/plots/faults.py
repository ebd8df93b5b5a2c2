"""Pictures, players and printed findings on one failure and its remedy.

Notebook: 06_failures_at_inference
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML, display
from matplotlib.figure import Figure

from ..audio import SAMPLE_RATE
from ..compare import compare_html
from .basics import COLOURS, listen
from .curves import line_chart

__all__ = [
    "read",
    "ScoreBook",
    "play_clip",
    "weight_histograms",
    "power_in_frame",
    "setting_ranking",
    "noise_curve",
    "level_row",
    "level_curves",
    "length_curve",
    "swap_trace",
    "error_in_window",
]

GREY, BLUE, ORANGE, GREEN = COLOURS


def read(case: Any, failure: str) -> Any:
    """Diagnose a :class:`~dprnn_lab.faults.Case`, print the finding on one failure, and return the report.

    Printed are the failure named first, the state and measurement, the threshold, and the remedy.

    Notebook: 06_failures_at_inference
    """
    report = case.diagnose()
    finding = report[failure]
    named = report.causes or report.notes
    print("named first:", named[0].id if named else "nothing")
    rows = [(finding.state, finding.says), ("line", finding.threshold), ("remedy", finding.remedy)]
    for name, text in rows:
        print(textwrap.fill(text, 100, initial_indent=f"{name:9s} ", subsequent_indent=" " * 10))
    return report


class ScoreBook:
    """SI-SDRi (dB) by failure, before and after the remedy; None where nothing could be scored.

    Notebook: 06_failures_at_inference
    """

    def __init__(self) -> None:
        self.scores: dict[str, tuple[float | None, float | None]] = {}

    def note(self, failure: str, before: float | None, after: float | None) -> None:
        """Keep and print both scores."""
        self.scores[failure] = (before, after)
        texts = ["none" if value is None else f"{value:.1f} dB" for value in (before, after)]
        print(f"SI-SDRi: broken {texts[0]}, repaired {texts[1]}")

    def chart(self, order: Sequence[str]) -> Figure:
        """A row per noted failure, in this order: broken (orange) and repaired (blue)."""
        failures = [name for name in order if name in self.scores]
        figure, axes = plt.subplots(figsize=(9, 0.3 * len(failures) + 1), layout="constrained")
        for y, failure in enumerate(failures):
            before, after = self.scores[failure]
            if before is None:
                axes.text(0, y, " no outputs, NaN or silence", va="center", fontsize=8, color=ORANGE)
            else:
                axes.plot([before, after], [y, y], color="#cccccc", zorder=1)
                axes.plot(before, y, "o", color=ORANGE, zorder=2)
            axes.plot(after, y, "s", color=BLUE, zorder=3)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set(
            yticks=range(len(failures)), yticklabels=failures,
            xlabel="SI-SDRi (dB)", title="broken (orange) and repaired (blue)",
        )  # fmt: skip
        axes.invert_yaxis()
        return figure


def play_clip(
    sounds: Mapping[str, torch.Tensor], start: float = 0.5, seconds: float = 1.8, pictures: bool = True
) -> None:
    """Compare one clip of each sound ``[T]``, from ``start`` seconds on; with spectrograms or with waveforms.

    Notebook: 06_failures_at_inference
    """
    clip = slice(int(start * SAMPLE_RATE), int((start + seconds) * SAMPLE_RATE))
    clips = {name: samples[clip] for name, samples in sounds.items()}
    if pictures:
        listen(clips)
        return
    display(HTML(compare_html(clips, view="wave")))


def weight_histograms(weights: Mapping[str, torch.Tensor], bound: float) -> Figure:
    """Histograms of weights ``{title: [n]}``, a panel each; dashed: PyTorch's initial bound on both sides.

    Notebook: 06_failures_at_inference
    """
    figure, panels = plt.subplots(
        1, len(weights), figsize=(9, 2.4), layout="constrained", sharey=True, squeeze=False
    )
    for axes, (title, numbers) in zip(panels[0], weights.items(), strict=True):
        axes.hist(numbers.numpy(), bins=np.linspace(-8 * bound, 8 * bound, 97), color=BLUE)
        for edge in (-bound, bound):
            axes.axvline(edge, color=ORANGE, linestyle="--")
        axes.set(title=title, xlabel="weight")
    panels[0, 0].set_ylabel("count")
    return figure


def power_in_frame(power: Mapping[str, torch.Tensor]) -> Figure:
    """Mean power ``{label: [stride]}`` over the place in a frame, in dB about its mean.

    Notebook: 06_failures_at_inference
    """
    stride = len(next(iter(power.values())))
    curves = {
        label: (range(len(values)), 10 * torch.log10(values / values.mean()))
        for label, values in power.items()
    }
    return line_chart(
        curves, height=2.2, colours=(ORANGE, BLUE), xlabel=f"sample, modulo {stride}", ylabel="power (dB)",
        title="mean power of the outputs over the place in a frame",
    )  # fmt: skip


def setting_ranking(ranking: Mapping[str, Mapping[str, float]]) -> Figure:
    """Bars of remix consistency (dB) by value, a panel per setting, the best value in orange.

    ``ranking`` is ``{setting: {value: dB}}``, as the evidence of ``config-silent`` has it.

    Notebook: 06_failures_at_inference
    """
    figure, panels = plt.subplots(
        1, len(ranking), figsize=(10, 2.4), layout="constrained", sharey=True, squeeze=False
    )
    for axes, (setting, scores) in zip(panels[0], ranking.items(), strict=True):
        best = max(scores, key=lambda value: scores[value])
        colours = [ORANGE if value == best else BLUE for value in scores]
        axes.bar(list(scores), list(scores.values()), color=colours)
        axes.set(title=setting)
        axes.tick_params(axis="x", rotation=30)
    panels[0, 0].set_ylabel("remix consistency (dB)")
    return figure


def noise_curve(levels_db: Sequence[float], improvements: Sequence[float], clean: float) -> Figure:
    """SI-SDRi (dB) over the level of the voices relative to white noise (dB), loudest noise on the right.

    Notebook: 06_failures_at_inference
    """
    figure = line_chart(
        {"": (levels_db, improvements)}, levels={"without noise": clean},
        xlabel="voices over noise (dB)", ylabel="SI-SDRi (dB)", title="white noise in the mixture",
    )  # fmt: skip
    figure.axes[0].invert_xaxis()
    return figure


def level_row(
    mixture: torch.Tensor, outputs: torch.Tensor, cause: str, before: float, after: float | None
) -> dict[str, str]:
    """A row of a table on level: mixture ``[T]``, outputs ``[S, T]``, SI-SDRi (dB) before and after the remedy.

    Notebook: 06_failures_at_inference
    """
    return {
        "peak": f"{float(mixture.abs().max()):.3g}",
        "mean": f"{float(mixture.mean()):.3f}",
        "named first": cause,
        "SI-SDRi (dB)": f"{before:.1f}",
        "repaired (dB)": "-" if after is None else f"{after:.1f}",
        "peak of the outputs": f"{float(outputs.abs().max()):.3g}",
    }


def level_curves(
    gains_db: Sequence[float], curves: Mapping[str, Sequence[float]], standardised_db: float
) -> Figure:
    """SI-SDRi (dB) of each model over the gain (dB) on its input; dotted: where the standard deviation is 1.

    Notebook: 06_failures_at_inference
    """
    return line_chart(
        {name: (gains_db, values) for name, values in curves.items()},
        places={"standard deviation 1": standardised_db}, title="the same mixture at other levels",
        xlabel="level of the mixture, relative to training (dB)", ylabel="SI-SDRi (dB)",
    )  # fmt: skip


def length_curve(seconds: Sequence[float], improvements: Sequence[float]) -> Figure:
    """Mean SI-SDRi (dB) over the length (s) of the mixture, on a logarithmic axis.

    Notebook: 06_failures_at_inference
    """
    return line_chart(
        {"": (seconds, improvements)}, title="how long the mixture must be", xscale="log", xticks=seconds,
        xticklabels=seconds, xlabel="length (s)", ylabel="mean SI-SDRi (dB)",
    )  # fmt: skip


def swap_trace(likeness: torch.Tensor, seconds: float) -> Figure:
    """Correlation ``[voices, windows]`` of one output with each voice, over windows of so many seconds.

    Notebook: 06_failures_at_inference
    """
    figure, axes = plt.subplots(figsize=(9, 2.2), layout="constrained")
    times = np.arange(likeness.shape[1]) * seconds
    for i, values in enumerate(likeness):
        axes.step(times, values, where="post", color=COLOURS[i + 1], label=f"voice {i + 1}")
    axes.set(
        xlabel="time (s)", ylabel="correlation",
        title="output 1 of the glued file, with each voice of the file separated whole",
    )  # fmt: skip
    axes.legend()
    return figure


def error_in_window(more_db: torch.Tensor, window_ms: float) -> Figure:
    """Additional error (dB) in each of the equal parts of a window of ``window_ms`` milliseconds.

    Notebook: 06_failures_at_inference
    """
    figure, axes = plt.subplots(figsize=(9, 2.2), layout="constrained")
    width = window_ms / len(more_db)
    axes.bar((np.arange(len(more_db)) + 0.5) * width, more_db.numpy(), width=0.8 * width, color=ORANGE)
    axes.set(
        xlabel="place in the window (ms)", ylabel="more error (dB)",
        title="windows against the whole file: how much more error",
    )  # fmt: skip
    return figure
