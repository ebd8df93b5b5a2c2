"""DPRNN-TasNet: encoder, dual-path separator, masks, decoder (Luo, Chen and Yoshioka, arXiv 1910.06379).

Notebooks: 01_encoder_decoder, 02_dual_path
"""

import difflib
import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, overload

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .config import ModelConfig
from .parametric import BANK_OPTIONS, make_decoder, make_encoder
from .separator import ENCODER_ACTIVATIONS, DualPathSeparator

if TYPE_CHECKING:
    from ..checkpoint import LoadReport

__all__ = ["DPRNNTasNet"]

P = ParamSpec("P")


def _arguments_of(
    record: Callable[P, object],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Show the record's arguments in the signature of a method that passes its own on to it."""

    def decorate(method: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        own = next(iter(inspect.signature(method).parameters.values()))
        parameters = [own, *inspect.signature(record).parameters.values()]
        method.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return method

    return decorate


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
        norm_type: "gLN" (global), "cLN" (per frame, not cumulative), "fgLN" (per feature) or "bN" (batch norm).
        mask_act: activation of the masks: "sigmoid", "relu", "linear", "tanh", "softmax", "prelu",
            "leaky_relu", "gelu" or "swish".
        bidirectional: whether the inter-chunk RNN runs both ways (the intra-chunk RNN always does).
        rnn_type: "LSTM", "GRU" or "RNN".
        num_layers: layers in each RNN.
        dropout: between RNN layers, so without effect when ``num_layers`` is 1.
        n_filters: N, number of filters. With "stft" the frames have N + 2 features; "analytic_free" and
            "param_sinc" have pairs of filters, an odd number is rounded down.
        kernel_size: samples per filter; "param_sinc" adds one to an even number.
        stride: samples between frames; half a kernel when None.
        encoder_activation: activation after the encoder, as for ``mask_act``; None for none.
        use_mulcat: multiply-and-concatenate RNNs in place of plain ones.
        sample_rate: Hz, of the audio that the model was trained on.
        fb_name: the filterbank: "free" (learned), "stft", "analytic_free" or "param_sinc".
        in_chan: features of the encoder's frames. The filterbank determines them: leave it out.
        out_chan: None for a mask value per feature; 1 for one that all features share.
        min_low_hz: lowest edge of a "param_sinc" filter, Hz.
        min_band_hz: smallest bandwidth of a "param_sinc" filter, Hz.

    Shape:
        - input: ``[T]``, ``[B, T]`` or ``[B, 1, T]``, floating point, T of at least 1
        - output: ``[S, T]`` for ``[T]``, otherwise ``[B, S, T]``

    Raises:
        ValueError: an argument out of range, or an input of another shape.
        TypeError: an input that is not a floating-point tensor, or of another precision than the weights.

    >>> model = DPRNNTasNet(n_repeats=1, hid_size=8, bn_chan=8)
    >>> model(torch.zeros(3, 8000)).shape
    torch.Size([3, 2, 8000])
    """

    @_arguments_of(ModelConfig)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        config = ModelConfig(**_named(args, kwargs))
        # Everything needed to build the same model again; saved in the checkpoint beside the weights.
        self._config = config.to_dict()
        self.n_src, self.sample_rate = config.n_src, config.sample_rate
        bank = {name: self.config[name] for name in BANK_OPTIONS}
        others = {*bank, "encoder_activation"}
        separator = {name: value for name, value in self.config.items() if name not in others}
        self.encoder = make_encoder(**bank)
        self.encoder_act = ENCODER_ACTIVATIONS[config.encoder_activation or "linear"]()
        self.separator = DualPathSeparator(n_features=self.encoder.filters.shape[0], **separator)
        self.decoder = make_decoder(**bank)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that build the same model, complete, as a copy: they are saved beside the weights, and a
        network that was built does not follow a change.
        """
        return dict(self._config)

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

        Samples after the last complete frame are zeros: they are not part of the network's input.
        """
        estimates = self.decoder(masked.flatten(0, 1)).unflatten(0, masked.shape[:2])
        return F.pad(estimates, (0, samples - estimates.shape[-1]))

    # The methods below import rooms above this one when they are called: the only imports that point up.

    def separate(
        self,
        wav: str | os.PathLike | np.ndarray | torch.Tensor | Sequence,
        sample_rate: float | None = None,
        **options: Any,
    ) -> torch.Tensor | list[torch.Tensor]:
        """Separate a file, samples, or a list of them, of any length: :func:`dprnn_lab.separate` documents it.

        Returns:
            ``[S, T]`` float32 on the CPU at the model's sample rate; for a list, a list of them.
        """
        from ..separation import separate

        return separate(self, wav, sample_rate, **options)

    @overload
    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike, *, report: Literal[False] = False, **options: Any
    ) -> "DPRNNTasNet": ...

    @overload
    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike, *, report: Literal[True], **options: Any
    ) -> "tuple[DPRNNTasNet, LoadReport]": ...

    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike, *, report: bool = False, **options: Any
    ) -> "DPRNNTasNet | tuple[DPRNNTasNet, LoadReport]":
        """The model in a file, in a folder of :meth:`save_pretrained`, or on the Hugging Face hub.

        Arguments as of :func:`dprnn_lab.load_model`, which it calls.
        """
        from ..checkpoint import load_model

        return load_model(path, report=True, **options) if report else load_model(path, **options)

    def save_pretrained(self, folder: str | os.PathLike, *, training: dict | None = None) -> Path:
        """Write ``model.safetensors`` and ``config.json`` into a folder, which :meth:`from_pretrained` reads.

        Args:
            folder: made if it does not exist.
            training: facts about the training to keep with the weights, anything that JSON can hold.
        """
        from ..checkpoint.hub import save_folder

        return save_folder(self, folder, training)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload to the Hugging Face hub what :meth:`save_pretrained` writes, in one commit.

        Arguments as of :func:`dprnn_lab.checkpoint.hub.push`: ``commit_message``, ``private``, ``token``, ``branch``,
        ``create_pr``, ``training``.

        Returns:
            The address of the commit.
        """
        from ..checkpoint.hub import push

        return push(self, repo_id, **options)


def _named(args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the model by name.

    Raises:
        TypeError: an unknown name, one given twice, or too many arguments.
    """
    known = list(inspect.signature(ModelConfig).parameters)
    for name in kwargs:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
            raise TypeError(f"DPRNNTasNet has no argument {name!r}: {meant}")
    if len(args) > len(known):
        raise TypeError(
            f"DPRNNTasNet takes {len(known)} arguments, and {len(args)} were given: give them by name"
        )
    given = dict(zip(known, args, strict=False))
    for name in kwargs.keys() & given.keys():
        raise TypeError(f"DPRNNTasNet got {name!r} twice, by its place and by its name: give it once")
    return given | kwargs


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
        raise ValueError(f"the mixture has shape {shape}: no samples; give it at least one sample")
    return mixture
