"""The separator: from the mixture's frames to one mask per source.

bottleneck -> segmentation -> R dual-path blocks -> a tensor per source -> overlap-add -> gated output -> mask
(DPRNN, arXiv 1910.06379, figure 1 and section 2.4).

Notebook: 02_dual_path
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from .dual_path import DualPathBlock, overlap_add, segment
from .norms import NORMS

__all__ = ["DualPathSeparator", "ACTIVATIONS", "ENCODER_ACTIVATIONS"]

# By the names in Asteroid's configurations.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
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
# After the encoder Asteroid leaves softmax's axis to PyTorch, which takes the first one, the batch: the result for a
# mixture then depends on the other mixtures. Implemented for equality with Asteroid; not useful otherwise.
ENCODER_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    **ACTIVATIONS,
    "softmax": lambda: nn.Softmax(dim=0),
}


class DualPathSeparator(nn.Module):
    """Estimate S masks from the encoded mixture.

    Shape:
        - input: ``[B, N, L]`` encoded mixture
        - output: ``[B, S, N, L]`` masks, in the range of ``mask_act`` (``[B, S, 1, L]`` with ``out_chan=1``)
    """

    def __init__(
        self,
        n_src: int,
        n_features: int,
        bn_chan: int,
        hid_size: int,
        chunk_size: int,
        hop_size: int,
        n_repeats: int,
        norm_type: str,
        mask_act: str,
        out_chan: int | None = None,
        **rnn,
    ):
        super().__init__()
        self.n_src, self.chunk_size, self.hop_size = n_src, chunk_size, hop_size
        self.input_norm = NORMS[norm_type](n_features)
        self.bottleneck = nn.Linear(n_features, bn_chan)
        self.blocks = nn.ModuleList(
            DualPathBlock(bn_chan, hid_size, norm_type, **rnn) for _ in range(n_repeats)
        )
        self.source_act = nn.PReLU()
        self.source_split = nn.Linear(bn_chan, n_src * bn_chan)
        self.output_tanh = nn.Linear(bn_chan, bn_chan)
        self.output_gate = nn.Linear(bn_chan, bn_chan)
        self.mask = nn.Linear(bn_chan, out_chan or n_features, bias=False)
        self.mask_act = ACTIVATIONS[mask_act]()

    def forward(self, encoded: torch.Tensor) -> torch.Tensor:
        batch, _, frames = encoded.shape
        features = self.bottleneck(self.input_norm(encoded.transpose(1, 2)))
        chunks = segment(features, self.chunk_size, self.hop_size)
        for block in self.blocks:
            chunks = block(chunks)
        # Overlap-add, then split the features into one tensor per source. In DPRNN the split comes first; it is
        # affine, and overlap-add is linear. In this order there are half as many frames to split at half overlap, and
        # the split's bias must be added once for each chunk that contains the frame.
        y = overlap_add(self.source_act(chunks), frames, self.hop_size)
        times = overlap_add(torch.ones_like(chunks[:1, ..., :1]), frames, self.hop_size)  # [1, L, 1]
        y = F.linear(y, self.source_split.weight) + times * self.source_split.bias
        y = y.unflatten(-1, (self.n_src, -1)).transpose(1, 2).flatten(0, 1)  # [B * S, L, F]
        y = torch.tanh(self.output_tanh(y)) * torch.sigmoid(self.output_gate(y))
        masks = self.mask_act(self.mask.weight @ y.transpose(1, 2))  # [B * S, N, L]
        return masks.unflatten(0, (batch, self.n_src))
