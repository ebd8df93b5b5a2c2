"""Undo what training puts around layers: wrappers inside parameter names, weight normalisation, pruning.

``torch.compile(model.masker)`` makes ``masker._orig_mod.net...`` of ``masker.net...``, FSDP and
DistributedDataParallel insert names of their own, at any depth. Weight normalisation stores a weight as its
direction and its length, pruning as the whole weight and a mask.

Notebook: 06_failures_at_inference
"""

import itertools
from collections.abc import Callable, Iterable, Mapping

import torch

__all__ = ["WRAPPERS", "fold", "only_children", "shorter"]

# The names under which wrappers keep the module that they wrap.
WRAPPERS = {
    "_orig_mod",  # torch.compile
    "module",  # DataParallel, DistributedDataParallel, AveragedModel, DeepSpeed
    "_module",  # Opacus
    "_fsdp_wrapped_module",
    "_fpw_module",  # FSDP before PyTorch 2
    "_checkpoint_wrapped_module",  # activation checkpointing
    "_forward_module",  # Lightning Fabric
    "_original_module",
}
_INSIDE, _PLACES = 3, 8  # unknown wrappers of one layer that are looked for, in at most so many places


def only_children(keys: Iterable[str]) -> set[str]:
    """Dotted paths, each the only one below its parent: ``a.b`` in ``a.b.c, a.b.d``.

    A module of the user's own around a layer is such a path, since it holds nothing else.
    """
    below: dict[str, set[str]] = {}
    for key in keys:
        parts = key.split(".")
        for i in range(1, len(parts)):
            below.setdefault(".".join(parts[:i]), set()).add(".".join(parts[: i + 1]))
    return {next(iter(children)) for children in below.values() if len(children) == 1}


def shorter(parts: list[str], start: int, only: set[str]) -> Iterable[list[str]]:
    """The parts of a key from ``start`` on, without some that may be wrappers of the user's own; fewest first."""
    may_go = [i for i in range(start + 1, len(parts) - 1) if ".".join(parts[: i + 1]) in only]
    if len(may_go) > _PLACES:
        return
    for count in range(1, min(_INSIDE, len(may_go)) + 1):
        for gone in itertools.combinations(may_go, count):
            yield [part for i, part in enumerate(parts) if i >= start and i not in gone]


def fold(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with weights in place of their parts: of weight normalisation (both forms), of pruning.

    Parts that do not belong together are left as they are.
    """
    folded = dict(tensors)
    make: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    for key in tensors:
        path, _, last = key.rpartition(".")
        if last == "original0" and ".parametrizations." in key:
            owner, _, name = path.rpartition(".parametrizations.")
            parts, weight = (key, f"{path}.original1"), f"{owner}.{name}" if owner else name
            make = _with_length
        elif last.endswith("_g"):
            parts, weight, make = (key, f"{key[:-2]}_v"), key[:-2], _with_length
        elif last.endswith("_orig"):
            parts, weight, make = (key, f"{key[:-5]}_mask"), key[:-5], torch.mul
        else:
            continue
        first, second = folded.get(parts[0]), folded.get(parts[1])
        if first is None or second is None or weight in folded or not _fit(first, second):
            continue
        folded[weight] = make(first, second)
        del folded[parts[0]], folded[parts[1]]
    return folded


def _with_length(length: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """The weight of weight normalisation, from ``g`` (size 1 on every axis but one) and ``v``."""
    axes = [axis for axis in range(direction.dim()) if length.dim() and length.shape[axis] > 1]
    if len(axes) == 1:
        return direction * (length / torch.norm_except_dim(direction, 2, axes[0]))
    return direction * (length / direction.norm())


def _fit(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether both are ordinary tensors of floating point, of which the first can be spread over the second."""
    for tensor in (first, second):
        if (
            tensor.is_meta
            or tensor.is_nested
            or tensor.layout != torch.strided
            or not tensor.is_floating_point()
        ):
            return False
        if (
            tensor.dtype.itemsize < 2
            or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
        ):
            return False
    if first.dim() not in (0, second.dim()):
        return False
    return all(a in (1, b) for a, b in zip(first.shape, second.shape, strict=False))
