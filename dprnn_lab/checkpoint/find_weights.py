"""Find the weights in what a file holds, by their content: under whatever key, dictionary in dictionary.

Training scripts put the weights under ``state_dict``, ``model``, ``net``, ``params`` or a name of their own, beside
the epoch and the state of the optimiser. What counts here is which dictionary's names are a DPRNN-TasNet's parameters.

Notebook: 06_failures_at_inference
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from .errors import CheckpointError, short
from .names import ROOTS, known_names, whole
from .wrappers import fold

__all__ = ["TENSORS", "Weights", "check_tensors", "describe", "find_weights"]

TENSORS = 20_000  # in a file
_DEPTH, _PLACES = 6, 20_000  # of dictionaries in dictionaries
_LIST = 100  # dictionaries in a list
# States of optimisers have the parameters' names and shapes, and other numbers.
_NO_WEIGHTS = re.compile(
    r"optimi[sz]|(^|_)optim|schedul|exp_avg|(^|_)(momentum|moments?|grads?|gradients?|scaler|muon|adamw?)($|_)",
    re.IGNORECASE,
)


@dataclass
class Weights:
    """A dictionary of tensors in a file."""

    place: tuple[str, ...]  # the keys that lead to it
    tensors: dict[str, torch.Tensor]  # by their names in it
    around: list[Mapping]  # the dictionaries that hold it, from the outermost
    known: int = 0  # tensors with the name of a parameter of a DPRNN-TasNet
    models: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)  # whole ones by prefix

    @property
    def name(self) -> str:
        return ".".join(self.place)

    @property
    def whole(self) -> bool:
        """Whether it holds at least one whole model."""
        return bool(self.models)


def find_weights(content: object) -> list[Weights]:
    """Every dictionary of tensors in ``content``, in the order of the file, those of optimisers left out."""
    found = []
    for weights in _dictionaries(content):
        if any(_NO_WEIGHTS.search(key) for key in weights.place):
            continue
        weights.tensors = fold(weights.tensors)
        known = known_names(weights.tensors)
        weights.known = len(known)
        by_prefix: dict[str, dict[str, torch.Tensor]] = {}
        for key, named in known.items():
            by_prefix.setdefault(named.prefix, {})[named.name] = weights.tensors[key]
        weights.models = {prefix: tensors for prefix, tensors in by_prefix.items() if whole(tensors)}
        found.append(weights)
    return found


def _dictionaries(content: object) -> Iterator[Weights]:
    """Dictionaries with tensors, outermost first. Each is visited once, however often the file holds it."""
    waiting: list[tuple[object, tuple[str, ...], list[Mapping]]] = [(content, (), [])]
    seen: set[int] = set()
    places = 0
    while waiting:
        node, place, around = waiting.pop()
        if id(node) in seen or places > _PLACES or len(place) > _DEPTH:
            continue
        seen.add(id(node))
        inner: list[tuple[object, tuple[str, ...], list[Mapping]]] = []
        if isinstance(node, Mapping):
            tensors: dict[str, torch.Tensor] = {}
            for key, value in node.items():
                places += 1
                if (tensor := _as_tensor(value)) is not None:
                    tensors[str(key)] = tensor
                elif key in ROOTS and isinstance(value, Mapping):
                    # Modules saved one by one, {"encoder": ..., "masker": ...}: together they are the model.
                    part, looked_at = _flatten(value, str(key))
                    tensors |= part
                    places += looked_at
                elif isinstance(value, Mapping | list | tuple):
                    inner.append((value, (*place, str(key)), [*around, node]))
            if tensors:
                yield Weights(place, tensors, around)
        elif isinstance(node, Sequence) and not isinstance(node, str | bytes):
            for i, value in enumerate(node[:_LIST]):
                places += 1
                if isinstance(value, Mapping):
                    inner.append((value, (*place, str(i)), around))
        waiting += reversed(inner)


def _flatten(node: Mapping, name: str) -> tuple[dict[str, torch.Tensor], int]:
    """The tensors in nested dictionaries under dotted names, and how many values were looked at."""
    tensors: dict[str, torch.Tensor] = {}
    waiting, places = [(node, name, 0)], 0
    while waiting and places <= _PLACES:
        inner, path, depth = waiting.pop()
        for key, value in inner.items():
            places += 1
            if (tensor := _as_tensor(value)) is not None:
                tensors[f"{path}.{key}"] = tensor
            elif isinstance(value, Mapping) and depth < _DEPTH:
                waiting.append((value, f"{path}.{key}", depth + 1))
    return tensors, places


def _as_tensor(value: object) -> torch.Tensor | None:
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.dtype.isnative:
        return torch.from_numpy(np.ascontiguousarray(value).copy())
    return None


def check_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors, those with a parameter's name checked to be dense real numbers that the file really holds.

    Others are left out where they can't be used: they are no part of a model.

    Raises:
        CheckpointError: weights of another kind; more tensors than a model has.
    """
    if len(tensors) > TENSORS:
        raise CheckpointError(
            f"{path}: has {len(tensors):,} tensors, more than {TENSORS:,}. Give the weights of one model alone"
        )
    known = known_names(tensors)
    checked = {}
    for name, value in tensors.items():
        kind = _unusable(name, value)
        if kind is None:
            # A view of fewer numbers, by strides of zero, becomes a tensor of its own.
            checked[name] = value.contiguous() if name in known else value
        elif name in known:
            raise CheckpointError(f"{path}: {short(name)} is {kind}")
    return checked


def _unusable(name: str, value: torch.Tensor) -> str | None:
    """Why a tensor can't be the weights of a layer, with the remedy."""
    of_floats = "not a dense tensor of real numbers. Save the weights of the model that ran: "
    of_floats += "torch.save(model.state_dict(), path)"
    if value.is_meta:
        return f"a shape without numbers (meta), {of_floats}"
    if value.is_nested or value.is_complex() or value.is_quantized or value.layout != torch.strided:
        return f"{value.dtype}, {'nested' if value.is_nested else value.layout}, {of_floats}"
    if name.endswith("num_batches_tracked"):
        return None if value.numel() == 1 else f"a tensor {list(value.shape)} and no single number"
    if not value.is_floating_point() or value.element_size() < 2:
        return (
            f"{value.dtype}: quantised weights, of which the file does not say the scale. Save the model before it "
            "was quantised, or convert it back where it was made: model.float()"
        )
    if value.numel() > 2**20 and value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return (
            f"a view of shape {list(value.shape)} on {value.untyped_storage().nbytes():,} bytes (expanded). Save it "
            "after tensor.contiguous()"
        )
    return None


def describe(value: object) -> str:
    """What a value is, for messages."""
    if isinstance(value, torch.Tensor):
        return "a nested tensor" if value.is_nested else f"a tensor {list(value.shape)}"
    if isinstance(value, Mapping | list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
