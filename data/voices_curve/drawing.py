"""Which voices a training hears: one order of all voices for each seed, from which every size takes the first ones.

The two voices of :data:`SHARED` come first in every order. The others follow in random order, stratified: every
beginning of the order has about the same shares of men and women of each source as the whole. So a curve over the
number of voices is not one over the kind of recording.
"""

import csv
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import torch

from dprnn_lab.audio import SAMPLE_RATE
from dprnn_lab.datasets import SpeechCorpus
from dprnn_lab.datasets.dynamic_mixing import change_speed

SHARED = ("allison", "carlo")  # of data/speech, a woman and a man
PARTS = {
    "more": ("people", 6),
    "queen": ("game", 27),
    "kokoro": ("synthetic", 40),
}  # the first voices of each table
CHANGED = (
    27  # of the synthetic voices are there twice: as they are, and slower or faster; with these there are 100
)
CHANGED_SPEED = {
    "f": 88,
    "m": 112,
}  # per cent, like a tape: pitch and formants change, so it sounds like another person
MAX_SECONDS = 240.0  # of one voice
HELD_OUT_SHARE, HELD_OUT_SECONDS = 0.2, 5.0  # the end of a voice's recordings, for tests: the larger of both


@dataclass(frozen=True)
class Voice:
    """A voice of the pool. ``groups``: two voices that share one may be one person, and are not mixed."""

    name: str
    sex: str  # "f" or "m"
    source: str  # "people", "game", "synthetic" or "changed"
    groups: frozenset[str]
    folder: Path | None = None  # of its recordings; None for a voice of data/speech
    speed: int = 100  # per cent

    @cache  # noqa: B019 (voices live as long as the program)
    def samples(self) -> tuple[torch.Tensor, torch.Tensor]:
        """``(training [T], held out [T'])``, float32 at 8 kHz: the last part in time is held out."""
        if self.folder is None:
            whole = SpeechCorpus("train", speakers=[self.name]).voices()[self.name]
        else:
            files = sorted(self.folder.glob("*.flac"))
            whole = torch.cat([torch.from_numpy(soundfile.read(f, dtype="float32")[0]) for f in files])
        whole = change_speed(whole[: int(MAX_SECONDS * SAMPLE_RATE)], self.speed)
        held = max(int(HELD_OUT_SHARE * len(whole)), int(HELD_OUT_SECONDS * SAMPLE_RATE))
        return whole[:-held], whole[-held:]


def read_pool(folder: Path | None) -> list[Voice]:
    """The people of data/speech that are trained on and, with a folder of ``build_many_voices.py``, all others.

    Raises:
        FileNotFoundError, ValueError: a part of the folder is missing, or has too few voices.
    """
    speakers = SpeechCorpus("train").speakers
    pool = [Voice(name, sex, "people", frozenset({name})) for name, sex in speakers.items()]
    if folder is None:
        return pool
    for part, (source, count) in PARTS.items():
        table = folder / part / "voices.csv"
        if not table.is_file():
            raise FileNotFoundError(
                f"{table} is missing: run `python data/build_many_voices.py {part} --packages FOLDER --out {folder}` "
                "first (its --help names the packages)"
            )
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if len(rows) < count:
            raise ValueError(f"{table} has {len(rows)} voices, {count} are needed: build more of part {part}")
        known = {voice.name for voice in pool}
        pool += [
            Voice(
                row["voice"],
                row["sex"],
                source,
                frozenset(row["groups"].split(";")),
                table.parent / row["voice"],
            )
            for row in rows[:count]
            if row["voice"] not in known  # the people of data/speech are in "more", too
        ]
    synthetic = [voice for voice in pool if voice.source == "synthetic"]
    return pool + [
        replace(v, name=f"{v.name}-changed", source="changed", speed=CHANGED_SPEED[v.sex])
        for v in synthetic[:CHANGED]
    ]


def order(pool: list[Voice], seed: int) -> list[Voice]:
    """The order of a seed: the shared voices, then all others, stratified by source and sex."""
    rng = np.random.default_rng((seed, 2026))
    shared = [next(v for v in pool if v.name == name) for name in SHARED]
    rest = sorted((v for v in pool if v.name not in SHARED), key=lambda v: v.name)
    places: dict[str, float] = {}
    for stratum in sorted({(v.source, v.sex) for v in rest}):
        names = [v.name for v in rest if (v.source, v.sex) == stratum]
        for place, index in enumerate(rng.permutation(len(names))):
            places[names[index]] = (place + rng.uniform()) / len(names)
    return shared + sorted(rest, key=lambda v: places[v.name])


def weights(voices: list[Voice]) -> dict[tuple[str, str], float]:
    """Weight 0 for the pairs of man and woman that may be one person, as ``DynamicMixing`` takes them."""
    return {
        (a.name, b.name): 0.0
        for a in voices
        for b in voices
        if a.sex == "f" and b.sex == "m" and a.groups & b.groups
    }
