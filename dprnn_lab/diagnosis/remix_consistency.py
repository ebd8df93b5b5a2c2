"""Judge a separation without references: does the model recover its own estimates from a new mixture of them?

The model separates a mixture. Its estimates are shifted against each other in time and mixed again, and the model
separates that sum too. A model that runs as it was trained recovers the estimates from the second mixture. A model
that copies the mixture to both outputs recovers nothing. A model that invents a signal may recover it, but its
estimates do not add up to the first mixture. Both errors as powers, added, in negative dB: the *score*.

Remixing the estimates is the idea of RemixIT (Tzinis et al., arXiv 2202.08862), used there for training.

Notebook: 06_failures_at_inference
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean

import torch
from torch.nn import functional as F

from ..loss import PITLossWrapper, pairwise_neg_sisdr
from ..separation.rescaling import scale_to_mixture

__all__ = ["REMIX_OK_DB", "RemixConsistency", "fit_to_mixture", "remix_consistency"]

# A model with a higher score runs as it was trained, on a recording that suits it. At 27 000 steps the bundled model
# reached 8.7 dB on six mixtures, and at most 2.9 with another stride, mask, norm or encoder activation.
REMIX_OK_DB = 7.0
SHIFTS = (4, 2)  # one source is shifted by a fourth of a piece, then by half of it


@dataclass(frozen=True)
class RemixConsistency:
    """The result of :func:`remix_consistency`: a score to rank by, and its parts as means over the batch."""

    scores: tuple[float, ...]  # dB, of each mixture; higher is better
    again: float  # dB: SI-SDR of the second separation against the remixed estimates
    residual: float  # dB: power of the mixture that the least-squares sum of the estimates leaves
    correlation: float  # between the outputs, absolute; 1 when they are copies
    balance: float  # dB: quietest output relative to the loudest

    @property
    def score(self) -> float:
        """Mean over the mixtures, dB."""
        return mean(self.scores)


@torch.no_grad()
def remix_consistency(
    model: Callable[[torch.Tensor], torch.Tensor], mixtures: torch.Tensor
) -> RemixConsistency:
    """Separate, remix the estimates, separate again: three forward passes.

    Args:
        model: ``[B, T]`` to ``[B, S, T]`` with S of 2 or more, in evaluation mode.
        mixtures: ``[B, T]``.

    >>> tones = torch.stack([torch.sin(torch.arange(800) * f) for f in (0.1, 0.3)])
    >>> copies = remix_consistency(lambda x: torch.stack((x, x), 1), tones.sum(0, keepdim=True))
    >>> round(copies.correlation, 3), copies.score < 1
    (1.0, True)
    """
    first = fit_to_mixture(_finite(model(mixtures)), mixtures)
    residual = (mixtures - first.sum(1)).square().sum(-1) / (mixtures.square().sum(-1) + 1e-8)
    pit = PITLossWrapper(pairwise_neg_sisdr)
    errors = []
    for part in SHIFTS:
        # Each source is rolled relative to the one before: a sum that the network has not seen.
        step = mixtures.shape[-1] // part // max(1, first.shape[1] - 1)
        rolled = torch.stack([s.roll(i * step, -1) for i, s in enumerate(first.unbind(1))], dim=1)
        losses, _ = pit.best_permutation(_finite(model(rolled.sum(1))), rolled)
        errors.append(10 ** (losses / 10))
    again = torch.stack(errors).mean(0)
    pairs = torch.triu_indices(first.shape[1], first.shape[1], 1)
    alike = F.cosine_similarity(first[:, pairs[0]], first[:, pairs[1]], dim=-1).abs()
    energy = first.square().sum(-1) + 1e-8
    return RemixConsistency(
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
    """A wrong activation may overflow: such samples become zero, and score as silence."""
    return estimates.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
