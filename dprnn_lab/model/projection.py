"""The linear layer after an RNN, computed in the order in which the RNN leaves its numbers.

Notebook: 02_dual_path
"""

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["RNNProjection"]

# PyTorch hands a convolution of width one to oneDNN from 16 examples on, in our case steps; and with only a
# few sequences there is too little to do in each step.
_ENOUGH = 16


class RNNProjection(nn.Linear):
    """``nn.Linear`` for the output of a recurrent layer; same parameters, same numbers, less time on a CPU.

    With ``batch_first`` too, PyTorch's RNNs compute step by step, and their output lies in memory as
    ``[steps, sequences, features]``. ``nn.Linear`` would copy it into the order of its axes first. Here the
    product comes first, and the axes are exchanged after it, when there are fewer features to move.

    On a CPU the product is written as a convolution of width one, over the sequences of each step: PyTorch
    gives convolutions to oneDNN, as it does LSTMs, and plain products to MKL, which leaves AVX-512 unused on
    processors that are not Intel's (tests/benchmarks has the times).

    Shape:
        - input: ``[sequences, steps, in_features]``
        - output: ``[sequences, steps, out_features]``, contiguous

    >>> RNNProjection(128, 64)(torch.zeros(22, 100, 128)).shape
    torch.Size([22, 100, 64])
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = x.transpose(0, 1).contiguous()  # no copy for an RNN's output
        onednn = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
        if onednn and x.device.type == "cpu" and x.dtype == torch.float32 and min(x.shape[:2]) >= _ENOUGH:
            columns = steps.transpose(1, 2).unsqueeze(2)  # [steps, features, 1, sequences]
            y = F.conv2d(columns, self.weight[:, :, None, None], self.bias).squeeze(2).transpose(1, 2)
        else:
            y = super().forward(steps)
        return y.transpose(0, 1).contiguous()
