"""Inputs from a training: a batch, the lists of training and test material; ``run_curves`` reads its curve.

Notebook: 07_failures_in_training
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..audio import AudioError, audio_files, read_audio
from .mixture import as_signals, as_tensor
from .run_curves import Run, read_run

__all__ = ["Example", "Run", "read_batch", "read_data", "read_run"]


def read_batch(batch: Sequence) -> tuple[torch.Tensor, torch.Tensor]:
    """``(mixtures [B, T], sources [B, S, T])``.

    Raises:
        AudioError, TypeError: another shape or type.
    """
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise TypeError(f"batch is {type(batch).__name__}: give (mixtures [B, T], sources [B, S, T])")
    mixtures, sources = as_tensor(batch[0], "the batch's mixture"), as_tensor(batch[1], "the batch's sources")
    if (
        mixtures.dim() != 2
        or sources.dim() != 3
        or mixtures.shape != sources[:, 0].shape
        or not mixtures.numel()
    ):
        raise AudioError(
            f"the batch has shapes {list(mixtures.shape)} and {list(sources.shape)}: give mixtures [B, T] and "
            "sources [B, S, T]"
        )
    return mixtures, sources


@dataclass(frozen=True)
class Example:
    """One training or test example."""

    split: str
    sources: torch.Tensor  # [S, T]
    speakers: tuple[str, ...] = ()


def read_data(data: str | os.PathLike | Mapping[str, Sequence]) -> list[Example]:
    """``{"train": [...], "test": [...]}``; each item ``(sources [S, T], speakers)`` or sources alone.

    Or a folder with ``train`` and ``test``, and ``s1`` and ``s2`` in each, as in LibriMix and wsj0-mix.

    Raises:
        AudioError, TypeError, ValueError: another type or shape, or no examples.
    """
    if isinstance(data, (str, os.PathLike)):
        data = _read_folder(Path(data))
    if not isinstance(data, Mapping):
        raise TypeError(f'data is {type(data).__name__}: give a folder or {{"train": [...], "test": [...]}}')
    examples = []
    for split, items in data.items():
        for item in items:
            sources, speakers = item, ()
            if isinstance(item, (tuple, list)) and len(item) == 2 and _are_names(item[1]):
                sources, speakers = item
            tensor = as_signals(sources, f"an example in {split!r}")
            if len(tensor) < 2:
                raise AudioError(
                    f"an example in {split!r} has shape {list(tensor.shape)}: give sources [S, T]"
                )
            examples.append(Example(str(split), tensor, tuple(map(str, speakers))))
    if not examples:
        raise ValueError("data holds no examples: give some of the training and of the test list")
    return examples


def _are_names(value: object) -> bool:
    return (
        isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
    )


def _read_folder(folder: Path) -> dict[str, list]:
    """The first 200 examples of every split of a LibriMix-like folder."""
    splits: dict[str, list] = {}
    for first in sorted(folder.glob("**/s1")):
        files = audio_files(first)[:200]
        for file in files:
            second = first.parent / "s2" / file.name
            if second.is_file():
                a, b = read_audio(file)[0][0], read_audio(second)[0][0]
                length = min(len(a), len(b))
                splits.setdefault(first.parent.name, []).append(torch.stack((a[:length], b[:length])))
    if not splits:
        raise ValueError(f"{folder}: no folders s1 and s2 with audio files of equal names in them")
    return splits
