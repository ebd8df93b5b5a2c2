"""Many voices in one small folder that can be carried to the machine with the GPU.

Each voice becomes one Ogg/Opus file (8 kHz, mono): its utterances one after the other in a fixed random order, with
50 ms of silence between them. ``voices.json`` says whose voice it is, and lists the sets of fixed mixtures, which lie
beside the voices as FLAC (without loss).
"""

import csv
import hashlib
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000  # Hz
GAP = 400  # samples between two utterances
LEVEL = 0.05  # RMS of a voice, of full scale
PEAK = 0.95
FORMAT = {"format": "OGG", "subtype": "OPUS"}
TABLE = "voices.json"


def read_tables(folders: Sequence[Path]) -> list[dict]:
    """The voices of several voices folders, each with its ``files`` (path, samples); a name comes once."""
    voices: dict[str, dict] = {}
    for folder in folders:
        with open(folder / "voices.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        files: dict[str, list[tuple[Path, int]]] = {}
        with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                files.setdefault(row["voice"], []).append((folder / row["path"], int(row["samples"])))
        for row in rows:
            if row["voice"] in voices:
                raise ValueError(f"{folder}: the voice {row['voice']} is in another folder too")
            if row["sex"] not in ("f", "m"):
                raise ValueError(
                    f"{folder}: the sex of {row['voice']} is {row['sex']!r}, expected 'f' or 'm'"
                )
            if row["voice"] in files:
                groups = sorted({g for g in row["groups"].split(";") if g} | {row["voice"]})
                kept = {key: row[key] for key in ("voice", "sex", "origin", "language")}
                voices[row["voice"]] = kept | {"groups": groups, "files": sorted(files[row["voice"]])}
    return [voices[name] for name in sorted(voices)]


def even_cap(minutes: Sequence[float], total: float) -> float:
    """The cap at which ``sum(min(m, cap))`` is ``total`` minutes, so that as many voices as can be have as much.

    >>> even_cap([1.0, 5.0, 9.0], 9.0)
    4.0
    """
    left = total
    ordered = sorted(minutes)
    for done, value in enumerate(ordered):
        if value * (len(ordered) - done) >= left:
            return left / (len(ordered) - done)
        left -= value
    return max(ordered, default=0.0)


def join(files: Sequence[tuple[Path, int]], most: int, seed: str) -> np.ndarray:
    """int16 ``[T]``: utterances in random order until there are ``most`` samples, brought to one level."""
    order = np.random.default_rng(list(hashlib.sha256(seed.encode()).digest())).permutation(len(files))
    parts, count = [], 0
    for i in order:
        if count >= most:
            break
        samples, rate = soundfile.read(files[i][0], dtype="float32")
        if rate != RATE or samples.ndim != 1:
            raise ValueError(f"{files[i][0]}: {rate} Hz and {samples.ndim} axes, expected {RATE} Hz, mono")
        samples = samples[: most - count]
        parts += [samples, np.zeros(GAP, np.float32)]
        count += len(samples)
    whole = np.concatenate(parts)
    sounding = whole[whole != 0]
    level = np.sqrt(np.mean(np.square(sounding))) if len(sounding) else 0.0
    if level > 0:
        whole = np.clip(whole * (LEVEL / level), -PEAK, PEAK)
    return np.round(whole * 32767).astype(np.int16)


def _pack_voice(job: tuple) -> dict:
    voice, out, most, quality, known = job
    most = min(most, sum(samples for _, samples in voice["files"]))
    listing = "\n".join(f"{path.parent.name}/{path.name} {samples}" for path, samples in voice["files"])
    key = hashlib.sha256(f"{voice['voice']} {most} {quality}\n{listing}".encode()).hexdigest()[:16]
    name = f"{re.sub('[^A-Za-z0-9-]', '_', voice['voice'])}-{key[:6]}.ogg"
    row = {k: voice[k] for k in ("voice", "sex", "groups", "origin", "language")} | {"file": name, "key": key}
    if key in known and (out / name).is_file():
        return row | {"samples": known[key]}
    samples = join(voice["files"], most, voice["voice"])
    scratch = out / f".{name}"
    soundfile.write(scratch, samples, RATE, compression_level=quality, **FORMAT)
    scratch.replace(out / name)
    return row | {"samples": len(samples)}


def pack_evaluation(name: str, source: str, out: Path, limit: int | None = None) -> dict:
    """Write fixed mixtures, the first ``limit`` of each kind.

    ``source`` is an ``.npz`` (int16, or float of full scale 1), or "test" or "valid": the lists of ``data/mixtures``.
    """
    if source in ("test", "valid"):
        from dprnn_lab.datasets.mixing import FixedMixtures

        items = list(FixedMixtures(source))
        sources = np.stack([np.round(s.numpy() * 32767).astype(np.int16) for _, s, _ in items])
        mixture = sources.sum(1, dtype=np.int16)
        kinds = [spec.kind for _, _, spec in items]
    else:
        with np.load(source) as arrays:
            mixture, sources, kinds = arrays["mixture"], arrays["sources"], arrays["kind"].tolist()
        if sources.dtype.kind == "f":
            mixture, sources = (np.round(a.clip(-1, 1) * 32767).astype(np.int16) for a in (mixture, sources))
    if sources.dtype != np.int16 or mixture.dtype != np.int16 or sources.shape[::2] != mixture.shape:
        raise ValueError(f"{source}: expected int16 or float arrays mixture [M, T] and sources [M, 2, T]")
    if limit is not None:
        kept = sorted(i for kind in set(kinds) for i in [i for i, k in enumerate(kinds) if k == kind][:limit])
        mixture, sources, kinds = mixture[kept], sources[kept], [kinds[i] for i in kept]
    tracks = list(sources.transpose(1, 0, 2).reshape(2, -1))
    if np.abs(sources.astype(np.int32).sum(1) - mixture).max() > 2:
        tracks.append(mixture.reshape(-1))  # noise: the sum of the sources is not all of it
    soundfile.write(out / f"evaluate-{name}.flac", np.stack(tracks, 1), RATE, subtype="PCM_16")
    return {"name": name, "file": f"evaluate-{name}.flac", "kinds": kinds, "samples": mixture.shape[1]}


def pack(
    folders: Sequence[Path],
    out: Path,
    budget_mb: float,
    evaluations: dict[str, str],
    quality: float = 0.97,
    mb_per_hour: float = 6.2,
    workers: int = 2,
    cap_minutes: float = float("inf"),
    evaluation_limit: int | None = None,
) -> dict:
    """Write the pack; returns what ``voices.json`` holds.

    Voices that are in ``out`` already, from the same utterances, are not encoded again.

    Args:
        budget_mb: of the whole folder, in 10^6 bytes.
        quality: Opus's compression level, 0 to 1; the higher the smaller.
        mb_per_hour: what that level is expected to give. Where it gives more, the cap is lowered until all fits.
        cap_minutes: of a voice, whatever the budget allows. Given from the start, it saves encoding voices again while
            others are still being added.
        evaluation_limit: fixed mixtures of each set and kind.
    """
    out.mkdir(parents=True, exist_ok=True)
    voices = read_tables(folders)
    known = {}
    if (out / TABLE).is_file():
        known = {row["key"]: row["samples"] for row in json.loads((out / TABLE).read_text())["voices"]}
    tested = [pack_evaluation(name, source, out, evaluation_limit) for name, source in evaluations.items()]
    spare = budget_mb - sum((out / t["file"]).stat().st_size for t in tested) / 1e6 - 0.3
    if spare <= 0:
        raise ValueError(f"the fixed mixtures alone are larger than the {budget_mb} MB of the budget")
    minutes = [sum(samples for _, samples in voice["files"]) / RATE / 60 for voice in voices]
    for _ in range(4):
        cap = min(cap_minutes, even_cap(minutes, spare / mb_per_hour * 60))
        most = int(cap * 60 * RATE)
        jobs = [(voice, out, most, quality, known) for voice in voices]
        with ThreadPoolExecutor(workers) as pool:
            rows = list(pool.map(_pack_voice, jobs))
        known |= {row["key"]: row["samples"] for row in rows}
        table = {"rate": RATE, "cap_minutes": cap, "voices": rows, "evaluations": tested}
        (out / TABLE).write_text(json.dumps(table, indent=1))
        size = sum((out / row["file"]).stat().st_size for row in rows) / 1e6
        if size <= spare:
            break
        mb_per_hour = 1.01 * size / (sum(row["samples"] for row in rows) / RATE / 3600)
    wanted = {row["file"] for row in rows} | {t["file"] for t in tested} | {TABLE}
    for file in out.iterdir():
        if file.name not in wanted and file.suffix in (".ogg", ".flac"):
            file.unlink()
    return table
