"""The gain of each estimate with which their sum comes nearest to the mixture.

SI-SDR training leaves the level of each output arbitrary; the mixture decides it, without references.

Notebook: 09_long_audio
"""

import torch

__all__ = ["MixtureFit", "scale_to_mixture"]


class MixtureFit:
    """Least squares in pieces: the gain of each estimate with which their sum is nearest to the mixture.

    The normal equations G g = c, with the Gram matrix G = E Eᵀ of the estimates E ``[S, T]`` and c = E x for
    the mixture x ``[T]``, are sums over time, so that blocks of any length can be added one after the other.
    Estimates that are (nearly) copies of each other leave the gains undecided; the smallest are taken then.
    """

    def __init__(self, sources: int):
        self.gram = torch.zeros(sources, sources, dtype=torch.float64)
        self.cross = torch.zeros(sources, dtype=torch.float64)

    def add(self, estimates: torch.Tensor, mixture: torch.Tensor) -> None:
        """Take in ``[S, t]`` estimates and the ``[t]`` samples of the mixture in the same place."""
        estimates = estimates.double()
        self.gram += estimates @ estimates.T
        self.cross += estimates @ mixture.double()

    def gains(self) -> torch.Tensor:
        """``[S]`` float32."""
        # Copies differ by float32's rounding, 1e-7 of their level, so 1e-14 of their energy.
        return (torch.linalg.pinv(self.gram, rtol=1e-10, hermitian=True) @ self.cross).float()


def scale_to_mixture(estimates: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
    """Give each estimate ``[S, T]`` the gain with which their sum is nearest to the mixture ``[T]``."""
    fit = MixtureFit(len(estimates))
    fit.add(estimates, mixture)
    return estimates * fit.gains().unsqueeze(-1)
