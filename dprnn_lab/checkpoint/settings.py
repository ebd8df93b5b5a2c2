"""The source of each value of the configuration, and whether the weights agree with it.

The first source that has a value wins: the caller, the file, the shapes of the weights, an assumption.

Notebook: 06_failures_at_inference
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from ..model.config import ModelConfig, canonical
from ..model.parametric import bank_sizes, stft_window
from .contents import Contents
from .errors import CheckpointError
from .facts import plain
from .infer import ONLY_SINC, infer

__all__ = ["DEFAULTS", "Conflict", "Setting", "resolve"]

DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(ModelConfig)}
DEFAULTS["stride"] = None  # half a kernel, as in Asteroid's filterbanks, rather than always 8
del DEFAULTS["in_chan"]  # the filterbank determines it


@dataclass(frozen=True)
class Setting:
    """One argument of the model."""

    value: Any
    source: str  # "given", "file ...", "shapes", "assumed", or "unused" by this filterbank
    evidence: str = ""  # the shape that decides or confirms it, if one does


@dataclass(frozen=True)
class Conflict:
    """A value that contradicts the shape of a parameter, and the value that fits."""

    argument: str
    value: Any
    fits: Any
    where: str
    evidence: str

    def __str__(self) -> str:
        return (
            f"{self.argument}={self.value!r} {self.where}, but the weights say "
            f"{self.argument}={self.fits!r} ({self.evidence})"
        )


def resolve(
    path: Path, contents: Contents, tensors: dict[str, torch.Tensor], given: Mapping[str, Any]
) -> tuple[dict[str, Setting], list[Conflict]]:
    """Every argument's value and source, and the values that contradict a shape.

    Args:
        tensors: of the file, under our names. The STFT's window, which files of an old Asteroid lack, is added.

    Raises:
        CheckpointError: arguments in the file that no DPRNN-TasNet of this course has.
        TypeError: an unknown name among those given.
    """
    unknown = sorted(given.keys() - DEFAULTS.keys())
    if unknown:
        raise TypeError(f"{unknown[0]!r} is no argument of DPRNNTasNet; there are {', '.join(DEFAULTS)}")
    given = {name: canonical(name, value) for name, value in given.items()}
    stated = _stated(path, contents)
    bank: Any = given.get("fb_name", stated.get("fb_name"))
    if bank == "stft":
        _add_window(tensors)
    witnesses = infer(tensors)
    bank = bank or (witnesses["fb_name"].value if "fb_name" in witnesses else DEFAULTS["fb_name"])
    stated, given = _sized(stated, bank), _sized(given, bank)
    if "chunk_size" in given and "hop_size" not in given:
        stated.pop("hop_size", None)  # the file's belongs to its chunk size
    settings: dict[str, Setting] = {}
    conflicts = []
    for name, default in DEFAULTS.items():
        witness = witnesses.get(name)
        if name in given:
            setting = Setting(given[name], "given")
        elif name in stated:
            agree = "shapes agree" if witness and witness.value == stated[name] else ""
            setting = Setting(stated[name], contents.arguments_from, agree)
        elif witness:
            setting = Setting(witness.value, "shapes", witness.evidence)
        elif name in ONLY_SINC and bank != "param_sinc":
            setting = Setting(default, "unused")
        else:
            setting = Setting(default, "assumed")
        settings[name] = setting
        if witness and setting.value != witness.value:
            where = "was given" if setting.source == "given" else f"is in the {setting.source}"
            conflicts.append(Conflict(name, setting.value, witness.value, where, witness.evidence))
    for name, whole in (("hop_size", "chunk_size"), ("stride", "kernel_size")):
        size = settings[whole].value
        if settings[name].value is None and isinstance(size, int):
            source = settings[whole].source if name == "hop_size" else settings[name].source
            settings[name] = Setting(max(1, size // 2), source, f"half of {whole}")
    return settings, conflicts


def _stated(path: Path, contents: Contents) -> dict[str, Any]:
    """The file's arguments under our names, without those that are None where a value is needed."""
    if contents.arguments is None:
        return {}
    where = f"{path}: the configuration in the file does not build a model"
    if not isinstance(contents.arguments, Mapping):
        raise CheckpointError(f"{where}: it is a {type(contents.arguments).__name__}, not a dictionary")
    stated = {name: canonical(name, value) for name, value in plain(contents.arguments).items()}
    in_chan, filters = stated.pop("in_chan", None), stated.get("n_filters")
    if isinstance(filters, int):
        features = bank_sizes(stated.get("fb_name", "free"), filters, 1)[2]
        if in_chan not in (None, features):
            raise CheckpointError(
                f"{where}: in_chan is {in_chan!r}, but n_filters={filters} makes {features} features"
            )
        if stated.get("out_chan") == features:
            stated["out_chan"] = None
    unknown = sorted(stated.keys() - DEFAULTS.keys())
    if unknown and not contents.arguments_among_others:
        raise CheckpointError(f"{where}: {unknown[0]!r} is no argument of DPRNNTasNet")
    return {
        name: value
        for name, value in stated.items()
        if name in DEFAULTS and (value is not None or DEFAULTS[name] is None)
    }


def _sized(arguments: dict[str, Any], bank: Any) -> dict[str, Any]:
    """The arguments with sizes rounded as the filterbank does: some banks have no odd sizes, some no even ones."""
    sized = dict(arguments)
    if isinstance(sized.get("n_filters"), int):
        sized["n_filters"] = bank_sizes(bank, sized["n_filters"], 1)[0]
    if isinstance(sized.get("kernel_size"), int):
        sized["kernel_size"] = bank_sizes(bank, 2, sized["kernel_size"])[1]
    return sized


def _add_window(tensors: dict[str, torch.Tensor]) -> None:
    for coder in ("encoder", "decoder"):
        if f"{coder}.filters" in tensors:
            tensors.setdefault(f"{coder}.window", stft_window(tensors[f"{coder}.filters"].shape[-1]))
