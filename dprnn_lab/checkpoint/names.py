"""Map a file's parameter names to ours: find the models in it, take off what training put around names, rename.

Lightning calls the network ``self.model``, so its keys begin with ``model.``; DistributedDataParallel adds
``module.``, ``torch.compile`` adds ``_orig_mod.``, in front or inside, and they nest. With such a prefix *no* name
matches, and ``load_state_dict(strict=False)`` leaves the network random without an error.

A file may hold several models, of which nobody but its user can say which one is meant: the raw weights and their
average, a teacher and a student. They are offered by name.

Notebook: 06_failures_at_inference
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch

from .asteroid import from_asteroid, to_asteroid
from .errors import CheckpointError, short
from .wrappers import WRAPPERS, fold, only_children, shorter

__all__ = ["ROOTS", "Known", "Named", "choose", "equal", "known_names", "rename", "several", "whole"]

ROOTS = ("encoder", "decoder", "masker", "separator", "enc_activation", "encoder_act")
_LONGEST = 500  # characters of a name that is looked at
_AVERAGED = re.compile(r"ema|avg|average|swa|shadow", re.IGNORECASE)


@dataclass(frozen=True)
class Known:
    """What a key of the file names."""

    prefix: str  # "" or with a dot at its end
    name: str  # of a parameter, without wrappers
    naming: str  # "Asteroid" or "dprnn-lab"


@dataclass
class Named:
    """A file's tensors under our names."""

    tensors: dict[str, torch.Tensor]
    prefix: str
    naming: str  # "Asteroid" or "dprnn-lab"
    unexpected: list[str]  # with the prefix, but no parameter of a DPRNN-TasNet
    outside: list[str]  # without the prefix: a loss, a metric; left out
    others: list[str] = field(default_factory=list)  # prefixes of other whole models in the file


def rename(path: Path, tensors: dict[str, torch.Tensor], prefix: str | None = None) -> Named:
    """Find the prefix and the naming, and give every known parameter our name and shape.

    Args:
        path: for messages.
        prefix: which of several models, by the beginning of its parameters' names (the dot at its end may be left
            out), or by a part of it that only one of them has; None to find it.

    Raises:
        CheckpointError: no parameter of a DPRNN-TasNet under any prefix; several whole models that differ, and no
            prefix; or a parameter twice.
    """
    tensors = fold(tensors)
    known = known_names(tensors)
    counts = Counter(k.prefix for k in known.values())
    models = [p for p in counts if whole(k.name for k in known.values() if k.prefix == p)]
    chosen = (
        _find(path, tensors, known, counts, models) if prefix is None else choose(path, prefix, list(counts))
    )
    others = [p for p in models if p != chosen]
    namings = Counter(k.naming for k in known.values() if k.prefix == chosen)
    naming = namings.most_common(1)[0][0]
    keys: dict[str, str] = {}  # our or Asteroid's name to the file's
    unexpected, outside = [], []
    for key in tensors:
        named = known.get(key)
        if named is not None and named.prefix == chosen and named.naming == naming:
            if named.name in keys:
                raise CheckpointError(
                    f"{path}: has {named.name} twice, as {keys[named.name]} and as {short(key)}: remove one of them "
                    "where it was made, and save it again"
                )
            keys[named.name] = key
        elif _owner(key, [chosen, *others]) == chosen:
            unexpected.append(key)
        elif _owner(key, others) is None:
            outside.append(key)
    renamed = {name: tensors[key] for name, key in keys.items()}
    if naming == "Asteroid":
        renamed = from_asteroid(renamed)
    return Named(renamed, chosen, naming, unexpected, outside, others)


def known_names(tensors: Iterable[str]) -> dict[str, Known]:
    """The keys that name a parameter of a DPRNN-TasNet, and what they name."""
    keys = [key for key in tensors if len(key) <= _LONGEST]
    known = {key: named for key in keys if (named := _known(key))}
    rest = [key for key in keys if key not in known and any(root in key for root in ROOTS)]
    if rest and len(keys) <= 10_000:
        only = only_children(keys)
        for key in rest:
            if named := _known(key, only):
                known[key] = named
    return {key: known[key] for key in keys if key in known}


def _known(key: str, only: set[str] | None = None) -> Known | None:
    """What a key names; with ``only`` also behind wrappers of unknown names."""
    parts = key.split(".")
    for start, part in enumerate(parts[:-1]):
        if part not in ROOTS:
            continue
        tails = [parts[start:]] if only is None else shorter(parts, start, only)
        for tail in tails:
            name = ".".join(p for p in tail if p not in WRAPPERS)
            naming = _naming(name)
            if naming:
                return Known("".join(f"{p}." for p in parts[:start]), name, naming)
    return None


