"""The separator: from the mixture's frames to one mask per source.

bottleneck -> segmentation -> R dual-path blocks -> a tensor per source -> overlap-add -> gated output -> mask
(DPRNN, arXiv 1910.06379, figure 1 and section 2.4).

Notebook: 02_dual_path
"""

import torch
from torch import nn
from torch.nn import functional as F

from .dual_path import DualPathBlock, overlap_add, segment
from .norms import NORMS

__all__ = ["DualPathSeparator", "ACTIVATIONS"]

# By the names that Asteroid's configurations use. Each maker returns a module.
ACTIVATIONS = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "prelu": nn.PReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    # Asteroid calls its softmax on [B * S, N, L] with dim=1: it competes over filters, not over sources.
    "softmax": lambda: nn.Softmax(dim=1),
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "swish": nn.SiLU,
}


class DualPathSeparator(nn.Module):
    """Estimate S masks from the encoded mixture.

    Shape:
        - input: ``[B, N, L]`` encoded mixture
        - output: ``[B, S, N, L]`` masks, in the range of ``mask_act``
    """

    def __init__(
        self,
        n_src: int,
        n_filters: int,
        bn_chan: int,
        hid_size: int,
        chunk_size: int,
        hop_size: int,
        n_repeats: int,
        norm_type: str,
        mask_act: str,
        **rnn,
    ):
        super().__init__()
        self.n_src, self.chunk_size, self.hop_size = n_src, chunk_size, hop_size
        self.input_norm = NORMS[norm_type](n_filters)
        self.bottleneck = nn.Linear(n_filters, bn_chan)
        self.blocks = nn.ModuleList(
            DualPathBlock(bn_chan, hid_size, norm_type, **rnn) for _ in range(n_repeats)
        )
        self.source_act = nn.PReLU()
        self.source_split = nn.Linear(bn_chan, n_src * bn_chan)
        self.output_tanh = nn.Linear(bn_chan, bn_chan)
        self.output_gate = nn.Linear(bn_chan, bn_chan)
        self.mask = nn.Linear(bn_chan, n_filters, bias=False)
        self.mask_act = ACTIVATIONS[mask_act]()

    def forward(self, encoded: torch.Tensor) -> torch.Tensor:
        batch, _, frames = encoded.shape
        features = self.bottleneck(self.input_norm(encoded.transpose(1, 2)))
        chunks = segment(features, self.chunk_size, self.hop_size)
        for block in self.blocks:
            chunks = block(chunks)
        # Split the features into one tensor per source, then leave the chunks: [B * S, L, F].
        per_source = self.source_split(self.source_act(chunks))
        per_source = per_source.unflatten(-1, (self.n_src, -1)).permute(0, 3, 1, 2, 4).flatten(0, 1)
        y = overlap_add(per_source, frames, self.hop_size)
        y = torch.tanh(self.output_tanh(y)) * torch.sigmoid(self.output_gate(y))
        # The mask as a convolution of width one: its output is [B * S, N, L] without a transpose.
        masks = self.mask_act(F.conv1d(y.transpose(1, 2), self.mask.weight.unsqueeze(-1)))
        return masks.unflatten(0, (batch, self.n_src))
