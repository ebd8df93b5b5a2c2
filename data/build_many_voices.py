"""Build the corpus of many voices: training voices from games and from speech synthesis, and test-only voices.

On any machine with the packages, from the repository's root::

    apt-get download asterisk-core-sounds-{en,es,fr,it,ru}-wav asterisk-prompt-fr-armelle festvox-ru
    apt-get download flight-of-the-amazon-queen beneath-a-steel-sky drascula drascula-spanish
    python data/build_many_voices.py more --packages . --out runs/voices      # real people, telephone prompts
    python data/build_many_voices.py queen --packages . --out runs/voices     # a game's cast
    python data/build_many_voices.py kokoro --packages . --out runs/voices    # synthetic, needs more: kokoro.py
    python data/build_many_voices.py unseen --packages . --out runs/voices    # for tests only
    python data/build_many_voices.py mixtures --out runs/voices               # fixed mixtures of the latter

Each writes a *voices folder* (``many_voices/folder.py``) of that name under ``--out``. Licences: ``many_voices/
LICENCES.md``. The result depends on the packages and this code alone.
"""

import argparse
import csv
import hashlib
import io
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from build_more_speech import build as build_more_speech
from build_speech import SAMPLE_RATE, UNSEEN_SPEAKER
from many_voices import amazon_queen, drascula, steel_sky
from many_voices.folder import Voice, pieces, spread, write_folder

from dprnn_lab.datasets.mixing import MixtureSpec, mix

SPEECH = Path(__file__).resolve().parent / "speech"
LICENCES = {
    "allison": "CC BY-SA 3.0",
    "june": "CC BY-SA 3.0",
    "carlo": "CC BY 3.0",
    "ivrvoice": "CC BY 3.0",
    "menardi": "CC BY-SA 3.0 IT",
    "armelle": "BSD-like (asterisk-prompt-fr-armelle)",
    "nsh": "BSD-like (festvox-ru)",
}
MIXTURES, SAMPLES, LEVEL_DB, SEED = 40, 4 * SAMPLE_RATE, 2.5, 20261


def from_table(folder: Path, origin: str, keep: Callable[[dict], bool]) -> list[Voice]:
    """The people of a corpus that has the tables of ``data/speech``; each is a group of their own."""
    voices: dict[str, Voice] = {}
    with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if keep(row)]
    for row in rows:
        who = row["speaker"]
        voice = voices.setdefault(who, Voice(who, row["sex"], [who], origin, row["language"], LICENCES[who]))
        if row["language"] not in voice.language.split(";"):
            voice.language += f";{row['language']}"
        samples, _ = soundfile.read(folder / row["file"], dtype="int16")
        stem = row["file"].removesuffix(".flac").removeprefix(f"{who}/").replace("/", "-")
        cut = pieces(samples)
        for number, piece in enumerate(cut):
            name = f"{stem}-{number}" if len(cut) > 1 else stem
            voice.recordings.append((name, piece, f"{row['package']}:{row['source']}"))
    return [voices[who] for who in sorted(voices)]


def more(packages: Path, out: Path) -> str:
    """The six people of ``build_more_speech.py``, without the test and validation utterances of ``data/speech``."""
    corpus = out / "more-speech"
    if not (corpus / "metadata.csv").is_file():
        for package, minutes in build_more_speech(packages, corpus):
            print(f"{package}: {minutes:.1f} min", flush=True)
    return write_folder(out / "more", from_table(corpus, "more-speech", lambda row: row["split"] == "train"))


def queen(packages: Path, out: Path) -> str:
    """*Flight of the Amazon Queen*."""
    with tempfile.TemporaryDirectory() as scratch:
        voices, count = amazon_queen.read(packages, Path(scratch))
    print(*(f"{what}: {number}" for what, number in count.items()), sep="\n", flush=True)
    return write_folder(out / "queen", voices)


def kokoro(packages: Path, out: Path) -> str:
    """Synthetic voices, by ``many_voices/kokoro.py`` in a process of its own: it needs onnxruntime and espeak-ng."""
    script = Path(__file__).resolve().parent / "many_voices" / "kokoro.py"
    subprocess.run([sys.executable, script, "--packages", packages, "--out", out / "kokoro"], check=True)
    return hashlib.sha256((out / "kokoro" / "metadata.csv").read_bytes()).hexdigest()


