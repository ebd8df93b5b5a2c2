"""Record the training curves with which failures of training are shown and tested.

    python data/record_curves.py [NAME ...]

Every curve is a real run of one small model on the bundled voices, for 600 steps; a failing run differs from a healthy
one in one line. One to two minutes each on one core. The seeds are fixed; another version of PyTorch gives other
digits and the same shapes.

Notebook: 07_failures_in_training
"""

import csv
import sys
import time

import torch
from class_training import PIT, SMALL, learn, stacked, validate, validation_mixtures

from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.files import data_folder
from dprnn_lab.loss import multisrc_neg_sisdr, pairwise_neg_sisdr
from dprnn_lab.model import DPRNNTasNet
from dprnn_lab.training.muon import MuonAdam

STEPS, EVERY, VALID_EVERY, BATCH = 600, 25, 100, 4
COLUMNS = ("step", "train_loss", "grad_norm", "valid_loss", "si_sdri_man-woman")


def fixed_order(estimates, sources):
    return multisrc_neg_sisdr(estimates, sources).mean()


def best_target_for_each(estimates, sources):
    return pairwise_neg_sisdr(estimates, sources).min(-1).values.mean()


def mean_before_minimum(estimates, sources):
    matrix = pairwise_neg_sisdr(estimates, sources).mean(0)
    return torch.minimum(matrix.diagonal().mean(), matrix.flip(0).diagonal().mean())


# The changes of each run to a healthy one. The jump is one step at 3 000 times the rate.
RUNS = {
    "healthy-0": {},
    "healthy-1": {"seed": 1},
    "healthy-2": {"seed": 2},
    "no-pit": {"loss": fixed_order},
    "best-target": {"loss": best_target_for_each},
    "mean-before-minimum": {"loss": mean_before_minimum},
    "wrong-targets": {"shuffle": True},
    "rate-high": {"lr": 1.0},
    "rate-low": {"lr": 1e-6},
    "fixed-list": {"mixtures": 8},
    "jump": {"mask_act": "relu", "jump_at": 300},
    "resume-lost": {"forget_at": 300},
}


def run(seed=0, lr=2e-3, loss=PIT, mixtures=None, shuffle=False, mask_act="sigmoid",
        jump_at=None, forget_at=None):  # fmt: skip
    """Rows of a curve."""
    torch.manual_seed(seed)
    model = DPRNNTasNet(**SMALL, mask_act=mask_act)
    items = DynamicMixing.from_corpus(samples=8000, size=10**6, kinds={"man-woman": 1.0}, seed=seed)
    valid = validation_mixtures(limit=8)
    optimizer, started, rows, losses, norms = MuonAdam(model, lr), 0, [], [], []
    for step in range(1, STEPS + 1):
        if step == forget_at:  # resumed without the optimiser's moments and the warm-up
            optimizer, lr = MuonAdam(model, lr), 10 * lr
            started = -(10**6)
        rate = lr * min(1.0, (step - started) / 50) * (3000 if step == jump_at else 1)
        first = step * BATCH
        mixture, sources = stacked(
            items[(first + i) % mixtures if mixtures else first + i] for i in range(BATCH)
        )
        if shuffle:
            sources = sources.roll(1, 0)
        value, norm = learn(model, optimizer, rate, mixture, sources, loss)
        losses.append(value)
        norms.append(norm)
        if step % EVERY == 0:
            row = {
                "step": step,
                "train_loss": sum(losses) / len(losses),
                "grad_norm": sum(norms) / len(norms),
            }
            losses, norms = [], []
            if step % VALID_EVERY == 0:
                row["valid_loss"], row["si_sdri_man-woman"] = validate(model, *valid)
                model.train()
            rows.append(row)
    return rows


def main(names):
    folder = data_folder() / "curves"
    folder.mkdir(exist_ok=True)
    torch.set_flush_denormal(True)
    for name in names or RUNS:
        start = time.monotonic()
        rows = run(**RUNS[name])
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: f"{v:.3f}" if k != "step" else v for k, v in row.items()} for row in rows)
        print(f"{name}: {time.monotonic() - start:.0f} s, ends at {rows[-1]}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
