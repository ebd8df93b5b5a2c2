"""Opening an audio file: one sentence for whatever is no audio, and headers that do not know or do not tell the length.

Encoders that write into a pipe cannot return to the header: FLAC then says that its length is not known, WAV says 0 or
a number as large as fits. Such files are read like all others: the length is counted.

Notebook: 04_data
"""

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import soundfile

from ..error_texts import printable
from .errors import AudioError

__all__ = ["AudioInfo", "audio_info", "opened"]

UNKNOWN = 2**63 - 1  # libsndfile's length of a file that does not tell it
BLOCK = 65_536  # samples of all channels that are decoded at once
LARGEST_PART = 4096 * 4  # samples per byte: a block of silence is the least that FLAC writes
MOST_HOURS = 200.0
MOST_CHANNELS = 256
STREAMED = 2**31 - 2**20  # bytes of samples, from which on a WAV header means "to the end of the file"


class AudioInfo(NamedTuple):
    """What a file holds; ``frames`` is its length T in samples of one channel."""

    frames: int
    rate: int  # Hz
    channels: int
    seekable: bool


class _File(soundfile.SoundFile):
    """A file that is read to its end whatever the header says of it.

    soundfile seeks after each read of a seekable file, which fails at the end of one with a wrong header.
    """

    counted: int | None = None
    can_seek = True

    @property
    def frames(self) -> int:
        return super().frames if self.counted is None else self.counted

    def seekable(self) -> bool:
        return False


class _Patched(io.RawIOBase):
    """A file with a few bytes replaced, such as a length in its header."""

    def __init__(self, path: Path, start: int, content: bytes) -> None:
        self.file, self.start, self.content = path.open("rb"), start, content

    def readinto(self, buffer) -> int:
        begin = self.file.tell()
        count = self.file.readinto(buffer) or 0
        for i, byte in enumerate(self.content, self.start):
            if begin <= i < begin + count:
                buffer[i - begin : i - begin + 1] = bytes([byte])  # soundfile's buffer takes bytes only
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data) -> int:  # soundfile asks for it, and never calls it
        raise io.UnsupportedOperation("write")

    def close(self) -> None:
        self.file.close()
        super().close()


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[soundfile.SoundFile]:
    """An audio file opened for reading; an error of soundfile inside the block becomes an AudioError.

    ``frames`` is the length that can be read. Read with a number of frames: ``read(frames)``.

    Raises:
        AudioError: no file, not an audio file, or a header with impossible numbers.
    """
    path = Path(path)
    size = _check_file(path)
    file = None
    try:
        with _source(path, size) as source, _File(source) as file:
            _check_header(path, size, file)
            yield file
    except (soundfile.LibsndfileError, TypeError, OSError) as error:  # TypeError: headerless .raw
        raise _explained(path, file, error) from error


def audio_info(path: str | os.PathLike) -> AudioInfo:
    """Length, rate and channels of a file, as :func:`opened` finds them.

    Raises:
        AudioError: as :func:`opened` does.
    """
    with opened(path) as file:
        return AudioInfo(file.frames, file.samplerate, file.channels, soundfile.SoundFile.seekable(file))


