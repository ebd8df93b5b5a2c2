"""Compare Adam and Muon over seeds and learning rates: the class's network, a few hundred steps from random weights.

    python data/compare_optimizers.py [--steps 500] [--seeds 0 1 2]

Each run makes the same number of steps, with a warm-up of 50 and a rate that falls to zero in a straight line. Runs of
one seed have the same weights at the start and the same mixtures. Writes a row per run to
``data/curves/optimizers.csv``, with the mean SI-SDRi (dB) on the validation mixtures of a man and a woman; runs that
are in the file already are not repeated.

Notebook: 05_training
"""

import argparse
import time

import pandas as pd
import torch
from class_training import SMALL, learn_for, use_one_core, validate, validation_mixtures

from dprnn_lab.audio import SAMPLE_RATE
from dprnn_lab.datasets import DynamicMixing
from dprnn_lab.files import data_folder, write_whole
from dprnn_lab.model import DPRNNTasNet
from dprnn_lab.training.muon import MuonAdam

RATES = {"adam": (1e-3, 3e-3), "muon": (2.5e-3,)}
MAKE = {"adam": lambda network, lr: torch.optim.Adam(network.parameters(), lr), "muon": MuonAdam}


def train(optimizer: str, lr: float, seed: int, steps: int) -> dict[str, float]:
    """One run: the mean training loss (dB) of its last tenth, its SI-SDRi (dB), its processor time (s)."""
    torch.manual_seed(seed)
    network = DPRNNTasNet(**SMALL)
    items = DynamicMixing.from_corpus(samples=SAMPLE_RATE, size=10**7, kinds={"man-woman": 1.0}, seed=seed)
    stepper, start = MAKE[optimizer](network, lr), time.process_time()
    loss = learn_for(steps, network, stepper, items, lr)
    spent = time.process_time() - start
    _, gain = validate(network, *validation_mixtures())
    return {"train_loss": loss, "si_sdri": gain, "processor_s": spent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=500, help="optimiser steps of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    use_one_core()
    path = data_folder() / "curves" / "optimizers.csv"
    rows = pd.read_csv(path).to_dict("records") if path.is_file() else []
    known = {(row["optimizer"], row["lr"], row["seed"], row["steps"]) for row in rows}
    for seed in given.seeds:
        for optimizer, rates in RATES.items():
            for lr in rates:
                run = (optimizer, lr, seed, given.steps)
                if run in known:
                    continue
                about = dict(zip(("optimizer", "lr", "seed", "steps"), run, strict=True))
                rows.append(about | {k: round(v, 3) for k, v in train(*run).items()})
                table = pd.DataFrame(rows)
                write_whole(path, table.to_csv(index=False, lineterminator="\n").encode())
                print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
