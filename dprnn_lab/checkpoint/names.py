"""Map a file's parameter names to ours: find the prefix that training put before them, then rename.

Lightning calls the network ``self.model``, so its keys begin with ``model.``; DistributedDataParallel adds
``module.``, ``torch.compile`` adds ``_orig_mod.``, and they nest. With such a prefix *no* name matches, and
``load_state_dict(strict=False)`` leaves the network random without an error.

Notebook: 06_failures_at_inference
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

from .asteroid import from_asteroid, to_asteroid
from .errors import CheckpointError

__all__ = ["Named", "rename"]


@dataclass
class Named:
    """A file's tensors under our names."""

    tensors: dict[str, torch.Tensor]
    prefix: str
    naming: str  # "Asteroid" or "dprnn-lab"
    unexpected: list[str]  # with the prefix, but no parameter of a DPRNN-TasNet
    outside: list[str]  # without the prefix: a loss, a metric; left out


def rename(path: Path, tensors: dict[str, torch.Tensor], prefix: str | None = None) -> Named:
    """Find the prefix and the naming, and give every known parameter our name and shape.

    Args:
        path: for messages.
        prefix: the prefix to use; None to find it.

    Raises:
        CheckpointError: no parameter of a DPRNN-TasNet under any prefix, or equally many under two of them.
    """
    known = {key: ours for key in tensors if (ours := _our_name(key))}
    counts = Counter(key[: len(key) - len(tail)] for key, (tail, _) in known.items())
    if prefix is None:
        if not counts:
            first = ", ".join(list(tensors)[:3])
            raise CheckpointError(
                f"{path}: none of its {len(tensors)} tensors is a parameter of a DPRNN-TasNet "
                f"(the first are {first}). Is it a model of another kind?"
            )
        (prefix, most), *others = counts.most_common()
        rivals = [p for p, count in others if count == most]
        if rivals:
            names = ", ".join(repr(p) for p in sorted([prefix, *rivals]))
            raise CheckpointError(
                f"{path}: holds {1 + len(rivals)} complete models, under {names}. Choose: "
                f"load_model(path, prefix={prefix!r})"
            )
    inside = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
    namings = Counter(known[prefix + tail][1] for tail in inside if prefix + tail in known)
    if not namings:
        raise CheckpointError(
            f"{path}: no parameter of a DPRNN-TasNet behind the prefix {prefix!r}; there are "
            f"{', '.join(repr(p) for p in counts) or 'none'}. Leave prefix out to have it found"
        )
    naming = namings.most_common(1)[0][0]
    renamed = {tail: value for tail, value in inside.items() if known.get(prefix + tail) == (tail, naming)}
    unexpected = [prefix + tail for tail in inside if tail not in renamed]
    if naming == "Asteroid":
        renamed = from_asteroid(renamed)
    outside = [key for key in tensors if not key.startswith(prefix)]
    return Named(renamed, prefix, naming, unexpected, outside)


def _our_name(key: str) -> tuple[str, str] | None:
    """The part of a key that names a parameter, and whose naming it is; None if there is no such part."""
    parts = key.split(".")
    for start in range(len(parts) - 1):
        tail = ".".join(parts[start:])
        if parts[start] not in _ROOTS:
            continue
        for naming, table in (("Asteroid", from_asteroid), ("dprnn-lab", to_asteroid)):
            try:
                table({tail: torch.empty(0)})
            except KeyError:
                continue
            return tail, naming
    return None


_ROOTS = ("encoder", "decoder", "masker", "separator", "enc_activation", "encoder_act")
