"""How far can listening tell the settings of a network that its weights do not tell?

    python data/measure_recovery.py [MODEL]

The weights are taken without their configuration; :func:`dprnn_lab.diagnosis.recover_config` ranks the usual values of
each argument on eight fixed test mixtures of 2 s, five times on those of a man and a woman and twice on those of two
women. What is printed is how often the value of the training came first, how far the first value was before the
second, and how often that decided; then, for every value, how far its score was under the first on the average. A
minute and a half.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

from dprnn_lab import load_model
from dprnn_lab.audio import SAMPLE_RATE
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.diagnosis import recover_config
from dprnn_lab.files import data_folder

MODEL = data_folder() / "model" / "six-voices" / "small.safetensors"
SETS = {"man-woman": 5, "woman-woman": 2}  # of eight mixtures
START, LENGTH = SAMPLE_RATE, 2 * SAMPLE_RATE  # samples of each mixture that are listened to


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?", type=Path, default=MODEL)
    model = load_model(parser.parse_args().model)
    rows, behind = [], []
    for kind, sets in SETS.items():
        examples = FixedMixtures(kind=kind, limit=8 * sets)
        mixtures = torch.stack([mixture[START : START + LENGTH] for mixture, _, _ in examples])
        for batch in mixtures.split(8):
            found = recover_config(model.state_dict(), batch)
            rows += [
                {"argument": name, "margin": found.margin(name), "decided": found.decided(name)}
                | {"trained value first": trials[0].value == model.config[name]}
                for name, trials in found.tables.items()
            ]
            behind += [
                {"argument": name, "value": str(trial.value), "dB": trials[0].score - trial.score}
                for name, trials in found.tables.items()
                for trial in trials
            ]
    table = pd.DataFrame(rows).groupby("argument", sort=False)
    counts = table[["trained value first", "decided"]].sum()
    margins = table.margin.agg(["min", "max"]).add_prefix("margin, dB, ").round(2)
    print(counts.join(margins).to_string())
    print(f"of {sum(SETS.values())} sets\n\nunder the first:")
    print(pd.DataFrame(behind).groupby(["argument", "value"], sort=False).mean().round(2).to_string())


if __name__ == "__main__":
    main()
