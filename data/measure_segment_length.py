"""How long may a recording be for a network that was trained on segments of one length?

    python data/measure_segment_length.py [MODEL ...]

A minute and a half of two test voices is mixed once, cut into pieces of 1 to 32 s, and each piece separated by itself.
What is printed is the mean SI-SDR in dB over the single seconds in which both speak, under the better order of the
outputs for each second: so only the length that the network heard at once is different between the columns.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

from dprnn_lab import load_model
from dprnn_lab.audio import SAMPLE_RATE
from dprnn_lab.datasets.corpus import SpeechCorpus
from dprnn_lab.datasets.mixing import mix
from dprnn_lab.files import data_folder
from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr

PIT = PITLossWrapper(pairwise_neg_sisdr)
MODEL = data_folder() / "model"
MODELS = ("small-step61746.ckpt", "six-voices/small.safetensors", "six-voices/large.safetensors")
PAIRS = [("carlo", "june"), ("allison", "ivrvoice")]
TOTAL = 96  # seconds
LENGTHS = (1, 2, 3, 4, 6, 8, 16, 32)  # seconds; all divide TOTAL


@torch.no_grad()
def measure(model: torch.nn.Module, sources: torch.Tensor, length: int) -> float:
    """Mean SI-SDR in dB of the sources ``[S, T]``, separated in pieces of so many seconds."""
    true = _cut(sources, 1)
    made = torch.cat([_cut(model(piece.sum(0)), 1) for piece in _cut(sources, length)])
    # A second of silence has no SI-SDR: both must be within 30 dB of the loudest.
    level = true.square().mean(-1)
    spoken = level.amin(1) > 1e-3 * level.amax()
    return -float(PIT.best_permutation(made[spoken], true[spoken])[0].mean())


def _cut(samples: torch.Tensor, seconds: int) -> torch.Tensor:
    """``[S, T]`` to pieces ``[T / seconds, S, seconds]``."""
    return samples.unflatten(1, (-1, seconds * SAMPLE_RATE)).transpose(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", type=Path, default=[MODEL / name for name in MODELS])
    voices = SpeechCorpus("test").voices()
    rows = []
    for path in parser.parse_args().models:
        model = load_model(path)
        for pair in PAIRS:
            _, sources = mix(*(voices[name][: TOTAL * SAMPLE_RATE] for name in pair))
            values = {f"{length} s": measure(model, sources, length) for length in LENGTHS}
            rows.append({"model": path.name, "voices": " and ".join(pair)} | values)
    print(pd.DataFrame(rows).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
