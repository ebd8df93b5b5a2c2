"""How far a checkpoint file can be read, and what it holds.

Notebook: 06_failures_at_inference
"""

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import CheckpointError, LoadReport, inspect_checkpoint
from ..checkpoint.archives import ENDINGS
from ..checkpoint.errors import DamagedError, RefusedError
from ..checkpoint.hub import locate
from ..checkpoint.names import rename
from ..checkpoint.reading import read_file
from ..checkpoint.unpickling import foreign_names, safe_load
from .pickle_layout import foreign_places

__all__ = ["CheckpointFile", "examine"]

_ROOTS = ("encoder", "decoder", "masker", "separator")  # parts of a DPRNN-TasNet, in its parameters' names
MAX_DEPTH = 4  # of dictionaries and lists in which weights are looked for
MAX_VISITS = 10_000


@dataclass
class CheckpointFile:
    """The stages of reading one file; each is filled in if the one before it succeeded."""

    path: Path
    foreign: list[str] = field(default_factory=list)  # functions and classes that its pickle names
    places: dict[str, str] = field(default_factory=dict)  # keys at which objects of such classes lie
    read_error: str = ""
    refused: bool = False  # reading it could run code or fill the memory
    damaged: bool = False  # bytes are missing or wrong, so that another copy helps
    stores: dict[str, int] = field(
        default_factory=dict
    )  # key to number of tensors, where read_error hides weights
    keys: list[str] = field(default_factory=list)  # names in the file
    prefixes: list[str] = field(default_factory=list)  # of several models in one file
    name_error: str = ""
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)  # under this package's names
    build_error: str = ""
    report: LoadReport | None = None

    @property
    def loads(self) -> bool:
        """Whether a strict load succeeds."""
        return self.report is not None and not self.report.problems()

    @property
    def reason(self) -> str:
        """Why it can't be read, without the path before it."""
        return self.read_error.removeprefix(f"{self.path}: ")

    @property
    def of_own_run(self) -> bool:
        """Whether it lies in the folder of a training run."""
        folder = self.path.resolve().parent
        return folder.name == "checkpoints" or any(
            (f / "config.yaml").is_file() for f in (folder, folder.parent)
        )

    @property
    def others(self) -> list[Path]:
        """The other checkpoints beside it, newest first."""
        found = [
            p for p in self.path.parent.glob("*") if p.suffix in ENDINGS and p.is_file() and p != self.path
        ]
        return sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)


def examine(path: str | os.PathLike[str], config: Mapping[str, Any]) -> CheckpointFile:
    """Read as far as possible, without running any code in the file.

    Raises:
        CheckpointError: there is no such file.
        TypeError: an unknown argument in ``config``.
    """
    file = CheckpointFile(locate(path))
    prefix = config.get("prefix")
    if not file.path.is_file():
        read_file(file.path)  # raises the error for this path
    try:
        contents = read_file(file.path, prefix)
    except CheckpointError as error:
        file.read_error = str(error)
        file.refused, file.damaged = isinstance(error, RefusedError), isinstance(error, DamagedError)
        if file.refused:
            file.foreign = _foreign(file.path)
            file.places = foreign_places(file.path)
        elif not file.damaged:
            file.stores = _stores(file.path)
        return file
    file.keys = list(contents.tensors)
    try:
        file.tensors = rename(file.path, contents.tensors, prefix).tensors
        file.report = inspect_checkpoint(file.path, **config)
    except CheckpointError as error:
        if file.tensors:
            file.build_error = str(error)
        else:
            file.name_error = str(error)
            file.prefixes = _prefixes(contents.tensors)
    return file


def _foreign(path: Path) -> list[str]:
    try:
        return sorted(foreign_names(path))
    except (OSError, zipfile.BadZipFile):
        return []


def _prefixes(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """The prefixes behind which a file has parameters of a DPRNN-TasNet."""
    tried = set()
    for key in tensors:
        parts = key.split(".")
        tried |= {"".join(f"{p}." for p in parts[:i]) for i, part in enumerate(parts) if part in _ROOTS}
    return sorted(p for p in tried if _is_model(tensors, p))


def _is_model(tensors: Mapping[str, torch.Tensor], prefix: str | None = None) -> bool:
    try:
        return bool(rename(Path("weights"), dict(tensors), prefix).tensors)
    except CheckpointError:
        return False


def _stores(path: Path) -> dict[str, int]:
    """Keys of the dictionaries that hold a DPRNN-TasNet's weights, wherever they lie in the file."""
    try:
        content = safe_load(path)
    except (CheckpointError, OSError):
        return {}
    found: dict[str, int] = {}
    waiting: list[tuple[str, object, int]] = [("", content, 0)]
    visits = 0
    while waiting and visits < MAX_VISITS:
        key, value, depth = waiting.pop()
        visits += 1
        if isinstance(value, Mapping):
            tensors = {str(k): v for k, v in value.items() if isinstance(v, torch.Tensor)}
            if tensors and (_is_model(tensors) or _prefixes(tensors)):
                found[key] = len(tensors)
                continue
            inside = [(f"{key}.{k}" if key else str(k), v) for k, v in value.items()]
        elif isinstance(value, (list, tuple)):
            inside = [(f"{key}[{i}]", v) for i, v in enumerate(value)]
        else:
            continue
        if depth < MAX_DEPTH:
            waiting += [(k, v, depth + 1) for k, v in inside[:MAX_VISITS]]
    return dict(sorted(found.items()))
