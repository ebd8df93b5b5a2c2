"""Sounds of a sweep's runs: each run may write some, and one player compares them setting by setting.

Notebook: 10_experiments
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ..audio import SAMPLE_RATE, AudioError, read_audio, read_mono
from ..error_texts import printable
from .plan import SEED, SOUNDS
from .summary import read_axes, reported

__all__ = ["collect_sounds", "compared_runs", "sounds_by_setting", "sounds_folder"]

MOST_FILES = 12  # of a run
LARGEST = 20_000_000  # bytes, of all files of a run
MOST_SETTINGS = 4  # in one player; two outputs of each are eight sounds


def sounds_folder(out: Path, run: str) -> Path:
    """Where the sounds of a run are kept; exists only if it has written some."""
    return out / SOUNDS / run


def collect_sounds(folder: Path) -> dict[str, bytes]:
    """File name to content of what a run wrote into the folder of its parameter ``sounds``.

    Raises:
        ValueError: no readable audio of one channel, more than 12 files, or more than 20 MB.
    """
    files = sorted(folder.iterdir())
    if len(files) > MOST_FILES:
        raise ValueError(f"the run wrote {len(files)} sounds: write at most {MOST_FILES}")
    stems = [file.stem for file in files]
    for file in files:
        name = printable(file.name)
        if stems.count(file.stem) > 1:
            raise ValueError(f"the run wrote two sounds {printable(file.stem)!r}: give each its own name")
        try:
            samples = read_audio(file)[0]
        except AudioError as error:
            raise ValueError(f"the run's sound {name} can't be read: {error}") from error
        if len(samples) != 1 or not bool(samples.isfinite().all()):
            what = f"{len(samples)} channels" if len(samples) != 1 else "samples that are NaN or infinite"
            raise ValueError(f"the run's sound {name} has {what}: write one channel of finite samples")
    size = sum(file.stat().st_size for file in files)
    if size > LARGEST:
        raise ValueError(f"the run's sounds have {size / 1e6:.0f} MB: write at most {LARGEST / 1e6:.0f} MB")
    return {file.name: file.read_bytes() for file in files}


def compared_runs(
    out: str | os.PathLike, table: pd.DataFrame, metric: str | None = None, most: int = MOST_SETTINGS
) -> pd.DataFrame:
    """The rows of the runs whose sounds are compared: of each setting the first finished seed that has sounds.

    Of more than ``most`` settings, these are chosen by the metric: the best, the worst, and others evenly between.

    Args:
        out: folder of the sweep.
        table: of :func:`sweep`.
        metric: a reported column of numbers; None for the first.
    """
    out, axes = Path(out), read_axes(out)
    varied = [name for name, values in axes.items() if len(values) > 1 and name != SEED] or [SEED]
    rows = table[table["status"] == "ok"].reset_index(drop=True)
    heard = [any(sounds_folder(out, Path(name).stem).glob("*")) for name in rows["notebook"]]
    rows = rows[heard].drop_duplicates(subset=varied)
    if len(rows) > most:
        numbers = reported(rows, list(axes))
        by = rows[metric or (numbers[0] if numbers else "seconds")].sort_values(kind="stable")
        rows = rows.loc[rows.index.isin(by.index[np.linspace(0, len(by) - 1, most).round().astype(int)])]
    labels = [", ".join(f"{name}={row[name]}" for name in varied) for _, row in rows.iterrows()]
    return rows.assign(setting=labels)


def sounds_by_setting(
    out: str | os.PathLike, table: pd.DataFrame, metric: str | None = None, most: int = MOST_SETTINGS
) -> tuple[dict[str, torch.Tensor], int]:
    """Sounds ``[T]`` to compare, by name, and their rate in Hz; no sounds if no run has written any.

    A sound that is the same in all runs, such as the mixture, comes once and first. The others have the setting in
    their name: ``output 1, chunk_size=8``. Which runs are taken is described at :func:`compared_runs`, also the
    arguments.

    Raises:
        AudioError: a kept sound can't be read any more.
    """
    rows = compared_runs(out, table, metric, most)
    files = {
        row.setting: {
            file.stem: file for file in sorted(sounds_folder(Path(out), Path(row.notebook).stem).iterdir())
        }
        for row in rows.itertuples()
    }
    if not files:
        return {}, SAMPLE_RATE
    first, *others = files.values()
    rate = read_audio(next(iter(first.values())))[1]
    same = [
        name
        for name, file in first.items()
        if all(name in other and other[name].read_bytes() == file.read_bytes() for other in others)
    ]
    sounds = {name: read_mono(first[name], rate, resample=True) for name in same}
    for setting, named in files.items():
        sounds |= {
            f"{name}, {setting}": read_mono(file, rate, resample=True)
            for name, file in named.items()
            if name not in same
        }
    return sounds, rate
