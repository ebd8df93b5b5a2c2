"""The errors that everything in this room raises.

Texts in a checkpoint are somebody else's: a name in it may hold commands for the terminal, or a million letters. Every
message is therefore one line of printable characters and of limited length.
"""

import os

from ..error_texts import printable

__all__ = ["CheckpointError", "DamagedError", "NotWrittenError", "RefusedError", "short"]

LONGEST = 2000  # characters of a message


def short(text: object, limit: int = 120) -> str:
    """Printable, and cut in its middle if it is longer than ``limit`` characters."""
    text = str(text)
    if len(text) > limit:
        text = f"{text[: limit // 2]} ... {text[len(text) - limit // 4 :]}"
    return printable(text)


class CheckpointError(ValueError):
    """A checkpoint that can't be loaded as it is; the message names the file, the reason and the remedy."""

    def __init__(self, message: object = ""):
        super().__init__(short(message, LONGEST))


class DamagedError(CheckpointError):
    """The file is cut off or changed: another copy is needed."""


class RefusedError(CheckpointError):
    """Reading the file could run code, or fill the memory: nothing of it was used."""


class NotWrittenError(OSError, CheckpointError):
    """A file that could not be written; ``errno`` and ``filename`` are those of the system's error."""

    def __init__(self, path: str | os.PathLike, error: OSError):
        reason = error.strerror or type(error).__name__
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "its folder is a file"
        OSError.__init__(
            self, short(f"{path}: not written: {reason}. Choose another place, or make room there", LONGEST)
        )
        self.errno, self.strerror, self.filename = error.errno, error.strerror, os.fspath(path)

    def __str__(self) -> str:
        return str(self.args[0])
