"""Where each value of the configuration comes from, and whether the weights agree with it.

In this order: given by the caller, in the file, decided by the shapes of the weights, assumed.

Notebook: 06_failures_at_inference
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..model import DPRNNTasNet
from .errors import CheckpointError
from .infer import Witness
from .reading import Contents, plain

__all__ = ["DEFAULTS", "Conflict", "Setting", "settle"]

DEFAULTS = {name: p.default for name, p in inspect.signature(DPRNNTasNet).parameters.items()}
DEFAULTS["stride"] = None  # half a kernel, as Asteroid's filterbanks have it, rather than always 8
_NORMS = {"GlobLN": "gLN", "ChanLN": "cLN"}  # Asteroid's classes go by both names


@dataclass(frozen=True)
class Setting:
    """One argument of the model."""

    value: object
    source: str  # "given", "file ...", "shapes" or "assumed"
    evidence: str = ""  # what a shape says to it, if one does


@dataclass(frozen=True)
class Conflict:
    """A value that contradicts the shape of a parameter, and the value that fits."""

    argument: str
    value: object
    fits: object
    where: str
    evidence: str

    def __str__(self) -> str:
        return (
            f"{self.argument}={self.value!r} {self.where}, but the weights say "
            f"{self.argument}={self.fits!r} ({self.evidence})"
        )


def settle(
    path: Path, contents: Contents, witnesses: Mapping[str, Witness], given: Mapping[str, object]
) -> tuple[dict[str, Setting], list[Conflict]]:
    """Every argument's value and source, and the values that contradict a shape.

    Raises:
        CheckpointError: arguments in the file that no DPRNN-TasNet of this course has.
        TypeError: an unknown name among those given.
    """
    unknown = sorted(given.keys() - DEFAULTS.keys())
    if unknown:
        raise TypeError(f"{unknown[0]!r} is no argument of DPRNNTasNet; there are {', '.join(DEFAULTS)}")
    stated = _stated(path, contents)
    if "chunk_size" in given and "hop_size" not in given:
        stated.pop("hop_size", None)  # it belonged to the other chunk size
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


def _stated(path: Path, contents: Contents) -> dict[str, object]:
    """The file's arguments under our names, without those that say nothing."""
    if contents.arguments is None:
        return {}
    where = f"{path}: the configuration in the file does not build a model"
    if not isinstance(contents.arguments, Mapping):
        raise CheckpointError(f"{where}: it is a {type(contents.arguments).__name__}, not a dictionary")
    stated = dict(plain(contents.arguments))
    bank = stated.pop("fb_name", "free")
    if bank not in ("free", "FreeFB", None):
        raise CheckpointError(
            f"{path}: fb_name is {bank!r}, a filterbank that this model does not have: only 'free' (learned) "
            "filters can be loaded"
        )
    for name in ("in_chan", "out_chan"):
        size, filters = stated.pop(name, None), stated.get("n_filters")
        if size is not None and filters is not None and size != filters:
            raise CheckpointError(f"{where}: {name} is {size}, it must be n_filters ({filters}) or None")
    unknown = sorted(stated.keys() - DEFAULTS.keys())
    if unknown and "training_config" not in contents.arguments_from:
        raise CheckpointError(f"{where}: {unknown[0]!r} is no argument of DPRNNTasNet")
    stated["norm_type"] = _NORMS.get(stated.get("norm_type"), stated.get("norm_type"))
    return {
        name: value
        for name, value in stated.items()
        if name in DEFAULTS and (value is not None or name == "encoder_activation")
    }
