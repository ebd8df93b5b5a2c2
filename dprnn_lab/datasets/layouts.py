"""What a tree of folders holds: mixtures with their sources, or a folder for each speaker.

A path one folder too high or too deep would train on the wrong thing without an error: parts of a corpus as speakers,
mixtures as voices. Here the tree is recognised, and refused with the folders near it that fit.

Notebook: 04_data
"""

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..audio import (
    AudioError,
    FolderContent,
    audio_files,
    audio_info,
    folder_content,
    subfolders,
    unread_text,
)
from ..error_texts import printable

__all__ = [
    "audio_by_speaker", "holds_mixtures", "is_mix", "layout_error", "missing_error", "mixture_folders", "near_mixtures",
    "source_folders",
]  # fmt: skip

SPEAKERS_EXPECTED = (
    "expected a folder for each speaker with .wav or .flac files in it (speaker/*.wav, or speaker/chapter/*.flac as in "
    "LibriSpeech/train-clean-100), at least two speakers"
)
# Names of the parts of a corpus: splits, versions, rates, and what belongs to mixtures.
PART = re.compile(
    r"((si_)?(tr|dt|et|cv|tt)(_[a-z])?|(train|training|trn|dev|devel|development|valid|validation|val|test|testing|tst|"
    r"eval|evaluation|adapt|adaptation)([-_.]?(clean|other|set|data|wav|\d+[hk]?|[a-z]))*|min|max|wav\d+k?(hz)?|"
    r"\d+k(hz)?|fold[-_]?\d+|split[-_]?\d+)",
    re.IGNORECASE,
)
MIXTURES = re.compile(r"(mix|mixes|mixture|mixtures|mixed)([-_].*)?", re.IGNORECASE)
SOURCE = re.compile(r"(s|src|source|spk|speaker)[-_]?(\d+)", re.IGNORECASE)
GROUP = re.compile(
    r"((dr|region|dialect|accent|group|grp|area|country|city|site|lab|batch|lang|language)[-_ ]?\w{0,12}|"
    r"(fe)?males?|(wo)?m[ae]n|girls?|boys?|children|adults|north(ern)?|south(ern)?|east(ern)?|west(ern)?|"
    r"english|german|french|spanish|italian|british|american|native|non-?native)",
    re.IGNORECASE,
)
SESSION = re.compile(
    r".*(session|chapter|take|part|rec|day|disc|cd|book|scene|wav|flac|audio|clean|mic|channel|room|set|story).*",
    re.IGNORECASE,
)
DEPTH = 4  # folders below the one given in which others that fit are looked for


def is_mix(name: str) -> bool:
    """Whether a folder's name is one of mixtures: ``mix``, ``mix_clean``, ``mix_both``."""
    return name == "mix" or name.startswith("mix_")


def source_folders(names: Sequence[str]) -> list[str]:
    """Those of the names that are ``s1``, ``s2`` and so on, in the order of their numbers."""
    numbered = [(int(name[1:]), name) for name in names if re.fullmatch(r"s[1-9]\d*", name, re.ASCII)]
    return [name for _, name in sorted(numbered)]


def holds_mixtures(folder: Path) -> bool:
    """Whether a folder has mixtures and sources: ``mix`` or ``mix_...``, and ``s1``."""
    names = _names(folder)
    return "s1" in names and any(map(is_mix, names))


def mixture_folders(root: Path, depth: int = DEPTH) -> list[Path]:
    """The folders under ``root`` that hold mixtures and sources."""
    return [folder for folder in _below(root, depth) if holds_mixtures(folder)]


def near_mixtures(root: Path) -> str:
    """The folders that hold mixtures, below a folder or above it, as the end of a message; "" if there are none."""
    found = mixture_folders(root) or [p for p in (root.parent, root.parent.parent) if holds_mixtures(p)]
    return f"; near it are mixtures and sources in {_some([str(f) for f in found])}" if found else ""


