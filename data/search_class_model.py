"""Search for the network and settings that learn to separate a man and a woman in the fewest minutes of a CPU.

    python data/search_class_model.py [--seconds 300] [--seed 0] [NAME ...]

Each candidate trains from random weights for the given processor time on one core, while its learning rate falls to
zero with the remaining time, and is scored on the fixed validation mixtures of a man and a woman. Writes a row per
candidate and score to ``data/curves/class_search.csv``; rows of other candidates are kept. Processor time instead of
wall-clock time makes the result almost independent of other work on the machine.

Notebook: 05_training
"""

import argparse
import time

import pandas as pd
import torch
from class_training import SMALL, batch, learn, use_one_core, validate, validation_mixtures

from dprnn_lab.audio import SAMPLE_RATE
from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.files import data_folder, write_whole
from dprnn_lab.model import DPRNNTasNet
from dprnn_lab.training.muon import MuonAdam

# The changes of each candidate to "base".
CANDIDATES = {
    "base": {},
    "lr-5e-3": {"lr": 5e-3},
    "lr-1e-3": {"lr": 1e-3},
    "adam": {"adam": True, "lr": 3e-3},
    "kernel-32": {"model": {"kernel_size": 32, "stride": 16, "chunk_size": 64}},
    "kernel-128": {"model": {"kernel_size": 128, "stride": 64, "chunk_size": 24}},
    "filters-128": {"model": {"n_filters": 128}},
    "wide": {"model": {"bn_chan": 64, "n_filters": 128}},
    "one-block": {"model": {"n_repeats": 1, "hid_size": 128, "bn_chan": 64}},
    "relu": {"model": {"encoder_activation": "relu", "mask_act": "relu"}},
    "stft": {"model": {"fb_name": "stft"}},
    "batch-2": {"size": 2},
    "batch-8": {"size": 8},
    "half-second": {"seconds": 0.5},
    "two-seconds": {"seconds": 2.0},
}


def train(model=None, lr=2.5e-3, adam=False, size=4, seconds=1.0, budget=300.0, seed=0, marks=10):
    """Rows ``share, steps, train_loss, si_sdri`` at each tenth of the budget."""
    torch.manual_seed(seed)
    network = DPRNNTasNet(**SMALL | (model or {}))
    items = DynamicMixing.from_corpus(
        samples=int(seconds * SAMPLE_RATE), size=10**7, kinds={"man-woman": 1.0}, seed=seed
    )
    valid = validation_mixtures()
    optimizer = torch.optim.Adam(network.parameters(), lr) if adam else MuonAdam(network, lr)
    start, away, step, rows, losses = time.process_time(), 0.0, 0, [], []
    while len(rows) < marks:
        share = (time.process_time() - start - away) / budget
        rate = lr * max(0.0, min((step + 1) / 100, 1 - share))
        losses.append(learn(network, optimizer, rate, *batch(items, step, size))[0])
        step += 1
        if share >= (len(rows) + 1) / marks:
            paused = time.process_time()
            _, gain = validate(network, *valid)
            network.train()
            rows.append({
                "share": (len(rows) + 1) / marks, "steps": step,
                "train_loss": sum(losses) / len(losses), "si_sdri": gain,
            })  # fmt: skip
            losses = []
            away += time.process_time() - paused  # the scoring is not part of the training
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"from {', '.join(CANDIDATES)}; all by default"
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="processor time for each candidate")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    use_one_core()
    path = data_folder() / "curves" / "class_search.csv"
    for name in given.names or CANDIDATES:
        rows = train(**CANDIDATES[name], budget=given.seconds, seed=given.seed)
        table = pd.DataFrame(
            [{"candidate": name, "seconds": given.seconds, "seed": given.seed} | r for r in rows]
        )
        if path.is_file():
            old = pd.read_csv(path)
            same = (
                old[["candidate", "seconds", "seed"]] == table.iloc[0][["candidate", "seconds", "seed"]]
            ).all(axis=1)
            table = pd.concat([old[~same], table])
        write_whole(path, table.round(3).to_csv(index=False, lineterminator="\n").encode())
        print(name, rows[-1], flush=True)


if __name__ == "__main__":
    main()
