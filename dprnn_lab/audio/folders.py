"""The audio files of a folder: which are read, which are passed over, and which are named because nothing reads them.

Notebook: 04_data
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from ..error_texts import printable
from .errors import AudioError

__all__ = [
    "AUDIO_ENDINGS",
    "FOREIGN_ENDINGS",
    "LOSSLESS_ENDINGS",
    "FolderContent",
    "audio_files",
    "folder_content",
    "is_passed_over",
    "subfolders",
    "unread_text",
]

LOSSLESS_ENDINGS = frozenset({".wav", ".flac"})  # of corpora and data sets
# Of formats whose header says all; soundfile names a format by one of its endings.
AUDIO_ENDINGS = frozenset(
    {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw", ".mat4", ".mat5"}
    | {".aif", ".oga", ".opus", ".wave", ".gsm", ".sph"}
)
# Of recordings that soundfile does not read: found in a folder, they are named and never just missing.
FOREIGN_ENDINGS = frozenset(
    f".{name}"
    for name in (
        "m4a",
        "m4b",
        "mp4",
        "aac",
        "wma",
        "amr",
        "3gp",
        "webm",
        "mka",
        "ac3",
        "dts",
        "ape",
        "alac",
        "tta",
        "wv",
        "shn",
    )
)  # fmt: skip
LEFT_BY_SYSTEMS = frozenset(
    {"thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "system volume information"}
)


@dataclass
class FolderContent:
    """What lies in a folder, for those who want its audio.

    Attributes:
        audio: files to read, sorted.
        unread: files that are audio by their ending and not among those wanted, sorted.
        passed_over: how many files there are of other systems, hidden ones, and files of zero bytes.
    """

    audio: list[Path] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    passed_over: int = 0


def is_passed_over(path: Path) -> bool:
    """Whether a file or folder is no one's data: hidden (macOS' ``._talk.wav``), or left by a system."""
    return path.name.startswith(".") or path.name.lower() in LEFT_BY_SYSTEMS


def folder_content(
    folder: str | os.PathLike, recursive: bool = False, endings: frozenset[str] = LOSSLESS_ENDINGS
) -> FolderContent:
    """The files of a folder by what becomes of them; ``recursive``: of its subfolders too, hidden ones excepted.

    A name that ends like audio and belongs to no file (a link to nothing, a pipe) is among ``audio``: reading it says
    what it is.

    Raises:
        AudioError: no folder, or one that can't be listed.
    """
    content = FolderContent()
    for path in _walk(Path(folder), recursive):
        ending = path.suffix.lower()
        if is_passed_over(path):
            content.passed_over += 1
        elif ending in endings:
            if _is_empty(path):
                content.passed_over += 1
            else:
                content.audio.append(path)
        elif ending in FOREIGN_ENDINGS or ending in AUDIO_ENDINGS:
            content.unread.append(path)
    content.audio.sort()
    content.unread.sort()
    return content


def audio_files(folder: str | os.PathLike, recursive: bool = False) -> list[Path]:
    """The .wav and .flac files of a folder, sorted; ``recursive``: of its subfolders too.

    Hidden files (macOS' ``._talk.wav``), hidden folders and files of zero bytes are passed over.

    Raises:
        AudioError: no folder, or one that can't be listed.
    """
    return folder_content(folder, recursive).audio


def subfolders(folder: str | os.PathLike) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones and those that systems leave behind.

    Raises:
        AudioError: no folder, or one that can't be listed.
    """
    return sorted(path for path in _entries(Path(folder)) if _is_folder(path) and not is_passed_over(path))


def unread_text(files: list[Path]) -> str:
    """A sentence on audio files that are not read: how many, of which kinds, and the first name."""
    kinds = sorted({file.suffix.lower() for file in files})
    count = f"{len(files)} files are" if len(files) > 1 else "1 file is"
    return (
        f"{count} {', '.join(kinds)} and not read ({printable(files[0])}): only .wav and .flac are; "
        "convert them with ffmpeg, or take them out"
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise AudioError(
            f"{folder}: the folder can't be listed ({error.strerror or error}); check the path and its permissions"
        ) from error


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    """Everything in a folder that is no folder."""
    for path in _entries(folder):
        if _is_folder(path):
            # Links to folders are not followed, as before: they may lead in a circle.
            if recursive and not is_passed_over(path) and not path.is_symlink():
                yield from _walk(path, recursive)
        else:
            yield path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no permission: whoever reads it says so
        return False


def _is_empty(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size == 0
    except OSError:
        return False
