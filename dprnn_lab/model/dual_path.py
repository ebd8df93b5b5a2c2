"""The dual-path idea: cut a long sequence into chunks, run one RNN inside the chunks and one across them.

An RNN over L frames (1 000 a second at stride 8) must keep its memory through all of them. With the frames cut
into C chunks of K at 50 % overlap, each RNN sees a sequence of K or of C steps: both near sqrt(2 L) when
K is chosen to balance them. That is known to shorten the paths and, on a GPU, the time, which follows K + C; the sweeps
of this project found no difference in SI-SDRi (notebook 02, section 9). Equations and names follow DPRNN (Luo, Chen and
Yoshioka, arXiv 1910.06379): segmentation (section 2.1), the dual-path block (2.2), overlap-add (2.3).

Tensors have their features last, ``[B, C, K, F]``, as RNNs and linear layers expect; only the two axes of the
chunks are exchanged.

Notebook: 02_dual_path
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .norms import NORMS

__all__ = [
    "DualPathBlock",
    "PathRNN",
    "RNNProjection",
    "best_chunk_size",
    "chunk_count",
    "overlap_add",
    "segment",
]

# PyTorch passes a convolution of width one to oneDNN from 16 examples (here: steps) on; and with few sequences a step
# has too little work to gain from it.
_ENOUGH = 16


# oneDNN's RNNs in bfloat16 compute blocks of sequences, all of one size that divides their number. Beyond 48 sequences
# a number without a suitable divisor, such as 53, 82 or 127, takes far longer than the next one that has one
# (tests/benchmarks/sequence_blocks.md has whole networks).
_ONE_BLOCK = 48
_BLOCKS = range(16, 34, 2)


class RNNProjection(nn.Linear):
    """``nn.Linear`` for the output of a recurrent layer; same parameters, same values, faster on a CPU.

    Even with ``batch_first``, PyTorch's RNNs compute step by step, and their output is stored as
    ``[steps, sequences, features]``. ``nn.Linear`` would first copy it into the order of its axes. Here the
    product comes first, and the axes are exchanged after it, when there are fewer features to move.

    On a CPU the product is written as a convolution of width one, over the sequences of each step: PyTorch
    computes convolutions with oneDNN, as it does LSTMs, and plain products with MKL, which does not use AVX-512 on
    processors of other makers than Intel (tests/benchmarks has the times).

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


RNN_TYPES = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}


def chunk_count(frames: int, chunk_size: int, hop_size: int) -> int:
    """Number of chunks C that :func:`segment` cuts from ``frames`` frames, edges padded by a chunk each.

    >>> chunk_count(999, chunk_size=100, hop_size=50)
    22
    """
    return (frames + chunk_size) // hop_size + 1


def best_chunk_size(frames: int) -> int:
    """K = sqrt(2 L), the chunk size at 50 % overlap for which both RNNs see equally long sequences.

    With hop P = K / 2 there are about C = 2 L / K chunks; K = C gives K = sqrt(2 L) (the paper's 2.1).

    >>> best_chunk_size(3999)
    89
    """
    return max(1, round(math.sqrt(2 * frames)))


def segment(frames: torch.Tensor, chunk_size: int, hop_size: int) -> torch.Tensor:
    """Cut a sequence of frames into overlapping chunks.

    The sequence is padded with one chunk of zeros at each end. If P divides K, every frame then lies in K / P
    chunks; otherwise the numbers differ by one (K = 7, P = 3: in 2 or 3).

    Shape:
        - input: ``[B, L, F]``
        - output: ``[B, C, K, F]`` with K = chunk_size and C = ``chunk_count(L, chunk_size, hop_size)``

    Raises:
        ValueError: another number of axes, or a hop that is zero or longer than a chunk.

    >>> segment(torch.zeros(1, 999, 64), chunk_size=100, hop_size=50).shape
    torch.Size([1, 22, 100, 64])
    """
    if frames.dim() != 3 or not 1 <= hop_size <= chunk_size:
        raise ValueError(
            f"frames have shape {list(frames.shape)}, chunk_size is {chunk_size}, hop_size {hop_size}: expected "
            "[B, L, F] and 1 <= hop_size <= chunk_size"
        )
    padded = F.pad(frames, (0, 0, chunk_size, chunk_size))
    return padded.unfold(1, chunk_size, hop_size).transpose(2, 3).contiguous()


