"""The systems of an evaluation by their addresses.

An address is text that a command line, a results folder and another process understand: the name of a baseline, a
checkpoint, or ``conv-tasnet:FILE``. A checkpoint with several models, such as raw and averaged weights, is followed by
``::`` and the prefix of the one that is meant: ``last.ckpt::ema_model``. Models compute in float32; with ``bfloat16:``
in front, in bfloat16.

Notebook: 08_evaluation
"""

import hashlib
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..checkpoint import load_model
from ..model.precision import computing_in
from .baselines import BASELINES
from .table import System, separate_with

__all__ = [
    "Address",
    "at_precision",
    "computes_in_bfloat16",
    "fingerprint",
    "make_system",
    "name_of",
    "names_of",
    "split_prefix",
]

Address = str | os.PathLike

CONV_TASNET = "conv-tasnet:"
BFLOAT16 = "bfloat16:"


def make_system(address: Address) -> System:
    """A baseline by its name, ``conv-tasnet:FILE`` (weights for torchaudio's ConvTasNet), or a checkpoint.

    ``FILE::PREFIX`` is the model with this prefix in a checkpoint of several; ``bfloat16:`` goes before all of it.

    Raises:
        CheckpointError: no such file, or one that does not load.
        ValueError: weights that do not fit ConvTasNet.
    """
    address = os.fspath(address)
    if address in BASELINES:
        return BASELINES[address]()
    if address.startswith(BFLOAT16):
        return _InBfloat16(make_system(address.removeprefix(BFLOAT16)))
    if address.startswith(CONV_TASNET):
        return _conv_tasnet(Path(address.removeprefix(CONV_TASNET)))
    file, prefix = split_prefix(address)
    return load_model(file, prefix=prefix)


def at_precision(address: Address, precision: str) -> str:
    """The address of the same system computing in "bfloat16"; for "float32" as it is, and so for a baseline.

    >>> at_precision("small", "bfloat16"), at_precision("irm", "bfloat16")
    ('bfloat16:small', 'irm')
    """
    address = os.fspath(address)
    if precision != "bfloat16" or address in BASELINES or computes_in_bfloat16(address):
        return address
    return f"{BFLOAT16}{address}"


def computes_in_bfloat16(address: Address) -> bool:
    """Whether :func:`make_system` makes a model of this address that computes in bfloat16."""
    return os.fspath(address).startswith(BFLOAT16)


@dataclass(frozen=True)
class _InBfloat16:
    """A model as a function of ``(mixture, sources, spec)`` that computes in bfloat16."""

    system: System

    @property
    def network(self) -> torch.nn.Module | None:
        return (
            self.system if isinstance(self.system, torch.nn.Module) else getattr(self.system, "network", None)
        )

    def __getattr__(self, name: str) -> object:
        if name in ("n_src", "sample_rate"):  # if the model has them
            return getattr(self.system, name)
        raise AttributeError(name)

    def __call__(self, mixture: torch.Tensor, sources: torch.Tensor, spec: object) -> torch.Tensor:
        with computing_in("bfloat16", mixture.device):
            return separate_with(self.system, mixture, sources, spec).float()


def split_prefix(address: Address) -> tuple[str, str | None]:
    """The file, or hub id, of an address, and the prefix after ``::``; None without one.

    >>> split_prefix("last.ckpt::ema_model"), split_prefix("small")
    (('last.ckpt', 'ema_model'), ('small', None))
    """
    address = os.fspath(address)
    file, separator, prefix = address.rpartition("::")
    return (file, prefix) if separator and file and not Path(address).exists() else (address, None)


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
    return _ConvTasNet(model.eval(), sources)


@dataclass(frozen=True)
class _ConvTasNet:
    """torchaudio's ConvTasNet, which expects a channel axis, as a function of ``(mixture, sources, spec)``."""

    network: torch.nn.Module
    n_src: int

    def __call__(self, mixture: torch.Tensor, sources: torch.Tensor, spec: object) -> torch.Tensor:
        return self.network(mixture[None, None])[0]


def name_of(address: Address) -> str:
    """The name in tables: a baseline's own, or the file's without folder and ending; with the precision if not float32.

    >>> name_of("runs/a.ckpt"), name_of("bfloat16:runs/a.ckpt")
    ('a', 'a (bfloat16)')
    """
    address = os.fspath(address)
    if address in BASELINES:
        return address
    return Path(_file(address)).stem + (" (bfloat16)" if address.startswith(BFLOAT16) else "")


def names_of(addresses: Sequence[Address]) -> list[str]:
    """A name for each address, all different: where :func:`name_of` is the same, with as much as tells them apart.

    That is the prefix, the ending, or the folders: training runs all write a ``model.safetensors``.

    Raises:
        ValueError: an address twice, or a model with the name of a baseline.

    >>> names_of(["a/model.safetensors", "runs/b/model.safetensors", "irm"])
    ['a/model', 'b/model', 'irm']
    """
    texts = [os.fspath(address) for address in addresses]
    keys = [text if text in BASELINES else f"{Path(_file(text)).absolute()} {text}" for text in texts]
    if len(set(keys)) < len(keys):
        twice = next(text for text, key in zip(texts, keys, strict=True) if keys.count(key) > 1)
        raise ValueError(f"two models have the same name: {twice} is given twice; leave one of them out")
    names = [name_of(text) for text in texts]
    for name in {name for name in names if names.count(name) > 1}:
        same = [i for i, other in enumerate(names) if other == name]
        for i, longer in zip(same, _told_apart([texts[i] for i in same]), strict=True):
            names[i] = longer
    if len(set(names)) < len(names):
        raise ValueError(
            f"two models have the same name among {', '.join(names)}: rename a file, or its folder"
        )
    return names


def _told_apart(texts: list[str]) -> list[str]:
    """Different names for addresses with the same :func:`name_of`, or the names as they are."""
    paths = [Path(_file(text)).absolute() for text in texts]
    own = [name_of(text) for text in texts]
    tries = [
        [f"{n} ({split_prefix(t)[1]})" if split_prefix(t)[1] else n for n, t in zip(own, texts, strict=True)]
    ]
    if len({path.parent for path in paths}) == 1:
        tries.append([path.name for path in paths])
    for depth in range(1, max(len(path.parts) for path in paths)):
        folders = [path.parts[:-1][-depth:] for path in paths]
        tries.append(["/".join((*parts, n)) for parts, n in zip(folders, own, strict=True)])
        tries.append(["/".join((*parts, n)) for parts, n in zip(folders, tries[0], strict=True)])
    for one in tries:
        if len(set(one)) == len(one) and not any(n in BASELINES for n in one):
            return one
    return own


def _file(address: str) -> str:
    """The file of an address that is no baseline."""
    return split_prefix(address.removeprefix(BFLOAT16).removeprefix(CONV_TASNET))[0]


def fingerprint(address: Address) -> str:
    """The name of a system, and for a file a hash of its contents: the same only for the same results."""
    address = os.fspath(address)
    file, prefix = split_prefix(address.removeprefix(BFLOAT16).removeprefix(CONV_TASNET))
    path = Path(file)
    if address in BASELINES or not path.is_file():
        return address
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()[:16]
    return f"{name_of(address)} {digest}" + (f" {prefix}" if prefix else "")
