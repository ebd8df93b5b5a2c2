"""Judge a separation without references: does the model find its own estimates again?

The model separates a mixture; its estimates are shifted against each other in time and mixed again; it
separates that. A network that runs as it was trained finds back what went into the second mixture. One that
hands the mixture to both outputs finds nothing back. One that makes up a signal of its own can find that
back, but it leaves the first mixture unexplained. Both errors as powers, added, and in dB: the *score*.

Mixing estimates anew is the idea of RemixIT (Tzinis et al., arXiv 2202.08862), used there to train.

Notebook: 06_failures_at_inference
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean

import torch
from torch.nn import functional as F

from ..loss import PITLossWrapper, pairwise_neg_sisdr
from ..separation.rescaling import scale_to_mixture

__all__ = ["Remix", "fit_to_mixture", "remix"]

SHIFTS = (4, 2)  # one source is shifted by a fourth of a piece, then by half of it


@dataclass(frozen=True)
class Remix:
    """The result of :func:`remix`; the score ranks, the other numbers, means over the batch, show why."""

    scores: tuple[float, ...]  # dB, of each mixture; higher is better
    again: float  # dB: SI-SDR of the second separation against what was mixed anew
    residual: float  # dB: what of the mixture the estimates' least-squares sum leaves
    correlation: float  # between the outputs, absolute; 1 when they are copies
    balance: float  # dB: quietest output under the loudest

    @property
    def score(self) -> float:
        """Mean over the mixtures, dB."""
        return mean(self.scores)


@torch.no_grad()
def remix(model: Callable[[torch.Tensor], torch.Tensor], mixtures: torch.Tensor) -> Remix:
    """Separate, mix anew, separate again: three passes.

    Args:
        model: ``[B, T]`` to ``[B, S, T]`` with two sources and more, in evaluation mode.
        mixtures: ``[B, T]``, as the model is to be judged on.

    >>> tones = torch.stack([torch.sin(torch.arange(800) * f) for f in (0.1, 0.3)])
    >>> copies = remix(lambda x: torch.stack((x, x), 1), tones.sum(0, keepdim=True))
    >>> round(copies.correlation, 3), copies.score < 1
    (1.0, True)
    """
    first = fit_to_mixture(_finite(model(mixtures)), mixtures)
    residual = (mixtures - first.sum(1)).square().sum(-1) / (mixtures.square().sum(-1) + 1e-8)
    pit = PITLossWrapper(pairwise_neg_sisdr)
    errors = []
    for part in SHIFTS:
        # Each source is rolled on from the one before: a sum that the network has not seen.
        step = mixtures.shape[-1] // part // max(1, first.shape[1] - 1)
        rolled = torch.stack([s.roll(i * step, -1) for i, s in enumerate(first.unbind(1))], dim=1)
        losses, _ = pit.best_permutation(_finite(model(rolled.sum(1))), rolled)
        errors.append(10 ** (losses / 10))
    again = torch.stack(errors).mean(0)
    pairs = torch.triu_indices(first.shape[1], first.shape[1], 1)
    alike = F.cosine_similarity(first[:, pairs[0]], first[:, pairs[1]], dim=-1).abs()
    energy = first.square().sum(-1) + 1e-8
    return Remix(
        tuple((-10 * torch.log10(again + residual)).tolist()),
        float(-10 * torch.log10(again).mean()),
        float(10 * torch.log10(residual + 1e-8).mean()),
        float(alike.mean()),
        float(10 * torch.log10(energy.amin(-1) / energy.amax(-1)).mean()),
    )


def fit_to_mixture(estimates: torch.Tensor, mixtures: torch.Tensor) -> torch.Tensor:
    """Estimates ``[B, S, T]`` with the gains whose sum is nearest to the mixtures ``[B, T]`` (least squares)."""
    return torch.stack([scale_to_mixture(e, m) for e, m in zip(estimates, mixtures, strict=True)])


def _finite(estimates: torch.Tensor) -> torch.Tensor:
    """A wrong activation may overflow: silence then, which scores as such."""
    return estimates.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
