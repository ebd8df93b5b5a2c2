"""Sounds of a sweep's runs: each run may write some, and one player compares them setting by setting.

Notebook: 10_experiments
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ..audio import SAMPLE_RATE, AudioError, audio_info, is_passed_over, read_audio, read_mono
from ..error_texts import printable
from .plan import SEED, SOUNDS
from .summary import choose_metric, need_runs, read_axes

__all__ = ["Compared", "collect_sounds", "compared_runs", "kept_sounds", "sounds_by_setting", "sounds_folder"]

MOST_FILES = 12  # of a run
LARGEST = 20_000_000  # bytes, of all files of a run
MOST_SAMPLES = 30_000_000  # of all files of a run: an hour at 8 kHz
LONGEST_NAME = 200  # bytes of a file's name; file systems have 255, and a temporary name is longer
RATES = (1000, 192_000)  # Hz, of a sound that a browser can play
MOST_SETTINGS = 4  # in one player; two outputs of each are eight sounds


def sounds_folder(out: Path, run: str) -> Path:
    """Where the sounds of a run are kept; exists only if it has written some."""
    return out / SOUNDS / run


def kept_sounds(out: Path, notebook: str) -> dict[str, Path]:
    """Name to file of what is kept of a run, whose notebook the table names; hidden files are passed over."""
    name = Path(notebook).stem
    folder = sounds_folder(out, name)
    if name in ("", "..") or not folder.is_dir():
        return {}
    return {
        file.stem: file for file in sorted(folder.iterdir()) if file.is_file() and not is_passed_over(file)
    }


def collect_sounds(folder: Path) -> dict[str, bytes]:
    """File name to content of what a run wrote into the folder of its parameter ``sounds``.

    Hidden files are passed over.

    Raises:
        ValueError: something else than readable audio of one channel with finite samples at 1 to 192 kHz, more than 12
            files, more than 20 MB or 30 million samples, or a name that is too long.
    """
    try:
        files = [file for file in sorted(folder.iterdir()) if not is_passed_over(file)]
    except FileNotFoundError:  # removed by the run
        return {}
    except OSError as error:
        raise ValueError(
            f"the run's folder of sounds can't be read ({error.strerror}): keep it as it is"
        ) from error
    if len(files) > MOST_FILES:
        raise ValueError(f"the run wrote {len(files)} sounds: write at most {MOST_FILES}")
    stems = [file.stem for file in files]
    for file in files:
        if stems.count(file.stem) > 1:
            raise ValueError(f"the run wrote two sounds {printable(file.stem)!r}: give each its own name")
        if file.is_dir():
            raise ValueError(
                f"the run made a folder {printable(file.name)!r} among its sounds: write the files without folders"
            )
        length = len(os.fsencode(file.name))
        if length > LONGEST_NAME:
            raise ValueError(
                f"the run's sound {printable(file.name)[:40]}... has a name of {length} bytes: "
                f"give it at most {LONGEST_NAME}"
            )
    size = sum(file.stat().st_size for file in files if file.is_file())
    if size > LARGEST:
        raise ValueError(f"the run's sounds have {size / 1e6:.0f} MB: write at most {LARGEST / 1e6:.0f} MB")
    samples = 0
    for file in files:
        try:
            info = audio_info(file)
            samples += info.frames
            if samples <= MOST_SAMPLES:
                _check_sound(file)
        except AudioError as error:
            reason = str(error).removeprefix(f"{file}: ")
            raise ValueError(f"the run's sound {printable(file.name)} can't be read: {reason}") from error
    if samples > MOST_SAMPLES:
        raise ValueError(
            f"the run's sounds have {samples / 1e6:.0f} million samples: write at most {MOST_SAMPLES / 1e6:.0f} "
            "million, an hour at 8 kHz"
        )
    return {file.name: file.read_bytes() for file in files}


def _check_sound(file: Path) -> None:
    """Raise ValueError for a file that the player can't play."""
    samples, rate = read_audio(file)
    what = ""
    if len(samples) != 1:
        what = f"{len(samples)} channels: write one channel of finite samples"
    elif not bool(samples.isfinite().all()):
        what = "samples that are NaN or infinite: write one channel of finite samples"
    elif not RATES[0] <= rate <= RATES[1]:
        what = f"a sample rate of {rate} Hz: write {RATES[0]} to {RATES[1]} Hz"
    if what:
        raise ValueError(f"the run's sound {printable(file.name)} has {what}")


