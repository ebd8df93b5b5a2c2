"""DPRNN-TasNet: encoder, dual-path separator, masks, decoder (Luo, Chen and Yoshioka, arXiv 1910.06379).

Notebooks: 01_encoder_decoder, 02_dual_path
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from .dual_path import RNN_TYPES
from .filterbank import Decoder, Encoder
from .norms import NORMS
from .separator import ACTIVATIONS, DualPathSeparator

__all__ = ["DPRNNTasNet"]


class DPRNNTasNet(nn.Module):
    """Separate a mixture waveform into ``n_src`` waveforms.

    Argument names and defaults are Asteroid's. The ``model_args`` of its checkpoints hold three more, which
    say nothing that is not here too: ``fb_name`` ("free"), ``in_chan`` and ``out_chan`` (both ``n_filters``).

    Args:
        n_src: S, number of sources.
        bn_chan: F, features per frame inside the separator (the bottleneck).
        hid_size: H, hidden units of each RNN and direction.
        chunk_size: K, frames per chunk.
        hop_size: P, frames between chunk starts; half a chunk when None.
        n_repeats: R, number of dual-path blocks.
        norm_type: "gLN" (global) or "cLN" (per frame).
        mask_act: activation of the masks: "sigmoid", "relu", "linear", "tanh", "softmax", "prelu",
            "leaky_relu", "gelu" or "swish".
        bidirectional: whether the inter-chunk RNN runs both ways (the intra-chunk RNN always does).
        rnn_type: "LSTM", "GRU" or "RNN".
        num_layers: layers in each RNN.
        dropout: between RNN layers, so without effect when ``num_layers`` is 1.
        n_filters: N, number of learned filters.
        kernel_size: samples per filter.
        stride: samples between frames; half a kernel when None.
        encoder_activation: activation after the encoder, None for none.
        use_mulcat: multiply-and-concatenate RNNs in place of plain ones.
        sample_rate: Hz, of the audio that the model was trained on.

    Shape:
        - input: ``[T]``, ``[B, T]`` or ``[B, 1, T]``, floating point, T of one sample and more
        - output: ``[S, T]`` for ``[T]``, otherwise ``[B, S, T]``

    Raises:
        ValueError: an argument out of range, or an input of another shape.
        TypeError: an input that is not a floating-point tensor, or of another precision than the weights.

    >>> model = DPRNNTasNet(n_repeats=1, hid_size=8, bn_chan=8)
    >>> model(torch.zeros(3, 8000)).shape
    torch.Size([3, 2, 8000])
    """

    def __init__(
        self,
        n_src: int = 2,
        bn_chan: int = 128,
        hid_size: int = 128,
        chunk_size: int = 100,
        hop_size: int | None = None,
        n_repeats: int = 6,
        norm_type: str = "gLN",
        mask_act: str = "sigmoid",
        bidirectional: bool = True,
        rnn_type: str = "LSTM",
        num_layers: int = 1,
        dropout: float = 0,
        n_filters: int = 64,
        kernel_size: int = 16,
        stride: int | None = 8,
        encoder_activation: str | None = None,
        use_mulcat: bool = False,
        sample_rate: float = 8000,
    ):
        super().__init__()
        hop_size = _half(chunk_size) if hop_size is None else hop_size
        stride = _half(kernel_size) if stride is None else stride
        # Everything needed to build the same model again; saved in the checkpoint beside the weights.
        self.config = {
            "n_src": n_src,
            "bn_chan": bn_chan,
            "hid_size": hid_size,
            "chunk_size": chunk_size,
            "hop_size": hop_size,
            "n_repeats": n_repeats,
            "norm_type": norm_type,
            "mask_act": mask_act,
            "bidirectional": bidirectional,
            "rnn_type": rnn_type,
            "num_layers": num_layers,
            "dropout": dropout,
            "n_filters": n_filters,
            "kernel_size": kernel_size,
            "stride": stride,
            "encoder_activation": encoder_activation,
            "use_mulcat": use_mulcat,
            "sample_rate": sample_rate,
        }
        _check_config(self.config)
        self.n_src, self.sample_rate = n_src, sample_rate
        self.encoder = Encoder(n_filters, kernel_size, stride)
        self.encoder_act = ACTIVATIONS[encoder_activation or "linear"]()
        self.separator = DualPathSeparator(
            n_src=n_src,
            n_filters=n_filters,
            bn_chan=bn_chan,
            hid_size=hid_size,
            chunk_size=chunk_size,
            hop_size=hop_size,
            n_repeats=n_repeats,
            norm_type=norm_type,
            mask_act=mask_act,
            bidirectional=bidirectional,
            rnn_type=rnn_type,
            num_layers=num_layers,
            dropout=dropout,
            use_mulcat=use_mulcat,
        )
        self.decoder = Decoder(n_filters, kernel_size, stride)

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        batch = _as_batch(mixture)
        precision = self.encoder.filters.dtype
        if batch.dtype != precision and not torch.is_autocast_enabled(batch.device.type):
            raise TypeError(
                f"the mixture is {batch.dtype}, the weights are {precision}: convert it with mixture.to({precision})"
            )
        encoded = self.encode(batch)
        masks = self.separator(encoded)
        estimates = self.decode(masks * encoded.unsqueeze(1), samples=batch.shape[-1])
        return estimates[0] if mixture.dim() == 1 else estimates

    def encode(self, mixture: torch.Tensor) -> torch.Tensor:
        """``[B, T]`` samples to ``[B, N, L]`` frames, activation included."""
        return self.encoder_act(self.encoder(mixture))

    def decode(self, masked: torch.Tensor, samples: int) -> torch.Tensor:
        """``[B, S, N, L]`` masked frames to ``[B, S, T]`` with T = ``samples`` exactly.

        Samples past the last whole frame are zeros: the network never saw them.
        """
        estimates = self.decoder(masked.flatten(0, 1)).unflatten(0, masked.shape[:2])
        return F.pad(estimates, (0, samples - estimates.shape[-1]))

    @classmethod
    def from_pretrained(cls, path, **options) -> "DPRNNTasNet":
        """The model in a checkpoint file: :func:`dprnn_lab.load_model` by the name people know."""
        from ..checkpoint import load_model  # the one import that points up, and only when called

        return load_model(path, **options)


def _as_batch(mixture: torch.Tensor) -> torch.Tensor:
    """Any accepted input as ``[B, T]``."""
    if not isinstance(mixture, torch.Tensor) or not mixture.is_floating_point():
        kind = mixture.dtype if isinstance(mixture, torch.Tensor) else type(mixture).__name__
        raise TypeError(
            f"the mixture is {kind}, the model needs a floating-point tensor: "
            "use dprnn_lab.separate for files and arrays, or divide int16 samples by 32768"
        )
    shape = list(mixture.shape)
    if mixture.dim() == 3 and shape[1] == 1:
        mixture = mixture[:, 0]
    elif mixture.dim() == 1:
        mixture = mixture.unsqueeze(0)
    elif mixture.dim() != 2:
        raise ValueError(
            f"the mixture has shape {shape}, expected [T], [B, T] or [B, 1, T]: "
            "mix the channels down first, one mixture per row"
        )
    if mixture.shape[-1] == 0:
        raise ValueError(f"the mixture has shape {shape}: no samples; give it one sample at the least")
    return mixture


def _half(size: int) -> int:
    """Half a size, one at the least; what is no number is left for the check to name."""
    return max(1, size // 2) if isinstance(size, int) else size


def _check_config(config: dict) -> None:
    """One error that names the argument, the value and what would be right."""
    integers = "n_src bn_chan hid_size chunk_size hop_size n_repeats num_layers n_filters kernel_size stride"
    for name in integers.split():
        value = config[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} is {value!r}: it must be a whole number of 1 or more")
    if config["hop_size"] > config["chunk_size"]:
        raise ValueError(
            f"hop_size is {config['hop_size']}, larger than chunk_size {config['chunk_size']}: frames between "
            "the chunks would be lost; use half the chunk size"
        )
    if config["stride"] > config["kernel_size"]:
        raise ValueError(
            f"stride is {config['stride']}, larger than kernel_size {config['kernel_size']}: samples between "
            "the frames would be lost; use half the kernel size"
        )
    choices = {
        "norm_type": NORMS,
        "mask_act": ACTIVATIONS,
        "encoder_activation": [None, *ACTIVATIONS],
        "rnn_type": RNN_TYPES,
    }
    for name, allowed in choices.items():
        if config[name] not in list(allowed):
            raise ValueError(f"{name} is {config[name]!r}: choose one of {', '.join(map(str, allowed))}")
    for name in ("bidirectional", "use_mulcat"):
        if not isinstance(config[name], bool):
            raise ValueError(f"{name} is {config[name]!r}: it must be True or False")
    for name in ("dropout", "sample_rate"):
        if not isinstance(config[name], (int, float)):
            raise ValueError(f"{name} is {config[name]!r}: it must be a number")
    if not 0 <= config["dropout"] < 1:
        raise ValueError(f"dropout is {config['dropout']!r}: it must be at least 0 and below 1")
    if not 0 < config["sample_rate"] < math.inf:
        raise ValueError(f"sample_rate is {config['sample_rate']!r}: it must be above 0 Hz")
