"""The inputs to one diagnosis, as the user has them.

Notebook: 06_failures_at_inference
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

__all__ = ["Inputs"]

FilePath = str | os.PathLike
Samples = np.ndarray | torch.Tensor | Sequence


@dataclass
class Inputs:
    """The arguments of :func:`dprnn_lab.diagnose`, in its order; described there."""

    model: FilePath | nn.Module | None = None
    mixture: FilePath | Samples | None = None
    sample_rate: float | None = None
    references: Samples | None = None
    estimates: Samples | None = None
    checkpoint: FilePath | None = None
    config: Mapping | None = None
    speakers: int | None = None
    reported: float | None = None
    run: FilePath | pd.DataFrame | None = None
    batch: Sequence[Samples] | None = None
    loss: Callable | None = None
    data: FilePath | Mapping[str, Sequence] | None = None
    scores: FilePath | pd.DataFrame | Mapping | Samples | None = None
