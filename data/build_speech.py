"""Build ``data/speech`` from the voice prompts that Debian ships for the Asterisk telephone exchange.

Usage, on any machine with the six packages (``apt-get download`` them, or fetch the ``.deb`` files)::

    apt-get download asterisk-core-sounds-{en,es,fr,it,ru}-wav asterisk-prompt-it-menardi-wav
    python data/build_speech.py --packages . --out data/speech

The result depends on the packages alone: no random numbers, no clock, files visited in sorted order.
Each row of ``metadata.csv`` carries the SHA-256 of the PCM samples, so that ``--check`` proves a rebuild
equal to the committed corpus sample by sample, whichever FLAC encoder wrote the files.

What is left out, and why:

* silence, beeps, tones, fanfares and screaming monkeys: not speech (``NOT_SPEECH``);
* utterances under one second once the silence at both ends is trimmed;
* copies of one recording under two names: prompts are cut from the same takes, so ``conf-adminmenu`` holds
  sentences of ``conf-usermenu``. Each second of every prompt is searched in all the others of its voice
  (normalised cross-correlation at 4 kHz). A prompt found whole in a longer one is dropped; prompts that
  share any second form a *family*, and a family is never divided between training and test.
"""

import argparse
import csv
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from torchaudio.functional import resample

SAMPLE_RATE = 8000
MIN_SECONDS = 1.0
LONG_SECONDS = 4.2  # an utterance that can hold a 4 s test mixture at more than one offset
COLUMNS = [
    *("file", "speaker", "sex", "language", "seconds", "split"),
    *("samples", "family", "package", "source", "start", "pcm_sha256"),
]

# package, folder of the voice inside it, speaker, sex, language
VOICES = [
    ("asterisk-core-sounds-en-wav", "en_US_f_Allison", "allison", "f", "en"),
    ("asterisk-core-sounds-es-wav", "es_MX_f_Allison", "allison", "f", "es"),
    ("asterisk-core-sounds-fr-wav", "fr_CA_f_June", "june", "f", "fr"),
    ("asterisk-core-sounds-it-wav", "it_IT_m_Carlo", "carlo", "m", "it"),
    ("asterisk-core-sounds-ru-wav", "ru_RU_f_IvrvoiceRU", "ivrvoice", "f", "ru"),
    ("asterisk-prompt-it-menardi-wav", "it_IT_f_Menardi", "menardi", "f", "it"),
]
UNSEEN_SPEAKER = "menardi"
NOT_SPEECH = re.compile(
    r"^silence/|(^|/)(beep|beeperr|ascending-2tone|descending-2tone|tt-monkeys|confbridge-join|"
    r"confbridge-leave|confbridge-begin-glorious-[abc])$"
)
# Seconds wanted of each voice by split. "adapt" is the unseen speaker's material for fine-tuning exercises.
BUDGET = {"test": 110.0, "valid": 50.0, "train": 510.0}
LICENCES = {
    "asterisk-core-sounds": "asterisk-core-sounds-en-wav",
    "asterisk-prompt-it-menardi": "asterisk-prompt-it-menardi-wav",
}


def unpack(packages: Path, name: str, target: Path) -> Path:
    """Extract the one ``name_*.deb`` in ``packages`` under ``target`` and return the root."""
    found = sorted(packages.glob(f"{name}_*.deb"))
    if len(found) != 1:
        sys.exit(
            f"{packages} holds {len(found)} files named {name}_*.deb, one is needed: apt-get download {name}"
        )
    root = target / name
    subprocess.run(["dpkg-deb", "-x", found[0], root], check=True)
    return root


