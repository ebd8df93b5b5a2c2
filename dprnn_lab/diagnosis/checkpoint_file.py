"""How far a checkpoint file can be read, and what it holds.

Notebook: 06_failures_at_inference
"""

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..checkpoint import CheckpointError, LoadReport, inspect_checkpoint
from ..checkpoint.hub import locate
from ..checkpoint.names import rename
from ..checkpoint.reading import read_file
from ..checkpoint.unpickling import foreign_names

__all__ = ["CheckpointFile", "examine"]


@dataclass
class CheckpointFile:
    """The stages of reading one file; each is filled in if the one before it succeeded."""

    path: Path
    foreign: list[str] = field(default_factory=list)  # functions and classes that its pickle names
    read_error: str = ""
    keys: list[str] = field(default_factory=list)  # names in the file
    name_error: str = ""
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)  # under this package's names
    build_error: str = ""
    report: LoadReport | None = None

    @property
    def loads(self) -> bool:
        """Whether a strict load succeeds."""
        return self.report is not None and not self.report.problems()


def examine(path: str | os.PathLike, config: Mapping) -> CheckpointFile:
    """Read as far as possible, without running any code in the file.

    Raises:
        CheckpointError: there is no such file.
        TypeError: an unknown argument in ``config``.
    """
    file = CheckpointFile(locate(path))
    if not file.path.is_file():
        read_file(file.path)  # raises the error for this path
    try:
        contents = read_file(file.path)
    except CheckpointError as error:
        file.read_error = str(error)
        if "refused" in file.read_error:
            file.foreign = _foreign(file.path)
        return file
    file.keys = list(contents.tensors)
    try:
        file.tensors = rename(file.path, contents.tensors, config.get("prefix")).tensors
        file.report = inspect_checkpoint(file.path, **config)
    except CheckpointError as error:
        if file.tensors:
            file.build_error = str(error)
        else:
            file.name_error = str(error)
    return file


def _foreign(path: Path) -> list[str]:
    try:
        return sorted(foreign_names(path))
    except (OSError, zipfile.BadZipFile):
        return []
