"""The learned filterbank: an encoder in place of the STFT, a decoder in place of its inverse.

TasNet (Luo and Mesgarani, arXiv 1711.00541) replaces the STFT by a one-dimensional convolution whose N
filters are trained with the rest of the network. No phase is estimated separately: the encoder's output is
real, a mask multiplies it, and a transposed convolution turns the masked frames back into samples. Phase is in
the signs of the output and in which filters respond. A mask from 0 to 1 scales these numbers and can't change
their signs; the STFT has the same freedom with a mask for each real number, or with a complex mask.

Notebook: 01_encoder_decoder
"""

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["Encoder", "Decoder", "Filterbank", "frame_count"]


def frame_count(samples: int, kernel_size: int, stride: int) -> int:
    """Number of frames L that the encoder makes of ``samples`` samples, at least 1.

    The last ``(samples - kernel_size) % stride`` samples do not fill a frame and are not part of the
    network's input; the decoder returns zeros for them.

    >>> frame_count(8000, kernel_size=16, stride=8)
    999
    """
    return max(samples - kernel_size, 0) // stride + 1


class Filterbank(nn.Module):
    """Sizes of a filterbank; its subclasses have ``filters`` of shape ``[N, 1, kernel_size]``."""

    filters: torch.Tensor

    def __init__(self, n_filters: int, kernel_size: int, stride: int):
        super().__init__()
        self.n_filters, self.kernel_size, self.stride = n_filters, kernel_size, stride

    def extra_repr(self) -> str:
        """The sizes, for ``print(model)``."""
        return f"{self.n_filters} filters of {self.kernel_size} samples, stride {self.stride}"


class _FreeFilters(Filterbank):
    def __init__(self, n_filters: int, kernel_size: int, stride: int):
        super().__init__(n_filters, kernel_size, stride)
        self.filters = nn.Parameter(torch.empty(n_filters, 1, kernel_size))
        nn.init.xavier_normal_(self.filters)


class Encoder(_FreeFilters):
    """Correlate the waveform with N learned filters every ``stride`` samples.

    Shape:
        - input: ``[B, T]`` samples, float; shorter inputs are zero-padded to one kernel
        - output: ``[B, N, L]`` with ``L = frame_count(T, kernel_size, stride)``

    >>> Encoder(64, 16, 8)(torch.zeros(2, 8000)).shape
    torch.Size([2, 64, 999])
    """

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        missing = self.kernel_size - mixture.shape[-1]
        if missing > 0:
            mixture = F.pad(mixture, (0, missing))
        return F.conv1d(mixture.unsqueeze(1), self.filters, stride=self.stride)


class Decoder(_FreeFilters):
    """Sum N filters, each weighted by its frame value, with overlap-add.

    Shape:
        - input: ``[B, N, L]``
        - output: ``[B, (L - 1) * stride + kernel_size]`` samples

    >>> Decoder(64, 16, 8)(torch.zeros(2, 64, 999)).shape
    torch.Size([2, 8000])
    """

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        # A transposed convolution: its two steps one by one are faster than F.conv_transpose1d.
        # [B, kernel_size, L]: the samples that each frame adds to the waveform
        pieces = self.filters.squeeze(1).T @ frames
        samples = (frames.shape[-1] - 1) * self.stride + self.kernel_size
        return F.fold(pieces, (1, samples), (1, self.kernel_size), stride=(1, self.stride)).flatten(1)
