"""What every source of voices shares: cutting, telling speech from the rest, and the two tables of a voices folder.

A *voices folder* holds ``<voice>/<name>.flac`` (8 kHz, mono, 16 bit, trimmed, 1 to 15 s each) and

* ``voices.csv``: ``voice,sex,groups,origin,language,minutes``. Two voices may be mixed with each other only where
  their ``groups`` (names with semicolons between them) are disjoint: who may be the same person shares a group.
* ``metadata.csv``: ``path,voice,samples,source,licence``.
"""

import csv
import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch
from build_speech import MIN_SECONDS, SAMPLE_RATE, trim
from torchaudio.functional import resample

MAX_SECONDS = 15.0
VOICE_COLUMNS = ["voice", "sex", "groups", "origin", "language", "minutes"]
FILE_COLUMNS = ["path", "voice", "samples", "source", "licence"]
# Speech has voiced frames, but not in one breath; its spectrum has peaks, and it is neither silent nor one long tone.
MIN_VOICED, MAX_FLATNESS, MIN_LEVEL_DB, MIN_RANGE_DB = 0.25, 0.35, -45.0, 12.0


@dataclass
class Voice:
    """One voice: what ``voices.csv`` says of it, and its recordings as ``(name, int16 [T], source)``."""

    name: str
    sex: str
    groups: list[str]
    origin: str
    language: str
    licence: str
    recordings: list[tuple[str, np.ndarray, str]] = field(default_factory=list)


def to_pcm(samples: np.ndarray, rate: int) -> np.ndarray:
    """float32 ``[T]`` at ``rate`` Hz to int16 ``[T']`` at 8 kHz."""
    low = resample(torch.from_numpy(np.ascontiguousarray(samples)), rate, SAMPLE_RATE)
    return (low.clamp(-1, 32767 / 32768) * 32768).round().to(torch.int16).numpy()


def pieces(samples: np.ndarray) -> list[np.ndarray]:
    """``samples`` (int16 ``[T]``) trimmed and cut into pieces of 1 to 15 s, at the quietest 50 ms of their last 5 s."""
    start, stop = trim(samples)
    samples, found = samples[start:stop], []
    longest = int(MAX_SECONDS * SAMPLE_RATE)
    while len(samples) > longest:
        energy = np.square(samples[longest - 5 * SAMPLE_RATE : longest].astype(np.float64))
        cut = longest - 5 * SAMPLE_RATE + 400 * int(energy.reshape(-1, 400).mean(1).argmin()) + 200
        first = samples[:cut]
        start, stop = trim(first)
        found.append(first[start:stop])
        samples = samples[cut:]
        start, stop = trim(samples)
        samples = samples[start:stop]
    return [piece for piece in [*found, samples] if len(piece) >= MIN_SECONDS * SAMPLE_RATE]


def measure(samples: np.ndarray) -> dict[str, float]:
    """What tells speech from music and noise, and men from women, of int16 ``[T]`` at 8 kHz.

    Returns:
        ``level`` dBFS of the active frames; ``range`` dB between the 95th and the 10th percentile of the frames'
        energy; ``voiced``, the share of active frames (within 30 dB of the loudest) whose normalised autocorrelation
        is over 0.6 at a lag of 60 to 420 Hz; ``flatness``, the median of their spectral flatness, 0 to 1; ``pitch``,
        the median of the voiced frames in Hz (nan without any).
    """
    frames = torch.from_numpy(samples.astype(np.float32) / 32768).unfold(0, 320, 80)
    energy = frames.square().mean(-1).clamp(min=1e-10)
    decibels = 10 * energy.log10()
    active = decibels > decibels.max() - 30
    windowed = (frames - frames.mean(-1, keepdim=True)) * torch.hann_window(320)
    windowed = windowed[active]
    power = torch.fft.rfft(windowed, 1024).abs().square()
    correlation = torch.fft.irfft(power, 1024)
    window = torch.fft.irfft(torch.fft.rfft(torch.hann_window(320), 1024).abs().square(), 1024)
    low, high = SAMPLE_RATE // 420, SAMPLE_RATE // 60
    shape = (window[0] / window)[low:high]
    normal = correlation[:, low:high] / correlation[:, :1].clamp(min=1e-9) * shape
    # The shortest lag that does nearly as well as the best: twice the period does as well as the period.
    best = normal.max(-1).values
    near = normal > 0.93 * best.unsqueeze(-1)
    peak = near & (normal >= torch.nn.functional.max_pool1d(normal.unsqueeze(1), 5, 1, 2).squeeze(1))
    lag = torch.where(peak.any(-1), peak.float().argmax(-1), normal.argmax(-1)) + low
    voiced = best > 0.6
    band = power[:, 13:480] + 1e-12  # 100 Hz to 3.75 kHz
    flatness = band.log().mean(-1).exp() / band.mean(-1)
    return {
        "level": float(decibels[active].mean()),
        "range": float(decibels.quantile(0.95) - decibels.quantile(0.1)),
        "voiced": float(voiced.float().mean()),
        "flatness": float(flatness.median()),
        "pitch": float((SAMPLE_RATE / lag[voiced].float()).median()) if voiced.any() else float("nan"),
    }


