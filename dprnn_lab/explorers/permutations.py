"""The PIT explorer: move two estimates from correct to swapped to collapsed, and watch the losses.

The path and its numbers are computed in :mod:`.permutation_path`.

Notebook: 03_loss_and_pit
"""

import itertools
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ..audio import SAMPLE_RATE
from ..compare import compare_html
from ..plots import COLOURS
from .controls import Sounds, paired, picture_bytes
from .permutation_path import (
    COLLAPSED,
    RIGHT,
    SWAPPED,
    PITState,
    describe,
    judge_estimates,
    morph,
    order_name,
)

__all__ = ["PITExplorer", "draw_matrix", "draw_path", "draw_state"]

LIMIT_DB = 30  # of the matrix's colours
PIECES = 300  # in which a waveform is drawn


def draw_state(
    state: PITState, estimates: torch.Tensor, sources: torch.Tensor, sample_rate: int = SAMPLE_RATE
) -> Figure:
    """The waveforms of two estimates, the pairwise matrix, and the loss of each permutation."""
    figure = plt.figure(figsize=(10, 3.4))
    # Fixed positions: a computed layout would double the time of a refresh, and the picture would jump.
    waves = [figure.add_axes((0.04, y, 0.30, 0.345)) for y in (0.545, 0.16)]
    _draw_outputs(waves, estimates, sources, sample_rate)
    draw_matrix(figure.add_axes((0.40, 0.16, 0.25, 0.73)), state)
    _draw_losses(figure.add_axes((0.79, 0.16, 0.20, 0.73)), state)
    return figure


def _draw_outputs(grid, estimates: torch.Tensor, sources: torch.Tensor, sample_rate: int) -> None:
    """Each estimate's peaks over time, in the colour of the source that each piece is closer to."""
    length = estimates.shape[-1] // PIECES
    if length == 0:
        raise ValueError(f"{estimates.shape[-1]} samples are too few to draw: give {PIECES} or more")

    def pieces(signals):
        return signals[:, : length * PIECES].unflatten(-1, (PIECES, length))

    # Correlate every piece of every estimate with the same piece of every source: [estimate, source, piece].
    likeness = torch.einsum("ipt,jpt->ijp", pieces(estimates), pieces(sources)).abs()
    likeness = likeness / pieces(sources).square().sum(-1).sqrt().clamp(min=1e-6)
    time = np.arange(PIECES) * length / sample_rate
    peaks = pieces(estimates).abs().amax(-1).numpy()
    for i, axes in enumerate(grid):
        # Within 3 dB no source is closer: such a piece stays grey.
        clear = (likeness[i].amax(0) > 1.4 * likeness[i].amin(0)).numpy()
        nearest = likeness[i].argmax(0).numpy()
        axes.fill_between(time, -peaks[i], peaks[i], color="#bbbbbb", step="mid", linewidth=0)
        for j in range(len(sources)):
            mine = clear & (nearest == j)
            axes.fill_between(
                time, -peaks[i], peaks[i], where=mine, color=COLOURS[1 + j], step="mid", linewidth=0
            )
        reach = 1.05 * max(float(peaks.max()), 1e-6)
        axes.set(ylabel=f"estimate {i + 1}", yticks=[], xlim=(0, time[-1]), ylim=(-reach, reach))
    grid[0].set_title("the louder voice: 1 blue, 2 orange, neither grey", fontsize=9)
    grid[0].set_xticklabels([])
    grid[-1].set_xlabel("time (s)")


def draw_matrix(axes, state: PITState) -> None:
    """The pairwise losses as an annotated heat map, the pairs of the chosen permutation framed."""
    axes.imshow(state.matrix.numpy(), cmap="RdBu_r", vmin=-LIMIT_DB, vmax=LIMIT_DB)
    n_src = len(state.matrix)
    for i, j in itertools.product(range(n_src), repeat=2):
        value = float(state.matrix[i, j])
        dark = abs(value) > 0.6 * LIMIT_DB
        axes.text(
            j, i, f"{value:.1f}", ha="center", va="center", fontsize=13, color="white" if dark else "black"
        )
    for j, i in enumerate(state.orders[state.chosen]):
        axes.add_patch(plt.Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, linewidth=3))
    names = [f"{i + 1}" for i in range(n_src)]
    axes.set(
        xticks=range(n_src), yticks=range(n_src), xticklabels=names, yticklabels=names,
        xlabel="target", ylabel="estimate",
    )  # fmt: skip
    axes.set_title("pairwise loss (dB), chosen pairs framed", fontsize=9)


