"""The curve of a training run, of this package or another toolkit, with the steps at which it broke.

Read are the folders of our runs and of Lightning's, CSV files (also those that TensorBoard exports), tables of pandas,
and the ``train_log.txt`` of SpeechBrain.

Notebook: 07_failures_in_training
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..files import read_yaml

__all__ = ["Break", "Run", "read_run"]

# By our name of a column: the names of others, lower case and with _ for every other sign; the first found is taken.
ALIASES = {
    "step": ("step", "global_step", "iteration", "iter", "steps", "trainer_global_step", "epoch"),
    "train_loss": (
        "train_loss", "training_loss", "train_loss_step", "train_loss_epoch", "loss_train", "tr_loss", "loss", "value",
    ),
    "valid_loss": (
        "valid_loss", "val_loss", "validation_loss", "dev_loss", "cv_loss", "eval_loss", "loss_valid", "loss_val",
        "val_loss_epoch",
    ),
    "grad_norm": ("grad_norm", "gradient_norm", "total_grad_norm", "grad_norm_total", "grad_2_0_norm_total"),
}  # fmt: skip
_BROKEN = re.compile(r"\s*[-+]?(nan|inf|infinity|1\.#(qnan|ind|inf))\s*", re.IGNORECASE)
_WATCHED = ("loss", "norm")  # parts of the names of columns in which NaN and infinity are looked for
_CLIP = re.compile(
    r"^\s*(?:clip|gradient_clip_val|max_grad_norm|grad_clip|clip_grad_norm|gradient_clipping):\s*([\d.eE+-]+)\s*$",
    re.M,
)
_RATE = re.compile(r"^\s*(?:lr|learning_rate|base_lr|max_lr):\s*([\d.eE+-]+)\s*$", re.M)
_LOG_PAIR = re.compile(r"(train|valid)\s+([\w.-]+):\s*(\S+?)(?:,|\s|$)")
MAX_FACT_BYTES = 100_000


@dataclass(frozen=True)
class Break:
    """NaN or infinity in one column."""

    first: int  # step
    last: int
    rows: int
    recovered: bool  # a later row is finite again


@dataclass
class Run:
    """The curve of a run: a row per log entry, ``step`` ascending; and where each session began."""

    table: pd.DataFrame
    sessions: list[int] = field(default_factory=list)  # first step of every session but the first
    checkpoint: Path | None = None  # the last
    broken_at: int | None = None  # first step whose loss or gradient norm was logged as NaN or infinite
    breaks: dict[str, Break] = field(default_factory=dict)  # by column
    folder: Path | None = None
    unit: str = "step"  # of the column ``step``: "epoch" where nothing else was logged
    clip: float | None = None  # largest gradient norm, 0 for no clipping; None if the run does not say it
    rate: float | None = None  # learning rate, as the run's settings say it
    ending: dict[str, Any] = field(default_factory=dict)  # how the run ended, as it was written at its end
    settings: dict[str, Any] = field(
        default_factory=dict
    )  # of a folder of ours; empty where nothing says them

    def column(self, name: str) -> pd.Series:
        """A column's finite numbers by step; empty when there is no such column."""
        if name not in self.table:
            return pd.Series(dtype=float)
        return self.table.set_index("step")[name].replace([np.inf, -np.inf], np.nan).dropna()

    def checkpoint_before(self, step: int) -> Path | None:
        """The latest checkpoint of the run's folder that was written before a step; None if there is none."""
        if self.folder is None:
            return None
        found = {}
        for path in self.folder.glob("checkpoints/*.ckpt"):
            number = re.search(r"step[=_-]?(\d+)", path.stem)
            if number and int(number[1]) < step:
                found[int(number[1])] = path
        return found[max(found)] if found else None


def read_run(run: "str | os.PathLike[str] | pd.DataFrame | Run") -> Run:
    """Read a run's folder, a CSV file, a log, or a table.

    Raises:
        ValueError: no curve, or no column ``step``.
        TypeError: another type.
    """
    if isinstance(run, Run):
        return run
    if isinstance(run, pd.DataFrame):
        return _join([run], Run(pd.DataFrame()))
    if not isinstance(run, (str, os.PathLike)):
        raise TypeError(f"run is {type(run).__name__}: give a folder, a CSV file or a pandas table")
    path = Path(run)
    files = [path] if path.is_file() else _curves(path)
    folder = path if path.is_dir() else None
    ending = _ending(folder) if folder is not None else {}
    if not files and not ending:
        raise ValueError(
            f"{path}: no curve (curves/version_N/metrics.csv or metrics.csv); give a run's folder"
        )
    last = path / "checkpoints" / "last.ckpt"
    found = Run(pd.DataFrame(), checkpoint=last if last.is_file() else None, folder=folder)
    if folder is not None:
        found.clip, found.rate, found.ending = _setting(folder, _CLIP), _setting(folder, _RATE), ending
        found.settings = _settings(folder)
    return _join([_read(file) for file in files], found)


def _read(path: Path) -> pd.DataFrame:
    """A CSV file or a log as text: an empty field was not logged, "nan" was."""
    try:
        if path.suffix in (".txt", ".log"):
            table = _read_log(path.read_text(encoding="utf-8"))
            if len(table):
                return table
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a table of comma-separated values: {error}") from error


