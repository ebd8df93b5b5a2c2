"""The bundled corpus: real voices at 8 kHz, with speaker, sex, language and split of every utterance.

``data/speech/metadata.csv`` describes it, ``data/speech/ATTRIBUTION.md`` names the speakers and licences. The
splits share no utterance and no second of audio. The speaker ``menardi`` is in no training split: she is the
course's unseen speaker.

Notebook: 04_data
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch.utils.data import Dataset

from ..audio import SAMPLE_RATE, check_samples, read_audio
from ..files import data_folder
from .tables import read_table

__all__ = ["SAMPLE_RATE", "UNSEEN_SPEAKER", "Utterance", "SpeechCorpus", "data_folder", "read_metadata"]

UNSEEN_SPEAKER = "menardi"
SPLITS = ("train", "valid", "test", "adapt")


@dataclass(frozen=True)
class Utterance:
    """One row of the metadata."""

    file: str  # relative to the corpus folder
    speaker: str
    sex: str  # "f" or "m"
    language: str
    seconds: float
    split: str  # "train", "valid", "test", or "adapt" (the unseen speaker's material for fine-tuning)


@lru_cache
def read_metadata(folder: str | os.PathLike) -> tuple[Utterance, ...]:
    """All rows of ``folder/metadata.csv`` in file order.

    Raises:
        FileNotFoundError, ValueError: no such table, or a row that can't be read; the message has row and column.
    """
    columns = ("file", "speaker", "sex", "language", "seconds", "split")
    rows = read_table(Path(folder) / "metadata.csv", columns, "utterances")
    return tuple(
        Utterance(
            row.required("file").replace("\\", "/"),
            row.required("speaker"),
            row.required("sex"),
            row.get("language"),
            row.number("seconds"),
            row.required("split"),
        )
        for row in rows
    )


class SpeechCorpus(Dataset):
    """The utterances of one split, or of several, as a torch Dataset.

    Item ``i`` is ``(waveform, utterance)``: float32 ``[T]`` at 8 kHz, and its :class:`Utterance`.

    Args:
        split: "train", "valid", "test" or "adapt", or a list of them; None for all.
        speakers: only these; None for all.
        min_seconds: only utterances at least this long.
        folder: the corpus folder; the bundled one when None.

    Raises:
        ValueError: an unknown split or speaker, or nothing left after filtering.

    >>> corpus = SpeechCorpus("test", speakers=["carlo"])
    >>> waveform, utterance = corpus[0]
    >>> utterance.sex, waveform.dtype
    ('m', torch.float32)
    """

    def __init__(
        self,
        split: str | Sequence[str] | None = None,
        speakers: Sequence[str] | None = None,
        min_seconds: float = 0.0,
        folder: str | os.PathLike | None = None,
    ) -> None:
        self.folder = Path(folder) if folder else data_folder() / "speech"
        rows = read_metadata(self.folder)
        splits = SPLITS if split is None else (split,) if isinstance(split, str) else tuple(split)
        if not splits or not set(splits) <= set(SPLITS):
            raise ValueError(f"split is {split!r}: choose one of {', '.join(SPLITS)}, or a list of them")
        known = {u.speaker for u in rows}
        unknown = set(speakers or ()) - known
        if unknown:
            raise ValueError(f"unknown speakers {sorted(unknown)}: the corpus has {', '.join(sorted(known))}")
        self.utterances = [
            u
            for u in rows
            if u.split in splits and (speakers is None or u.speaker in speakers) and u.seconds >= min_seconds
        ]
        if not self.utterances:
            raise ValueError(
                f"no utterance of split {split!r}, speakers {speakers}, {min_seconds} s or more in {self.folder}"
            )

    @property
    def speakers(self) -> dict[str, str]:
        """Speaker to sex, in sorted order."""
        return dict(sorted({u.speaker: u.sex for u in self.utterances}.items()))

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Utterance]:
        utterance = self.utterances[index]
        return self.load(utterance), utterance

    def load(self, utterance: Utterance) -> torch.Tensor:
        """The waveform ``[T]`` of one utterance."""
        samples, rate = read_audio(self.folder / utterance.file)
        check_samples(samples, str(self.folder / utterance.file), rate)
        return samples[0]

    def voices(self) -> dict[str, torch.Tensor]:
        """Each speaker's utterances concatenated, float32 ``[T]``, as dynamic mixing takes them."""
        return {
            speaker: torch.cat([self.load(u) for u in self.utterances if u.speaker == speaker])
            for speaker in self.speakers
        }
