"""Curves of trainings: shapes as other data and sizes give them, in the tables that other programs write."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["lightning_csv", "table", "towards"]


def towards(end: float, half_at: float, start: float = 3.0, warm_up: float = 60.0) -> Callable:
    """A loss in dB over steps: quickly to 0 dB, then slower and slower towards ``end``, half of it at ``half_at``."""

    def loss(step: np.ndarray) -> np.ndarray:
        return start * np.exp(-step / warm_up) + end * step / (step + half_at)

    return loss


def table(
    train: Callable,
    steps: int,
    seed: int,
    every: int = 50,
    valid_every: int = 4,
    gap: float = 0.6,
    norm: float = 5.0,
    valid: Callable | None = None,
    jitter: float = 0.25,
) -> pd.DataFrame:
    """Columns step, train_loss, grad_norm, valid_loss, si_sdri_all; a row every ``every`` steps.

    Args:
        train: from steps to loss, dB.
        valid: the same of the validation; None for the training loss, ``gap`` dB worse.
        valid_every: rows from one validation to the next.
    """
    random = np.random.default_rng(seed)
    step = np.arange(every, steps + 1, every)
    rows = pd.DataFrame({"step": step, "train_loss": train(step) + random.normal(0, jitter, len(step))})
    rows["grad_norm"] = norm * np.exp(random.normal(0, 0.25, len(step))) * (1 + 20 * np.exp(-step / 60))
    held_out = (valid or (lambda s: train(s) + gap))(step) + random.normal(0, jitter / 3, len(step))
    validated = np.arange(1, len(step) + 1) % valid_every == 0
    rows["valid_loss"] = np.where(validated, held_out, np.nan)
    rows["si_sdri_all"] = -rows["valid_loss"]
    return rows


def lightning_csv(rows: pd.DataFrame, path: Path, epoch_steps: int = 500) -> Path:
    """`metrics.csv` as Lightning's CSVLogger writes it: epoch, training and validation in rows of their own."""
    rows = rows.copy()
    rows.insert(0, "epoch", (rows["step"] - 1) // epoch_steps)
    of_validation = [c for c in rows if c == "valid_loss" or c.startswith("si_sdri")]
    parts = []
    for _, row in rows.iterrows():
        training = row.drop(of_validation)
        parts.append(training)
        if pd.notna(row["valid_loss"]):
            parts.append(row[["epoch", "step", *of_validation]])
    written = pd.DataFrame(parts)[list(rows.columns)]
    written[["epoch", "step"]] = written[["epoch", "step"]].astype(int)
    path.parent.mkdir(parents=True, exist_ok=True)
    written.to_csv(path, index=False)
    return path
