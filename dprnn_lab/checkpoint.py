"""Our checkpoint format: safetensors, with the whole configuration in its metadata.

A safetensors file holds tensors and text, never code, so opening one can't run anything. Loading is strict:
every parameter must be in the file, with its shape, and nothing else may be.

Notebook: 06_failures_at_inference
"""

import json
import os
import secrets
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .model import DPRNNTasNet

__all__ = ["CheckpointError", "load_model", "save_model", "read_info"]

FORMAT = "dprnn-lab/1"


class CheckpointError(ValueError):
    """A checkpoint that can't be loaded as it is; the message names the file, the reason and the remedy."""


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
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        scratch.write_bytes(save(tensors, metadata))  # save_file would make the file private
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)  # gone already when all went well
    return path


def read_info(path: str | os.PathLike) -> dict:
    """Configuration and training facts of a file, without its weights: ``{"config": ..., "training": ...}``."""
    return _read(Path(path))[0]


def load_model(path: str | os.PathLike) -> DPRNNTasNet:
    """The model in a file, in evaluation mode.

    Raises:
        CheckpointError: no such file, another format, or weights that do not fit the configuration.
    """
    path = Path(path)
    info, tensors = _read(path)
    try:
        model = DPRNNTasNet(**info["config"])
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: the configuration in the file does not build a model: {error}"
        ) from error
    expected = model.state_dict()
    missing = sorted(expected.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - expected.keys())
    reshaped = sorted(k for k in expected.keys() & tensors.keys() if expected[k].shape != tensors[k].shape)
    if missing or unexpected or reshaped:
        parts = [
            f"{len(names)} {what} ({names[0]}{', ...' if len(names) > 1 else ''})"
            for what, names in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("of another shape", reshaped),
            )
            if names
        ]
        raise CheckpointError(
            f"{path}: the weights do not fit the configuration beside them: {'; '.join(parts)} of "
            f"{len(expected)} parameters. Save the model again with save_model, or find the right file"
        )
    model.load_state_dict(tensors)
    return model.eval()


def _read(path: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the path of a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict: it has no __iter__
    except SafetensorError as error:
        with path.open("rb") as file:
            head = file.read(8)
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({path.stat().st_size} bytes, beginning with {head!r}): "
            f"{error}. Download or save it again"
        ) from error
    if metadata.get("format") != FORMAT or "config" not in metadata:
        raise CheckpointError(
            f"{path}: safetensors without a dprnn-lab configuration (format {metadata.get('format')!r}); "
            "build DPRNNTasNet with the right arguments, load the weights into it and use save_model"
        )
    info = {"config": json.loads(metadata["config"]), "training": json.loads(metadata.get("training", "{}"))}
    return info, tensors
