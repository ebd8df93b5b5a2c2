"""Which two voices are mixed: kinds of pairs in given shares, and never two voices that may be one person."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from .voices import Voice

KINDS = {"man-woman": ("f", "m"), "woman-woman": ("f", "f"), "man-man": ("m", "m")}


class Pairs:
    """All pairs of voices with disjoint groups, and how often each is drawn.

    Within a kind a pair's weight is the product of its voices' weights, and a voice's is the square root of its
    minutes, those over ``even_minutes`` not counted, times the weight of its origin.

    Args:
        shares: of the three kinds; a kind of which there is no pair is left out.
        origins: how an origin begins to its weight (the longest that fits counts); 1 where none fits. 0 leaves the
            voices out.

    Raises:
        ValueError: an origin that no voice has, or no pair at all.
    """

    def __init__(
        self,
        voices: Sequence[Voice],
        shares: Mapping[str, float],
        origins: Mapping[str, float] | None = None,
        even_minutes: float = 4.0,
        device: torch.device | str = "cpu",
    ):
        origins = dict(origins or {})
        unknown = {begin for begin in origins if not any(v.origin.startswith(begin) for v in voices)}
        if unknown:
            raise ValueError(
                f"no voice is of origin {sorted(unknown)}: there are {sorted({v.origin for v in voices})}"
            )

        def of_origin(origin: str) -> float:
            return origins.get(max((b for b in origins if origin.startswith(b)), key=len, default=""), 1.0)

        weight = np.array([np.sqrt(min(v.minutes, even_minutes)) * of_origin(v.origin) for v in voices])
        pairs, weights, self.counts = [], [], {}
        for kind, sexes in KINDS.items():
            found = [
                (i, j)
                for i, a in enumerate(voices)
                for j, b in enumerate(voices[:i])
                if tuple(sorted((a.sex, b.sex))) == sexes
                and not a.groups & b.groups
                and weight[i] * weight[j]
            ]
            self.counts[kind] = len(found)
            if found and shares.get(kind, 0) > 0:
                found = np.array(found)
                product = weight[found].prod(1)
                pairs.append(found)
                weights.append(shares[kind] * product / product.sum())
        if not pairs:
            raise ValueError(f"there is no pair of voices to mix: {self.counts}")
        drawn = np.concatenate(weights)
        self.pairs = torch.from_numpy(np.concatenate(pairs)).to(device)
        self.edges = torch.from_numpy(drawn.cumsum() / drawn.sum()).to(device)

    def draw(self, random: torch.Tensor) -> torch.Tensor:
        """int64 ``[B, 2]``, for ``[B]`` in [0, 1)."""
        at = torch.searchsorted(self.edges, random.double(), right=True)
        return self.pairs[at.clamp(max=len(self.pairs) - 1)]
