"""Save a model: as safetensors (with the whole configuration in its metadata), or as a package that Asteroid loads.

A safetensors file contains tensors and text, never code, so opening one can't run anything. The package contains only
dictionaries, texts, numbers and tensors, so any safe reader opens it. Both appear complete or not at all: they are
written under a temporary name in the same folder, then renamed.

Notebook: 06_failures_at_inference
"""

import io
import json
import os
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save

from ..files import write_whole
from ..model import DPRNNTasNet
from .asteroid import to_asteroid
from .errors import CheckpointError, NotWrittenError

__all__ = ["ENDINGS", "FORMAT", "save_asteroid", "save_model"]

FORMAT = "dprnn-lab/1"
ENDINGS = (".pth", ".pt", ".bin")  # of Asteroid's packages


def save_model(model: DPRNNTasNet, path: str | os.PathLike, training: dict | None = None) -> Path:
    """Write weights, configuration and training facts to a ``.safetensors`` file.

    Args:
        training: facts to keep with the weights, anything that JSON can hold (steps, data, command).

    Raises:
        CheckpointError: the path does not end in ``.safetensors``, or can't be written.
        TypeError: ``model`` is no DPRNNTasNet, or ``path`` no path.
    """
    model, path = _checked(model, path, "save_model")
    if path.suffix != ".safetensors":
        raise CheckpointError(
            f"{path}: our format is safetensors; end the name with .safetensors, or write Asteroid's .pth with "
            "save_asteroid"
        )
    metadata = {
        "format": FORMAT,
        "config": json.dumps(model.config),
        "training": _as_json(training or {}),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    content = save(tensors, metadata)  # save_file would create a file that only its owner can read
    return _write(path, _in_order(content))


def save_asteroid(model: DPRNNTasNet, path: str | os.PathLike, infos: dict | None = None) -> Path:
    """Write an Asteroid package: a dictionary of ``model_name, model_args, state_dict, infos``.

    Args:
        infos: facts to keep with the weights, anything that JSON can hold.

    Raises:
        CheckpointError: the path does not end in ``.pth``, ``.pt`` or ``.bin``, or can't be written.
        TypeError: ``model`` is no DPRNNTasNet, or ``path`` no path.
    """
    model, path = _checked(model, path, "save_asteroid")
    if path.suffix not in ENDINGS:
        raise CheckpointError(
            f"{path}: Asteroid's packages end in {', '.join(ENDINGS)}; our own format is save_model's .safetensors"
        )
    config, features = dict(model.config), model.encoder.filters.shape[0]
    if config["fb_name"] != "param_sinc":
        del config["min_low_hz"], config["min_band_hz"]
    state = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    package = {
        "model_name": "DPRNNTasNet",
        "model_args": {**config, "in_chan": features, "out_chan": config["out_chan"] or features},
        "state_dict": OrderedDict(to_asteroid(state)),
        "infos": dict(infos or {}),
    }
    buffer = io.BytesIO()
    torch.save(package, buffer)
    return _write(path, buffer.getvalue())


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata by name: safetensors puts them in another order at each call.

    So the same model gives the same bytes.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def _as_json(facts: dict) -> str:
    try:
        return json.dumps(facts)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"training: {error}; give numbers, text, lists and dictionaries of them") from error


def _checked(model: object, path: object, name: str) -> tuple[DPRNNTasNet, Path]:
    """The model without the wrappers of training, and the path."""
    for _ in range(4):  # compiled, or parallel, or both
        inner = getattr(model, "_orig_mod", None) or getattr(model, "module", None)
        if isinstance(model, DPRNNTasNet) or not isinstance(inner, torch.nn.Module):
            break
        model = inner
    if not isinstance(model, DPRNNTasNet):
        swapped = isinstance(path, DPRNNTasNet)
        remedy = f"the model comes first: {name}(model, path)" if swapped else f"give {name} a DPRNNTasNet"
        raise TypeError(f"model is {type(model).__name__}: {remedy}")
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path is {type(path).__name__}: give {name} the path of the file to write")
    return model, Path(path)


def _write(path: Path, content: bytes) -> Path:
    """Write a file, whole or not at all.

    Raises:
        NotWrittenError: the system's error, with the path in the message.
    """
    try:
        return write_whole(path, content)
    except OSError as error:
        raise NotWrittenError(path, error) from error
