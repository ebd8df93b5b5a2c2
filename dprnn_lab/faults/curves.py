"""Group E on purpose: failed runs, recorded by ``data/record_curves.py``.

Each is a real run of a small model over 600 steps; the seed chooses after how many of them the user asks.

Notebook: 07_failures_in_training
"""

import random
from pathlib import Path

import pandas as pd
import torch

from ..files import data_folder
from ..loss import PITLossWrapper, pairwise_neg_sisdr
from .case import Case
from .data import healthy_batch

__all__ = ["FAULTS", "recorded_curve"]


def recorded_curve(name: str, until: int | None = None) -> pd.DataFrame:
    """The table of a recorded run, up to a step: step, train_loss, grad_norm, valid_loss, si_sdri_man-woman.

    Raises:
        FileNotFoundError: no run of that name.
    """
    path = data_folder() / "curves" / f"{name}.csv"
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in path.parent.glob("*.csv")))
        raise FileNotFoundError(f"no recorded curve {name!r}: there are {names}")
    table = pd.read_csv(path)
    return table if until is None else table[table["step"] <= until]


def _seen(rng: random.Random, first: int = 400) -> int:
    """Steps after which the user asks."""
    return rng.randrange(first, 601, 25)


def _recorded(name: str, first: int = 400, **columns):
    def fault(case: Case, rng: random.Random) -> Case:
        table = recorded_curve(name, _seen(rng, first)).copy()
        for column, value in columns.items():
            table[column] = value
        return case.change(run=table)

    return fault


def resumed(case: Case, rng: random.Random) -> Case:
    """Two sessions; the second began without the optimiser's state, at ten times the rate."""
    table = recorded_curve("resume-lost", _seen(rng)).copy()
    table["session"] = (table["step"] >= 300).astype(int)
    return case.change(run=table)


def dead_from(case: Case, rng: random.Random) -> Case:
    """A healthy run until an output becomes zero; the loss is then that of one good output and one of zeros."""
    at = rng.randrange(150, 400, 25)
    table = recorded_curve(f"healthy-{rng.randrange(3)}").copy()
    _, sources = case.batch if case.batch is not None else healthy_batch(rng.randrange(1000))
    half = torch.stack((sources[:, 0] + 0.3 * sources[:, 1], torch.zeros_like(sources[:, 1])), 1)
    dead = float(PITLossWrapper(pairwise_neg_sisdr)(half, sources))
    late = table["step"] > at
    table.loc[late, "train_loss"] = dead
    table.loc[late & table["valid_loss"].notna(), "valid_loss"] = dead
    return case.change(run=table)


def became_nan(case: Case, rng: random.Random) -> Case:
    """A healthy run whose loss is NaN from one step on; the curve is a file."""
    table = recorded_curve(f"healthy-{rng.randrange(3)}").astype(object)
    at = rng.randrange(150, 500, 25)
    table.loc[table["step"] > at, ["train_loss", "grad_norm"]] = "nan"
    path = case.file("metrics.csv")
    table.to_csv(path, index=False)
    return case.change(run=path)


def nan_though_clipped(case: Case, rng: random.Random) -> Case:
    """A run's folder, its gradients clipped at 5: the loss is NaN from one step on, without a rise before."""
    case = became_nan(case, rng)
    folder = case.file("clipped-run")
    curve = folder / "curves" / "version_0" / "metrics.csv"
    curve.parent.mkdir(parents=True, exist_ok=True)
    curve.write_bytes(Path(str(case.run)).read_bytes())
    (folder / "config.yaml").write_text("clip: 5.0\nlr: 0.001\n", encoding="utf-8")
    return case.change(run=folder)


def infinite_gradient(case: Case, rng: random.Random) -> Case:
    """The gradient norm overflows at one step, and the loss is NaN from the next one on."""
    table = recorded_curve(f"healthy-{rng.randrange(3)}").astype(object)
    row = rng.randrange(6, 20)
    table.loc[table.index[row], "grad_norm"] = "inf"
    table.loc[table.index[row + 1 :], ["train_loss", "grad_norm"]] = "nan"
    path = case.file("metrics.csv")
    table.to_csv(path, index=False)
    return case.change(run=path)


def nan_elsewhere(case: Case, rng: random.Random) -> Case:
    """Another toolkit's table: other names of columns, a row per epoch."""
    table = recorded_curve(f"healthy-{rng.randrange(3)}").astype(object)
    table = table[["train_loss", "valid_loss"]].dropna().reset_index(drop=True)
    table.loc[rng.randrange(2, len(table) - 2) :, :] = "NaN"
    table.columns = ["train/loss", "val/loss"]
    path = case.file("history.csv")
    table.rename_axis("epoch").to_csv(path)
    return case.change(run=path)


def one_kind(case: Case, rng: random.Random) -> Case:
    """The bundled model's first hour: a man and a woman are separated, two women are not, and the mean is -2 dB."""
    table = pd.read_csv(data_folder() / "model" / "curve.csv")
    return case.change(run=table[table["step"] <= rng.choice([900, 1200, 1500, 1800])])


FAULTS = {
    "unhealthy-curve": {
        "wrong-targets": _recorded("wrong-targets"),
        "no-pit": _recorded("no-pit"),
        "mean-before-minimum": _recorded("mean-before-minimum"),
    },
    "no-clipping": {"jump": _recorded("jump")},
    "nan-run": {
        "became-nan": became_nan,
        "though-clipped": nan_though_clipped,
        "infinite-gradient": infinite_gradient,
        "other-names": nan_elsewhere,
    },
    "dead-output": {"curve": dead_from},
    "learning-rate": {"high": _recorded("rate-high", lr=1.0), "low": _recorded("rate-low", lr=1e-6)},
    "overfit": {"fixed-list": _recorded("fixed-list", first=500)},
    "resume": {"optimiser-lost": resumed},
    "plateau-reading": {"one-kind": one_kind},
}