@lru_cache(maxsize=10_000)
def _naming(name: str) -> str | None:
    for naming, table in (("Asteroid", from_asteroid), ("dprnn-lab", to_asteroid)):
        try:
            table({name: torch.empty(0)})
        except KeyError:
            continue
        return naming
    return None


def whole(names: Iterable[str]) -> bool:
    """Whether parameters, without their prefix, can be those of a whole model: an encoder, a separator, a decoder."""
    roots = {name.split(".")[0] for name in names}
    return {"encoder", "decoder"} <= roots and bool({"masker", "separator"} & roots)


def equal(models: Sequence[dict[str, torch.Tensor]]) -> bool:
    """Whether models have the same tensors, bit for bit."""
    first, *others = models
    return all(
        other.keys() == first.keys() and all(_same(tensor, first[name]) for name, tensor in other.items())
        for other in others
    )


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    for tensor in (a, b):
        if tensor.is_meta or tensor.is_nested or tensor.is_quantized or tensor.layout != torch.strided:
            return False
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            return False  # by strides of zero it may have any number of elements
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


def choose(path: Path, given: str, names: Sequence[str]) -> str:
    """The one of the names that the user means: all of it, its beginning, or its end.

    Raises:
        CheckpointError: none of them, or several.
    """
    asked = given.strip(".")
    means = (
        lambda name: name == given,
        lambda name: name.strip(".") == asked,
        lambda name: bool(asked) and name.startswith(f"{asked}."),
        lambda name: bool(asked) and name.endswith(f".{asked}."),
        lambda name: bool(asked) and f".{asked}." in f".{name}",
        lambda name: bool(asked) and asked in name,
    )
    for fits in means:
        found = [name for name in names if fits(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise CheckpointError(several(path, found))
    if list(names) == [""]:
        raise CheckpointError(
            f"{path}: no parameter of a DPRNN-TasNet behind the prefix {given!r}: the names of its one model have no "
            "prefix; leave prefix (--prefix) out"
        )
    there = ", ".join(repr(short(name)) for name in list(names)[:8]) or "none"
    raise CheckpointError(
        f"{path}: no parameter of a DPRNN-TasNet behind the prefix {given!r}; there are {there}. Give one of "
        "them, or leave prefix (--prefix) out to have it found"
    )


def several(path: Path, names: Sequence[str]) -> str:
    """The sentence about a file with several models, and how to choose one."""
    shown = sorted(short(name) for name in names)
    averaged = [name for name in shown if _AVERAGED.search(name)]
    example = averaged[0] if averaged else shown[0]
    note = (
        f" ({', '.join(map(repr, averaged))} by its name the averaged weights, which usually separate better)"
        if 0 < len(averaged) < len(shown)
        else ""
    )
    return (
        f"{path}: holds {len(shown)} complete models, under {', '.join(map(repr, shown))}{note}. Choose one: "
        f"load_model(path, prefix={example!r}), on the command line --prefix {example or repr('')}"
    )


def _find(
    path: Path,
    tensors: dict[str, torch.Tensor],
    known: dict[str, Known],
    counts: Counter[str],
    models: list[str],
) -> str:
    """The prefix of the only model, or of the first of several equal ones."""
    if not counts:
        first = ", ".join(short(key) for key in list(tensors)[:3])
        raise CheckpointError(
            f"{path}: none of its {len(tensors)} tensors is a parameter of a DPRNN-TasNet "
            f"(the first are {first}). Is it a model of another kind?"
        )
    if len(models) > 1:
        contents: dict[str, dict[str, torch.Tensor]] = {prefix: {} for prefix in models}
        for key, named in known.items():
            if named.prefix in contents:
                contents[named.prefix][named.name] = tensors[key]
        if not equal(list(contents.values())):
            raise CheckpointError(several(path, models))
        return models[0]
    if models:
        return models[0]
    (prefix, most), *others = counts.most_common()
    rivals = [p for p, count in others if count == most]
    if rivals:
        names = ", ".join(repr(short(p)) for p in sorted([prefix, *rivals]))
        raise CheckpointError(
            f"{path}: holds {1 + len(rivals)} parts of models, equally large, under {names}, and no whole model. "
            f"Choose one: load_model(path, prefix={prefix!r}), on the command line --prefix {prefix}"
        )
    return prefix


def _owner(key: str, prefixes: Sequence[str]) -> str | None:
    """The longest of the prefixes with which the key begins."""
    return max((p for p in prefixes if key.startswith(p)), key=len, default=None)
