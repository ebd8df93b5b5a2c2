"""Norms of the separator, for tensors whose last axis holds the F features.

gLN and cLN are defined in Conv-TasNet (Luo and Mesgarani, arXiv 1809.07454, section III-C); fgLN and batch norm
are Asteroid's other two. They differ in what shares a mean and a variance. The parameters of the first three
have the same shapes, so a checkpoint does not tell which of them it was trained with; batch norm keeps running
statistics beside them.

Notebook: 02_dual_path
"""

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["GlobalLayerNorm", "ChannelLayerNorm", "FeatureGlobalLayerNorm", "BatchNorm", "NORMS"]

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
        # Layer norm over the whole example; not with its own gain and bias, which would be one for each number.
        return torch.addcmul(self.bias, F.layer_norm(x, x.shape[1:], eps=EPS), self.gain)


class ChannelLayerNorm(_Affine):
    """cLN: a mean and variance per time step, over the features alone; causal.

    Shape:
        - input, output: ``[B, ..., F]``
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], self.gain, self.bias, EPS)


class FeatureGlobalLayerNorm(_Affine):
    """fgLN: a mean and variance per example *and* feature, over all of time.

    Shape:
        - input, output: ``[B, ..., F]``
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dims = tuple(range(1, x.dim() - 1))
        # torch.var_mean takes ten times as long.
        x = x - x.mean(dims, keepdim=True)
        variance = x.square().mean(dims, keepdim=True)
        return torch.addcmul(self.bias, x * (variance + EPS).rsqrt(), self.gain)


class BatchNorm(nn.BatchNorm1d):
    """bN: a mean and variance per feature, over the batch and time in training, running means otherwise.

    In training every output depends on the other examples of its batch.

    Shape:
        - input, output: ``[B, ..., F]``
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(0, -2)).view_as(x)


NORMS = {"gLN": GlobalLayerNorm, "cLN": ChannelLayerNorm, "fgLN": FeatureGlobalLayerNorm, "bN": BatchNorm}
