"""Speaker tracking: which output of each window is which speaker.

PIT training leaves the order of the outputs arbitrary, so it may differ from window to window. Three methods:

* ``"none"``: keep the order of each window.
* ``"overlap"``: from window to window, choose the order with the largest correlation of the estimates in the
  overlap, as Asteroid's ``LambdaOverlapAdd(reorder_chunks=True)`` does. One wrong seam swaps everything after
  it, and seams go wrong where the overlap is nearly silent, or holds a single voice that the network splits
  arbitrarily among its outputs.
* ``"profiles"`` (the default, ours): two kinds of evidence, most confident seams first.

The evidence of the overlap is weighted by how much several voices are active at once: there the network
separates them reliably. The other evidence is the voices' spectra. Each output has a profile of the frames in
which it is the loudest: the Gaussian of their MFCCs, kept as sums that can be added. Whether two profiles are
of one speaker is a log likelihood ratio: how much worse one Gaussian explains both than one each (Gish, Siu and
Rohlicek, "Segregation of speakers for speech recognition and speaker identification", ICASSP 1991). Only frames
within 1.5 s of simultaneous voices count.

The most confident seam is closed first, and the profiles on its two sides are added. Doubtful seams are decided
last, with all the speech on their left and right as evidence, including speech minutes later.

Notebook: 09_long_audio
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ..audio import AudioError
from .windows import Window

__all__ = ["METHODS", "Tracking", "check_tracking", "track_speakers"]

METHODS = ("profiles", "overlap", "none")
BLOCK_SECONDS = 0.25  # voices active in one block count as simultaneous
BLOCK_FRAMES = 20  # MFCC frames per block
NEAR_BLOCKS = 6  # on each side of a block with simultaneous voices, in which frames count
SIMULTANEOUS = 0.25  # smallest value of _simultaneous (0 to 1) in a block with several voices
DOMINANT_DB = 6.0  # by which an output must exceed the others to be the loudest of a frame
FLOOR_DB = 35.0  # under the loudest frame, below which a frame is a pause
PRIOR_FRAMES = 50  # weight of the recording's own covariance, which regularises a profile of few frames
OVERLAP_WEIGHT = 800.0  # log likelihood per second of overlap in which the estimates agree fully


@dataclass(frozen=True)
class Tracking:
    """The result: an order per window, and a confidence per seam.

    ``orders[k][j]`` is the output of window k that holds speaker j; ``margins[k]`` is what the chosen order of
    windows k and k + 1 has over the next best: log likelihood for "profiles", correlation (0 to 2) for "overlap".
    """

    orders: list[tuple[int, ...]]
    margins: list[float]


def check_tracking(method: str) -> None:
    """Raise an AudioError for an unknown method."""
    if method not in METHODS:
        raise AudioError(f"tracking is {method!r}: choose one of {', '.join(METHODS)}")


def track_speakers(
    estimates: Iterable[torch.Tensor], plan: Sequence[Window], sample_rate: float, method: str = "profiles"
) -> Tracking:
    """Find the order of the speakers in every window.

    Args:
        estimates: ``[S, window]`` of each window in turn, finite; iterated once, two are held at a time.
        plan: the windows (:func:`plan_windows <dprnn_lab.separation.windows.plan_windows>`).
        sample_rate: Hz.
        method: "profiles", "overlap" or "none", see above.

    Raises:
        AudioError: another method.
    """
    check_tracking(method)
    profiles: list[list[np.ndarray]] = []
    seams: list[np.ndarray] = []
    sources, previous = 1, None
    # A single window needs none, nor the import that they cost.
    features = _Features(sample_rate) if method == "profiles" and len(plan) > 1 else None
    for k, current in enumerate(estimates):
        sources = len(current)
        if method == "none" or sources == 1 or len(plan) == 1:
            break
        if features is not None:
            profiles.append(features.profiles(current))
        if previous is not None:
            shared = plan[k - 1][1] - plan[k][0]
            compare = _cross_correlation if features is None else features.agreement
            seams.append(compare(previous[:, -shared:], current[:, :shared]))
        previous = current
    if not seams:
        return Tracking([tuple(range(sources))] * len(plan), [0.0] * (len(plan) - 1))
    return _most_confident_first(profiles, seams) if method == "profiles" else _in_turn(seams)


def _in_turn(seams: list[np.ndarray]) -> Tracking:
    """Each window in the order that agrees best with the window before it."""
    orders, margins = [tuple(range(len(seams[0])))], []
    for seam in seams:
        order, margin = _best_order(seam[list(orders[-1])])
        orders.append(order)
        margins.append(margin)
    return Tracking(orders, margins)


def _most_confident_first(profiles: list[list[np.ndarray]], seams: list[np.ndarray]) -> Tracking:
    """Close one seam after the other, the most confident first, adding the profiles on its sides."""
    typical = _covariance(sum((p for window in profiles for p in window), np.zeros_like(profiles[0][0])))
    groups = [(list(window), [tuple(range(len(window)))]) for window in profiles]  # profiles, orders
    first = list(range(len(groups)))  # window at which each group begins
    margins = [0.0] * len(seams)

    def weigh(left: int) -> tuple[tuple[int, ...], float]:
        """The order for the group to the right of a seam, and its margin."""
        (ours, orders), (theirs, others) = groups[left], groups[left + 1]
        seam = seams[first[left + 1] - 1]
        likelihood = np.array([[_same_speaker(a, b, typical) for b in theirs] for a in ours])
        return _best_order(likelihood + OVERLAP_WEIGHT * seam[np.ix_(orders[-1], others[0])])

    choices = [weigh(left) for left in range(len(groups) - 1)]
    while choices:
        left = max(range(len(choices)), key=lambda i: choices[i][1])
        order, margins[first[left + 1] - 1] = choices.pop(left)
        theirs, others = groups.pop(left + 1)
        first.pop(left + 1)
        ours, orders = groups[left]
        orders += [tuple(other[j] for j in order) for other in others]
        groups[left] = [a + theirs[j] for a, j in zip(ours, order, strict=True)], orders
        for seam in (left - 1, left):
            if 0 <= seam < len(choices):
                choices[seam] = weigh(seam)
    return Tracking(groups[0][1], margins)


def _best_order(scores: np.ndarray) -> tuple[tuple[int, ...], float]:
    """The permutation with the largest sum of ``scores[i, order[i]]``, and its margin over the next best."""
    rows = range(len(scores))
    ranked = sorted(
        itertools.permutations(rows), key=lambda order: scores[rows, order].sum(), reverse=True
    )  # stable: without any evidence the order stays
    best, second = (scores[rows, order].sum() for order in ranked[:2])
    return ranked[0], float(best - second)


def _cross_correlation(ending: torch.Tensor, beginning: torch.Tensor) -> np.ndarray:
    """``[S, S]`` normalised inner products of two windows' estimates of their overlap."""
    a, b = (x - x.mean(-1, keepdim=True) for x in (ending, beginning))
    return (a @ b.T / (a.norm() * b.norm()).clamp(min=1e-9)).double().numpy()


