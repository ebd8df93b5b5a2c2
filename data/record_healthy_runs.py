"""Record the healthy band: many runs that differ in their seed alone, for "is mine learning?".

    python data/record_healthy_runs.py [--sizes class small] [--stages 300 600 1200] [--runs runs/healthy]

``class`` are ten runs of the network and settings of notebook 05, ``small`` five runs of ``dprnn-lab train`` without
options, both on the bundled voices and at a constant rate, so that a run can be made longer: all runs of a size are
trained to the first stage, then all to the second one. A run that has the steps already is not repeated, and a
stopped one goes on from its last validation. Writes after each run its rows to ``data/curves/healthy/SIZE.csv``: the
loss (dB) and the gradient norm as means since the row before, SI-SDRi (dB) of the validation mixtures by kind of
pair, and the seconds of processor time since the start, validations included. The committed files end at
``--sizes class --stages 300 600 1200 2400`` and ``--sizes small --stages 300 600``.

Notebook: 05_training
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch
from class_training import SMALL as CLASS

from dprnn_lab.diagnosis.run_curves import read_run
from dprnn_lab.files import data_folder, write_whole
from dprnn_lab.training import EpochRecord, Settings, train_run

EVERY = 50  # steps between rows; validations are at every second row
COMMON = {"epoch_size": 4 * EVERY, "valid_every": 2, "precision": "auto"}
SIZES = {
    "class": Settings(model=CLASS, woman_woman=0.0, lr=2.5e-3, warmup=100, ema=0.99, **COMMON),
    "small": Settings(**COMMON),
}
SEEDS = {"class": 10, "small": 5}
COLUMNS = ["step", "train_loss", "grad_norm", "valid_loss"]


class Clock:
    """Adds the processor time of each part of a run to ``seconds.csv`` in its folder."""

    def __init__(self, run: Path):
        self.path = run / "seconds.csv"
        self.start = time.process_time()

    def rows(self) -> pd.DataFrame:
        """``step, seconds`` of this and earlier sessions; seconds since the row before."""
        return pd.read_csv(self.path) if self.path.is_file() else pd.DataFrame({"step": [], "seconds": []})

    def __call__(self, record: EpochRecord) -> None:
        now = time.process_time()
        old = self.rows()
        new = pd.DataFrame({"step": [record.step], "seconds": [round(now - self.start, 2)]})
        table = pd.concat([old[old["step"] < record.step], new]) if len(old) else new
        write_whole(self.path, table.to_csv(index=False, lineterminator="\n").encode())
        self.start = now


def rows_of(run: Path, seed: int) -> pd.DataFrame:
    """The curve of a run: a row for each :data:`EVERY` steps."""
    table = read_run(run).table.groupby("step").first().reset_index()
    table["step"] += 1  # Lightning logs the number of the last step, counted from 0
    kinds = sorted(c for c in table if str(c).startswith("si_sdri_"))
    table = table[COLUMNS + kinds].dropna(subset=["train_loss"])
    table["step"] = table["step"].astype(int)
    times = Clock(run).rows().set_index("step")["seconds"].cumsum()
    table["seconds"] = table["step"].map(times)
    table.insert(0, "seed", seed)
    return table.round(3)


def record(size: str, seed: int, steps: int, folder: Path) -> pd.DataFrame:
    """Train one run up to ``steps`` and return its rows."""
    run = folder / size / f"seed-{seed}"
    settings = SIZES[size].changed(steps=steps, seed=seed)
    train_run(settings, run, resume=(run / "checkpoints" / "last.ckpt").is_file(), callbacks=[Clock(run)])
    return rows_of(run, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--stages", type=int, nargs="+", default=[300, 600, 1200], help="steps, ascending")
    parser.add_argument("--seeds", type=int, help="number of runs of each size; 10 and 5")
    parser.add_argument("--runs", type=Path, default=Path("runs/healthy"), help="folder of the runs")
    parser.add_argument(
        "--out", type=Path, default=data_folder() / "curves" / "healthy", help="folder of the tables"
    )
    given = parser.parse_args()
    odd = [steps for steps in given.stages if steps < 2 * EVERY or steps % (2 * EVERY)]
    if odd or sorted(given.stages) != given.stages:
        parser.error(f"--stages are {given.stages}: give multiples of {2 * EVERY} in ascending order")
    torch.set_num_threads(1)
    for steps in given.stages:
        for size in given.sizes:
            path = given.out / f"{size}.csv"
            for seed in range(given.seeds or SEEDS[size]):
                table = (
                    pd.read_csv(path) if path.is_file() else pd.DataFrame({"seed": [], "step": []}, dtype=int)
                )
                if (table.loc[table["seed"] == seed, "step"] >= steps).any():
                    continue
                new = record(size, seed, steps, given.runs)
                if new["step"].max() < steps:  # a signal ended it after a step: the same command goes on
                    raise SystemExit(
                        f"{size} seed {seed} was stopped at step {new['step'].max()}: its rows are not written"
                    )
                table = pd.concat([table[table["seed"] != seed], new]).sort_values(["seed", "step"])
                write_whole(path, table.to_csv(index=False, lineterminator="\n").encode())
                print(f"{size} seed {seed}: {new.iloc[-1].to_dict()}", flush=True)


if __name__ == "__main__":
    main()
