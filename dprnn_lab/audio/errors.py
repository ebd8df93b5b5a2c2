"""The error of audio that can't be used.

Notebook: 04_data
"""

from ..error_texts import printable

__all__ = ["AudioError"]


class AudioError(ValueError):
    """Audio that can't be used as it is; the message names the value, the reason and the remedy.

    It can be pickled. Where a process of a DataLoader raises it, PyTorch makes a new one of the traceback's text: the
    message is then the sentence at its end.
    """

    def __init__(self, message: str) -> None:
        if message.startswith(f"Caught {type(self).__name__} in "):
            message = message.rpartition(f"{type(self).__name__}: ")[2].strip()
        super().__init__(printable(message, lines=True))