def trim(samples: np.ndarray, margin: int = 800, floor_db: float = -45.0) -> tuple[int, int]:
    """First and last sample of the active part: 10 ms frames within 45 dB of the loudest, plus 0.1 s."""
    frames = samples[: len(samples) // 80 * 80].reshape(-1, 80).astype(np.float64)
    if not len(frames):
        return 0, 0  # the Russian package holds an empty file
    energy = (frames**2).mean(1)
    active = np.nonzero(energy > energy.max() * 10 ** (floor_db / 10))[0]
    if not len(active):
        return 0, 0
    return max(0, active[0] * 80 - margin), min(len(samples), (active[-1] + 1) * 80 + margin)


def read_voice(root: Path, voice: str) -> list[dict]:
    """Every spoken prompt of one voice, trimmed, in sorted order: name, start, int16 samples."""
    base = root / "usr/share/asterisk/sounds" / voice
    utterances, seen = [], set()
    for path in sorted(base.rglob("*.wav")):
        name = path.relative_to(base).with_suffix("").as_posix()
        if NOT_SPEECH.search(name):
            continue
        samples, rate = soundfile.read(path, dtype="int16")
        if rate != SAMPLE_RATE or samples.ndim != 1:
            sys.exit(f"{path}: {rate} Hz, {samples.ndim} dimensions; expected 8000 Hz mono")
        start, stop = trim(samples)
        samples = samples[start:stop]
        digest = hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()
        if len(samples) < MIN_SECONDS * SAMPLE_RATE or digest in seen:
            continue
        seen.add(digest)
        utterances.append({"name": name, "start": start, "samples": samples, "digest": digest})
    return utterances


def shared_seconds(utterances: list[dict], threshold: float = 0.9) -> list[tuple[int, int, float]]:
    """Pairs (i, j, share): the share of utterance i's active seconds that are also found in utterance j.

    Every second of i is correlated with all of j, normalised by both energies, at 4 kHz. A value over 0.9
    is one recording copied: two takes of the same words by one speaker stay well under it.
    """
    rate = SAMPLE_RATE // 2
    signals = [
        resample(torch.from_numpy(u["samples"].astype(np.float32) / 32768), SAMPLE_RATE, rate)
        for u in utterances
    ]
    windows, owner = [], []
    for i, signal in enumerate(signals):
        loudest = signal.pow(2).mean()
        for window in signal.unfold(0, rate, rate):
            if window.pow(2).mean() > 0.05 * loudest:
                windows.append(window / window.norm())
                owner.append(i)
    windows, owner = torch.stack(windows), torch.tensor(owner)
    counts = torch.bincount(owner, minlength=len(signals)).clamp(min=1)
    pairs = []
    for j, signal in enumerate(signals):
        if len(signal) < rate:
            continue
        size = 1 << (len(signal) + rate - 1).bit_length()
        spectrum = torch.fft.rfft(signal, size)
        energy = signal.pow(2).unfold(0, rate, 1).sum(-1).clamp(min=1e-6)
        best = []
        for batch in windows.split(max(1, 2**25 // size)):
            correlation = torch.fft.irfft(spectrum * torch.fft.rfft(batch, size).conj(), size)
            best.append((correlation[:, : len(energy)] / energy.sqrt()).amax(1))
        matched = torch.bincount(owner[torch.cat(best) > threshold], minlength=len(signals))
        pairs += [
            (i, j, float(matched[i] / counts[i])) for i in matched.nonzero().flatten().tolist() if i != j
        ]
    return pairs


def drop_copies_and_group(utterances: list[dict]) -> list[dict]:
    """Drop utterances found whole inside a longer one; mark the rest with the family they share audio with."""
    pairs = shared_seconds(utterances)
    dropped = {
        i
        for i, j, share in pairs
        if share >= 0.99 and (len(utterances[i]["samples"]), i) < (len(utterances[j]["samples"]), j)
    }
    parent = list(range(len(utterances)))

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    for i, j, _ in pairs:
        parent[max(root(i), root(j))] = min(root(i), root(j))
    for i, utterance in enumerate(utterances):
        utterance["family"] = utterances[root(i)]["name"]
    return [u for i, u in enumerate(utterances) if i not in dropped]


def assign_splits(utterances: list[dict], speaker: str) -> list[dict]:
    """Give whole families to test, then validation, then training, until each budget is filled."""
    families: dict[str, list[dict]] = {}
    for utterance in utterances:
        families.setdefault(utterance["family"], []).append(utterance)
    # The order is arbitrary but fixed, and the same for nobody's convenience: a hash of the names.
    order = sorted(families, key=lambda f: hashlib.sha256(f"{speaker}/{f}".encode()).hexdigest())

    def seconds(group):
        return sum(len(u["samples"]) for u in group) / SAMPLE_RATE

    taken, chosen = set(), []
    for split in ("test", "valid"):
        total = 0.0
        for family in order:
            group = families[family]
            all_long = all(len(u["samples"]) >= LONG_SECONDS * SAMPLE_RATE for u in group)
            if family in taken or not all_long or total >= BUDGET[split]:
                continue
            if seconds(group) > BUDGET[split] / 3:
                continue  # one long speech would make the test a test of that speech
            taken.add(family)
            total += seconds(group)
            chosen += [{**u, "split": split} for u in group]
    rest = sorted(
        (u for f in order if f not in taken for u in families[f]),
        key=lambda u: (-len(u["samples"]), u["name"]),
    )
    total = 0.0
    for utterance in rest:
        if total < BUDGET["train"]:
            total += len(utterance["samples"]) / SAMPLE_RATE
            split = "adapt" if speaker == UNSEEN_SPEAKER else "train"
            chosen.append({**utterance, "split": split})
    return sorted(chosen, key=lambda u: u["name"])


def write_utterance(
    out: Path, utterance: dict, package: str, source: str, speaker: str, sex: str, language: str
) -> dict:
    """Write one FLAC file under ``out`` and return its row of ``metadata.csv``."""
    samples = utterance["samples"]
    file = f"{speaker}/{language}/{utterance['name'].replace('/', '-')}.flac"
    path = out / file
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    return {
        "file": file,
        "speaker": speaker,
        "sex": sex,
        "language": language,
        "seconds": f"{len(samples) / SAMPLE_RATE:.3f}",
        "split": utterance["split"],
        "samples": len(samples),
        "family": utterance["family"],
        "package": package,
        "source": source,
        "start": utterance["start"],
        "pcm_sha256": utterance["digest"],
    }


def write_table(out: Path, rows: list[dict]) -> None:
    """Write ``out/metadata.csv``."""
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (out / "metadata.csv").write_text(table.getvalue())


def build(packages: Path, out: Path) -> list[dict]:
    """Write the FLAC files, ``metadata.csv`` and the licence texts under ``out``; return the rows."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for package, folder, speaker, sex, language in VOICES:
            root = unpack(packages, package, Path(scratch))
            utterances = read_voice(root, folder)
            kept = assign_splits(drop_copies_and_group(utterances), speaker)
            for u in kept:
                row = write_utterance(out, u, package, f"{folder}/{u['name']}.wav", speaker, sex, language)
                rows.append(row)
            minutes = {
                s: sum(r["samples"] for r in rows if r["package"] == package and r["split"] == s)
                / SAMPLE_RATE
                / 60
                for s in ("train", "adapt", "valid", "test")
            }
            print(
                package,
                f"{len(utterances)} spoken, {len(kept)} kept,",
                *(f"{s} {m:.1f} min" for s, m in minutes.items() if m),
                flush=True,
            )
        for name, package in LICENCES.items():
            target = out / "licences" / f"{name}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(scratch) / package / f"usr/share/doc/{package}/copyright", target)
    write_table(out, rows)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", type=Path, required=True, help="folder with the six .deb files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--check", type=Path, help="a metadata.csv that the rebuild must equal")
    arguments = parser.parse_args()
    build(arguments.packages, arguments.out)
    if arguments.check:
        same = arguments.check.read_bytes() == (arguments.out / "metadata.csv").read_bytes()
        sys.exit(0 if same else f"{arguments.out}/metadata.csv differs from {arguments.check}")


if __name__ == "__main__":
    main()
