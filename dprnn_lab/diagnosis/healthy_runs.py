"""The healthy band: recorded runs that differ in their seed alone, and where another run lies among them.

``data/record_healthy_runs.py`` made them. A run of the same network and data that is far behind all of them is worth a
look; other networks and data learn at other speeds, and are not judged.

Notebook: 05_training
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from ..files import data_folder
from ..model import ModelConfig
from .run_curves import Run, read_run

__all__ = ["ADVICE", "LEVELS_DB", "SIZES", "HealthyRuns", "Place", "read_healthy_runs", "size_of"]

LEVELS_DB = (1.0, 5.0)  # SI-SDRi of the first kind of pair: the milestones
MEASURE = "si_sdri_man-woman"
# A run is behind if it is under the mean by this many deviations, and under all runs by this margin.
SIGMAS, MARGIN_DB = 4.0, 0.3
MIN_RUNS = 3
_SMALL = {
    "n_filters": 64, "kernel_size": 32, "stride": 16, "chunk_size": 64, "n_repeats": 3, "bn_chan": 64, "hid_size": 64,
}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {  # what tells whether a run has the network and the task of a band
    "class": {
        "model": _SMALL | {"kernel_size": 64, "stride": 32, "chunk_size": 32, "n_repeats": 2, "bn_chan": 32},
        "woman_woman": 0.0,
    },
    "small": {"model": _SMALL, "woman_woman": 0.5},
}
_SAME = {  # in both bands
    "data": "corpus", "init": None, "speakers": None, "batch": 4, "seconds": 1.0, "man_man": 0.0, "seen_unseen": 0.0,
    "speed": 0, "flip": False, "noise": None, "rt60": None, "level_db": 2.5, "optimizer": "muon",
}  # fmt: skip
RATE_FACTOR = 2.5  # a learning rate that differs by more makes another speed
_RATE = {"class": 2.5e-3, "small": 1e-3}
ADVICE = {  # milestone that is missed: what to do
    1.0: "run preflight, listen to a batch (mixture and targets), look at the learning rate and at PIT: a network "
    "that stays at 0 dB returns the mixture",
    5.0: "look at the kinds of pair one by one and at the validation loss (a fixed list of mixtures, few voices, a "
    "rate that fell too early); if all of it is as it should be, train longer",
}


@dataclass(frozen=True)
class Place:
    """Where a run lies among the healthy ones at one step; SI-SDRi in dB."""

    step: int  # of the run's last validation
    value: float
    low: float  # the lowest and the highest healthy run at this step, or at the last recorded one before it
    high: float
    limit: float  # under it a run is behind
    behind: bool  # this validation and the one before it are under their limits
    recorded_to: int  # the last step that all healthy runs have
    at: int  # the step of the healthy runs that it is compared with: the run's, or the last recorded one before it


@dataclass(frozen=True)
class HealthyRuns:
    """The recorded runs of one size: ``seed, step, train_loss, grad_norm, valid_loss, si_sdri_KIND, seconds``."""

    size: str
    runs: pd.DataFrame

    @property
    def seeds(self) -> list[int]:
        """Of the runs."""
        return sorted({int(seed) for seed in self.runs["seed"]})

    def without(self, seed: int) -> "HealthyRuns":
        """The band of the other runs, to hold one of them beside it."""
        return HealthyRuns(self.size, self.runs[self.runs["seed"] != seed])

    def run(self, seed: int) -> pd.DataFrame:
        """One of the runs as a table of a run.

        Raises:
            ValueError: no run with this seed.
        """
        if seed not in self.seeds:
            raise ValueError(f"seed is {seed}: the band {self.size!r} has {self.seeds}")
        return self.runs[self.runs["seed"] == seed].drop(columns="seed").reset_index(drop=True)

    def band(self, column: str = MEASURE, over: str = "step") -> pd.DataFrame:
        """``low``, ``middle`` and ``high`` of a column over all runs, by step or by the mean seconds at each step.

        Only steps that every run has: a band of fewer runs would be narrower.

        Raises:
            ValueError: no such column.
        """
        wide = self._wide(column)
        table = pd.DataFrame(
            {"low": wide.min(axis=1), "middle": wide.median(axis=1), "high": wide.max(axis=1)}
        )
        if over == "seconds":
            table.index = pd.Index(self._wide("seconds").mean(axis=1).reindex(table.index), name="seconds")
        return table

    def milestones(self, levels: tuple[float, ...] = LEVELS_DB, column: str = MEASURE) -> pd.DataFrame:
        """For each level (dB): how many runs reach it, and the steps at which 10, 50 and 90 % of *all* runs have.

        A run reaches a level at the first validation that is not under it. A share that the recorded steps do not
        show is NaN.
        """
        rows = []
        for level in levels:
            steps = [first_step(self.run(seed), level, column) for seed in self.seeds]
            ordered = sorted(math.inf if step is None else step for step in steps)
            row: dict[str, float] = {
                "level_db": level,
                "reached": sum(s is not None for s in steps),
                "runs": len(steps),
            }
            for share in (10, 50, 90):
                step = ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]
                row[f"step_{share}"] = step if math.isfinite(step) else math.nan
            rows.append(row)
        return pd.DataFrame(rows)

    def place(self, run: "str | pd.DataFrame | Run", column: str = MEASURE) -> Place | None:
        """Where a run lies; None without a validation at a step that the band has, or with too few healthy runs."""
        found = read_run(run)
        values = found.column(column)
        wide = self._wide(column)
        values = values[values.index + 1 >= wide.index.min()] if len(wide) else values[:0]
        if not len(values) or len(self.seeds) < MIN_RUNS or found.unit != "step":
            return None
        under = []  # Lightning logs step 100 as 99: hence the 1
        for step, value in values.iloc[-2:].items():
            beside = int(wide.index[wide.index <= step + 1].max())
            at = wide.loc[beside].to_numpy(float)
            error = at.std(ddof=1) * math.sqrt(1 + 1 / len(at))
            limit = min(float(at.mean() - SIGMAS * error), float(at.min()) - MARGIN_DB)
            under.append(float(value) < limit)
        return Place(
            int(values.index[-1]), float(values.iloc[-1]), float(at.min()), float(at.max()), limit,
            len(under) == 2 and all(under), int(wide.index.max()), beside,
        )  # fmt: skip

    def differs(self, settings: Mapping[str, Any]) -> str:
        """What in a run's settings makes its curve another one than this band's; empty where nothing does.

        Args:
            settings: of ``config.yaml`` of a run's folder; empty where nothing says them.
        """
        if not settings:
            return ""
        size, why = size_of(settings)
        if size is None:
            return why
        return "" if size == self.size else f"it has the network and pairs of {size!r}"

    def other_network(self, config: Mapping[str, Any]) -> str:
        """How a network differs from that of this band, such as "hid_size is 128 and not 64"; empty if it does not.

        Args:
            config: all its arguments, as ``model.config``; empty where nothing says them.
        """
        own = asdict(ModelConfig(**SIZES[self.size]["model"]))
        differs = [f"{k} is {v} and not {own[k]}" for k, v in config.items() if k in own and own[k] != v]
        return ", ".join(differs[:3])

    def _wide(self, column: str) -> pd.DataFrame:
        """Step by seed, at the steps that every run has."""
        if column not in self.runs:
            raise ValueError(f"column is {column!r}: the recorded runs have {', '.join(map(str, self.runs))}")
        return self.runs.pivot_table(column, "step", "seed").reindex(columns=self.seeds).dropna()


def first_step(run: pd.DataFrame, level: float, column: str = MEASURE) -> int | None:
    """The first step of a run's table at which a column is not under a level; None if it never is."""
    if column not in run:
        return None
    reached = run.loc[run[column] >= level, "step"]
    return int(reached.iloc[0]) if len(reached) else None