def _draw_losses(axes, state: PITState) -> None:
    rows = [
        (order_name(order), loss, COLOURS[1]) for order, loss in zip(state.orders, state.losses, strict=True)
    ]
    rows[state.chosen] = (rows[state.chosen][0] + "\n= PIT", state.pit, COLOURS[3])
    rows.append(("fixed order", state.fixed, COLOURS[2]))
    rows.append(("mean over orders", state.average, COLOURS[2]))
    names, losses, colours = zip(*rows, strict=True)
    axes.barh(range(len(rows)), losses, color=colours)
    for y, loss in enumerate(losses):
        axes.text(loss, y, f" {loss:.1f} ", va="center", ha="left" if loss >= 0 else "right", fontsize=9)
    reach = max(20.0, *(abs(v) for v in losses)) * 1.6
    axes.set(yticks=range(len(rows)), yticklabels=names, xlim=(-reach, reach), xlabel="loss (dB)")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_title("losses: lower is better", fontsize=9)


def draw_path(positions: Sequence[float], states: Sequence[PITState]) -> Figure:
    """Losses with and without PIT, and the correlation of the outputs, along the path: the static version."""
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(9, 4.6), sharex=True, layout="constrained", height_ratios=(2, 1)
    )
    top.plot(positions, [s.fixed for s in states], color=COLOURS[2], label="fixed order")
    top.plot(positions, [s.average for s in states], "--", color=COLOURS[2], label="mean over both orders")
    top.plot(positions, [s.pit for s in states], color=COLOURS[3], linewidth=2.5, label="PIT")
    top.set(ylabel="loss (dB)")
    top.legend(loc="upper right", fontsize=8)
    bottom.plot(positions, [s.correlation for s in states], color=COLOURS[0])
    bottom.set(ylabel="correlation", ylim=(-0.15, 1.1), xlim=(RIGHT, COLLAPSED))
    bottom.set_xticks(
        (RIGHT, 0.5, SWAPPED, 1.5, COLLAPSED),
        ("0\nright", "0.5\nswap at half time", "1\nswapped", "1.5\nhalf blended", "2\ncollapsed"),
    )
    for axes in (top, bottom):
        axes.axhline(0, color="black", linewidth=0.6)
        axes.axvline(SWAPPED, color="#bbbbbb", linewidth=0.8)
    return figure


class PITExplorer(widgets.VBox):
    """Controls, a sentence, a picture, and players on demand.

    Args:
        mixtures: name to true sources ``[2, T]``, the choices of the first control.
        sample_rate: Hz.
        seed: of the added noise.

    Attributes:
        mixture, position, noise: the controls.
        listen: the button that makes players of the estimates shown; ``players`` holds them.
        readout: HTML of class ``pit-readout``, the result in sentences.
        picture: the image.
        state: the :class:`PITState` shown.

    Raises:
        ValueError: no mixtures.
    """

    def __init__(self, mixtures: Mapping[str, torch.Tensor], sample_rate: int = SAMPLE_RATE, seed: int = 0):
        if not mixtures:
            raise ValueError("mixtures is empty: give at least one name with its sources [2, time]")
        self.mixtures, self.sample_rate, self.seed = dict(mixtures), sample_rate, seed
        self.mixture = widgets.Dropdown(options=list(self.mixtures), description="mixture")
        self.position, position_row = paired(0.0, RIGHT, COLLAPSED, 0.05, "position", "0 right, 2 collapsed")
        self.noise, noise_row = paired(-20.0, -40.0, 10.0, 1.0, "noise (dB)", "level below each estimate")
        self.listen = widgets.Button(
            description="Play the two estimates", button_style="primary", layout=widgets.Layout(width="14em")
        )
        self.readout = widgets.HTML(layout=widgets.Layout(min_height="4.5em"))
        self.readout.add_class("pit-readout")
        self.picture = widgets.Image(format="png", width=900, height=306)
        self.players = Sounds(layout=widgets.Layout(min_height="5em"))
        controls = widgets.HBox(
            [self.mixture, position_row, noise_row], layout=widgets.Layout(flex_flow="row wrap")
        )
        super().__init__([controls, self.readout, self.picture, self.listen, self.players])
        for control in (self.mixture, self.position, self.noise):
            control.observe(self._refresh, names="value")
        self.listen.on_click(self._play)
        self._refresh()

    def __repr__(self) -> str:
        return "The PIT explorer, a widget: run this notebook in JupyterLab to use it."

    def _refresh(self, change: dict | None = None) -> None:
        sources = self.mixtures[self.mixture.value]
        position = round(self.position.value, 6)  # a slider's steps add up to 0.9999999
        self.estimates = morph(sources, position, self.noise.value, self.seed)
        self.state = judge_estimates(self.estimates, sources)
        self.readout.value = describe(self.state, position, sources.shape[-1] / self.sample_rate)
        figure = draw_state(self.state, self.estimates, sources, self.sample_rate)
        self.picture.value = picture_bytes(figure)
        plt.close(figure)
        self.players.value = "<i>Press the button to play the estimates at this position.</i>"

    def _play(self, button: widgets.Button) -> None:
        sounds = {f"estimate {i + 1}": estimate for i, estimate in enumerate(self.estimates)}
        self.players.value = compare_html(sounds, self.sample_rate, view="wave")
