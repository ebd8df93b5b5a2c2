"""A checkpoint file as a patient: how far can it be read, and what is in it?

Notebook: 06_failures_at_inference
"""

import zipfile
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
    """What can be said about one file; each stage is there if the one before it was passed."""

    path: Path
    foreign: list[str] = field(default_factory=list)  # functions and classes that its pickle names
    read_error: str = ""
    keys: list[str] = field(default_factory=list)  # the file's own names
    name_error: str = ""
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)  # under our names
    build_error: str = ""
    report: LoadReport | None = None

    @property
    def loads(self) -> bool:
        """Whether a strict load succeeds."""
        return self.report is not None and not self.report.problems()


def examine(path, config: dict) -> CheckpointFile:
    """Read as far as possible; nothing in the file is run.

    Raises:
        CheckpointError: there is no such file.
        TypeError: an unknown argument in ``config``.
    """
    file = CheckpointFile(locate(path))
    if not file.path.is_file():
        read_file(file.path)  # says what is wrong with the path
    try:
        contents = read_file(file.path)
    except CheckpointError as error:
        file.read_error = str(error)
        if "refused" in file.read_error:
            file.foreign = _foreign(file.path)
        return file
    file.keys = list(contents.tensors)
    try:
        file.tensors = rename(file.path, contents.tensors).tensors
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