@lru_cache
def read_healthy_runs(size: str = "class") -> HealthyRuns:
    """The recorded runs of a size, "class" or "small".

    Raises:
        ValueError: another size.
        FileNotFoundError: they are not recorded, or the package was installed without the course's data.
    """
    if size not in SIZES:
        raise ValueError(f"size is {size!r}: there are healthy runs of {', '.join(SIZES)}")
    path = data_folder() / "curves" / "healthy" / f"{size}.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: python data/record_healthy_runs.py --sizes {size} makes it"
        )
    return HealthyRuns(size, pd.read_csv(path))


def size_of(settings: Mapping[str, Any]) -> tuple[str | None, str]:
    """The size whose band a run with these settings belongs to, or None and what differs from the nearest one.

    Args:
        settings: of ``config.yaml`` of a run's folder; what is missing has the value of the band.
    """
    nearest: list[str] | None = None
    given = settings.get("model") or {}
    if not isinstance(given, Mapping):
        return None, f"model is {given!r}"
    for size, own in SIZES.items():
        differs = []
        model = _SMALL | dict(given)
        differs += [
            f"model.{k} is {v}"
            for k, v in model.items()
            if own["model"].get(k, v) != v or k not in own["model"]
        ]
        for name, value in (_SAME | {"woman_woman": own["woman_woman"]}).items():
            if name in settings and settings[name] != value:
                differs.append(f"{name} is {settings[name]}")
        rate = settings.get("lr")
        if isinstance(rate, int | float) and not 1 / RATE_FACTOR <= rate / _RATE[size] <= RATE_FACTOR:
            differs.append(f"lr is {rate:g}")
        if not differs:
            return size, ""
        if nearest is None or len(differs) < len(nearest):
            nearest = differs
    return None, ", ".join((nearest or [])[:3])
