"""The computations of the mixing explorer: a mixture from its recipe, and the model's SI-SDRi on it.

Notebook: 04_data
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ..audio import SAMPLE_RATE
from ..datasets.augmentation import Noise, Rooms, add_noise, reverberate
from ..datasets.dynamic_mixing import change_speed
from ..datasets.mixing import mix
from ..loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from ..separation.in_memory import separate

__all__ = ["DRY", "SPEEDS", "Mixed", "Recipe", "describe", "gains", "make_mixture"]

SPEEDS = (80, 85, 90, 95, 100, 105, 110, 115, 120)
DRY = "none"


@dataclass(frozen=True)
class Recipe:
    """The parameters of a mixture."""

    first: str  # name of a voice
    second: str
    level_db: float = 0.0  # of the first over the second
    speed: int = 100  # of the second, per cent
    flip: bool = False  # invert the polarity of the second
    noise: str = DRY  # or "white", "pink", "babble"
    snr_db: float = 10.0  # of the louder voice over the noise
    room: int | None = None  # index


@dataclass(frozen=True)
class Mixed:
    """A mixture ``[T]``, its sources ``[2, T]``, and the SI-SDR of the mixture against each source, in dB ``[2]``."""

    recipe: Recipe
    mixture: torch.Tensor
    sources: torch.Tensor
    si_sdr: torch.Tensor

    @property
    def rest(self) -> torch.Tensor:
        """Mixture minus sources, ``[T]``: the noise."""
        return self.mixture - self.sources.sum(0)


def make_mixture(
    recipe: Recipe,
    voices: Mapping[str, torch.Tensor],
    samples: int = 4 * SAMPLE_RATE,
    rooms: Rooms | None = None,
    seed: int = 0,
) -> Mixed:
    """Mix as the recipe says, in the order of dynamic mixing: speed, flip, room, level, noise.

    The first voice is taken from the start of its recording, the second from the middle, so that one voice can be
    mixed with itself.

    Args:
        voices: name to waveform, at least 2.5 times ``samples`` long.
        samples: T.
        rooms: those that ``recipe.room`` indexes.
        seed: of the noise.

    Raises:
        ValueError: an unknown voice, speed or room, or a voice that is too short.
    """
    for name in (recipe.first, recipe.second):
        if name not in voices:
            raise ValueError(f"voice is {name!r}: choose one of {', '.join(voices)}")
        if len(voices[name]) < 2.5 * samples:
            raise ValueError(
                f"voice {name} has {len(voices[name])} samples: give at least {int(2.5 * samples)}, or shorter mixtures"
            )
    if recipe.speed not in SPEEDS:
        raise ValueError(f"speed is {recipe.speed}: choose one of {', '.join(map(str, SPEEDS))} per cent")
    if recipe.room is not None and (rooms is None or not 0 <= recipe.room < len(rooms.responses)):
        raise ValueError(
            f"room is {recipe.room}: there are {len(rooms.responses) if rooms else 0} rooms, from 0 on"
        )
    first = voices[recipe.first][:samples]
    middle = len(voices[recipe.second]) // 2
    second = change_speed(
        voices[recipe.second][middle : middle + samples * recipe.speed // 100 + 1], recipe.speed
    )
    second = second[:samples] * (-1 if recipe.flip else 1)
    if recipe.room is not None:
        first, second = map(reverberate, (first, second), rooms.responses[recipe.room])
    mixture, sources = mix(first, second, recipe.level_db)
    if recipe.noise != DRY:
        noise = Noise(recipe.noise).draw(samples, np.random.default_rng(seed), voices)
        mixture, sources = add_noise(sources, noise, recipe.snr_db)
    return Mixed(recipe, mixture, sources, si_sdr(mixture.expand(2, -1), sources))


def gains(model: torch.nn.Module, mixed: Mixed) -> tuple[torch.Tensor, torch.Tensor]:
    """The model's estimates in the order of the sources, ``[2, T]``, and the SI-SDRi of each in dB, ``[2]``."""
    estimates = separate(model, mixed.mixture)
    _, ordered = PITLossWrapper(pairwise_neg_sisdr)(estimates[None], mixed.sources[None], return_est=True)
    return ordered[0], si_sdr(ordered[0], mixed.sources) - mixed.si_sdr


def describe(recipe: Recipe, rooms: Rooms | None = None) -> str:
    """The recipe as a phrase."""
    second = [f"{recipe.speed} % of its speed"] * (recipe.speed != 100) + ["inverted"] * recipe.flip
    parts = [
        f"{recipe.first} {abs(recipe.level_db):.1f} dB {'under' if recipe.level_db < 0 else 'over'} {recipe.second}"
        + (f" (at {', '.join(second)})" if recipe.speed != 100 else f" ({second[0]})" if second else "")
    ]
    if recipe.noise != DRY:
        parts.append(f"{recipe.noise} noise {recipe.snr_db:.1f} dB under the louder voice")
    if recipe.room is not None:
        parts.append(f"in a room that rings for {rooms.times[recipe.room]:.2f} s")
    return ", ".join(parts)
