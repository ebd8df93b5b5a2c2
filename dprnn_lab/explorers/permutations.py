"""The PIT explorer: move two estimates from right to swapped to collapsed, and watch what each loss says.

The path has two legs. From position 0 to 1 the two voices change places, beginning at the start of the
recording: at 0.25 they are swapped in its first quarter, at 1 in all of it. From 1 to 2 both outputs are blended,
straight and in step, into the average of the sources; at 2 they are the same signal. Noise of one level below
each estimate is added on all of the path, for a network is never free of error.

Notebook: 03_loss_and_pit
"""

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ..loss import pairwise_neg_sisdr
from ..show import COLOURS, player
from ..speech import SAMPLE_RATE

__all__ = ["PITExplorer", "PITState", "draw_path", "draw_state", "judge_estimates", "morph", "trace_path"]

RIGHT, SWAPPED, COLLAPSED = 0.0, 1.0, 2.0  # positions
LIMIT_DB = 30  # colours of the matrix end here
PIECES = 300  # of a waveform in the picture


@dataclass(frozen=True)
class PITState:
    """What the losses say of one set of estimates. Losses are negative SI-SDR in dB: lower is better."""

    matrix: torch.Tensor  # [S, S]: estimate i against target j
    orders: tuple[tuple[int, ...], ...]  # each permutation: target j is matched by estimate order[j]
    losses: tuple[float, ...]  # of each permutation, mean over sources
    chosen: int  # which permutation PIT takes
    correlation: float  # between the first two estimates, -1 to 1

    @property
    def pit(self) -> float:
        """The loss with PIT: the lowest of the permutations."""
        return self.losses[self.chosen]

    @property
    def fixed(self) -> float:
        """The loss when estimate i must be target i."""
        return self.losses[0]

    @property
    def average(self) -> float:
        """The mean over all orders: the loss without PIT when the targets' order is drawn at random."""
        return float(np.mean(self.losses))


def judge_estimates(estimates: torch.Tensor, targets: torch.Tensor) -> PITState:
    """Pairwise losses, permutations and correlation of estimates ``[S, T]`` against targets ``[S, T]``.

    The lowest mean over a permutation is the loss of utterance-level PIT (Kolbaek et al., arXiv 1703.06284).

    Raises:
        ValueError: shapes that differ or are not ``[S, T]`` with S of two and more.
    """
    if estimates.shape != targets.shape or estimates.dim() != 2 or len(targets) < 2:
        raise ValueError(
            f"estimates have shape {list(estimates.shape)} and targets {list(targets.shape)}: "
            "give two equal shapes [source, time] with two sources or more"
        )
    matrix = pairwise_neg_sisdr(estimates[None], targets[None])[0]
    orders = tuple(itertools.permutations(range(len(targets))))
    losses = tuple(float(np.mean([matrix[i, j] for j, i in enumerate(order)])) for order in orders)
    correlation = float(torch.corrcoef(estimates[:2])[0, 1].nan_to_num())
    return PITState(matrix, orders, losses, int(np.argmin(losses)), correlation)


def morph(
    sources: torch.Tensor, position: float, noise_db: float | None = None, seed: int = 0
) -> torch.Tensor:
    """Estimates ``[2, T]`` at a position of the path: 0 right, 1 swapped, 2 collapsed.

    Args:
        sources: ``[2, T]``.
        position: between 0 and 1 the first ``position * T`` samples are swapped; from 1 to 2 both outputs go
            straight to the average of the sources.
        noise_db: level of the added white noise over each estimate, RMS, in dB (so -20 is soft); None for none.
        seed: of the noise.

    Raises:
        ValueError: not two sources, or a position outside 0 to 2.
    """
    if sources.dim() != 2 or len(sources) != 2:
        raise ValueError(
            f"the sources have shape {list(sources.shape)}: the path is one of two sources, [2, time]"
        )
    if not RIGHT <= position <= COLLAPSED:
        raise ValueError(f"position is {position}: it runs from 0 (right) over 1 (swapped) to 2 (collapsed)")
    seam = round(min(position, SWAPPED) * sources.shape[-1])
    estimates = torch.cat((sources.flip(0)[:, :seam], sources[:, seam:]), dim=-1)
    blend = max(position - SWAPPED, 0.0)
    estimates = (1 - blend) * estimates + blend * sources.mean(0)
    if noise_db is None:
        return estimates
    noise = torch.randn(sources.shape, generator=torch.Generator().manual_seed(seed))
    level = estimates.square().mean(-1, keepdim=True).sqrt()
    return estimates + 10 ** (noise_db / 20) * level * noise


