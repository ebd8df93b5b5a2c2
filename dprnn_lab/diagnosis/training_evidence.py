"""Inputs from a training: the curve of a run, a batch, the lists of training and test material.

Notebook: 07_failures_in_training
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch

from ..audio import AudioError, audio_files, read_audio
from .mixture import as_signals, as_tensor

__all__ = ["Example", "Run", "read_batch", "read_data", "read_run"]

NUMBERS = ("train_loss", "valid_loss", "grad_norm")


@dataclass
class Run:
    """The curve of a run: a row per log entry, ``step`` ascending; and where each session began."""

    table: pd.DataFrame
    sessions: list[int] = field(default_factory=list)  # first step of every session but the first
    checkpoint: Path | None = None  # the last
    broken_at: int | None = None  # first step whose loss or gradient norm was logged as NaN or infinite

    def column(self, name: str) -> pd.Series:
        """A column's numbers by step, without missing values; empty when there is no such column."""
        if name not in self.table:
            return pd.Series(dtype=float)
        return self.table.set_index("step")[name].dropna()


def read_run(run: str | os.PathLike | pd.DataFrame | Run) -> Run:
    """Read a run's folder, a CSV file, or a table.

    Raises:
        ValueError: no curve, or no column ``step``.
        TypeError: another type.
    """
    if isinstance(run, Run):
        return run
    checkpoint = None
    if isinstance(run, pd.DataFrame):
        parts = [run]
    elif isinstance(run, (str, os.PathLike)):
        path = Path(run)
        files = [path] if path.is_file() else _curves(path)
        if not files:
            raise ValueError(
                f"{path}: no curve (curves/version_N/metrics.csv or metrics.csv); give a run's folder"
            )
        try:
            # As text: an empty field was not logged, "nan" was.
            parts = [pd.read_csv(file, dtype=str, keep_default_na=False) for file in files]
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not a table of comma-separated values: {error}") from error
        last = path / "checkpoints" / "last.ckpt"
        checkpoint = last if last.is_file() else None
    else:
        raise TypeError(f"run is {type(run).__name__}: give a folder, a CSV file or a pandas table")
    parts = [_tidy(part) for part in parts if len(part)]
    if not parts:
        raise ValueError("the curve has no rows: train some steps first")
    sessions = [int(part["step"].iloc[0]) for part in parts[1:]]
    table = pd.concat(parts, ignore_index=True)
    if "session" in table:
        sessions = [int(g["step"].iloc[0]) for _, g in table.groupby("session")][1:]
    broken = [int(p.loc[p["_broken"], "step"].iloc[0]) for p in parts if p["_broken"].any()]
    return Run(table.drop(columns="_broken"), sessions, checkpoint, broken[0] if broken else None)


def _curves(folder: Path) -> list[Path]:
    versions = sorted(
        folder.glob("curves/version_*/metrics.csv"), key=lambda p: int(p.parent.name.rpartition("_")[2])
    )
    return versions or [p for p in (folder / "metrics.csv",) if p.is_file()]


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    if "step" not in table:
        raise ValueError(f"the curve has the columns {', '.join(map(str, table.columns))}: 'step' is missing")
    table = table.copy()
    logged = table[[c for c in table if c in NUMBERS]].astype(str)
    written = logged.apply(lambda c: c.str.strip().str.lower().isin(["nan", "inf", "-inf"]))
    from_text = all(not pd.api.types.is_numeric_dtype(table[c]) for c in logged)
    broken = written.any(axis=1) if from_text else pd.Series(False, table.index)
    for name in table.columns:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["_broken"] = broken
    return table.dropna(subset=["step"]).sort_values("step", kind="stable")


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

    @property
    def hashes(self) -> list[str]:
        """Of each source, normalised to its peak, so that a gain makes no difference."""
        texts = []
        for source in self.sources:
            unit = source / source.abs().max().clamp(min=1e-9)
            texts.append(hashlib.sha1((unit * 1000).round().short().numpy().tobytes()).hexdigest())
        return texts


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


def _are_names(value) -> bool:
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