def _read_log(text: str) -> pd.DataFrame:
    """Lines such as ``epoch: 3, lr: 1.5e-04 - train si-snr: -6.1 - valid si-snr: -5.2``, as SpeechBrain writes them."""
    rows = []
    for line in text.splitlines():
        epoch = re.search(r"epoch:\s*(\d+)", line, re.IGNORECASE)
        pairs = _LOG_PAIR.findall(line)
        if not epoch or not pairs:
            continue
        row = {"epoch": epoch[1]}
        rate = re.search(r"\blr:\s*(\S+?)(?:,|\s|$)", line)
        if rate:
            row["lr"] = rate[1]
        for part, _, value in pairs:
            row.setdefault(f"{part}_loss", value)
        rows.append(row)
    return pd.DataFrame(rows).fillna("") if rows else pd.DataFrame()


def _curves(folder: Path) -> list[Path]:
    """The tables of a run's folder: of every session, oldest first."""
    for pattern in (
        "curves/version_*/metrics.csv",
        "lightning_logs/version_*/metrics.csv",
        "version_*/metrics.csv",
    ):
        versions = [p for p in folder.glob(pattern) if p.parent.name.rpartition("_")[2].isdigit()]
        if versions:
            return sorted(versions, key=lambda p: int(p.parent.name.rpartition("_")[2]))
    return [p for p in (folder / n for n in ("metrics.csv", "history.csv", "train_log.txt")) if p.is_file()][
        :1
    ]


def _join(parts: list[pd.DataFrame], run: Run) -> Run:
    """The tables of all sessions as one, put into ``run``."""
    tidied = [_tidy(part) for part in parts if len(part)]
    if not tidied and run.ending:  # it ended before the first row was logged
        run.table = pd.DataFrame({"step": pd.Series(dtype=float)})
        return run
    if not tidied:
        raise ValueError("the curve has no rows: train some steps first")
    parts = [table for table, _, _ in tidied]
    run.unit = tidied[0][2]
    run.sessions = [int(part["step"].iloc[0]) for part in parts[1:] if len(part)]
    run.table = pd.concat(parts, ignore_index=True)
    if "session" in run.table:
        run.sessions = [int(g["step"].iloc[0]) for _, g in run.table.groupby("session")][1:]
    broken = pd.concat([mask for _, mask, _ in tidied], ignore_index=True)
    for name in broken:
        bad = broken[name].fillna(False).astype(bool)
        if bad.any():
            steps = run.table.loc[bad, "step"]
            numbers = run.table[name].where(~bad)
            later = numbers[run.table["step"] > steps.iloc[-1]].notna().any()
            run.breaks[str(name)] = Break(
                int(steps.iloc[0]), int(steps.iloc[-1]), int(bad.sum()), bool(later)
            )
    run.broken_at = min((b.first for b in run.breaks.values()), default=None)
    return run


def _tidy(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Our names of columns and numbers, sorted by step; where NaN or infinity was logged; the unit of ``step``."""
    table, unit = _renamed(table)
    watched = [c for c in table if any(part in str(c).lower() for part in _WATCHED)]
    broken = pd.DataFrame({c: _logged_broken(table[c]) for c in watched}, index=table.index)
    for name in table.columns:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    order = table.dropna(subset=["step"]).sort_values("step", kind="stable").index
    return table.loc[order], broken.loc[order], unit


def _renamed(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    plain = {str(c): re.sub(r"\W", "_", str(c).strip().lower()) for c in table}
    names, unit = {}, "step"
    for ours, others in ALIASES.items():
        if ours in table:
            continue
        found = next((c for other in others for c, name in plain.items() if name == other), None)
        if found is not None:
            names[found] = ours
            unit = "epoch" if ours == "step" and plain[found] == "epoch" else unit
    table = table.copy()
    table.columns = [names.get(str(c), c) for c in table]
    if "step" not in table:
        raise ValueError(f"the curve has the columns {', '.join(map(str, table.columns))}: 'step' is missing")
    return table.reset_index(drop=True), unit


def _logged_broken(column: pd.Series) -> pd.Series:
    """Where NaN or infinity was logged. In a column of numbers NaN is "not logged", unless it is all that follows."""
    if not pd.api.types.is_numeric_dtype(column):
        return column.map(lambda value: isinstance(value, str) and bool(_BROKEN.fullmatch(value))).astype(
            bool
        )
    infinite = np.isinf(column.astype(float))
    known = column.notna()
    if known.sum() < 3 or not known.iloc[0]:
        return infinite
    last = int(np.flatnonzero(known)[-1])
    # Logged in every row so far, and in none of the last three or more: these are NaN.
    if known.iloc[: last + 1].mean() > 0.9 and len(column) - last - 1 >= 3:
        infinite = infinite | (np.arange(len(column)) > last)
    return infinite


def _setting(folder: Path, pattern: re.Pattern[str]) -> float | None:
    """A number in the run's settings, by its line; None if they do not say it."""
    for name in ("config.yaml", "hparams.yaml", "curves/version_0/hparams.yaml"):
        try:
            text = (folder / name).read_bytes()[:MAX_FACT_BYTES].decode(errors="replace")
            found = pattern.search(text)
            if found:
                return float(found[1])
        except (OSError, ValueError):
            continue
    return None


def _settings(folder: Path) -> dict[str, Any]:
    """All settings of a run of ours, from its ``config.yaml``; empty if it has none that can be read."""
    try:
        content = read_yaml(folder / "config.yaml")
    except (OSError, ValueError, RecursionError):
        return {}
    return {str(name): value for name, value in content.items()} if isinstance(content, Mapping) else {}


def _ending(folder: Path) -> dict[str, Any]:
    """How the run ended, from ``ended.json``; empty if it does not say."""
    try:
        content = json.loads((folder / "ended.json").read_bytes()[:MAX_FACT_BYTES])
    except (OSError, ValueError, RecursionError):
        return {}
    return dict(content) if isinstance(content, Mapping) else {}
