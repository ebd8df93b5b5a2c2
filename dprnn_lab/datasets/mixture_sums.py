"""Whether mixtures on disk are made of their sources: a network can't learn to find a voice that is not there.

WHAM!'s ``mix_single`` holds the first voice and noise, and lies beside ``s1`` and ``s2`` like ``mix_clean``.

Notebook: 04_data
"""

import numpy as np
import torch

from ..error_texts import printable
from .disk_mixtures import DiskMixtures
from .layouts import is_mix

__all__ = ["check_sums", "parts_of_mixture"]

CHECKED = 8  # mixtures, evenly spread over the list
FEWEST_SAMPLES = 800  # of shorter ones chance decides
LEAST_SHARE = 0.01  # of what the other sources leave of the mixture that a source must explain: -20 dB
NOISE_DB = -30.0  # over the mixture; what no source explains and is louder is said


def check_sums(mixtures: DiskMixtures, count: int = CHECKED) -> list[str]:
    """Compare a few mixtures with the sum of their sources, each at any level.

    A source counts as missing where it explains less than 1 % of the energy that the other sources leave of the
    mixture; more noise than that, 20 dB over a voice, is in no mixture that anyone trains with. Sources that are silent
    are not judged.

    Returns:
        remarks: noise in the mixtures (more than -30 dB that is in no source).

    Raises:
        ValueError: a source is missing in more than half of the mixtures looked at.
    """
    some = range(0, len(mixtures), max(1, -(-len(mixtures) // count)))
    missing: dict[int, list[str]] = {}
    judged: dict[int, int] = {}
    rests = []
    for index in some:
        mixture, sources, spec = mixtures[index]
        if len(mixture) < FEWEST_SAMPLES:
            continue
        shares, rest = parts_of_mixture(mixture, sources)
        rests.append(rest)
        for i, share in enumerate(shares):
            if not np.isnan(share):
                judged[i] = judged.get(i, 0) + 1
                if share < LEAST_SHARE:
                    missing.setdefault(i, []).append(spec.id)
    kind = mixtures.specs[0].kind
    for i, ids in missing.items():
        if 2 * len(ids) > judged[i]:
            others = (
                [f.name for f in mixtures.path.iterdir() if is_mix(f.name) and f.name != kind]
                if (mixtures.path.is_dir())
                else []
            )
            instead = (
                f"choose another folder of mixtures ({', '.join(sorted(others))}; mix=..., --mix)"
                if others
                else ("check which files belong together, and that they begin at the same sample")
            )
            raise ValueError(
                f"{printable(mixtures.path)}: the source s{i + 1} is not in the mixtures of {kind} ({len(ids)} of "
                f"{judged[i]} looked at, such as {ids[0]}), and would be trained on: {instead}"
            )
    notes = []
    if rests and (level := 10 * np.log10(max(np.median(rests), 1e-12))) > NOISE_DB:
        what = (
            "noise, which the network learns to remove"
            if kind not in ("mix", "mix_clean")
            else "noise, reverberation, or a source that is missing"
        )
        notes.append(
            f"{printable(mixtures.path)}: {level:.0f} dB of the mixtures of {kind} are in none of their sources: {what}"
        )
    for i, ids in missing.items():
        notes.append(
            f"{printable(mixtures.path)}: the source s{i + 1} is not in {len(ids)} of {judged[i]} mixtures looked at "
            f"({', '.join(ids[:3])})"
        )
    return notes


def parts_of_mixture(mixture: torch.Tensor, sources: torch.Tensor) -> tuple[list[float], float]:
    """How much of a mixture each source explains, by least squares with one gain for each.

    Args:
        mixture: ``[T]``.
        sources: ``[S, T]``.

    Returns:
        for each source the share, 0 to 1, that it explains of what the others leave (NaN where it is silent or another
        source's copy), and the share of the mixture's energy that no source explains.
    """
    x, s = mixture.double(), sources.double()
    energy = float(x @ x)
    gram, cross = s @ s.T, s @ x

    def left(kept: list[int]) -> float:
        g, c = gram[kept][:, kept], cross[kept]
        return max(energy - float(c @ torch.linalg.pinv(g, rtol=1e-10, hermitian=True) @ c), 0.0)

    every = list(range(len(s)))
    rest = left(every)
    shares = []
    for i in every:
        norms = gram.diagonal().sqrt()
        copies = [j for j in every if j != i and gram[i, j].abs() > 0.999 * norms[i] * norms[j]]
        without = left([j for j in every if j != i])
        if gram[i, i] == 0 or copies:
            shares.append(np.nan)
        else:
            # Rounding of 16-bit files leaves 1e-6 of the energy.
            shares.append((without - rest) / without if without > 1e-6 * energy else 0.0)
    return shares, rest / energy if energy else 1.0
