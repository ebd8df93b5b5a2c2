"""A corpus of your own voices: a folder of audio files for each speaker.

::

    my_voices/ada/one.wav                                # speaker/*.wav or *.flac
    LibriSpeech/train-clean-100/19/198/19-198-0001.flac  # speaker/chapter/*.flac

Every speaker's utterances are divided between training and validation. Files are read when a segment of them is
drawn, and the 128 used last stay in memory: a corpus can be larger than memory, as long as 128 of its files fit.

Notebook: 04_data
"""

import csv
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..audio import (
    SAMPLE_RATE,
    AudioError,
    audio_files,
    check_format,
    opened,
    rate_ratio,
    read_audio,
    read_mono_cached,
    rms,
)
from .dynamic_mixing import DynamicMixing, FrozenMixtures, segment_length
from .mixing import pairs_by_kind
from .segment_lengths import SegmentLengths

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FolderUtterance", "FolderVoice", "SpeakerFolders", "read_sexes"]

EXPECTED = (
    "expected a folder for each speaker with .wav or .flac files in it (speaker/*.wav, or speaker/chapter/*.flac as in "
    "LibriSpeech/train-clean-100), at least two speakers"
)


@dataclass(frozen=True)
class FolderUtterance:
    """One audio file of one speaker."""

    file: Path
    speaker: str
    split: str  # "train" or "valid"
    samples: int  # at the corpus' sample rate


