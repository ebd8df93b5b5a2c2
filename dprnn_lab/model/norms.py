"""Layer norms of the separator, for tensors whose last axis holds the F features.

Both are defined in Conv-TasNet (Luo and Mesgarani, arXiv 1809.07454, section III-C). Their parameters have
the same shapes, so a checkpoint does not tell which of the two it was trained with.

Notebook: 02_dual_path
"""

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["GlobalLayerNorm", "ChannelLayerNorm", "NORMS"]

EPS = 1e-8


class _Affine(nn.Module):
    def __init__(self, features: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))


class GlobalLayerNorm(_Affine):
    """gLN: one mean and variance per example, over time *and* features, then a gain and bias per feature.

    Every output depends on the whole recording, so it can't run on a stream.

    Shape:
        - input, output: ``[B, ..., F]``
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dims = tuple(range(1, x.dim()))
        variance, mean = torch.var_mean(x, dim=dims, keepdim=True, unbiased=False)
        return torch.addcmul(self.bias, (x - mean) * (variance + EPS).rsqrt(), self.gain)


class ChannelLayerNorm(_Affine):
    """cLN: a mean and variance per time step, over the features alone; causal.

    Shape:
        - input, output: ``[B, ..., F]``
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], self.gain, self.bias, EPS)


NORMS = {"gLN": GlobalLayerNorm, "cLN": ChannelLayerNorm}
