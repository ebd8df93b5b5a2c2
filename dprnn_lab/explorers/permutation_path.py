"""Two estimates on a path from correct to swapped to collapsed, and the value of each loss along it.

The path has two legs. From position 0 to 1 the two voices are swapped, from the start of the recording on: at 0.25
in its first quarter, at 1 in all of it. From 1 to 2 both outputs are blended into the average of the sources; at 2
they are the same signal. Noise at a constant level below each estimate stands for the errors of a network.

Notebook: 03_loss_and_pit
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..audio import correlation
from ..loss import pairwise_neg_sisdr

__all__ = ["PITState", "describe", "judge_estimates", "morph", "order_name", "stage", "trace_path"]

RIGHT, SWAPPED, COLLAPSED = 0.0, 1.0, 2.0  # positions


@dataclass(frozen=True)
class PITState:
    """The losses of one set of estimates: negative SI-SDR in dB, lower is better."""

    matrix: torch.Tensor  # [S, S]: estimate i against target j
    orders: tuple[tuple[int, ...], ...]  # each permutation: target j is matched by estimate order[j]
    losses: tuple[float, ...]  # of each permutation, mean over sources
    chosen: int  # index of the permutation that PIT takes
    correlation: float  # between the first two estimates, -1 to 1

    @property
    def pit(self) -> float:
        """The loss with PIT: the lowest of the permutations."""
        return self.losses[self.chosen]

    @property
    def fixed(self) -> float:
        """The loss with estimate i against target i."""
        return self.losses[0]

    @property
    def average(self) -> float:
        """The mean over all orders: the loss without PIT if the order of the targets is random."""
        return float(np.mean(self.losses))


def judge_estimates(estimates: torch.Tensor, targets: torch.Tensor) -> PITState:
    """Pairwise losses, permutations and correlation of estimates ``[S, T]`` against targets ``[S, T]``.

    The lowest mean over a permutation is the loss of utterance-level PIT (Kolbaek et al., arXiv 1703.06284).

    Raises:
        ValueError: shapes that differ or are not ``[S, T]`` with S of 2 or more.
    """
    if estimates.shape != targets.shape or estimates.dim() != 2 or len(targets) < 2:
        raise ValueError(
            f"estimates have shape {list(estimates.shape)} and targets {list(targets.shape)}: "
            "give two equal shapes [source, time] with two sources or more"
        )
    matrix = pairwise_neg_sisdr(estimates[None], targets[None])[0]
    orders = tuple(itertools.permutations(range(len(targets))))
    losses = tuple(float(np.mean([matrix[i, j] for j, i in enumerate(order)])) for order in orders)
    return PITState(matrix, orders, losses, int(np.argmin(losses)), correlation(estimates, undefined=0.0))


def morph(
    sources: torch.Tensor, position: float, noise_db: float | None = None, seed: int = 0
) -> torch.Tensor:
    """Estimates ``[2, T]`` at a position of the path: 0 right, 1 swapped, 2 collapsed.

    Args:
        sources: ``[2, T]``.
        position: up to 1 the first ``position * T`` samples are swapped; from 1 to 2 both outputs move linearly to
            the average of the sources.
        noise_db: level of the added white noise relative to each estimate (RMS), in dB; None for none.
        seed: of the noise.

    Raises:
        ValueError: not two sources, or a position outside 0 to 2.
    """
    if sources.dim() != 2 or len(sources) != 2:
        raise ValueError(f"the sources have shape {list(sources.shape)}: give two sources, [2, time]")
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
    """The position in words, for a recording of ``seconds``."""
    if position == RIGHT:
        return "the estimates are in the right order"
    if position < SWAPPED:
        return f"the voices change outputs at {position * seconds:.2f} s"
    if position == SWAPPED:
        return "the estimates are swapped from start to end"
    if position < COLLAPSED:
        return f"swapped, and {100 * (position - SWAPPED):.0f} % of the way to the average"
    return "collapsed: both outputs are the average of the voices"


def order_name(order: Sequence[int]) -> str:
    """A permutation in words: the estimates, counted from 1, for targets 1, 2, ...

    >>> order_name((1, 0))
    'estimates 2, 1'
    """
    return "estimates " + ", ".join(str(i + 1) for i in order)


def describe(state: PITState, position: float, seconds: float) -> str:
    """The readout: the position and the value of each loss, as HTML."""
    return (
        f"Position {position:.2f}: {stage(position, seconds)}. PIT takes "
        f"<b>{order_name(state.orders[state.chosen])}</b> for targets 1, 2: loss <b>{state.pit:.1f} dB</b>. "
        f"Fixed order: {state.fixed:.1f} dB; mean over both orders: {state.average:.1f} dB. "
        f"Correlation of the outputs: {state.correlation:.2f}."
    )
