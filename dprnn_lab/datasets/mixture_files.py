"""The files of mixtures on disk: found in folders, or named by a list.

Notebook: 04_data
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from ..audio import folder_content, subfolders, unread_text
from ..error_texts import printable
from .layouts import is_mix, missing_error, near_mixtures, source_folders
from .notes import SKIP_BAD, note
from .tables import Row, read_table, table_columns

__all__ = ["FoundMixtures", "MixtureFiles", "find_mixtures", "lists_mixtures"]

MixtureFiles = tuple[str, str, Path, tuple[Path, ...]]  # id, kind, mixture, sources


@dataclass
class FoundMixtures:
    """The files of each mixture, the (file, reason) of those left out, and remarks."""

    rows: list[MixtureFiles] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_mixtures(path: Path, mix: str | None = None, skip_bad: bool = False) -> FoundMixtures:
    """The files of the mixtures of a folder or a CSV; arguments and errors are those of :class:`.DiskMixtures`."""
    if path.suffix.lower() == ".csv" and path.is_file():
        if mix is not None:
            raise ValueError(
                f"mix is {mix!r} (--mix), and {printable(path)} is a list, which names its mixtures itself: leave "
                "mix out"
            )
        return _of_csv(path, skip_bad)
    if path.is_dir():
        return _of_folders(path, mix, skip_bad)
    if path.exists():
        raise FileNotFoundError(f"{printable(path)}: neither a folder nor a CSV file; give one of them")
    raise missing_error(path, "neither a folder nor a CSV file; give one of them")


def lists_mixtures(path: Path) -> bool:
    """Whether a CSV lists files of mixtures and sources, and not segments of a corpus.

    Raises:
        FileNotFoundError, ValueError: no such file, or no text.
    """
    return "mixture_path" in table_columns(path)


def _of_folders(root: Path, mix: str | None, skip_bad: bool) -> FoundMixtures:
    found = FoundMixtures()
    inside = [f.name for f in subfolders(root)]
    mixes = [name for name in inside if is_mix(name)]
    sources = source_folders(inside)
    if not mixes or not sources or (mix is not None and mix not in inside):
        wanted = mix or "mix, mix_clean or mix_both"
        raise FileNotFoundError(
            f"{printable(root)} holds the folders {printable(', '.join(inside)) or '(none)'}: expected {wanted}, "
            "and s1, s2, ... beside it (wav8k/min/tt of WHAM! and wsj0-2mix, wav8k/min/test of LibriMix)"
            f"{near_mixtures(root)}"
        )
    if mix is None and len(mixes) > 1:
        raise ValueError(
            f"{printable(root)} holds {printable(', '.join(mixes))}: choose one with mix=... (--mix)"
        )
    mix = mix or mixes[0]
    files = {name: _audio_files(root / name, found.notes) for name in (mix, *sources)}
    if not files[mix]:
        raise FileNotFoundError(f"{printable(root / mix)} holds no .wav or .flac file")
    for name in sources:
        odd = sorted(files[mix].keys() ^ files[name].keys())
        if odd and not skip_bad:
            raise ValueError(
                f"{len(odd)} files are in only one of {mix} and {name} ({printable(odd[0])}, ...): every mixture "
                f"needs a file of its name in each source's folder, with samples in it{SKIP_BAD}"
            )
        for stem in files[mix].keys() & set(odd):
            found.left_out.append((files[mix].pop(stem), f"{name} has no file of its name"))
    found.rows = [
        (printable(stem), mix, file, tuple(files[s][stem] for s in sources))
        for stem, file in files[mix].items()
    ]
    return found


def _audio_files(folder: Path, notes: list[str]) -> dict[str, Path]:
    content = folder_content(folder)
    if content.unread:
        note(notes, unread_text(content.unread))
    files: dict[str, Path] = {}
    for file in content.audio:
        if (other := files.setdefault(file.stem, file)) != file:
            raise ValueError(f"{printable(other)} and {printable(file)} have one name: take one of them out")
    return files


def _of_csv(path: Path, skip_bad: bool) -> FoundMixtures:
    found = FoundMixtures()
    columns = table_columns(path)
    numbers = sorted(
        int(m[1]) for name in columns if (m := re.fullmatch(r"source_([1-9]\d{0,3})_path", name))
    )
    sources = [f"source_{number}_path" for number in numbers]
    if "mixture_path" not in columns or not sources:
        raise ValueError(
            f"{printable(path)} has the columns {printable(', '.join(columns)) or '(none)'}: expected mixture_path, "
            "source_1_path, source_2_path, ... and, for the names, mixture_ID"
        )
    for row in read_table(path, what="mixtures"):
        try:
            found.rows.append(_row_of_csv(row, sources))
        except ValueError as error:
            if not skip_bad:
                raise ValueError(f"{error}{SKIP_BAD}") from error
            found.left_out.append((path, str(error)))
    return found


def _row_of_csv(row: Row, sources: list[str]) -> MixtureFiles:
    mixture = row.path("mixture_path")
    name = row.get("mixture_ID") or mixture.stem
    return printable(name), row.file.stem, mixture, tuple(row.path(column) for column in sources)
