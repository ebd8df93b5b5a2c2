"""A corpus of your own voices: a folder of audio files for each speaker.

::

    my_voices/ada/one.wav                                # speaker/*.wav or *.flac
    LibriSpeech/train-clean-100/19/198/19-198-0001.flac  # speaker/chapter/*.flac

Every speaker's utterances are divided between training and validation. Files are read when a segment of them is
drawn: the short ones used last stay in memory, 128 MB of them, and of the others only the segment is decoded. A corpus
can be larger than memory, and a recording can last for hours.

Notebook: 04_data
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..audio import (
    SAMPLE_RATE,
    AudioError,
    Fingerprints,
    audio_info,
    check_format,
    rate_ratio,
    read_frames,
    unread_text,
)
from ..error_texts import printable
from .dynamic_mixing import DynamicMixing, FrozenMixtures, segment_length
from .folder_voice import PART, FolderUtterance, FolderVoice
from .layouts import audio_by_speaker
from .mixing import pairs_by_kind
from .notes import SKIP_BAD, note
from .segment_lengths import SegmentLengths
from .tables import read_table, text_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FolderUtterance", "FolderVoice", "SpeakerFolders", "read_sexes"]


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
        skip_bad: leave out files that can't be used. Every file is read once for that, at the start.

    Attributes:
        utterances: all of them, in order.
        copies: files left out, with the same recording as another file of the speaker, at whatever level.
        sexes: speaker to "f", "m" or None, in sorted order.
        left_out: (file, reason) of the files that ``skip_bad`` left out.
        notes: remarks, which are warnings too: files that are not read, speakers that are left out.

    Raises:
        FileNotFoundError: another layout, such as parts of a corpus or mixtures; the message names it, the expected
            one, and folders near it that fit.
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
        skip_bad: bool = False,
    ) -> None:
        if not 0 <= valid_share < 1:
            raise ValueError(f"valid_share is {valid_share}: give a share from 0 to below 1")
        self.path, self.sample_rate, self.resample = Path(path), sample_rate, resample
        self.skip_bad = skip_bad
        self.left_out: list[tuple[Path, str]] = []
        self.notes: list[str] = []
        files, unread = audio_by_speaker(self.path, speakers)
        if unread:
            note(self.notes, f"{path}: {unread_text(unread)}")
        unknown = sorted(set(speakers or ()) - files.keys())
        if unknown:
            raise ValueError(f"unknown speakers {unknown}: {printable(self.path)} has {', '.join(files)}")
        known = read_sexes(sexes) if isinstance(sexes, (str, os.PathLike)) else sexes or {}
        self.sexes = {name: known.get(name) for name in files if speakers is None or name in speakers}
        self.utterances: list[FolderUtterance] = []
        self.copies: list[Path] = []
        for speaker in self.sexes:
            lengths = self._without_copies(self._lengths(files[speaker]))
            valid = self._for_validation(lengths, valid_share, seed)
            self.utterances += [
                FolderUtterance(file, speaker, "valid" if file in valid else "train", length)
                for file, length in lengths.items()
            ]

    def _lengths(self, files: list[Path]) -> dict[Path, tuple[int, int]]:
        """Files to lengths in samples, at their own rate and at the corpus'."""
        lengths = {}
        for file in files:
            try:
                frames, rate, channels, _ = audio_info(file)
                check_format(file, channels, rate, self.sample_rate, self.resample)
                if not frames:
                    raise AudioError(f"{file}: the file holds no samples; take it out of the folder")
                old, new = rate_ratio(rate, self.sample_rate)
                length = -(-frames * new // old)
                if self.skip_bad:
                    utterance = FolderUtterance(file, "", "", length)
                    FolderVoice([utterance], self.sample_rate, self.resample).check()
                lengths[file] = frames, length
            except AudioError as error:
                if not self.skip_bad:
                    raise AudioError(f"{error}{SKIP_BAD}") from error
                self.left_out.append((file, str(error).removesuffix(SKIP_BAD)))
        return lengths

    def _without_copies(self, files: dict[Path, tuple[int, int]]) -> dict[Path, int]:
        """Files to lengths in samples; of files with the same recording, only the first."""
        lengths = {file: length for file, (_, length) in files.items()}
        frames_of: dict[int, list[Path]] = {}
        for file, (frames, _) in files.items():
            frames_of.setdefault(frames, []).append(file)
        seen: set[bytes] = set()
        # Only files of equal length can be copies; hashing all of a large corpus would take an hour.
        for frames, same_length in frames_of.items():
            known = Fingerprints()  # of this length: copies at another level
            for file in same_length if len(same_length) > 1 else ():
                try:
                    digest, start = _digest(file, frames)
                except AudioError as error:
                    raise AudioError(f"{error}{SKIP_BAD}") from error
                if digest in seen or known.holds(start):
                    self.copies.append(file)
                    del lengths[file]
                else:
                    seen.add(digest)
                    known.add(start)
        return lengths

    def _for_validation(self, lengths: dict[Path, int], share: float, seed: int) -> set[Path]:
        def order(file: Path) -> str:  # a hash, independent of the folder's path and of other files
            name = file.relative_to(self.path).as_posix()
            return hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).hexdigest()

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
        short = [name for name in self.sexes if name not in voices]
        if short and len(voices) > 1:
            what = "recordings" if split is None else "training" if split == "train" else "validation"
            note(
                self.notes,
                f"{self.path}: {len(short)} of {len(self.sexes)} speakers have less than "
                f"{needed / self.sample_rate:.1f} s of {what} and are left out ({', '.join(short[:5])})",
            )
        if len(voices) < 2:
            raise ValueError(
                f"{printable(self.path)}: {len(voices)} of {len(all_voices)} speakers have "
                f"{needed / self.sample_rate:.1f} s or more for split {split!r}, two are needed: take "
                "shorter mixtures (seconds, --seconds; validation takes 4 s), more recordings, or another "
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
            f"{printable(file)}: no such file; give a CSV of speaker, sex or LibriSpeech's SPEAKERS.TXT"
        )
    if file.suffix.lower() in (".csv", ".tsv"):
        rows = [
            (row.required("speaker"), row.get("sex"))
            for row in read_table(file, ("speaker", "sex"), "speakers")
        ]
    else:
        lines = [
            line.split("|")
            for line in text_of(file).splitlines()
            if line.strip() and not line.startswith(";")
        ]
        if not lines or min(map(len, lines)) < 2:
            raise ValueError(
                f"{printable(file)}: expected lines such as '14 | F | train-clean-360 | 25.03 | a name'"
            )
        rows = [(line[0], line[1]) for line in lines]
    sexes = {printable(speaker.strip()): sex.strip().lower() for speaker, sex in rows}
    odd = {speaker: sex for speaker, sex in sexes.items() if sex not in ("f", "m")}
    if odd:
        speaker, sex = next(iter(odd.items()))
        raise ValueError(
            f"{printable(file)}: speaker {speaker} has sex {sex!r}, expected f or m; leave out speakers with neither"
        )
    return sexes


def _digest(file: Path, frames: int) -> tuple[bytes, torch.Tensor]:
    """A hash of a file's samples, read a million at a time; and the first million of its first channel, ``[T]``."""
    digest, first = hashlib.sha256(), torch.zeros(0)
    for start in range(0, frames, PART):
        samples = read_frames(file, start, min(start + PART, frames))
        digest.update(samples.numpy().tobytes())
        if not start:
            first = samples[0] if samples.dim() > 1 else samples
    return digest.digest(), first
