"""The moving average of the weights: what is validated and saved.

Notebook: 05_training
"""

from collections.abc import Callable

import torch

__all__ = ["moving_average"]


def moving_average(decay: float) -> Callable:
    """For Lightning's WeightAveraging: its memory grows with the run, so that it forgets the random start."""

    def average(averaged: torch.Tensor, current: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        share = max(1 - decay, 9 / (10 + float(updates)))
        return averaged.lerp(current, share)

    return average
