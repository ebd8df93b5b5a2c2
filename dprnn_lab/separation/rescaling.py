"""The level of the estimates: one gain for each, with which their sum is closest to the mixture.

SI-SDR training leaves the level of each output arbitrary; the mixture determines it, without references.

Notebook: 09_long_audio
"""

import torch

from ..audio import PEAK, AudioError

__all__ = ["SCALES", "MixtureFit", "check_scale", "rescale", "scale_to_mixture"]

SCALES = ("mixture", "peak", "none")


class MixtureFit:
    """Block-wise least squares: the gain of each estimate with which their sum is closest to the mixture.

    The normal equations G g = c, with the Gram matrix G = E Eᵀ of the estimates E ``[S, T]`` and c = E x for
    the mixture x ``[T]``, are sums over time, so that blocks of any length can be added one after the other.
    Estimates that are (nearly) copies of each other leave the gains undetermined; the pseudo-inverse gives the
    smallest then.
    """

    def __init__(self, sources: int) -> None:
        self.gram = torch.zeros(sources, sources, dtype=torch.float64)
        self.cross = torch.zeros(sources, dtype=torch.float64)

    def add(self, estimates: torch.Tensor, mixture: torch.Tensor) -> None:
        """Add the estimates ``[S, t]`` of a block and its mixture ``[t]``."""
        estimates = estimates.double()
        self.gram += estimates @ estimates.T
        self.cross += estimates @ mixture.double()

    def gains(self) -> torch.Tensor:
        """``[S]`` float32."""
        # Copies differ by float32's rounding: 1e-7 of their level, 1e-14 of their energy.
        return (torch.linalg.pinv(self.gram, rtol=1e-10, hermitian=True) @ self.cross).float()


def scale_to_mixture(estimates: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
    """Give each estimate ``[S, T]`` the gain with which their sum is closest to the mixture ``[T]``."""
    fit = MixtureFit(len(estimates))
    fit.add(estimates, mixture)
    return estimates * fit.gains().unsqueeze(-1)


def check_scale(scale: str) -> None:
    """Raise an AudioError for an unknown value."""
    if scale not in SCALES:
        raise AudioError(f"scale is {scale!r}: choose 'mixture', 'peak' or 'none'")


def rescale(estimates: torch.Tensor, mixture: torch.Tensor, scale: str) -> torch.Tensor:
    """``[S, T]`` as they are ("none"), scaled to the mixture ("mixture"), or then to a peak of 0.9 ("peak")."""
    if scale != "none":
        estimates = scale_to_mixture(estimates, mixture)
    if scale == "peak":
        estimates = estimates * (PEAK / estimates.abs().max().clamp(min=1e-8))
    return estimates
