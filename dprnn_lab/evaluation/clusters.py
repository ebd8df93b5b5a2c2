"""Which mixtures of a list share a voice or an utterance: the labels for :func:`cluster_bootstrap`.

Forty mixtures of six voices are not forty independent samples. Where a list has enough voices, they are what varies
between one test and the next (new people); where it has only a few, as the bundled voices of the training, the voices
are fixed and their utterances vary.

Notebook: 08_evaluation
"""

import re
from collections.abc import Iterable
from pathlib import PurePath

from .table import MixtureSet

__all__ = ["MIN_VOICES", "clusters_of", "utterances_of", "voices_of"]

MIN_VOICES = 6  # of a kind, for resampling voices; an interval over fewer would be far too narrow
# The speakers in the names of LibriMix (1089-134686-0000_121-127105-0031) and wsj0-2mix (050a0501_1.8_442o030z_-1.8).
NAMES = (
    re.compile(r"(\d+)-\d+-\d+_(\d+)-\d+-\d+(?:_(\d+)-\d+-\d+)?$"),
    re.compile(r"(\w{3})\w{5}_-?[\d.]+_(\w{3})\w{5}_-?[\d.]+(?:_(\w{3})\w{5}_-?[\d.]+)?$"),
)


def utterances_of(spec: object) -> tuple[str, ...]:
    """The recordings in a mixture: ``first`` and ``second`` of a bundled list, the files of the sources on disk."""
    files = getattr(spec, "sources", None)
    if files is None:
        files = [getattr(spec, part) for part in ("first", "second") if hasattr(spec, part)]
    return tuple(str(file) for file in files)


def voices_of(spec: object) -> tuple[str, ...]:
    """The voices in a mixture, from its files (bundled lists) or its id (LibriMix, wsj0-2mix); () if not known."""
    if hasattr(spec, "first") and hasattr(spec, "second"):
        parts = [PurePath(file).parts for file in utterances_of(spec)]
        return tuple(part[1] if part[0] == "strangers" and len(part) > 2 else part[0] for part in parts)
    name = re.sub(r"\.(wav|flac)$", "", str(getattr(spec, "id", "")))
    for pattern in NAMES:
        if found := pattern.match(name):
            return tuple(group for group in found.groups() if group)
    return ()


def clusters_of(mixtures: MixtureSet | Iterable) -> dict[str, tuple[str, ...]]:
    """The labels of every mixture, by its id: its voices, or its utterances for a kind of under `MIN_VOICES` voices.

    Returns:
        An empty dictionary for mixtures without specs.
    """
    specs = list(getattr(mixtures, "specs", ()))
    kinds: dict[str, list] = {}
    for spec in specs:
        kinds.setdefault(spec.kind, []).append(spec)
    labels: dict[str, tuple[str, ...]] = {}
    for same in kinds.values():
        voices = [voices_of(spec) for spec in same]
        enough = all(voices) and len({name for names in voices for name in names}) >= MIN_VOICES
        for spec, names in zip(same, voices, strict=True):
            labels[spec.id] = names if enough else utterances_of(spec)
    return labels
