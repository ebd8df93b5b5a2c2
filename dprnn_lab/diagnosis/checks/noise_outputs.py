"""Which outputs are steady noise, though the mixture has none: used by several checks of group D.

Notebook: 06_failures_at_inference
"""

import torch

from ..acoustics import NOISY_SHARE, noisy_share

__all__ = ["NOISE_OUTPUT_SHARE", "outputs_of_noise"]

NOISE_OUTPUT_SHARE = 0.5  # of the frequencies of an output are steady noise


def outputs_of_noise(outputs: torch.Tensor, mixture: torch.Tensor, rate: float) -> list[int]:
    """Indices of the outputs ``[S, T]`` that are steady noise, the noisiest first; none if the mixture has noise."""
    if noisy_share(mixture, rate) >= NOISY_SHARE:
        return []
    shares = {i: noisy_share(x, rate) for i, x in enumerate(outputs)}
    return sorted((i for i, s in shares.items() if s > NOISE_OUTPUT_SHARE), key=lambda i: -shares[i])