def unseen(packages: Path, out: Path) -> str:
    """People whom no model of this project may be trained on."""
    with tempfile.TemporaryDirectory() as scratch:
        voices = steel_sky.read(packages, Path(scratch)) + drascula.read(packages, Path(scratch))
    for voice in from_table(SPEECH, UNSEEN_SPEAKER, lambda row: row["speaker"] == UNSEEN_SPEAKER):
        voice.recordings = spread(voice.recordings, 3.0)
        voices.append(voice)
    return write_folder(out / "unseen", voices)


def active_offsets(samples: np.ndarray) -> list[int]:
    """Where a segment of 4 s may start (multiples of 0.1 s): no 0.5 s of it is 25 dB under the recording's level."""
    waveform = torch.from_numpy(samples.astype(np.float32) / 32768)
    if len(waveform) < SAMPLES:
        return []
    heard = waveform.unfold(0, SAMPLE_RATE // 2, SAMPLE_RATE // 10).square().mean(-1)
    heard = heard > waveform.square().mean() * 10**-2.5
    starts = range(0, len(waveform) - SAMPLES + 1, SAMPLE_RATE // 10)
    return [start for start in starts if heard[start * 10 // SAMPLE_RATE :][:36].all()]


def mixtures(out: Path) -> list[MixtureSpec]:
    """``mixtures.csv`` and ``mixtures.npz`` in the folder ``unseen``: 40 mixtures of each kind, across recordings.

    The array ``mixture`` is float32 ``[120, 32000]``, ``sources`` ``[120, 2, 32000]``, ``kind`` strings ``[120]``.
    """
    folder = out / "unseen"
    with open(folder / "voices.csv", newline="", encoding="utf-8") as file:
        voices = {row["voice"]: row for row in csv.DictReader(file)}
    segments: dict[str, list[tuple[str, list[int]]]] = {}
    with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            offsets = active_offsets(soundfile.read(folder / row["path"], dtype="int16")[0])
            if offsets:
                segments.setdefault(row["voice"], []).append((row["path"], offsets))
    pairs: dict[str, list[tuple[str, str]]] = {"man-woman": [], "woman-woman": [], "man-man": []}
    for first, second in itertools.combinations(
        sorted(v for v in voices if len(segments.get(v, [])) >= 3), 2
    ):
        if not set(voices[first]["groups"].split(";")) & set(voices[second]["groups"].split(";")):
            sexes = {voices[first]["sex"], voices[second]["sex"]}
            kind = "man-woman" if len(sexes) == 2 else "woman-woman" if sexes == {"f"} else "man-man"
            pairs[kind].append((first, second))
    rng = np.random.default_rng(SEED)
    specs, tensors = [], []
    for kind, choices in pairs.items():
        order = rng.permutation(len(choices))
        for i in range(MIXTURES):
            drawn = []
            for voice in rng.permutation(choices[order[i % len(choices)]]):
                file, offsets = segments[voice][rng.integers(len(segments[voice]))]
                drawn += [file, int(rng.choice(offsets))]
            level = round(float(rng.uniform(-LEVEL_DB, LEVEL_DB)), 2)
            specs.append(MixtureSpec(f"{kind}-{i:02d}", kind, *drawn, level, SAMPLES))
            cut = [
                torch.from_numpy(soundfile.read(folder / file, dtype="float32")[0][offset : offset + SAMPLES])
                for file, offset in (drawn[:2], drawn[2:])
            ]
            tensors.append(mix(*cut, level))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    columns = [name for name in MixtureSpec.__dataclass_fields__ if name != "sample_rate"]
    writer.writerow(columns)
    writer.writerows([getattr(spec, name) for name in columns] for spec in specs)
    (folder / "mixtures.csv").write_text(table.getvalue(), encoding="utf-8")
    np.savez_compressed(
        folder / "mixtures.npz",
        mixture=torch.stack([m for m, _ in tensors]).numpy(),
        sources=torch.stack([s for _, s in tensors]).numpy(),
        kind=np.array([spec.kind for spec in specs]),
    )
    return specs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["more", "queen", "kokoro", "unseen", "mixtures"])
    parser.add_argument("--packages", type=Path, default=Path(), help="folder with the .deb files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    if arguments.part == "mixtures":
        print(len(mixtures(arguments.out)), "mixtures")
    else:
        build = {"more": more, "queen": queen, "kokoro": kokoro, "unseen": unseen}[arguments.part]
        digest = build(arguments.packages, arguments.out)
        print(f"{arguments.part}/metadata.csv: SHA-256 {digest}")


if __name__ == "__main__":
    main()