def _covariance(profile: np.ndarray) -> np.ndarray:
    """Covariance of a profile: the sums of 1, x and x xᵀ over its frames."""
    count = max(profile[0, 0], 1.0)
    mean = profile[0, 1:] / count
    return profile[1:, 1:] / count - np.outer(mean, mean) + 1e-3 * np.eye(len(mean))


def _surprise(profile: np.ndarray, typical: np.ndarray) -> float:
    """Twice the negative log likelihood of a profile's frames under their own Gaussian, up to a constant."""
    count = profile[0, 0]
    regularised = (count * _covariance(profile) + PRIOR_FRAMES * typical) / (count + PRIOR_FRAMES)
    return count * np.linalg.slogdet(regularised)[1]


def _same_speaker(a: np.ndarray, b: np.ndarray, typical: np.ndarray) -> float:
    """Log likelihood ratio: one Gaussian for both profiles against one for each."""
    return -0.5 * (_surprise(a + b, typical) - _surprise(a, typical) - _surprise(b, typical))


class _Features:
    """Profiles and agreement of a window's estimates, at one sample rate."""

    def __init__(self, sample_rate: float) -> None:
        import torchaudio.transforms  # imported here: it takes 0.1 s

        self.hop = max(1, round(BLOCK_SECONDS / BLOCK_FRAMES * sample_rate))
        self.block = self.hop * BLOCK_FRAMES
        size = 2 ** round(np.log2(0.032 * sample_rate))
        self.mfcc = torchaudio.transforms.MFCC(
            int(sample_rate),
            n_mfcc=14,
            melkwargs={
                "n_fft": size, "hop_length": self.hop, "n_mels": 30, "f_min": 60.0, "f_max": 0.475 * sample_rate
            },
        )  # fmt: skip
        self.pool = size

    def blocks(self, estimates: torch.Tensor) -> torch.Tensor:
        """``[S, T]`` to ``[S, blocks, block]``; an incomplete block at the end is dropped."""
        whole = estimates.shape[-1] // self.block * self.block
        return estimates[:, :whole].unflatten(-1, (-1, self.block))

    def profiles(self, estimates: torch.Tensor) -> list[np.ndarray]:
        """For each output the sums of 1, x and x xᵀ over the frames x in which it is the loudest."""
        blocks = self.blocks(estimates)
        frames = blocks.shape[1] * BLOCK_FRAMES
        if not frames:
            return [np.zeros((14, 14)) for _ in estimates]
        x = self.mfcc(estimates)[:, 1:, :frames]  # the first coefficient is the level
        energy = F.avg_pool1d(estimates.square(), self.pool, self.hop, self.pool // 2)[:, :frames]
        level = 10 * torch.log10(energy + 1e-8 * energy.max().clamp(min=1e-9))
        loudest, second = level.topk(2, dim=0).values
        counts = (level == loudest) & (loudest > second + DOMINANT_DB) & (loudest > level.max() - FLOOR_DB)
        several = (_simultaneous(blocks) > SIMULTANEOUS).float()
        near = (
            F.max_pool1d(several[None], 2 * NEAR_BLOCKS + 1, 1, NEAR_BLOCKS)[0].repeat_interleave(
                BLOCK_FRAMES
            )
            > 0
        )
        sums = []
        for i, output in enumerate(x):
            chosen = F.pad(output[:, counts[i] & near], (0, 0, 1, 0), value=1.0).double()
            sums.append((chosen @ chosen.T).numpy())
        return sums

    def agreement(self, ending: torch.Tensor, beginning: torch.Tensor) -> np.ndarray:
        """``[S, S]`` correlation of two windows' estimates of the overlap, in seconds of simultaneous voices."""
        a, b = self.blocks(ending), self.blocks(beginning)
        if not a.shape[1]:
            return np.zeros((len(ending), len(ending)))
        energy = (a.square().sum((0, 2)) * b.square().sum((0, 2))).sqrt()
        weight = (_simultaneous(a) * _simultaneous(b)).sqrt() * (energy > 0.01 * energy.max())
        products = torch.einsum("ikn,jkn->ijk", a, b) / energy.clamp(min=1e-9)
        return BLOCK_SECONDS * (products * weight).sum(-1).double().numpy()


def _simultaneous(blocks: torch.Tensor) -> torch.Tensor:
    """How strongly several voices are active at once in each block, 0 to 1.

    The second loudest output's energy over the loudest's, reduced by the correlation of the two: a single voice
    that the network splits among its outputs is much louder in one, or the same in both.
    """
    energy = blocks.square().sum(-1)
    top, which = energy.topk(2, dim=0)
    pair = blocks.gather(0, which.unsqueeze(-1).expand(-1, -1, blocks.shape[-1]))
    alike = (pair[0] * pair[1]).sum(-1).abs() / top.prod(0).sqrt().clamp(min=1e-12)
    return top[1] / top[0].clamp(min=1e-12) * (1 - alike).clamp(min=0).square()