def is_speech(measures: dict[str, float]) -> bool:
    """Whether :func:`measure`'s numbers are those of speech."""
    return (
        measures["voiced"] >= MIN_VOICED
        and measures["flatness"] <= MAX_FLATNESS
        and measures["level"] >= MIN_LEVEL_DB
        and measures["range"] >= MIN_RANGE_DB
    )


def spread(recordings: list[tuple], minutes: float) -> list[tuple]:
    """So many minutes of the recordings, evenly taken from all of them; in their order."""
    seconds = sum(len(r[1]) for r in recordings) / SAMPLE_RATE
    share, kept, total, taken = min(1.0, 60 * minutes / max(seconds, 1e-9)), [], 0.0, 0.0
    for recording in recordings:
        total += share * len(recording[1]) / SAMPLE_RATE
        if taken + len(recording[1]) / SAMPLE_RATE / 2 <= total or share == 1.0:
            kept.append(recording)
            taken += len(recording[1]) / SAMPLE_RATE
    return kept


def join(
    recordings: list[tuple[str, np.ndarray, str]], seconds: float = 5.0
) -> list[tuple[str, np.ndarray, str]]:
    """Neighbouring recordings one after the other until each has ``seconds``: for what needs segments of 4 s.

    What :func:`trim` leaves at both ends, 0.2 s together, is the pause between them. A last one that stays shorter is
    left out, and so is what would make one longer than 15 s.
    """
    joined, names, sources, parts = [], [], [], []
    for name, samples, source in recordings:
        if sum(map(len, parts)) + len(samples) > MAX_SECONDS * SAMPLE_RATE:
            continue
        names, sources, parts = [*names, name], [*sources, source], [*parts, samples]
        if sum(map(len, parts)) >= seconds * SAMPLE_RATE:
            joined.append((names[0], np.concatenate(parts), "+".join(sources)))
            names, sources, parts = [], [], []
    return joined


def write_voice(out: Path, voice: Voice) -> tuple[dict, list[dict]]:
    """Write the FLAC files of a voice; returns its row of ``voices.csv`` and those of ``metadata.csv``."""
    rows = []
    folder = out / voice.name
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples, source in voice.recordings:
        soundfile.write(folder / f"{name}.flac", samples, SAMPLE_RATE, subtype="PCM_16")
        rows.append({
            "path": f"{voice.name}/{name}.flac", "voice": voice.name, "samples": len(samples), "source": source,
            "licence": voice.licence,
        })  # fmt: skip
    minutes = sum(len(s) for _, s, _ in voice.recordings) / SAMPLE_RATE / 60
    return {
        "voice": voice.name, "sex": voice.sex, "groups": ";".join(voice.groups), "origin": voice.origin,
        "language": voice.language, "minutes": f"{minutes:.2f}",
    }, rows  # fmt: skip


def write_tables(out: Path, voices: list[dict], files: list[dict]) -> str:
    """Write both tables; returns the SHA-256 of ``metadata.csv``."""
    for name, columns, rows in (("voices", VOICE_COLUMNS, voices), ("metadata", FILE_COLUMNS, files)):
        table = io.StringIO()
        writer = csv.DictWriter(table, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        (out / f"{name}.csv").write_text(table.getvalue(), encoding="utf-8")
    return hashlib.sha256((out / "metadata.csv").read_bytes()).hexdigest()


def write_folder(out: Path, voices: list[Voice]) -> str:
    """Write a voices folder; returns the SHA-256 of its ``metadata.csv``."""
    out.mkdir(parents=True, exist_ok=True)
    written = [write_voice(out, voice) for voice in voices]
    return write_tables(out, [row for row, _ in written], [file for _, files in written for file in files])
