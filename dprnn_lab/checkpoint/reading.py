"""Read a file: tensors under its own names, arguments, training facts.

The format is detected from the first bytes, never from the ending. Most "broken checkpoints" are something else with
the name of one: a web page, a git-lfs pointer, half a download.

Notebook: 06_failures_at_inference
"""

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from .errors import CheckpointError
from .saving import FORMAT
from .unpickling import safe_load

__all__ = ["Contents", "read_file"]

ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar", ".th")
_STATE_KEYS = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights
# Two of these among somebody's settings are taken for the arguments of a DPRNN-TasNet.
_TYPICAL_ARGUMENTS = {"n_src", "bn_chan", "hid_size", "chunk_size", "n_repeats", "mask_act"}


@dataclass
class Contents:
    """The content of a file."""

    format: str
    tensors: dict[str, torch.Tensor]  # by the file's own names
    arguments: object = None  # the model's arguments as the file gives them, None if it gives none
    arguments_from: str = "file"
    facts: dict = field(default_factory=dict)  # about the training; JSON values only
    arguments_among_others: bool = False  # mixed with settings of the training


def read_file(path: Path) -> Contents:
    """Read a checkpoint of any known format.

    Raises:
        CheckpointError: no such file, or not a checkpoint; the message says what the file looks like.
    """
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix in ENDINGS)
        found = f"it holds {', '.join(inside[:5])}: give one of them" if inside else "give a file"
        raise CheckpointError(f"{path}: is a folder; {found}")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the path of a .safetensors file (or .pth, .ckpt)")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise CheckpointError(
            f"{path}: can't be read: {error.strerror}. Change its permissions, or copy it"
        ) from error
    if head[4:9] == b"\0\0\0\0{":  # the length of the header in eight bytes, then the header as JSON
        return _read_safetensors(path, head)
    if head[:4] == b"PK\x03\x04":
        return _read_zip(path, head)
    if head[:1] == b"\x80":  # a pickle: torch.save before 1.6, or no torch file at all
        return _sort_out(path, safe_load(path))
    reason = _mistaken_for(head) or "it begins like no checkpoint known here. Download or save it again"
    kind = "whole safetensors file" if path.suffix == ".safetensors" else "checkpoint"
    raise CheckpointError(f"{path}: not a {kind} ({_size(path, head)}): {reason}")


def _size(path: Path, head: bytes) -> str:
    return f"{path.stat().st_size} bytes, beginning with {head[:8]!r}"


def _mistaken_for(head: bytes) -> str | None:
    """Name the kind of a file that is no checkpoint, with the remedy."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head:
        return "the file is empty. Download or save it again"
    if text.startswith(b"version https://git-lfs"):
        size = re.search(rb"size (\d+)", text)
        whole = f" of {int(size[1]):,} bytes" if size else ""
        return f"it is the pointer that git-lfs leaves in the place of a file{whole}. Run git lfs pull"
    if text.startswith(b"<"):
        return (
            "it is a web page (HTML or XML) saved under this name. Use the download link of the page, not "
            "the address of the page"
        )
    if text.startswith((b"{", b"[")):
        return "it is JSON text, perhaps a server's error message. Open it in an editor, then download again"
    if head.startswith(b"\x1f\x8b"):
        return "it is compressed with gzip. Unpack it first"
    if head.startswith(b"\x89HDF"):
        return "it is an HDF5 file, as Keras writes it; DPRNN-TasNet checkpoints are PyTorch's"
    return None


def _read_safetensors(path: Path, head: bytes) -> Contents:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
    except SafetensorError as error:
        reason = _mistaken_for(head) or f"{error}. Download or save it again"
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({_size(path, head)}): {reason}"
        ) from error
    if metadata.get("format") != FORMAT or "config" not in metadata:
        return Contents("safetensors without a configuration", tensors)
    try:
        config, facts = json.loads(metadata["config"]), dict(json.loads(metadata.get("training", "{}")))
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: the text in its header is damaged: {error}. Download or save it again"
        ) from error
    return Contents(f"{FORMAT} (safetensors)", tensors, config, facts=facts)


def _read_zip(path: Path, head: bytes) -> Contents:
    """A zip archive: ``torch.save`` since 1.6. Its table of contents is at its end: a truncated file has none.

    The archive has a checksum of each tensor, which ``torch.load`` ignores; it is checked here.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            damaged = archive.testzip()
    except Exception as error:  # what a damaged archive raises depends on where it is damaged
        cut = isinstance(error, zipfile.BadZipFile) and "not a zip file" in str(error)
        raise CheckpointError(
            f"{path}: not a whole file of torch.save ({_size(path, head)}): "
            f"{'its end is missing' if cut else error}. Download it again and compare its size"
        ) from error
    if damaged:
        raise CheckpointError(
            f"{path}: damaged on its way ({_size(path, head)}): the checksum of {damaged} is wrong. Download it again"
        )
    if any(m.endswith("constants.pkl") for m in members):
        raise CheckpointError(
            f"{path}: is a TorchScript program, code and weights in one. Where it was made, save the "
            "weights: torch.save(model.state_dict(), path)"
        )
    if not any(m.endswith("data.pkl") for m in members):
        shown = ", ".join(members[:3]) + (", ..." if len(members) > 3 else "")
        raise CheckpointError(
            f"{path}: is a zip archive and no checkpoint; it holds {shown}. Unpack it first"
        )
    return _sort_out(path, safe_load(path))


