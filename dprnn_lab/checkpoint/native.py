"""Our own format: safetensors, with the whole configuration in its metadata.

A safetensors file holds tensors and text, never code, so opening one can't run anything.

Notebook: 06_failures_at_inference
"""

import json
import os
from pathlib import Path

from safetensors.torch import save

from ..files import write_whole
from ..model import DPRNNTasNet
from .errors import CheckpointError

__all__ = ["FORMAT", "save_model"]

FORMAT = "dprnn-lab/1"


def save_model(model: DPRNNTasNet, path: str | os.PathLike, training: dict | None = None) -> Path:
    """Write weights, configuration and training facts to a ``.safetensors`` file.

    The file appears whole or not at all: it is written under another name beside its place, then renamed.

    Args:
        training: facts to keep with the weights, anything that JSON can hold (steps, data, command).

    Raises:
        CheckpointError: the path does not end in ``.safetensors``.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: our format is safetensors; end the name with .safetensors")
    metadata = {
        "format": FORMAT,
        "config": json.dumps(model.config),
        "training": json.dumps(training or {}),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    return write_whole(path, save(tensors, metadata))  # save_file would make the file private
