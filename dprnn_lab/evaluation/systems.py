"""What can be evaluated, by a name that a command line, a results folder and another process understand.

Notebook: 08_evaluation
"""

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch

from ..checkpoint import load_model
from .baselines import BASELINES
from .table import System

__all__ = ["fingerprint", "make_system", "name_of"]

CONV_TASNET = "conv-tasnet:"


def make_system(spec: str) -> System:
    """A baseline by its name, ``conv-tasnet:FILE`` (weights for torchaudio's ConvTasNet), or a checkpoint.

    Raises:
        CheckpointError: no such file, or one that does not load.
        ValueError: weights that are not ConvTasNet's.
    """
    if spec in BASELINES:
        return BASELINES[spec]()
    if spec.startswith(CONV_TASNET):
        return _conv_tasnet(Path(spec.removeprefix(CONV_TASNET)))
    return load_model(spec)


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
            f"{path} is no state dict of torchaudio.models.conv_tasnet_base: save model.state_dict() with torch.save"
        ) from error
    return _ConvTasNet(model.eval())


@dataclass(frozen=True)
class _ConvTasNet:
    """torchaudio's ConvTasNet, which wants a channel, as a function of ``(mixture, sources, spec)``."""

    network: torch.nn.Module

    def __call__(self, mixture: torch.Tensor, sources: torch.Tensor, spec) -> torch.Tensor:
        return self.network(mixture[None, None])[0]


def name_of(spec: str) -> str:
    """The name in tables: a baseline's own, or the file's without folder and ending."""
    return spec if spec in BASELINES else Path(spec.removeprefix(CONV_TASNET)).stem


def fingerprint(spec: str) -> str:
    """What identifies a system's results: the name, and for a file its contents."""
    path = Path(spec.removeprefix(CONV_TASNET))
    if spec in BASELINES or not path.is_file():
        return spec
    return f"{name_of(spec)} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
