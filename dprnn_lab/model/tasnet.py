"""DPRNN-TasNet: encoder, dual-path separator, masks, decoder (Luo, Chen and Yoshioka, arXiv 1910.06379).

Notebooks: 01_encoder_decoder, 02_dual_path
"""

import torch
from torch import nn
from torch.nn import functional as F

from .config import settle_options
from .parametric import BANK_OPTIONS, make_decoder, make_encoder
from .separator import ENCODER_ACTIVATIONS, DualPathSeparator

__all__ = ["DPRNNTasNet"]


class DPRNNTasNet(nn.Module):
    """Separate a mixture waveform into ``n_src`` waveforms.

    Argument names and defaults are Asteroid's, and so are the names of the choices.

    Args:
        n_src: S, number of sources.
        bn_chan: F, features per frame inside the separator (the bottleneck).
        hid_size: H, hidden units of each RNN and direction.
        chunk_size: K, frames per chunk.
        hop_size: P, frames between chunk starts; half a chunk when None.
        n_repeats: R, number of dual-path blocks.
        norm_type: "gLN" (global), "cLN" (per frame), "fgLN" (per feature) or "bN" (batch norm).
        mask_act: activation of the masks: "sigmoid", "relu", "linear", "tanh", "softmax", "prelu",
            "leaky_relu", "gelu" or "swish".
        bidirectional: whether the inter-chunk RNN runs both ways (the intra-chunk RNN always does).
        rnn_type: "LSTM", "GRU" or "RNN".
        num_layers: layers in each RNN.
        dropout: between RNN layers, so without effect when ``num_layers`` is 1.
        n_filters: N, number of filters. With "stft" the frames have N + 2 features; "analytic_free" and
            "param_sinc" have pairs of filters, an odd one is left out.
        kernel_size: samples per filter; "param_sinc" adds one to an even number.
        stride: samples between frames; half a kernel when None.
        encoder_activation: activation after the encoder, as for ``mask_act``; None for none.
        use_mulcat: multiply-and-concatenate RNNs in place of plain ones.
        sample_rate: Hz, of the audio that the model was trained on.
        fb_name: the filterbank: "free" (learned), "stft", "analytic_free" or "param_sinc".
        in_chan: features of the encoder's frames. The filterbank gives them: leave it out.
        out_chan: None for a mask value per feature; 1 for one that all features share.
        min_low_hz: lowest edge of a "param_sinc" filter, Hz.
        min_band_hz: least bandwidth of a "param_sinc" filter, Hz.

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
        fb_name: str = "free",
        in_chan: int | None = None,
        out_chan: int | None = None,
        min_low_hz: float = 50,
        min_band_hz: float = 50,
    ):
        super().__init__()
        # Everything needed to build the same model again; saved in the checkpoint beside the weights.
        self.config = settle_options(
            {
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
                "fb_name": fb_name,
                "in_chan": in_chan,
                "out_chan": out_chan,
                "min_low_hz": min_low_hz,
                "min_band_hz": min_band_hz,
            }
        )
        self.n_src, self.sample_rate = n_src, sample_rate
        bank = {name: self.config[name] for name in BANK_OPTIONS}
        others = {*bank, "encoder_activation"}
        separator = {name: value for name, value in self.config.items() if name not in others}
        self.encoder = make_encoder(**bank)
        self.encoder_act = ENCODER_ACTIVATIONS[self.config["encoder_activation"] or "linear"]()
        self.separator = DualPathSeparator(n_features=self.encoder.filters.shape[0], **separator)
        self.decoder = make_decoder(**bank)

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
