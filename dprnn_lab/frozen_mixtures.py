"""One epoch of dynamic mixing, kept: validation mixtures of voices for which nobody has written a list.

Notebook: 04_data
"""

import copy
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset

from .mixing import DynamicMixing

__all__ = ["FrozenMixture", "FrozenMixtures"]


@dataclass(frozen=True)
class FrozenMixture:
    """Which of the :class:`FrozenMixtures` an item is."""

    id: str
    kind: str


class FrozenMixtures(Dataset):
    """The mixtures of the first epoch of a :class:`DynamicMixing`, for validation: the same every time.

    Item ``i`` is ``(mixture [T], sources [2, T], FrozenMixture)``.
    """

    def __init__(self, mixing: DynamicMixing):
        self.mixing = copy.copy(mixing)  # whoever trains with the other one moves its epoch on
        self.mixing.set_epoch(0)
        kinds = [self.mixing.kind(i) for i in range(len(mixing))]
        self.specs = [FrozenMixture(f"{kind}-{i:03d}", kind) for i, kind in enumerate(kinds)]

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, FrozenMixture]:
        return *self.mixing[index], self.specs[index]