def overlap_add(chunks: torch.Tensor, frames: int, hop_size: int) -> torch.Tensor:
    """Add the chunks back where :func:`segment` took them from.

    Every frame comes back as the sum over its chunks, K / P times too loud where P divides K: by 2 at half overlap.
    The network is trained with that gain. Another hop after training changes this gain without an error.

    Shape:
        - input: ``[B, C, K, F]``
        - output: ``[B, L, F]`` with L = ``frames``

    >>> x = torch.randn(1, 37, 4)
    >>> torch.allclose(overlap_add(segment(x, 8, 4), 37, 4), 2 * x)
    True
    """
    batch, count, chunk_size, features = chunks.shape
    if chunk_size == 2 * hop_size:
        # Half overlap: each frame is the sum of one chunk's second half and the next one's first half.
        first, second = chunks.unflatten(2, (2, hop_size)).unbind(2)
        total = (second[:, :-1] + first[:, 1:]).flatten(1, 2)
        return total[:, hop_size : hop_size + frames]
    columns = chunks.permute(0, 3, 2, 1).reshape(batch, features * chunk_size, count)
    length = frames + 2 * chunk_size
    total = F.fold(columns, (length, 1), (chunk_size, 1), stride=(hop_size, 1))
    return total[:, :, chunk_size : chunk_size + frames, 0].transpose(1, 2)


class PathRNN(nn.Module):
    """One path: RNN along a sequence, linear projection back to F features.

    With ``use_mulcat`` two RNNs are multiplied and their input is appended before the projection
    (Nachmani, Adi and Wolf, arXiv 2003.01531).

    Shape:
        - input, output: ``[sequences, steps, F]``
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        rnn_type: str,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
        use_mulcat: bool,
    ):
        super().__init__()

        def rnn():
            return RNN_TYPES[rnn_type](
                features,
                hidden,
                num_layers=num_layers,
                dropout=dropout,
                bidirectional=bidirectional,
                batch_first=True,
            )

        self.rnn = rnn()
        self.gate_rnn = rnn() if use_mulcat else None
        width = hidden * (2 if bidirectional else 1) + (features if use_mulcat else 0)
        self.projection = RNNProjection(width, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sequences = x.shape[0]
        if sequences > _ONE_BLOCK and _is_bfloat16_on_cpu(x):
            more = min(-sequences % block for block in _BLOCKS)
            x = F.pad(x, (0, 0, 0, 0, 0, more))  # sequences of zeros, removed below
        y, _ = self.rnn(x)
        if self.gate_rnn is not None:
            gate, _ = self.gate_rnn(x)
            y = torch.cat((y * gate, x), dim=-1)
        return self.projection(y)[:sequences]


def _is_bfloat16_on_cpu(x: torch.Tensor) -> bool:
    """Whether an RNN on this input computes in bfloat16 on a CPU."""
    if x.device.type != "cpu":
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.dtype == torch.bfloat16


class DualPathBlock(nn.Module):
    """Intra-chunk RNN (local detail), then inter-chunk RNN (the long view), each with norm and residual.

    The intra-chunk RNN is always bidirectional. The inter-chunk RNN can be unidirectional, for a model that looks
    ahead by at most one chunk.

    Shape:
        - input, output: ``[B, C, K, F]``
    """

    def __init__(self, features: int, hidden: int, norm_type: str, bidirectional: bool, **rnn):
        super().__init__()
        self.intra = PathRNN(features, hidden, bidirectional=True, **rnn)
        self.intra_norm = NORMS[norm_type](features)
        self.inter = PathRNN(features, hidden, bidirectional=bidirectional, **rnn)
        self.inter_norm = NORMS[norm_type](features)

    def forward(self, chunks: torch.Tensor) -> torch.Tensor:
        # Intra-chunk: every chunk is a sequence of K steps.
        y = self.intra(chunks.flatten(0, 1)).view_as(chunks)
        chunks = chunks + self.intra_norm(y)
        # Inter-chunk: every position in a chunk is a sequence of C steps, a hop apart.
        across = chunks.transpose(1, 2)
        y = self.inter(across.flatten(0, 1)).view_as(across)
        return chunks + self.inter_norm(y).transpose(1, 2)
