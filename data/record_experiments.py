"""Run the recorded experiments, each a sweep: hours of one core in total, spread over several processes.

    python data/record_experiments.py --workers 2 [--seeds N] [--steps 600] [QUESTION ...]

Each question is one sweep of ``notebooks/experiments/one_run.ipynb``. Its notebooks and its report are in
``runs/experiments/QUESTION``, its rows also in ``data/curves/experiments/QUESTION.csv``. A run of 600 steps takes about
a minute of one core; there are 81 runs: five seeds for the first two questions, three for the others. The same command
continues a stopped one.
"""

import argparse
from pathlib import Path

from dprnn_lab.files import data_folder, write_whole
from dprnn_lab.sweeps import sweep, write_report

SIZES = [16, 32, 64, 128]
SEEDS = {"chunk": 5, "pit": 5}  # runs of each setting
OTHER_SEEDS = 3


def questions(steps: int, train_seconds: float) -> dict[str, dict[str, list]]:
    """Name to grid: each varies only the parameters of its question."""
    return {
        # A mixture of one second has L = 250 frames: sqrt(2 L) = 22, and a chunk of 250 holds all of it.
        "chunk": {"steps": [steps], "chunk_size": [2, 8, 22, 64, 250]},
        "pit": {"steps": [steps], "order": ["random", "sorted"], "pit": [True, False]},
        # Separating two women takes too many steps; a trained network only has to keep it.
        "pit-trained": {
            "steps": [max(6, steps // 6)], "init": ["bundled"], "lr": [5e-4],
            "pairs": ["man-woman", "woman-woman"], "pit": [True, False],
        },
        "size-steps": {"steps": [steps], "hid_size": SIZES},
        "size-time": {"train_seconds": [train_seconds], "hid_size": SIZES},
    }  # fmt: skip


def main() -> None:
    names = list(questions(1, 1.0))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="QUESTION", help=f"from {', '.join(names)}; all by default"
    )
    parser.add_argument("--workers", type=int, default=2, help="runs at the same time, each with one thread")
    parser.add_argument(
        "--seeds", type=int, help=f"runs of each setting; {OTHER_SEEDS} to {max(SEEDS.values())}"
    )
    parser.add_argument(
        "--steps", type=int, default=600, help="of a run; a sixth of it from the trained network"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of training, at equal time")
    parser.add_argument("--mixtures", type=int, default=16, help="validation mixtures of each kind")
    parser.add_argument("--out", type=Path, default=Path("runs/experiments"))
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in names]
    if unknown:
        parser.error(f"no question {unknown[0]!r}: choose from {', '.join(names)}")
    template = data_folder().parent / "notebooks" / "experiments" / "one_run.ipynb"
    folder = data_folder() / "curves" / "experiments"
    grids = questions(given.steps, given.seconds)
    for name in given.names or names:
        print(name, flush=True)
        out = given.out / name
        grid = grids[name] | {"mixtures": [given.mixtures]}
        table = sweep(template, grid, out, given.workers, given.seeds or SEEDS.get(name, OTHER_SEEDS))
        write_report(out, table, title=f"Experiment: {name}")
        rows = table.drop(columns=["cell", "notebook"])
        write_whole(folder / f"{name}.csv", rows.to_csv(index=False, lineterminator="\n").encode())
        print(f"  {(table['status'] == 'ok').sum()} of {len(table)} runs; {out / 'report.html'}", flush=True)


if __name__ == "__main__":
    main()
