"""The systems of an evaluation by their addresses.

An address is text that a command line, a results folder and another process understand: the name of a baseline, a
checkpoint, or ``conv-tasnet:FILE``.

Notebook: 08_evaluation
"""

import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch

from ..checkpoint import load_model
from .baselines import BASELINES
from .table import System

__all__ = ["Address", "fingerprint", "make_system", "name_of"]

Address = str | os.PathLike

CONV_TASNET = "conv-tasnet:"


def make_system(address: Address) -> System:
    """A baseline by its name, ``conv-tasnet:FILE`` (weights for torchaudio's ConvTasNet), or a checkpoint.

    Raises:
        CheckpointError: no such file, or one that does not load.
        ValueError: weights that do not fit ConvTasNet.
    """
    address = os.fspath(address)
    if address in BASELINES:
        return BASELINES[address]()
    if address.startswith(CONV_TASNET):
        return _conv_tasnet(Path(address.removeprefix(CONV_TASNET)))
    return load_model(address)


def _conv_tasnet(path: Path) -> System:
    """torchaudio's base model (Luo and Mesgarani, arXiv 1809.07454) with the weights of a state dict."""
    from torchaudio.models import conv_tasnet_base

    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a state dict of torchaudio.models.conv_tasnet_base")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        sources = state["mask_generator.output_conv.weight"].shape[0] // state["encoder.weight"].shape[0]
        model = conv_tasnet_base(num_sources=sources)
        model.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{path} is not a state dict of torchaudio.models.conv_tasnet_base: save model.state_dict() with torch.save"
        ) from error
    return _ConvTasNet(model.eval())


@dataclass(frozen=True)
class _ConvTasNet:
    """torchaudio's ConvTasNet, which expects a channel axis, as a function of ``(mixture, sources, spec)``."""

    network: torch.nn.Module

    def __call__(self, mixture: torch.Tensor, sources: torch.Tensor, spec: object) -> torch.Tensor:
        return self.network(mixture[None, None])[0]


def name_of(address: Address) -> str:
    """The name in tables: a baseline's own, or the file's without folder and ending."""
    address = os.fspath(address)
    return address if address in BASELINES else Path(address.removeprefix(CONV_TASNET)).stem


def fingerprint(address: Address) -> str:
    """The name of a system, and for a file a hash of its contents: the same only for the same results."""
    address = os.fspath(address)
    path = Path(address.removeprefix(CONV_TASNET))
    if address in BASELINES or not path.is_file():
        return address
    return f"{name_of(address)} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
