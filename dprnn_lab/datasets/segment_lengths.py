"""The lengths of a run's mixtures: one, or several of which every training step draws one.

A network works best at the length that it was trained on (``data/measure_segment_length.py``); to separate segments of
2 s as well as of 8 s it must be trained on both.

Notebook: 05_training
"""

from collections.abc import Sequence

import numpy as np

__all__ = ["SegmentLengths"]

STREAM = 1  # keeps these random numbers apart from those of the items, which are seeded with (seed, epoch, i)


class SegmentLengths:
    """The length of each item of an epoch, in samples.

    The items of a batch must be equally long: of several lengths, one is drawn for ``per_step`` items in a row. It
    depends on (seed, epoch, i) alone, so that all processes draw the same.

    Args:
        samples: one length, or several, drawn uniformly; one given twice is drawn twice as often.
        per_step: items of one training step, over all processes.
        seed: of the lengths.

    Raises:
        ValueError: no length, or a length or ``per_step`` under 1.

    >>> lengths = SegmentLengths([16000, 64000], per_step=4)
    >>> len({lengths.of(epoch=0, index=i) for i in range(4)})
    1
    """

    def __init__(self, samples: int | Sequence[int], per_step: int = 1, seed: int = 0) -> None:
        self.choices = list(samples) if isinstance(samples, Sequence) else [samples]
        if min(self.choices, default=0) < 1:
            raise ValueError(f"samples is {samples}: give the length of a segment, 1 or more")
        if per_step < 1:
            raise ValueError(f"per_step is {per_step}: a step takes 1 mixture or more")
        self.per_step, self.seed = per_step, seed

    @property
    def longest(self) -> int:
        """Samples of the longest item."""
        return max(self.choices)

    def of(self, epoch: int, index: int) -> int:
        """Samples of an item."""
        if len(self.choices) == 1:
            return self.choices[0]
        rng = np.random.default_rng((self.seed, epoch, index // self.per_step, STREAM))
        return self.choices[rng.integers(len(self.choices))]
