"""Write ``data/mixtures/test.csv`` and ``valid.csv``: which segments are mixed, and at which level.

Usage: ``python data/build_mixtures.py`` (seeded: the lists come out the same each time).

Every segment lies inside one utterance of the split and holds speech in all of its four seconds: none of
its 0.5 s pieces is more than 25 dB under the voice's level. All women but the unseen one are paired with
each other and with the man in turn; Allison Smith's English and Spanish count as one person.
"""

import csv
import io
import itertools
from pathlib import Path

import numpy as np

from dprnn_lab.audio import SAMPLE_RATE
from dprnn_lab.datasets.corpus import UNSEEN_SPEAKER, SpeechCorpus
from dprnn_lab.datasets.mixing import MixtureSpec

SAMPLES = 4 * SAMPLE_RATE
LEVEL_DB = 2.5
SEED = 20260
COUNTS = {"test": 40, "valid": 16}


def usable_segments(corpus: SpeechCorpus) -> dict[str, list[tuple[str, list[int]]]]:
    """Speaker to utterances, each with the offsets at which a segment may start (multiples of 0.1 s)."""
    found: dict[str, list[tuple[str, list[int]]]] = {}
    for waveform, utterance in corpus:
        pieces = waveform.unfold(0, SAMPLE_RATE // 2, SAMPLE_RATE // 10).square().mean(-1)
        heard = pieces > waveform.square().mean() * 10**-2.5
        offsets = [
            start
            for start in range(0, len(waveform) - SAMPLES + 1, SAMPLE_RATE // 10)
            if heard[start * 10 // SAMPLE_RATE :][:36].all()
        ]
        if offsets:
            found.setdefault(utterance.speaker, []).append((utterance.file, offsets))
    return found


def build(split: str, count: int) -> list[MixtureSpec]:
    corpus = SpeechCorpus(split)
    segments = usable_segments(corpus)
    sexes = corpus.speakers
    seen = [s for s in sexes if s != UNSEEN_SPEAKER]
    men = [s for s in seen if sexes[s] == "m"]
    women = [s for s in seen if sexes[s] == "f"]
    pairs = {
        "man-woman": list(itertools.product(men, women)),
        "woman-woman": list(itertools.combinations(women, 2)),
    }
    if UNSEEN_SPEAKER in segments:
        pairs["seen-unseen"] = [(s, UNSEEN_SPEAKER) for s in seen]
    rng = np.random.default_rng((SEED, count))
    specs = []
    for kind, choices in pairs.items():
        for i in range(count):
            drawn = []
            for speaker in rng.permutation(choices[i % len(choices)]):
                file, offsets = segments[speaker][rng.integers(len(segments[speaker]))]
                drawn += [file, int(rng.choice(offsets))]
            level = round(float(rng.uniform(-LEVEL_DB, LEVEL_DB)), 2)
            specs.append(MixtureSpec(f"{kind}-{i:02d}", kind, *drawn, level, SAMPLES))
    return specs


def main() -> None:
    folder = Path(__file__).parent / "mixtures"
    folder.mkdir(exist_ok=True)
    for split, count in COUNTS.items():
        specs = build(split, count)
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(MixtureSpec.__dataclass_fields__)
        writer.writerows(vars(s).values() for s in specs)
        (folder / f"{split}.csv").write_text(table.getvalue())
        print(split, len(specs), "mixtures")


if __name__ == "__main__":
    main()
