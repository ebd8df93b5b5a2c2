"""How many voices does it take? Train one network on 2 to 100 voices at equal steps, and test it on new people.

    python data/record_voices_curve.py --voices runs/voices [--steps 300] [--sizes 2 6 12 25 50 100] [--seeds 0 1 2]

``--voices`` is the folder of ``data/build_many_voices.py`` with its parts ``more``, ``queen`` and ``kokoro`` (40
voices or more); two voices need no folder. Each run trains the network of the class from random weights on
mixtures of a man and a woman, with a rate that falls to zero: the same number of steps, mixtures and hours for every
number of voices. The runs of a seed begin with the same weights, and the voices of a smaller size are among those of a
larger one (``voices_curve/drawing.py``).

Every network is scored on three sets of 4 s mixtures: ``new``, the mixtures of new people (data/mixtures/unseen.csv);
``shared``, 24 mixtures of the test utterances of the two voices that all trainings have; ``own``, 24 mixtures of held
out parts of the voices of this training, a man and a woman each.

Writes after each run ``data/curves/voices.csv`` (a row per mixture), ``voices_runs.csv`` (a row per run) and
``voices_drawn.csv`` (the order of the voices). Runs that are in the files already are not repeated.

Notebook: 11_how_many_voices
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch
from class_training import PIT, SMALL, learn_for, use_one_core
from voices_curve.drawing import SHARED, Voice, order, read_pool, weights

from dprnn_lab.audio import SAMPLE_RATE
from dprnn_lab.datasets import DynamicMixing, FixedMixtures
from dprnn_lab.datasets.dynamic_mixing import FrozenMixtures
from dprnn_lab.files import data_folder, write_whole
from dprnn_lab.loss import si_sdr
from dprnn_lab.model import DPRNNTasNet
from dprnn_lab.training.muon import MuonAdam

SIZES, SEEDS, STEPS = (2, 6, 12, 25, 50, 100), (0, 1, 2), 300
LR, BATCH, SECONDS = 2.5e-3, 4, 1
TESTS, TEST_SAMPLES = 24, 4 * SAMPLE_RATE  # mixtures of the sets "shared" and "own", and their length
MAN_WOMAN = {"man-woman": 1.0}


def mixing_of(voices: list[Voice], part: int, samples: int, size: int, seed: int) -> DynamicMixing:
    """Mixtures of a man and a woman from the training part (0) or the held out part (1) of each voice."""
    return DynamicMixing(
        {v.name: v.samples()[part] for v in voices}, {v.name: v.sex for v in voices}, samples=samples, size=size,
        kinds=MAN_WOMAN, pair_weights=weights(voices), flip=part == 0, seed=seed,
    )  # fmt: skip


def train(
    voices: list[Voice], steps: int, seed: int, precision: str = "float32"
) -> tuple[DPRNNTasNet, float]:
    """The trained network, and the mean training loss (dB) of its last tenth."""
    torch.manual_seed(seed)
    network = DPRNNTasNet(**SMALL)
    items = mixing_of(voices, 0, SECONDS * SAMPLE_RATE, steps * BATCH, seed)
    loss = learn_for(steps, network, MuonAdam(network, LR), items, LR, BATCH, precision=precision)
    return network.eval(), loss


def test_sets(voices: list[Voice], seed: int) -> dict[str, Iterable]:
    """Name of each set to its items ``(mixture [T], sources [2, T], spec)``."""
    known = DynamicMixing.from_corpus(
        "test", SHARED, samples=TEST_SAMPLES, size=TESTS, kinds=MAN_WOMAN, seed=0
    )
    return {
        "new": FixedMixtures("unseen"),
        "shared": FrozenMixtures(known),
        "own": FrozenMixtures(mixing_of(voices, 1, TEST_SAMPLES, TESTS, seed)),
    }


def score(network: DPRNNTasNet, items: Iterable) -> list[dict]:
    """A row per mixture: ``mixture``, ``kind`` and ``si_sdri`` (dB), in float32."""
    items, rows = list(items), []
    for first in range(0, len(items), BATCH):  # a batch takes less time than its mixtures one by one
        mixtures, sources, specs = zip(*items[first : first + BATCH], strict=True)
        mixture, source = torch.stack(mixtures), torch.stack(sources)
        with torch.no_grad():
            losses, _ = PIT.best_permutation(network(mixture), source)
        gains = -losses - si_sdr(mixture.unsqueeze(1), source).mean(1)
        rows += [
            {
                "mixture": spec.id.removeprefix("new-"), "kind": spec.kind.removeprefix("new "),
                "si_sdri": round(float(gain), 2),
            }
            for spec, gain in zip(specs, gains, strict=True)
        ]  # fmt: skip
    return rows


def extend(path: Path, rows: list[dict], same: list[str]) -> None:
    """Add rows to a table; old rows with the same values in the columns ``same`` are replaced."""
    table = pd.DataFrame(rows)
    if path.is_file():
        old = pd.read_csv(path)
        known = old[same].apply(tuple, axis=1).isin(set(table[same].apply(tuple, axis=1)))
        table = pd.concat([old[~known], table])
    write_whole(path, table.to_csv(index=False, lineterminator="\n").encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--voices", type=Path, help="folder of data/build_many_voices.py")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of voices")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of {BATCH} mixtures of {SECONDS} s")
    parser.add_argument("--precision", default="float32", help="of the training: float32, bfloat16 or auto")
    parser.add_argument("--out", type=Path, default=data_folder() / "curves", help="folder of the tables")
    given = parser.parse_args()
    if max(given.sizes) > len(SHARED) and given.voices is None:
        parser.error(
            f"--sizes has {max(given.sizes)}, and --voices is missing: give the folder of build_many_voices.py"
        )
    try:
        pool = read_pool(given.voices)
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    if not 2 <= min(given.sizes) <= max(given.sizes) <= len(pool):
        parser.error(f"--sizes are {given.sizes}: there are 2 to {len(pool)} voices")
    use_one_core()
    runs = given.out / "voices_runs.csv"
    known = pd.read_csv(runs)[["voices", "seed", "steps"]] if runs.is_file() else pd.DataFrame()
    done = set(known.itertuples(index=False, name=None))
    for seed in given.seeds:
        voices = order(pool, seed)
        for size in given.sizes:
            if (size, seed, given.steps) not in done:
                record(voices[:size], seed, given)


def record(voices: list[Voice], seed: int, given: argparse.Namespace) -> None:
    """Train and score one network; write its rows."""
    about = {"voices": len(voices), "seed": seed, "steps": given.steps}
    start = time.process_time()
    network, loss = train(voices, given.steps, seed, given.precision)
    spent = time.process_time() - start
    rows = [
        about | {"set": name} | row
        for name, items in test_sets(voices, seed).items()
        for row in score(network, items)
    ]
    seconds = [len(v.samples()[0]) / SAMPLE_RATE for v in voices]
    drawn = [
        {
            "seed": seed,
            "place": place + 1,
            "voice": v.name,
            "sex": v.sex,
            "source": v.source,
            "seconds": round(s, 1),
        }
        for place, (v, s) in enumerate(zip(voices, seconds, strict=True))
    ]
    extend(given.out / "voices_drawn.csv", drawn, ["seed", "place"])
    extend(given.out / "voices.csv", rows, ["voices", "seed", "steps"])
    run = about | {
        "speech_minutes": round(sum(seconds) / 60, 1), "train_loss": round(loss, 3),
        "precision": given.precision, "processor_s": round(spent, 1),
    }  # fmt: skip
    extend(given.out / "voices_runs.csv", [run], ["voices", "seed", "steps"])
    means = pd.DataFrame(rows).groupby("set")["si_sdri"].mean().round(2).to_dict()
    print(run, means, flush=True)


if __name__ == "__main__":
    main()