def missing_error(path: Path, expected: str) -> FileNotFoundError:
    """The error for a path where there is no folder, with near names."""
    shown = printable(path)
    if path.exists():
        return FileNotFoundError(f"{shown} is not a folder: {expected}")
    home = path
    while not home.is_dir() and home != home.parent:
        home = home.parent
    first = path.relative_to(home).parts[0] if path != home else path.name
    names = [p.name for p in _safely(home)]
    near = difflib.get_close_matches(first, names, 3, cutoff=0.5)
    meant = f"; did you mean {_some([str(home / name) for name in near])}?" if near else ""
    return FileNotFoundError(f"{shown} is not a folder, there is nothing of that name{meant}: {expected}")


def audio_by_speaker(
    root: Path, chosen: Sequence[str] | None = None
) -> tuple[dict[str, list[Path]], list[Path]]:
    """Speaker to audio files, sorted; and audio files of other kinds, such as .m4a, which are not read.

    Args:
        chosen: names of speakers, which say that these folders are speakers and not regions.

    Raises:
        FileNotFoundError: another layout; says what was found, and which folders near it fit.
        AudioError: a folder that can't be listed.
    """
    if not root.is_dir():
        raise missing_error(root, SPEAKERS_EXPECTED)
    folders = subfolders(root)
    names = [folder.name for folder in folders]
    _refuse_mixtures(root, folders)
    contents = {folder: folder_content(folder, recursive=True) for folder in folders}
    with_audio = [folder for folder in folders if contents[folder].audio]
    deep = next(
        (f for folder in with_audio for f in contents[folder].audio if len(f.relative_to(root).parts) > 3),
        None,
    )
    if deep is not None:
        raise layout_error(
            root,
            f"has audio {len(deep.relative_to(root).parts) - 1} folders deep ({printable(deep.relative_to(root))})",
        )
    _refuse_parts(root, with_audio)
    _refuse_groups(root, with_audio, contents, chosen or ())
    unread = [file for content in contents.values() for file in content.unread]
    if len(with_audio) < 2:
        loose = len(audio_files(root))
        inside = f"the folders {_some(names)}" if names else "no folders"
        also = f"; {unread_text(unread)}" if unread else ""
        raise layout_error(
            root,
            f"holds {inside}, {len(with_audio)} of them with audio, and {loose} audio files beside them{also}",
            near_mixtures(root),
        )
    return {printable(folder.name): contents[folder].audio for folder in with_audio}, unread


def layout_error(root: Path, found: str, mixtures: str = "") -> FileNotFoundError:
    """The error for a folder that is none of speakers, with those near it that fit."""
    near = [str(f) for f in _speaker_roots(root)]
    meant = f". Near it folders of speakers are in {_some(near)}" if near else ". Give a deeper folder"
    return FileNotFoundError(
        f"{printable(root)} {found}: {SPEAKERS_EXPECTED}{meant if near or 'deep' in found else ''}{mixtures}"
    )


def _refuse_mixtures(root: Path, folders: list[Path]) -> None:
    names = [folder.name for folder in folders]
    sources = source_folders(names)
    if sources and any(map(is_mix, names)):
        raise FileNotFoundError(
            f"{printable(root)} holds the folders {_some(names)}, which are ready mixtures and their sources: read "
            f"them with DiskMixtures. Here: {SPEAKERS_EXPECTED}"
        )
    below = mixture_folders(root)
    if below:
        raise FileNotFoundError(
            f"{printable(root)} holds the folders {_some(names)}, and in them ready mixtures with their sources, which "
            f"are no speakers: give one of {_some([str(f) for f in below])} (--data, and another as --valid-data)"
        )
    mixes = [name for name in names if MIXTURES.fullmatch(name)]
    if mixes:
        raise FileNotFoundError(
            f"{printable(root)} holds the folders {_some(names)}: {mixes[0]} is one of mixtures by its name and no "
            "speaker; for ready mixtures name the folders mix (or mix_clean, mix_both), s1, s2, ...; for speakers "
            "give it another name"
        )
    numbered = [folder for folder in folders if SOURCE.fullmatch(folder.name)]
    if len(numbered) > 1 and len(numbered) == len(folders) and _same_files(numbered):
        raise FileNotFoundError(
            f"{printable(root)} holds the folders {_some(names)} with files of the same names and lengths, which are "
            "the sources of ready mixtures and no speakers: give a folder that has their mixtures in mix beside s1, "
            f"s2, ...{near_mixtures(root)}"
        )