def _sort_out(path: Path, content: object) -> Contents:
    """Recognise the usual dictionaries by their keys."""
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: holds {_describe(content)}, not a dictionary of weights. Save model.state_dict()"
        )
    if "model_args" in content and "state_dict" in content:
        name = content.get("model_name", "DPRNNTasNet")
        if name != "DPRNNTasNet":
            raise CheckpointError(f"{path}: is a {name}; only DPRNNTasNet can be loaded here")
        facts = {
            k: plain(v) for k, v in content.items() if k not in ("model_args", "state_dict", "model_name")
        }
        tensors = _tensors(path, content["state_dict"])
        return Contents("Asteroid package", tensors, content["model_args"], "file (model_args)", facts)
    for key in _STATE_KEYS:
        if isinstance(content.get(key), Mapping):
            return _training_checkpoint(path, content, key)
    return Contents("bare state_dict", _tensors(path, content))


def _training_checkpoint(path: Path, content: Mapping, key: str) -> Contents:
    """Weights together with the state of a training run: Lightning's ``.ckpt``, or somebody's own format."""
    lightning = content.get("pytorch-lightning_version")
    facts = {
        k: plain(content[k]) for k in ("epoch", "global_step", "step", "iteration", "infos") if k in content
    }
    if lightning:
        facts["lightning"] = plain(lightning)
    if "averaging_state" in content:
        facts["weights"] = "the average over steps (WeightAveraging) that validation used"
    for name, state in (content.get("callbacks") or {}).items():
        if isinstance(state, Mapping) and state.get("best_model_score") is not None:
            facts["best_score"] = plain(state["best_model_score"])
            facts["best_score_of"] = plain(state.get("monitor", name))
    found = Contents(
        "Lightning checkpoint" if lightning else f"training checkpoint (weights under {key!r})",
        _tensors(path, content[key]),
        facts=facts,
    )
    # Our training stores the model's configuration with the weights, Asteroid's recipes store theirs in parts.
    if isinstance(content.get("model_config"), Mapping):
        found.arguments, found.arguments_from = content["model_config"], "file (model_config)"
    recipe = content.get("training_config")
    if isinstance(recipe, Mapping):
        facts["training_config"] = plain(recipe)
        sections = [recipe.get("filterbank"), recipe.get("masknet")]
        merged = {k: v for s in sections if isinstance(s, Mapping) for k, v in s.items()}
        data = recipe.get("data")
        if merged and isinstance(data, Mapping) and data.get("sample_rate"):
            merged["sample_rate"] = data["sample_rate"]
        if merged:
            found.arguments, found.arguments_from = merged, "file (training_config)"
            found.arguments_among_others = True
    # A Lightning module may have called save_hyperparameters() with the model's arguments among others.
    hyper = content.get("hyper_parameters")
    if isinstance(hyper, Mapping) and hyper and not isinstance(recipe, Mapping):
        facts["hyper_parameters"] = plain(hyper)
        if found.arguments is None and len(_TYPICAL_ARGUMENTS & hyper.keys()) > 1:
            found.arguments, found.arguments_from = hyper, "file (hyper_parameters)"
            found.arguments_among_others = True
    return found


def _tensors(path: Path, state: object) -> dict[str, torch.Tensor]:
    """The state dict, checked to be one."""
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(f"{path}: holds {_describe(state)} where the weights should be")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            keys = ", ".join(map(str, list(state)[:5]))
            raise CheckpointError(
                f"{path}: a dictionary of {keys}{', ...' if len(state) > 5 else ''}, but {name!r} is "
                f"{_describe(value)} and no tensor. Give the file of a model's state_dict()"
            )
        if value.is_meta or value.is_complex() or value.is_quantized or value.layout != torch.strided:
            kind = "a shape without numbers (meta)" if value.is_meta else f"{value.dtype}, {value.layout}"
            raise CheckpointError(
                f"{path}: {name} is {kind}, not a dense tensor of real numbers. Save the weights of the model "
                "that ran: torch.save(model.state_dict(), path)"
            )
    return dict(state)


def _describe(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor {list(value.shape)}"
    if isinstance(value, (Mapping, list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def plain(value: Any) -> Any:
    """The value as JSON can represent it; other values become text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist") and getattr(value, "ndim", 1) == 0:  # a torch or NumPy number
        return value.tolist()
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value) if not isinstance(value, torch.Tensor) else f"tensor {list(value.shape)}"