class FolderVoice:
    """One speaker's utterances concatenated: has a length and slices like a tensor ``[T]``, read from disk."""

    def __init__(self, utterances: Sequence[FolderUtterance], sample_rate: float, resample: bool) -> None:
        self.files = [u.file for u in utterances]
        self.ends = np.cumsum([u.samples for u in utterances])
        self.sample_rate, self.resample = sample_rate, resample

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, part: slice) -> torch.Tensor:
        start, stop, step = part.indices(len(self))
        if step != 1 or stop <= start:
            raise IndexError(f"the part is {part}: give [start:stop] with at least one sample")
        first, last = np.searchsorted(self.ends, (start, stop - 1), side="right")
        begin = self.ends[first - 1] if first else 0
        pieces = [self._read(file) for file in self.files[first : last + 1]]
        return torch.cat(pieces)[start - begin : stop - begin]

    def rms(self) -> torch.Tensor:
        """Root mean square of about ten of its utterances."""
        some = self.files[:: -(-len(self.files) // 10)]
        return rms(torch.cat([self._read(file) for file in some]))

    def _read(self, file: Path) -> torch.Tensor:
        return read_mono_cached(file, self.sample_rate, self.resample)


class SpeakerFolders:
    """A folder of speakers' folders, divided into training and validation.

    Args:
        path: the folder with a subfolder for each speaker, of the speaker's name.
        sample_rate: Hz, of the samples wanted.
        resample: convert files that are at another rate, as they are read.
        sexes: speaker to "f" or "m", or a file of it (:func:`read_sexes`). A speaker's sex is unknown if missing.
        speakers: only these; None for all.
        valid_share: of each speaker's time that goes to validation; at least one utterance, if there are two.
        seed: of the choice of these utterances. Adding a speaker does not change it for the others.

    Attributes:
        utterances: all of them, in order.
        copies: files left out, with the same samples as another file of the speaker.
        sexes: speaker to "f", "m" or None, in sorted order.

    Raises:
        FileNotFoundError: another layout; the message names it and the expected one.
        AudioError: a file that can't be read, at another rate, or with several channels.
        ValueError: an unknown speaker, an invalid share.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        sample_rate: float = SAMPLE_RATE,
        *,
        resample: bool = False,
        sexes: Mapping[str, str] | str | os.PathLike | None = None,
        speakers: Sequence[str] | None = None,
        valid_share: float = 0.1,
        seed: int = 0,
    ) -> None:
        if not 0 <= valid_share < 1:
            raise ValueError(f"valid_share is {valid_share}: give a share from 0 to below 1")
        self.path, self.sample_rate, self.resample = Path(path), sample_rate, resample
        files = _files_by_speaker(self.path)
        unknown = sorted(set(speakers or ()) - files.keys())
        if unknown:
            raise ValueError(f"unknown speakers {unknown}: {path} has {', '.join(files)}")
        known = read_sexes(sexes) if isinstance(sexes, (str, os.PathLike)) else sexes or {}
        self.sexes = {name: known.get(name) for name in files if speakers is None or name in speakers}
        self.utterances: list[FolderUtterance] = []
        self.copies: list[Path] = []
        for speaker in self.sexes:
            lengths = self._without_copies(files[speaker])
            valid = self._for_validation(lengths, valid_share, seed)
            self.utterances += [
                FolderUtterance(file, speaker, "valid" if file in valid else "train", length)
                for file, length in lengths.items()
            ]

    def _without_copies(self, files: list[Path]) -> dict[Path, int]:
        """Files to lengths in samples; of files with the same samples, only the first."""
        lengths: dict[Path, int] = {}
        frames_of: dict[int, list[Path]] = {}
        seen: set[bytes] = set()
        for file in files:
            with opened(file) as audio:
                frames, rate = audio.frames, audio.samplerate
                check_format(file, audio.channels, rate, self.sample_rate, self.resample)
            if not frames:
                raise AudioError(f"{file}: the file holds no samples; take it out of the folder")
            old, new = rate_ratio(rate, self.sample_rate)
            lengths[file] = -(-frames * new // old)
            frames_of.setdefault(frames, []).append(file)
        # Only files of equal length can be copies; hashing all of a large corpus would take an hour.
        for same_length in (group for group in frames_of.values() if len(group) > 1):
            for file in same_length:
                digest = hashlib.sha256(read_audio(file)[0].numpy().tobytes()).digest()
                if digest in seen:
                    self.copies.append(file)
                    del lengths[file]
                seen.add(digest)
        return lengths

    def _for_validation(self, lengths: dict[Path, int], share: float, seed: int) -> set[Path]:
        def order(file: Path) -> str:  # a hash, independent of the folder's path and of other files
            name = file.relative_to(self.path).as_posix()
            return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()

        chosen, time, wanted = set(), 0, share * sum(lengths.values())
        for file in sorted(lengths, key=order)[:-1]:  # the last one stays for training
            # Skip a recording so long that the validation would consist of it.
            if time < wanted and time + lengths[file] <= 1.5 * wanted:
                chosen.add(file)
                time += lengths[file]
        if not chosen and share and len(lengths) > 1:
            chosen.add(min(lengths, key=lengths.__getitem__))
        return chosen

    def voices(self, split: str | None = "train") -> dict[str, FolderVoice]:
        """Each speaker's utterances of a split (None: of both) concatenated, as dynamic mixing takes them."""
        if split not in ("train", "valid", None):
            raise ValueError(f"split is {split!r}: choose 'train', 'valid' or None for both")
        parts: dict[str, list[FolderUtterance]] = {}
        for u in self.utterances:
            if split in (u.split, None):
                parts.setdefault(u.speaker, []).append(u)
        return {name: FolderVoice(part, self.sample_rate, self.resample) for name, part in parts.items()}

    def mixing(self, split: str | None = "train", **options: Any) -> DynamicMixing:
        """Dynamic mixing of a split, with the options of :class:`DynamicMixing`.

        Without ``kinds``, all pairs are equally likely. Speakers with less than one segment of speech are left out;
        ``voices`` of the result lists the others.
        """
        longest = SegmentLengths(options.get("samples", SAMPLE_RATE)).longest
        needed = segment_length(longest, options.get("speed_percent", 0))
        all_voices = self.voices(split)
        voices = {name: voice for name, voice in all_voices.items() if len(voice) >= needed}
        if len(voices) < 2:
            raise ValueError(
                f"{self.path}: {len(voices)} of {len(all_voices)} speakers have {needed / self.sample_rate:.1f} s or "
                f"more for split {split!r}, two are needed: take shorter mixtures, more recordings, or another "
                "valid_share"
            )
        sexes = {name: self.sexes[name] for name in voices}
        pairs = pairs_by_kind(sexes, options.get("unseen", ()))
        kinds = {kind: float(len(some)) for kind, some in sorted(pairs.items())}
        return DynamicMixing(voices, sexes, **{"kinds": kinds, **options})

    def validation(
        self, samples: int, count: int = 100, split: str | None = "valid", seed: int = 0
    ) -> FrozenMixtures:
        """``count`` fixed mixtures of the validation part."""
        return FrozenMixtures(self.mixing(split, samples=samples, size=count, seed=seed))

    def table(self) -> "pd.DataFrame":
        """For each speaker the sex, and seconds of training and validation."""
        import pandas as pd  # imported here: it takes 0.4 s

        rows = pd.DataFrame(
            {"speaker": u.speaker, "split": u.split, "seconds": u.samples / self.sample_rate}
            for u in self.utterances
        )
        table = rows.pivot_table("seconds", "speaker", "split", "sum", fill_value=0.0)
        table = table.reindex(columns=["train", "valid"], fill_value=0.0).rename_axis(columns=None)
        table.insert(0, "sex", [self.sexes[name] or "?" for name in table.index])
        return table


def read_sexes(file: str | os.PathLike) -> dict[str, str]:
    """Speaker to "f" or "m" from a CSV with the columns ``speaker, sex``, or from LibriSpeech's ``SPEAKERS.TXT``.

    Its lines are ``14 | F | train-clean-360 | 25.03 | Kristin LeMoine``, and comments begin with a semicolon.

    Raises:
        FileNotFoundError: no such file.
        ValueError: neither of the two formats, or a sex other than f and m.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: no such file; give a CSV of speaker, sex or LibriSpeech's SPEAKERS.TXT"
        )
    text = file.read_text(encoding="utf-8")
    if file.suffix.lower() == ".csv":
        table = csv.DictReader(text.splitlines())
        if not {"speaker", "sex"} <= set(table.fieldnames or []):
            raise ValueError(f"{file} has the columns {table.fieldnames}: expected speaker, sex")
        rows = [(row["speaker"], row["sex"]) for row in table]
    else:
        lines = [line.split("|") for line in text.splitlines() if line.strip() and not line.startswith(";")]
        if not lines or min(map(len, lines)) < 2:
            raise ValueError(f"{file}: expected lines such as '14 | F | train-clean-360 | 25.03 | a name'")
        rows = [(line[0], line[1]) for line in lines]
    sexes = {speaker.strip(): sex.strip().lower() for speaker, sex in rows}
    odd = {speaker: sex for speaker, sex in sexes.items() if sex not in ("f", "m")}
    if odd:
        speaker, sex = next(iter(odd.items()))
        raise ValueError(
            f"{file}: speaker {speaker} has sex {sex!r}, expected f or m; leave out speakers with neither"
        )
    return sexes


def _files_by_speaker(root: Path) -> dict[str, list[Path]]:
    """Speaker to audio files, sorted."""
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder: {EXPECTED}")
    folders = sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))
    loose = len(audio_files(root))
    names = {f.name for f in folders}
    if "s1" in names and any(n == "mix" or n.startswith("mix_") for n in names):
        raise FileNotFoundError(
            f"{root} holds the folders {_some(sorted(names))}, which are ready mixtures and their sources: read them "
            f"with DiskMixtures. Here: {EXPECTED}"
        )
    found = {folder.name: audio_files(folder, recursive=True) for folder in folders}
    speakers = {name: files for name, files in found.items() if files}
    deep = next((f for files in speakers.values() for f in files if len(f.relative_to(root).parts) > 3), None)
    if deep is not None:
        raise FileNotFoundError(
            f"{root} has audio {len(deep.relative_to(root).parts) - 1} folders deep ({deep.relative_to(root)}): "
            f"{EXPECTED}. Give a deeper folder"
        )
    if len(speakers) < 2:
        inside = f"the folders {_some(sorted(names))}" if names else "no folders"
        raise FileNotFoundError(
            f"{root} holds {inside}, {len(speakers)} of them with audio, and {loose} audio files beside them: "
            f"{EXPECTED}"
        )
    return speakers


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