@dataclass
class Compared:
    """The runs whose sounds are compared.

    Attributes:
        rows: of the table, in its order.
        labels: the setting of each row, such as ``chunk_size=8``.
        by_seed: the labels are seeds, since nothing else varies.
        settings: how many have sounds, of which these are chosen.
        metric: by which they are chosen.
        files: of each row, name to file.
        problems: a sentence for each sound that can't be played, from :meth:`read`.
    """

    rows: pd.DataFrame
    labels: list[str]
    by_seed: bool
    settings: int
    metric: str
    files: list[dict[str, Path]]
    problems: list[str] = field(default_factory=list)

    def read(self) -> tuple[dict[str, torch.Tensor], int]:
        """The sounds ``[T]`` by name at the highest of their rates, and this rate; fills ``problems``."""
        self.problems = []
        rates: dict[Path | None, int] = {}
        for label, files in zip(self.labels, self.files, strict=True):
            for name, file in files.items():
                try:
                    rates[file] = audio_info(file).rate
                except AudioError as error:
                    self.problems.append(_problem(name, label, file, error))
        rate = max(rates.values(), default=SAMPLE_RATE)
        first, others = (self.files[0], self.files[1:]) if self.files else ({}, [])
        same = [
            name
            for name, file in first.items()
            if file in rates and all(o.get(name) in rates and _are_same(o[name], file) for o in others)
        ]
        wanted = [(name, "", first[name]) for name in same]
        for label, files in zip(self.labels, self.files, strict=True):
            wanted += [(n, label, file) for n, file in files.items() if n not in same and file in rates]
        sounds: dict[str, torch.Tensor] = {}
        for name, label, file in wanted:
            try:
                title = _unique(f"{name}, {label}" if label else name, sounds)
                sounds[title] = read_mono(file, rate, resample=True)
            except AudioError as error:
                self.problems.append(_problem(name, label, file, error))
        return sounds, rate


def _are_same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _problem(name: str, label: str, file: Path, error: AudioError) -> str:
    reason = str(error).removeprefix(f"{file}: ").removeprefix(f"{file} ")
    return f"{f'{name}, {label}' if label else name} can't be played: {reason}"


def _unique(title: str, taken: dict) -> str:
    """A title that no other sound has."""
    number, found = 1, title
    while found in taken:
        number += 1
        found = f"{title} ({number})"
    return found


def compared_runs(
    out: str | os.PathLike, table: pd.DataFrame, metric: str | None = None, most: int = MOST_SETTINGS
) -> Compared:
    """The runs whose sounds are compared: of each setting the first finished seed that has sounds.

    Of more than ``most`` settings, these are chosen by the metric: the lowest, the highest, and others evenly between.
    Settings whose metric is NaN come last.

    Args:
        out: folder of the sweep.
        table: of :func:`sweep`.
        metric: a reported column of numbers; None for the first.

    Raises:
        ValueError: a table that is none of a sweep, no such column, ``most`` is not a whole number from 1 on.
    """
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
        raise ValueError(f"most is {most!r}: give a whole number of settings from 1 on")
    out, axes = Path(out), read_axes(out)
    varied = [name for name, values in axes.items() if len(values) > 1 and name != SEED] or [SEED]
    need_runs(table, varied)
    metric = choose_metric(table, list(axes), metric)
    rows = table[table["status"] == "ok"].reset_index(drop=True)
    files = [kept_sounds(out, name) for name in rows["notebook"]]
    settings = [
        [_of_axis(value, axes[name]) for name, value in zip(varied, row, strict=True)]
        for row in rows[varied].astype(object).itertuples(index=False, name=None)
    ]
    firsts: dict[str, int] = {}  # with its types: 1 and "1" are two settings
    for i, setting in enumerate(settings):
        if files[i]:
            firsts.setdefault(repr(setting), i)
    chosen = list(firsts.values())
    if len(chosen) > most:
        by = rows[metric].iloc[chosen].astype(float)
        known, unknown = by.dropna().sort_values(kind="stable").index, by.index[by.isna()]
        if len(known) > most:
            known = known[np.linspace(0, len(known) - 1, most).round().astype(int)]
        chosen = sorted([*known, *unknown][:most])
    labels = [", ".join(f"{n}={v}" for n, v in zip(varied, settings[i], strict=True)) for i in chosen]
    if len(set(labels)) < len(labels):
        labels = [", ".join(f"{n}={v!r}" for n, v in zip(varied, settings[i], strict=True)) for i in chosen]
    return Compared(
        rows.iloc[chosen], labels, varied == [SEED], len(firsts), metric, [files[i] for i in chosen]
    )


def _of_axis(value: object, axis: list) -> object:
    """A value as the grid has it: in a table's column None may be NaN, and 8 be 8.0."""
    value = value.item() if hasattr(value, "item") else value
    if value in axis:
        same = [known for known in axis if known == value]
        return next((known for known in same if type(known) is type(value)), same[0])
    return None if pd.isna(value) and None in axis else value


def sounds_by_setting(
    out: str | os.PathLike, table: pd.DataFrame, metric: str | None = None, most: int = MOST_SETTINGS
) -> tuple[dict[str, torch.Tensor], int]:
    """Sounds ``[T]`` to compare, by name, and their rate in Hz; no sounds if no run has written any.

    A sound that is the same in all runs, such as the mixture, comes once and first. The others have the setting in
    their name: ``output 1, chunk_size=8``. Sounds of different rates are converted to the highest of them. Which runs
    are taken is described at :func:`compared_runs`, also the arguments.

    Raises:
        AudioError: a kept sound can't be read any more.
        ValueError: as :func:`compared_runs`.
    """
    compared = compared_runs(out, table, metric, most)
    sounds, rate = compared.read()
    if compared.problems:
        raise AudioError(f"{compared.problems[0]}; or delete it from {Path(out) / SOUNDS}")
    return sounds, rate
