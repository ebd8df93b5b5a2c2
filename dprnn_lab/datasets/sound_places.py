"""Where a voice or a noise has sound: for recordings with long digital silence, such as one side of a telephone call.

Notebook: 04_data
"""

from typing import Any, Protocol

import numpy as np
import torch

from ..audio import rms

__all__ = ["SILENT_RMS", "Sliced", "is_silent", "places_with_sound", "start_at"]

SILENT_RMS = 1e-5  # -100 dBFS: of less no level can be set
PART = 2**20  # samples that are looked at at once


class Sliced(Protocol):
    """A tensor ``[T]``, or an object that is sliced like one and reads the part from disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


def is_silent(samples: torch.Tensor) -> bool:
    """Whether the level of ``[T]`` is too low to be set, with a margin for resampling."""
    return bool(rms(samples) < 2 * SILENT_RMS)


def places_with_sound(
    voice: Sliced, block: int, level: float = 0.0, first_only: bool = False, least: float = 2 * SILENT_RMS
) -> np.ndarray:
    """First samples of the blocks of a voice that have sound, in order.

    Args:
        voice: T samples; read once, a part at a time.
        block: samples; the last block overlaps the one before it.
        level: RMS that a block must have. Where none has it, the loudest block that is not silent counts.
        first_only: stop at the first one.
        least: RMS below which a block is silent.
    """
    block = max(1, min(block, len(voice)))
    step = max(1, PART // block) * block
    starts, levels = [], []
    begins = list(range(0, len(voice) - block + 1, step))
    if len(voice) % block:
        begins.append(len(voice) - block)
    for begin in begins:
        part = voice[begin : begin + min(step, (len(voice) - begin) // block * block)]
        found = rms(part.unflatten(0, (-1, block)).double()).numpy()
        sound = np.flatnonzero(found >= least)
        starts.append(begin + block * sound)
        levels.append(found[sound])
        if first_only and len(sound) and levels[-1].max() >= level:
            break
    every, loud = np.concatenate(starts), np.concatenate(levels)
    if not len(every):
        return every
    enough = loud >= level
    return every[enough] if enough.any() else every[[int(loud.argmax())]]


def start_at(place: int, block: int, samples: int, length: int, rng: np.random.Generator) -> int:
    """Start of a random segment of ``samples`` samples, within ``length``, that holds the block at ``place``."""
    low = max(0, place + min(block, samples) - samples)
    high = min(place, length - samples)
    return int(rng.integers(low, max(low, high) + 1))
