"""Errors as sentences, names of files as text that can be printed, and near names for mistyped ones.

Notebook: 05_training
"""

import difflib
import errno
import os
import unicodedata
from pathlib import Path

__all__ = ["explained", "near_name", "printable"]

REMEDIES = {
    errno.ENOSPC: "free some space, or choose another place",
    errno.EDQUOT: "free some space, or choose another place",
    errno.EFBIG: "the limit of file sizes is reached (ulimit -f)",
    errno.EACCES: "check its permissions, or choose another place",
    errno.EPERM: "check its permissions, or choose another place",
    errno.EROFS: "choose another place",
    errno.EEXIST: "a file is there where a folder is needed; choose another name",
    errno.ENOTDIR: "a file is there where a folder is needed; choose another name",
    errno.EISDIR: "give a file",
    errno.ENOENT: "check the name, and that it was not removed meanwhile",
    errno.EMFILE: "close other files, or raise the limit (ulimit -n)",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def explained(error: BaseException) -> str:
    """An exception as a sentence: for one of the operating system the path, the reason and what to do.

    >>> explained(OSError(errno.ENOSPC, "No space left on device", "out/a.wav"))
    'out/a.wav: no space left on device; free some space, or choose another place'
    """
    notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
    text = str(error).strip() or type(error).__name__
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and " memory" in text.lower()):
        text = (
            "out of memory: close other programs, or give shorter, smaller or fewer pieces of work at a time"
        )
    elif isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        reason = error.strerror[0].lower() + error.strerror[1:]
        remedy = REMEDIES.get(error.errno or 0)
        text = f"{where}{reason}" if remedy is None or ";" in reason else f"{where}{reason}; {remedy}"
    return text.rstrip(".") + notes if notes else text


def near_name(path: str | os.PathLike) -> Path | None:
    """For a path that does not exist, one of a similar name that does; None if nothing comes near."""
    path = Path(path)
    try:
        for known in reversed(path.parents):
            rest = path.relative_to(known).parts
            if not rest or (known / rest[0]).exists() or not known.is_dir():
                continue
            names = sorted(f.name for f in known.iterdir() if not f.name.startswith("."))
            near = difflib.get_close_matches(rest[0], names, 3, cutoff=0.6)
            whole = [n for n in near if (known / n).joinpath(*rest[1:]).exists()]
            return known.joinpath(whole[0], *rest[1:]) if whole else known / near[0] if near else None
    except OSError:  # a folder that can't be listed
        pass
    return None


def printable(text: object, lines: bool = False) -> str:
    """Text from data or file names, with what a terminal would obey or can't show escaped; ``lines`` keeps newlines.

    Escaped are control characters, invisible ones and those that reverse the direction of text, and the surrogates that
    stand for bytes of a file name that are not UTF-8.

    >>> printable("caf\\udce9 \\x1b[31m")
    'caf\\\\xe9 \\\\x1b[31m'
    """
    text = str(text)
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(c if c in kept or _is_shown(c) else _escape(c) for c in text)


def _is_shown(character: str) -> bool:
    """Spaces of other scripts are shown; Python calls only the ASCII one printable."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