def trace_path(
    sources: torch.Tensor, positions: Sequence[float], noise_db: float | None = None, seed: int = 0
) -> list[PITState]:
    """The state at each of the positions."""
    return [judge_estimates(morph(sources, p, noise_db, seed), sources) for p in positions]


def stage(position: float, seconds: float) -> str:
    """The position in words; ``seconds`` is the duration."""
    if position == RIGHT:
        return "the estimates are in the right order"
    if position < SWAPPED:
        return f"the voices change outputs at {position * seconds:.2f} s"
    if position == SWAPPED:
        return "the estimates are swapped from start to end"
    if position < COLLAPSED:
        return f"swapped, and {100 * (position - SWAPPED):.0f} % of the way to the average"
    return "collapsed: both outputs are the average of the voices"


def draw_state(
    state: PITState, estimates: torch.Tensor, sources: torch.Tensor, sample_rate: int = SAMPLE_RATE
) -> Figure:
    """The waveforms of two estimates, the pairwise matrix, and each permutation's loss beside the others'."""
    figure = plt.figure(figsize=(10, 3.4), layout="constrained")
    waves, middle, right = figure.subfigures(1, 3, width_ratios=(1.25, 1, 1.25))
    _draw_outputs(waves.subplots(2, 1, sharex=True, sharey=True), estimates, sources, sample_rate)
    draw_matrix(middle.subplots(), state)
    _draw_losses(right.subplots(), state)
    return figure


def _draw_outputs(grid, estimates: torch.Tensor, sources: torch.Tensor, sample_rate: int) -> None:
    """Each estimate's peaks in grey; over them, in colour, the nearer of the two sources in each piece."""
    length = estimates.shape[-1] // PIECES
    if length == 0:
        raise ValueError(f"{estimates.shape[-1]} samples are too few to draw: give {PIECES} or more")

    def pieces(signals):
        return signals[:, : length * PIECES].unflatten(-1, (PIECES, length))

    # Correlate every piece of every estimate with the same piece of every source: [estimate, source, piece].
    likeness = torch.einsum("ipt,jpt->ijp", pieces(estimates), pieces(sources)).abs()
    likeness = likeness / pieces(sources).square().sum(-1).sqrt().clamp(min=1e-6)
    time = np.arange(PIECES) * length / sample_rate
    peaks = pieces(estimates).abs().amax(-1)
    for i, axes in enumerate(grid):
        # A shared signal has no nearer source: within 3 dB it stays grey.
        clear = (likeness[i].amax(0) > 1.4 * likeness[i].amin(0)).numpy()
        nearest = likeness[i].argmax(0).numpy()
        axes.fill_between(time, -peaks[i], peaks[i], color="#bbbbbb", step="mid", linewidth=0)
        for j in range(len(sources)):
            mine = clear & (nearest == j)
            axes.fill_between(
                time, -peaks[i], peaks[i], where=mine, color=COLOURS[1 + j], step="mid", linewidth=0
            )
        axes.set(ylabel=f"estimate {i + 1}", yticks=[], xlim=(0, time[-1]))
    grid[0].set_title("voice 1 blue, voice 2 orange, both grey", fontsize=9)
    grid[-1].set_xlabel("time (s)")


def draw_matrix(axes, state: PITState) -> None:
    """The pairwise losses as an annotated heat map, the pairs of the chosen permutation framed."""
    axes.imshow(state.matrix, cmap="RdBu_r", vmin=-LIMIT_DB, vmax=LIMIT_DB)
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


def order_name(order: Sequence[int]) -> str:
    """A permutation in words: which estimate, counted from 1, serves targets 1, 2, ...

    >>> order_name((1, 0))
    'estimates 2, 1'
    """
    return "estimates " + ", ".join(str(i + 1) for i in order)


