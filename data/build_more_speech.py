"""Build a larger training corpus than the repository carries, from the voice packages of Debian.

The bundled model was trained on it. On any machine with the seven packages, from the repository's root::

    apt-get download asterisk-core-sounds-{en,es,fr,it,ru}-wav asterisk-prompt-fr-armelle festvox-ru
    python data/build_more_speech.py --packages . --out runs/more-speech
    dprnn-lab train runs/mine --data runs/more-speech

It holds the four training voices whole, where ``data/speech`` stops at eight and a half minutes of each, and two
more: a second man and a fourth woman. What is a test or validation utterance in ``data/speech`` is left out, and with
it every other one that shares a second of audio with it. The unseen voice is left out altogether. Validation and test
stay the fixed mixtures of ``data/mixtures``.

The result depends on the packages and on ``data/speech/metadata.csv`` alone. It is not committed for its size.
"""

import argparse
import csv
import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import torch
from build_speech import (
    MIN_SECONDS,
    SAMPLE_RATE,
    UNSEEN_SPEAKER,
    VOICES,
    drop_copies_and_group,
    read_voice,
    trim,
    unpack,
    write_table,
    write_utterance,
)
from torchaudio.functional import resample

BUNDLED = Path(__file__).resolve().parent / "speech" / "metadata.csv"
# package, folder of the recordings in it, their ending, speaker, sex, language. The voices are Armelle Desjardins
# (© 2006 Michel Gutierrez) and Nickolay V. Shmyrev's voice msu_ru_nsh (© 2005), both under BSD-like licences that ask
# for these names. A third one, asterisk-prompt-es-co, is left out: its GPL does not go together with the CC BY-SA of
# the others.
MORE = [
    ("asterisk-prompt-fr-armelle", "usr/share/asterisk/sounds", ".gsm", "armelle", "f", "fr"),
    ("festvox-ru", "usr/share/festival/voices/russian/msu_ru_nsh_clunits/wav", ".wav", "nsh", "m", "ru"),
]  # fmt: skip


def whole_voice(packages: Path, package: str, folder: str, kept_away: set[str]) -> list[dict]:
    """One of the bundled voices, whole, without the families of test and validation."""
    with tempfile.TemporaryDirectory() as scratch:
        utterances = read_voice(unpack(packages, package, Path(scratch)), folder)
    families = drop_copies_and_group(utterances)
    away = {u["family"] for u in families if f"{folder}/{u['name']}.wav" in kept_away}
    return [u for u in families if u["family"] not in away]


def more_voice(packages: Path, package: str, folder: str, ending: str) -> list[dict]:
    """A voice that is not in the bundled corpus: every file of a second and more, no file twice."""
    utterances, seen = [], set()
    with tempfile.TemporaryDirectory() as scratch:
        base = unpack(packages, package, Path(scratch)) / folder
        for path in sorted(base.rglob(f"*{ending}")):
            samples = _read(path)
            start, stop = trim(samples)
            samples = samples[start:stop]
            digest = hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()
            if len(samples) < MIN_SECONDS * SAMPLE_RATE or digest in seen or path.stem.startswith("beep"):
                continue
            seen.add(digest)
            name = path.relative_to(base).with_suffix("").as_posix()
            utterances.append({
                "name": name, "family": name, "start": start, "samples": samples, "digest": digest,
                "source": f"{folder}/{name}{ending}",
            })  # fmt: skip
    return utterances


def _read(path: Path) -> np.ndarray:
    """int16 ``[T]`` at 8 kHz."""
    if path.suffix == ".gsm":  # raw GSM 06.10 frames: the file does not say what it is
        raw = {"format": "RAW", "subtype": "GSM610", "channels": 1, "samplerate": SAMPLE_RATE}
        return soundfile.read(path, dtype="int16", **raw)[0]
    samples, rate = soundfile.read(path, dtype="float32")
    low = resample(torch.from_numpy(samples), rate, SAMPLE_RATE)
    return (low.clamp(-1, 32767 / 32768) * 32768).round().to(torch.int16).numpy()


def _build_one(job: tuple) -> list[dict]:
    """Write one voice's files and return its rows; a process of its own."""
    packages, out, kept_away, (package, folder, *ending, speaker, sex, language) = job
    if ending:
        utterances = more_voice(packages, package, folder, *ending)
    else:
        utterances = whole_voice(packages, package, folder, kept_away)
    rows = []
    for u in utterances:
        source = u.get("source", f"{folder}/{u['name']}.wav")
        rows.append(write_utterance(out, u | {"split": "train"}, package, source, speaker, sex, language))
    return rows


def build(packages: Path, out: Path) -> Iterator[tuple[str, float]]:
    """Write the corpus under ``out``; yields each package and its minutes of training speech as they are done."""
    with open(BUNDLED, newline="", encoding="utf-8") as file:
        kept_away = {r["source"] for r in csv.DictReader(file) if r["split"] in ("test", "valid")}
    voices = [v for v in VOICES if v[2] != UNSEEN_SPEAKER] + MORE
    jobs = [(packages, out, kept_away, voice) for voice in voices]
    rows = []
    one_thread = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(min(len(voices), os.cpu_count() or 1), **one_thread) as pool:
        for voice, made in zip(voices, pool.map(_build_one, jobs), strict=True):
            rows += made
            yield voice[0], sum(r["samples"] for r in made) / SAMPLE_RATE / 60
    write_table(out, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", type=Path, required=True, help="folder with the .deb files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    for package, minutes in build(arguments.packages, arguments.out):
        print(f"{package}: {minutes:.1f} min", flush=True)
    table = (arguments.out / "metadata.csv").read_bytes()
    print(f"metadata.csv: SHA-256 {hashlib.sha256(table).hexdigest()}")


if __name__ == "__main__":
    main()
