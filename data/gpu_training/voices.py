"""All voices of a pack in the memory of the device: one tensor, and where each voice is in it."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .packing import TABLE, join, read_tables

BLOCK = 80  # samples, of which the energy is kept
TRIES = 10  # places that are looked at for one with speech in it
FLOOR = 1 / 16  # of a voice's mean power: 12 dB under it


@dataclass
class Voice:
    """What the drawing of pairs needs to know."""

    name: str
    sex: str
    groups: frozenset[str]
    origin: str
    minutes: float


class VoiceBank:
    """Voices end to end.

    Args:
        voices: as many as there are waveforms.
        waves: int16 ``[T]`` each, 8 kHz.
        device: where they are kept.

    Attributes:
        audio: int16 ``[N]``.
        offsets, lengths: int64 ``[V]``, samples.
        energy: float64 ``[N / 80 + 1]``, energy of all blocks before each.
        power: float64 ``[V]``, mean power of each voice.
    """

    def __init__(self, voices: list[Voice], waves: list[np.ndarray], device: torch.device | str = "cpu"):
        waves = [w[: len(w) // BLOCK * BLOCK] for w in waves]
        short = [v.name for v, w in zip(voices, waves, strict=True) if len(w) < 8000]
        if short or not voices:
            raise ValueError(f"voices of less than a second, or none at all: {short}")
        lengths = np.array([len(w) for w in waves])
        self.voices = voices
        self.audio = torch.from_numpy(np.concatenate(waves)).to(device)
        self.lengths = torch.from_numpy(lengths).to(device)
        self.offsets = torch.from_numpy(np.concatenate(([0], lengths.cumsum()[:-1]))).to(device)
        blocks = np.concatenate([np.square(w.astype(np.float32)).reshape(-1, BLOCK).sum(1) for w in waves])
        energy = np.concatenate(([0.0], blocks.cumsum(dtype=np.float64)))
        self.energy = torch.from_numpy(energy).to(device)
        first = self.offsets // BLOCK
        self.power = (self.energy[first + self.lengths // BLOCK] - self.energy[first]) / self.lengths

    @property
    def hours(self) -> float:
        """Of speech in all."""
        return len(self.audio) / 8000 / 3600

    def starts(self, voice: torch.Tensor, samples: torch.Tensor, random: torch.Tensor) -> torch.Tensor:
        """Where to begin in each voice: the first of ten places with speech in it, or the loudest of them.

        Args:
            voice: int64 ``[R]``.
            samples: int64 ``[R]``, how many will be read. A voice with fewer goes round and round.
            random: ``[R, 10]`` in [0, 1).

        Returns:
            int64 ``[R]``, samples from the voice's first.
        """
        length = self.lengths[voice].unsqueeze(1)
        room = length - samples.unsqueeze(1)
        span = torch.where(room > 0, room + 1, length)
        start = (random.double() * span).long()
        first = (self.offsets[voice].unsqueeze(1) + start) // BLOCK
        last = torch.minimum(
            first + samples.unsqueeze(1) // BLOCK, (self.offsets[voice].unsqueeze(1) + length) // BLOCK
        )
        power = (self.energy[last] - self.energy[first]) / ((last - first).clamp(min=1) * BLOCK)
        active = power >= FLOOR * self.power[voice].unsqueeze(1)
        # The first active place; where none is active, the one of the most power.
        rank = torch.where(active, 10.0 - torch.arange(start.shape[1], device=start.device), 0.0)
        best = torch.where(active.any(1), rank.argmax(1), power.argmax(1))
        return start.gather(1, best.unsqueeze(1)).squeeze(1)


def load_pack(
    folder: Path, device: torch.device | str, workers: int | None = None, folders: Sequence[Path] = ()
):
    """A :class:`VoiceBank`, and the sets of fixed mixtures: name to (mixture, sources, kinds), int16 arrays.

    Args:
        folders: voices folders that lie on this machine already, whose voices are added to the pack's.
    """
    import soundfile

    table = json.loads((folder / TABLE).read_text())

    def read(name: str) -> np.ndarray:
        return soundfile.read(folder / name, dtype="int16")[0]

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:  # decoding does not hold Python's lock
        waves = list(pool.map(read, [row["file"] for row in table["voices"]]))
        sets = list(pool.map(read, [row["file"] for row in table["evaluations"]]))
        added = read_tables(folders)
        waves += pool.map(lambda v: join(v["files"], sum(n for _, n in v["files"]), v["voice"]), added)
    voices = [
        Voice(row["voice"], row["sex"], frozenset(row["groups"]), row["origin"], len(wave) / 8000 / 60)
        for row, wave in zip(table["voices"] + added, waves, strict=True)
    ]
    fixed = {}
    for row, tracks in zip(table["evaluations"], sets, strict=True):
        tracks = tracks.T.reshape(tracks.shape[1], -1, row["samples"])
        mixture = tracks[2] if len(tracks) == 3 else tracks.sum(0, dtype=np.int16)
        fixed[row["name"]] = (mixture, tracks[:2].transpose(1, 0, 2), row["kinds"])
    return VoiceBank(voices, waves, device), fixed


def noise_bank(device: torch.device | str) -> VoiceBank:
    """Eight voices of nothing but noise, to time steps with."""
    rng = np.random.default_rng(0)
    voices = [Voice(f"noise-{i}", "fm"[i % 2], frozenset([f"noise-{i}"]), "noise", 1.0) for i in range(8)]
    return VoiceBank(voices, [rng.normal(0, 1500, 480_000).astype(np.int16) for _ in voices], device)