def _check_file(path: Path) -> int:
    """The size of a file in bytes.

    Raises:
        AudioError: nothing there, or something that is no file.
    """
    try:
        status = path.stat()
    except ValueError as error:  # a zero byte in the name
        raise AudioError(f"{path!r}: no file has such a name ({error})") from error
    except FileNotFoundError:
        where = f": it is a link to {os.readlink(path)}, which does not exist" if path.is_symlink() else ""
        raise AudioError(f"{path}: no such file{where}; give the path of an audio file") from None
    except OSError as error:
        raise AudioError(
            f"{path}: no such file can be reached ({error.strerror or error}); check the path and its permissions"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or device"
        raise AudioError(
            f"{path}: no such file, it is {kind}; give the path of an audio file (save a stream to one first)"
        )
    return status.st_size


def _check_header(path: Path, size: int, file: _File) -> None:
    """Refuse a header with numbers that no recording has, before anything of their size is allocated."""
    if file.channels > MOST_CHANNELS:
        raise AudioError(
            f"{path}: {file.channels} channels by its header, more than {MOST_CHANNELS}: the header is wrong; export "
            "the file again"
        )
    file.can_seek = soundfile.SoundFile.seekable(file)
    if file.frames == UNKNOWN:
        file.counted = _count(path, size, os.stat(path).st_mtime_ns)
    hours = file.frames / file.samplerate / 3600
    if file.frames > size * LARGEST_PART:
        raise AudioError(
            f"{path}: {file.frames} samples by its header, and {size} bytes can't hold them: it was cut off, or the "
            "header is wrong; copy or export it again"
        )
    if hours > MOST_HOURS and file.samplerate >= 1000:
        raise AudioError(
            f"{path}: {hours:.0f} hours by its header, more than {MOST_HOURS:g}: split the file first "
            "(ffmpeg -f segment)"
        )


@lru_cache(maxsize=1024)
def _count(path: Path, size: int, changed: int) -> int:
    """The frames of a file that does not tell, decoded block by block; ``size`` and ``changed`` renew the cache."""
    with _File(os.fsencode(path) if os.name != "nt" else path) as file:
        block, frames = max(1, BLOCK // file.channels), 0
        most = MOST_HOURS * 3600 * file.samplerate
        while frames <= most:
            read = len(file.read(block, dtype="int16", always_2d=True))
            frames += read
            if read < block:
                break
        return frames


@contextmanager
def _source(path: Path, size: int) -> Iterator[bytes | str | _Patched]:
    """What soundfile opens: the path as bytes, for names that are not UTF-8, or the file with its header mended."""
    patch = _missing_length(path, size)
    if patch is None:
        yield os.fsencode(path) if os.name != "nt" else str(path)
        return
    file = _Patched(path, *patch)
    try:
        yield file
    finally:
        file.close()


def _missing_length(path: Path, size: int) -> tuple[int, bytes] | None:
    """Place and bytes of the length that the header of a streamed WAV lacks; None for all others.

    libsndfile takes lengths that are too large for "to the end", and 0 for none. A WAV that was cut off
    is named by a warning.
    """
    with path.open("rb") as file:
        if file.read(4) != b"RIFF" or file.read(8)[4:] != b"WAVE":
            return None
        while len(head := file.read(8)) == 8:
            length, here = int.from_bytes(head[4:], "little"), file.tell()
            if head[:4] == b"data":
                rest = size - here
                if length == 0 and rest and not _is_chunk(file.read(8), rest):
                    return here - 4, min(rest, 2**32 - 1).to_bytes(4, "little")
                if rest < length < STREAMED:
                    warnings.warn(
                        f"{printable(path)}: the header says {length} bytes of samples, {rest} are there: the file was "
                        "cut off, and is used as it is; copy or record it again for the rest",
                        stacklevel=2,
                    )
                return None
            file.seek(here + length + length % 2)
    return None


def _is_chunk(head: bytes, rest: int) -> bool:
    """Whether bytes after an empty ``data`` chunk are the next chunk of the WAV, and not samples."""
    name, length = head[:4], int.from_bytes(head[4:], "little")
    return len(head) == 8 and name.isalnum() and name.isascii() and length + 8 <= rest


def _explained(path: Path, file: _File | None, error: Exception) -> AudioError:
    """The error of soundfile or of the system as a sentence."""
    if isinstance(error, OSError):
        return AudioError(
            f"{path}: can't be read ({error.strerror or error}); check its permissions and disk"
        )
    text = getattr(error, "error_string", str(error))
    if file is not None:
        return AudioError(
            f"{path}: damaged or cut off: the header says {file.frames} samples, and reading them fails ({text}); "
            "copy or record it again"
        )
    try:
        with path.open("rb") as content:
            head, size = content.read(4), path.stat().st_size
    except OSError as reason:
        return AudioError(f"{path}: can't be read ({reason.strerror or reason}); check its permissions")
    if size == 0:
        return AudioError(f"{path}: an empty file (0 bytes): record or copy it again")
    if "SF_INFO struct incomplete" in text:
        text = "its header has no possible sample rate, number of channels or length."
    return AudioError(
        f"{path}: not readable as audio ({size} bytes, beginning with {head!r}): {text} Convert it to WAV or FLAC first"
    )
