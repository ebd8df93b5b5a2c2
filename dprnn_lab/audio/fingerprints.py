"""Find a recording again under another name, at another level, after 16-bit rounding, or with inverted polarity.

A hash of the samples changes with their last bit. What hardly changes is *where* the waveform is largest: in each block
of 32 ms the place of its largest sample. Three such places in a row are a key, and a fingerprint is a fixed number of
keys: the smallest after a mixing of their bits, so that a copy selects the same ones (a bottom-k sketch: A. Z. Broder,
"On the resemblance and containment of documents", 1997). Two recordings by chance share a key in one of 2**24 cases.

Notebook: 07_failures_in_training
"""

from collections import Counter
from collections.abc import Iterable

import torch

__all__ = ["Fingerprints", "fingerprint"]

BLOCK = 256  # samples whose largest is located: 32 ms at 8 kHz
KEYS = 64  # at most, of one recording
FEWEST = 2  # keys that a comparison needs: 4 blocks of sound
SAME_SHARE = 0.25  # of the keys; copies share nearly all, other recordings none
MIXER = 0x9E3779B97F4A7C15  # an odd number near 2**64 / golden ratio: spreads the keys over 64 bits


def fingerprint(samples: torch.Tensor) -> frozenset[int]:
    """Up to ``KEYS`` keys of a recording ``[T]`` at 8 kHz or more; few or none where it is short or silent.

    A block in which the largest value occurs twice (silence, clipping) has no place of its own and gives no key.
    NaN and infinite samples count as zero.
    """
    count = samples.shape[-1] // BLOCK
    sizes = samples[: count * BLOCK].detach().nan_to_num(0.0, 0.0, 0.0).abs().reshape(count, BLOCK)
    if count < 3:
        return frozenset()
    largest = sizes.amax(1, keepdim=True)
    clear = (sizes == largest).sum(1) == 1
    place = sizes.argmax(1)
    usable = (clear[:-2] & clear[1:-1] & clear[2:]).nonzero()[:, 0]
    keys = torch.stack((usable, place[usable], place[usable + 1], place[usable + 2]), 1).tolist()
    mixed = ((((b * BLOCK + i) * BLOCK + j) * BLOCK + k) * MIXER % 2**64 for b, i, j, k in keys)
    return frozenset(sorted(mixed)[:KEYS])


class Fingerprints:
    """The fingerprints of a collection, to look recordings up in: its cost does not grow with the collection.

    Args:
        recordings: samples ``[T]`` each, numbered from 0 in this order.

    >>> speech = torch.randn(8000, generator=torch.Generator().manual_seed(0)) / 10
    >>> known = Fingerprints([speech])
    >>> known.find((0.7 * speech * 32768).round() / 32768)  # at another level, as 16 bit
    0
    """

    def __init__(self, recordings: Iterable[torch.Tensor] = ()) -> None:
        self._numbers: dict[int, list[int]] = {}
        self._count = 0
        for samples in recordings:
            self.add(samples)

    def add(self, samples: torch.Tensor) -> None:
        """Remember a recording ``[T]`` under the next number."""
        for key in fingerprint(samples):
            self._numbers.setdefault(key, []).append(self._count)
        self._count += 1

    def find(self, samples: torch.Tensor) -> int | None:
        """The number of this recording ``[T]``, at whatever level it is; None if it was not added."""
        keys = fingerprint(samples)
        hits = Counter(number for key in keys for number in self._numbers.get(key, ()))
        number, shared = hits.most_common(1)[0] if hits else (None, 0)
        return number if shared >= max(FEWEST, SAME_SHARE * len(keys)) else None

    def holds(self, samples: torch.Tensor) -> bool:
        """Whether this recording ``[T]`` was added, at any level."""
        return self.find(samples) is not None
