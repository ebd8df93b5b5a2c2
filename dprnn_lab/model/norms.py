"""Norms of the separator, for tensors whose last axis holds the F features.

The names are Asteroid's. gLN is defined in Conv-TasNet (Luo and Mesgarani, arXiv 1809.07454, section III-C). That
paper's cLN is another norm than Asteroid's: the paper's is *cumulative* (mean and variance over all features and all
frames up to the present one), Asteroid's is *channel-wise* (over the features of one frame). Here "cLN" is Asteroid's;
the cumulative norm is not implemented. They differ in what shares a mean and a variance. The parameters of the first
three have the same shapes, so a checkpoint does not show which of them it was trained with; batch norm has running
statistics in addition.

Notebook: 02_dual_path
"""

from collections.abc import Iterable

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


def _standardise(x: torch.Tensor, dims: Iterable[int]) -> torch.Tensor:
    """Mean 0 and variance 1 over some axes, in float32 or float64."""
    # torch.var_mean takes ten times as long on a CPU.
    dims = tuple(dims)
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    x = x - x.mean(dims, keepdim=True)
    return x * (x.square().mean(dims, keepdim=True) + EPS).rsqrt()


class GlobalLayerNorm(_Affine):
    """gLN: one mean and variance per example, over time *and* features, then a gain and bias per feature.

    Every output depends on the whole recording, so it can't be used for streaming.

    Shape:
        - input, output: ``[B, ..., F]``
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # PyTorch's layer norm runs each example on one multiprocessor of a GPU: a training step took 9 to 19 % longer
        # with it. It can't apply our gain and bias: it expects one for each normalised value; and an ONNX file would
        # have a gain of one for each, which at 4 s is more than all the weights.
        plain = x.is_cuda or torch.compiler.is_exporting()
        normal = _standardise(x, range(1, x.dim())) if plain else F.layer_norm(x, x.shape[1:], eps=EPS)
        return torch.addcmul(self.bias, normal, self.gain)


class ChannelLayerNorm(_Affine):
    """Asteroid's cLN, channel-wise: a mean and variance per frame, over its features alone; causal.

    Not the cumulative norm that Conv-TasNet calls cLN: this one keeps no level over time.

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
        return torch.addcmul(self.bias, _standardise(x, range(1, x.dim() - 1)), self.gain)


class BatchNorm(nn.BatchNorm1d):
    """bN: a mean and variance per feature, over the batch and time in training, running means otherwise.

    In training every output depends on the other examples of its batch.

    Shape:
        - input, output: ``[B, ..., F]``
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(0, -2)).view_as(x)


NORMS = {"gLN": GlobalLayerNorm, "cLN": ChannelLayerNorm, "fgLN": FeatureGlobalLayerNorm, "bN": BatchNorm}
