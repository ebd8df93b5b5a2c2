"""Is a model that was trained on one second good for four? Separate the test mixtures whole, and second by second.

    python data/measure_segment_length.py [MODEL ...]

Three numbers for each model and kind, mean SI-SDR in dB over the seconds in which both people speak:

* whole: the four seconds are separated at once, under one order of the outputs, and scored second by second;
* best order: the same, with the better order chosen for each second, so that swaps within a mixture do not count;
* by the second: each second is separated by itself.

"By the second" over "best order" is what the network loses on recordings longer than its training segments.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

from dprnn_lab import load_model
from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from dprnn_lab.mixing import PAIR_KINDS, FixedMixtures
from dprnn_lab.speech import SAMPLE_RATE, data_folder

PIT = PITLossWrapper(pairwise_neg_sisdr)
MODEL = data_folder() / "model"


@torch.no_grad()
def measure(model: torch.nn.Module, kind: str) -> dict[str, float]:
    """The three numbers, means over all seconds of the test mixtures of a kind."""
    rows = []
    for mixture, sources, _ in FixedMixtures("test", kind=kind):
        estimates = model(mixture)
        _, order = PIT.best_permutation(estimates[None], sources[None])
        mixtures, true, made = (_seconds(x) for x in (mixture[None], sources, estimates[order[0]]))
        # A second of silence has no SI-SDR: both must be within 30 dB of the louder one.
        level = true.square().mean(-1)
        spoken = level.amin(1) > 1e-3 * level.amax()
        mixtures, true, made = mixtures[spoken, 0], true[spoken], made[spoken]
        rows.append({
            "whole": si_sdr(made, true).mean(1),
            "best order": -PIT.best_permutation(made, true)[0],
            "by the second": -PIT.best_permutation(model(mixtures), true)[0],
        })  # fmt: skip
    return {name: float(torch.cat([row[name] for row in rows]).mean()) for name in rows[0]}


def _seconds(samples: torch.Tensor) -> torch.Tensor:
    """``[S, T]`` to whole seconds ``[T / rate, S, rate]``."""
    whole = samples.shape[1] // SAMPLE_RATE * SAMPLE_RATE
    return samples[:, :whole].unflatten(1, (-1, SAMPLE_RATE)).transpose(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "models", nargs="*", type=Path, default=[MODEL / "small-step61746.ckpt", MODEL / "small.safetensors"]
    )
    models = parser.parse_args().models
    rows = [
        {"model": path.name, "kind": k} | measure(load_model(path), k) for path in models for k in PAIR_KINDS
    ]
    print(pd.DataFrame(rows).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
