"""Fixed mixtures set in simulated rooms with noise, since people record in rooms.

Notebook: 08_evaluation
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import Dataset

from .augmentation import Noise, Rooms, add_noise, reverberate
from .mixing import FixedMixtures, MixtureSpec

__all__ = ["InRooms"]

KIND = "in rooms"


class InRooms(Dataset):
    """Every n-th mixture of a list, each in a room of its own, with noise.

    Item ``i`` is ``(mixture [T], sources [2, T], spec)``. The sources are the reverberant voices without the noise, so
    separation is asked for, and no dereverberation. The kind of all is "in rooms".

    Args:
        mixtures: the list, at 8 kHz.
        count: how many of its mixtures, evenly taken; all kinds of the list in their proportion.
        rt60: shortest and longest reverberation time in seconds.
        snr_db: level of the louder source over pink noise, in dB.
        seed: of rooms and noise. The impulse responses also depend on the release of pyroomacoustics, slightly.

    Raises:
        ImportError: pyroomacoustics is not installed.
        ValueError: fewer mixtures in the list than ``count``; another sample rate; an invalid range.
    """

    def __init__(
        self,
        mixtures: FixedMixtures,
        count: int = 40,
        rt60: tuple[float, float] = (0.2, 0.4),
        snr_db: float = 20.0,
        seed: int = 0,
    ) -> None:
        if not 1 <= count <= len(mixtures):
            raise ValueError(
                f"count is {count}: the list has {len(mixtures)} mixtures, take from 1 to all of them"
            )
        rate = mixtures.specs[0].sample_rate
        self.rooms = Rooms(rt60, count, sample_rate=rate, seed=seed)
        self.mixtures, self.snr_db, self.seed = mixtures, snr_db, seed
        self.indices = [index * len(mixtures) // count for index in range(count)]
        self.specs: list[MixtureSpec] = [
            replace(mixtures.specs[i], id=f"room-{mixtures.specs[i].id}", kind=KIND) for i in self.indices
        ]

    def __len__(self) -> int:
        return len(self.specs)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, MixtureSpec]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, MixtureSpec]:
        _, sources, _ = self.mixtures[self.indices[index]]
        responses = self.rooms.responses[index]
        reverberant = torch.stack([reverberate(s, r) for s, r in zip(sources, responses, strict=True)])
        noise = Noise("pink").draw(sources.shape[-1], np.random.default_rng([self.seed, index]))
        mixture, sources = add_noise(reverberant, noise, self.snr_db)
        return mixture, sources, self.specs[index]