def _draw_losses(axes, state: PITState) -> None:
    rows = [(order_name(order), loss, COLOURS[1]) for order, loss in zip(state.orders, state.losses)]
    rows[state.chosen] = (rows[state.chosen][0] + "\n= PIT", state.pit, COLOURS[3])
    rows.append(("fixed order", state.fixed, COLOURS[2]))
    rows.append(("mean over orders", state.average, COLOURS[2]))
    names, losses, colours = zip(*rows)
    axes.barh(range(len(rows)), losses, color=colours)
    for y, loss in enumerate(losses):
        axes.text(
            loss, y, f" {loss:.1f} ", va="center", ha="left" if loss >= 0 else "right", fontsize=9
        )
    reach = max(20.0, *(abs(v) for v in losses)) * 1.35
    axes.set(yticks=range(len(rows)), yticklabels=names, xlim=(-reach, reach), xlabel="loss (dB)")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_title("losses: lower is better", fontsize=9)


def draw_path(positions: Sequence[float], states: Sequence[PITState]) -> Figure:
    """Losses with and without PIT, and the correlation of the outputs, along the path: the static twin."""
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
        listen: the button that makes players of the estimates on show; ``players`` holds them.
        readout: HTML of class ``pit-readout``, the result in sentences.
        picture: the image.
        state: the :class:`PITState` on show.

    Raises:
        ValueError: no mixtures.
    """

    def __init__(self, mixtures: Mapping[str, torch.Tensor], sample_rate: int = SAMPLE_RATE, seed: int = 0):
        if not mixtures:
            raise ValueError("mixtures is empty: give at least one name with its sources [2, time]")
        self.mixtures, self.sample_rate, self.seed = dict(mixtures), sample_rate, seed
        self.mixture = widgets.Dropdown(options=list(self.mixtures), description="mixture")
        self.position, position_row = _paired(0.0, RIGHT, COLLAPSED, 0.05, "position", "0 right, 2 collapsed")
        self.noise, noise_row = _paired(-20.0, -40.0, 10.0, 1.0, "noise (dB)", "level below each estimate")
        self.listen = widgets.Button(description="Play the two estimates", button_style="primary")
        self.readout = widgets.HTML(layout=widgets.Layout(min_height="4.5em"))
        self.readout.add_class("pit-readout")
        self.picture = widgets.Image(format="png", width=900, height=306)
        self.players = widgets.HTML(layout=widgets.Layout(min_height="5em"))
        controls = widgets.HBox(
            [self.mixture, position_row, noise_row], layout=widgets.Layout(flex_flow="row wrap")
        )
        super().__init__([controls, self.readout, self.picture, self.listen, self.players])
        for control in (self.mixture, self.position, self.noise):
            control.observe(self._refresh, names="value")
        self.listen.on_click(self._play)
        self._refresh()

    def _refresh(self, change: dict | None = None) -> None:
        sources = self.mixtures[self.mixture.value]
        self.estimates = morph(sources, self.position.value, self.noise.value, self.seed)
        self.state = judge_estimates(self.estimates, sources)
        self.readout.value = describe(self.state, self.position.value, sources.shape[-1] / self.sample_rate)
        figure = draw_state(self.state, self.estimates, sources, self.sample_rate)
        with io.BytesIO() as buffer:
            figure.savefig(buffer, format="png", dpi=90)
            self.picture.value = buffer.getvalue()
        plt.close(figure)
        self.players.value = "<i>Press the button to hear the estimates at this position.</i>"

    def _play(self, button: widgets.Button) -> None:
        self.players.value = "".join(
            f"<div>estimate {i + 1}: {player(e, self.sample_rate)._repr_html_()}</div>"
            for i, e in enumerate(self.estimates)
        )


def describe(state: PITState, position: float, seconds: float) -> str:
    """The readout: where we are and what each loss says, as HTML."""
    return (
        f"Position {position:.2f}: {stage(position, seconds)}. PIT takes "
        f"<b>{order_name(state.orders[state.chosen])}</b> for targets 1, 2: loss <b>{state.pit:.1f} dB</b>. "
        f"Fixed order: {state.fixed:.1f} dB; mean over both orders: {state.average:.1f} dB. "
        f"Correlation of the outputs: {state.correlation:.2f}."
    )


def _paired(value: float, low: float, high: float, step: float, name: str, tooltip: str):
    """A slider, and in a row with it the box that gives it a label and takes exact numbers."""
    slider = widgets.FloatSlider(value, min=low, max=high, step=step, readout=False, tooltip=tooltip)
    box = widgets.BoundedFloatText(
        value, min=low, max=high, step=step, description=name, layout=widgets.Layout(width="11em"),
        style={"description_width": "5em"}, tooltip=tooltip,
    )  # fmt: skip
    widgets.link((slider, "value"), (box, "value"))
    return slider, widgets.HBox([box, slider])