def _refuse_parts(root: Path, folders: list[Path]) -> None:
    """Splits of a corpus are no speakers: test data would be trained on."""
    parts = [folder.name for folder in folders if PART.fullmatch(folder.name)]
    if len(parts) > 1 or (parts and 2 * len(parts) >= len(folders)):
        raise layout_error(
            root,
            f"holds the folders {_some([f.name for f in folders])}, which are parts of a corpus and not speakers "
            f"({_some(parts)})",
        )


def _refuse_groups(
    root: Path, folders: list[Path], contents: dict[Path, FolderContent], chosen: Sequence[str]
) -> None:
    """Regions, sexes or languages with the speakers below them (TIMIT's dialects)."""
    if chosen or not folders:
        return
    inside = {
        folder: {
            f.relative_to(folder).parts[0]
            for f in contents[folder].audio
            if len(f.relative_to(folder).parts) > 1
        }
        for folder in folders
    }
    if not all(inside.values()):
        return  # audio lies in a folder itself: it is a speaker's
    every = [name for names in inside.values() for name in names]
    groups = [f for f in folders if GROUP.fullmatch(f.name)]
    # Chapters and sessions are numbered, or have names that return under each speaker.
    people = [n for n in every if re.fullmatch(r"[^\W\d_][^\W_]{0,11}", n) and not SESSION.fullmatch(n)]
    likely = (
        len(folders) <= 12
        and len(set(every)) == len(every) >= 2 * len(folders)
        and len(people) >= 0.8 * len(every)
    )
    if len(groups) == len(folders) or likely:
        first = folders[0]
        raise FileNotFoundError(
            f"{printable(root)} holds the folders {_some([f.name for f in folders])}, each with folders of its own "
            f"({printable(first.name)}: {_some(sorted(inside[first]))}), which look like the speakers: "
            f"{SPEAKERS_EXPECTED}. Give a deeper folder, such as {printable(first)}, or put the speakers side by side; "
            f"if {printable(first.name)} is a speaker, name all speakers (speakers=..., --speakers)"
        )


def _same_files(folders: list[Path]) -> bool:
    """Whether folders hold files of the same names, which are equally long."""
    files = [{f.stem: f for f in _audio(folder)} for folder in folders]
    common = set.intersection(*map(set, files))
    if not common or len(common) < 0.9 * max(map(len, files)):
        return False
    try:
        return all(len({audio_info(f[stem]).frames for f in files}) == 1 for stem in sorted(common)[:5])
    except AudioError:
        return False


def _speaker_roots(root: Path) -> list[Path]:
    """Folders below ``root`` with two or more folders that have audio in them, or in folders of theirs."""
    found: list[Path] = []
    for folder in _below(root, DEPTH):
        inside = [f for f in _folders(folder) if not (PART.fullmatch(f.name) or GROUP.fullmatch(f.name))]
        held = sum(bool(_audio(f)) or any(_audio(g) for g in _folders(f)) for f in inside[:3])
        if held > 1 and not any(other in folder.parents for other in found):
            found.append(folder)
        if len(found) == 6:
            break
    return found


def _below(root: Path, depth: int) -> Iterator[Path]:
    for folder in _folders(root)[:200] if depth else []:
        yield folder
        yield from _below(folder, depth - 1)


def _folders(folder: Path) -> list[Path]:
    try:
        return subfolders(folder)
    except AudioError:
        return []


def _audio(folder: Path) -> list[Path]:
    try:
        return audio_files(folder)
    except AudioError:
        return []


def _names(folder: Path) -> list[str]:
    return [f.name for f in _folders(folder)]


def _safely(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _some(names: Sequence[str | os.PathLike]) -> str:
    shown = [printable(name) for name in names]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
