"""The error of audio that can't be used, and names of files as they can be printed.

Notebook: 04_data
"""

import os

__all__ = ["AudioError", "printable"]


class AudioError(ValueError):
    """Audio that can't be used as it is; the message names the value, the reason and the remedy.

    It can be pickled. Where a process of a DataLoader raises it, PyTorch makes a new one of the traceback's text: the
    message is then the sentence at its end.
    """

    def __init__(self, message: str) -> None:
        if message.startswith(f"Caught {type(self).__name__} in "):
            message = message.rpartition(f"{type(self).__name__}: ")[2].strip()
        super().__init__(printable(message))


def printable(name: str | os.PathLike) -> str:
    r"""A name or message as text that can be printed: control characters and bytes that are not UTF-8 are escaped.

    >>> print(printable("caf\udce9.wav"))
    caf\xe9.wav
    """
    text = os.fspath(name) if isinstance(name, os.PathLike) else name
    text = (
        text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if not text.isascii()
        else text
    )
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
