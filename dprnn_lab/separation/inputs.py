"""Which files a separation reads, which it writes, and whether a file stayed the same meanwhile.

Notebook: 09_long_audio
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..audio import AUDIO_ENDINGS, FOREIGN_ENDINGS, AudioError

__all__ = ["SourceFile", "check_outputs", "find_audio", "output_paths"]


def find_audio(sources: Iterable[str | os.PathLike], recursive: bool = False) -> Iterator[tuple[Path, Path]]:
    """Each file with its subfolder, relative to the folder given.

    A file given by name is yielded whatever it is. Of a folder, the files with an ending of audio are, sorted, except
    hidden ones and outputs of a separation (``talk_s1.wav`` beside ``talk.flac``): also formats that can't be read
    (.m4a), links to nothing, and folders that can't be listed, so that reading them says why.
    """
    for source in map(Path, sources):
        if not source.is_dir():
            yield source, Path()
            continue
        for path in sorted(_inside(source, recursive)):
            inside = path.relative_to(source)
            if not any(part.startswith(".") for part in inside.parts) and not _is_output(path):
                yield path, inside.parent


def _inside(folder: Path, recursive: bool) -> Iterator[Path]:
    """Files with an ending of audio, and folders that can't be listed."""
    denied: list[OSError] = []
    for where, folders, files in os.walk(folder, onerror=denied.append):
        if not recursive:
            folders.clear()
        for name in files:
            if Path(name).suffix.lower() in AUDIO_ENDINGS | FOREIGN_ENDINGS:
                yield Path(where, name)
    for error in denied:
        yield Path(os.fsdecode(error.filename))


def _is_output(path: Path) -> bool:
    match = re.fullmatch(r"(.+)_s\d+", path.stem)
    return match is not None and any(
        (path.parent / f"{match[1]}{ending}").is_file()
        for ending in {*AUDIO_ENDINGS, *map(str.upper, AUDIO_ENDINGS)}
    )


def output_paths(source: Path, folder: Path, sources: int) -> tuple[Path, ...]:
    """``NAME_s1.wav``, ``NAME_s2.wav`` and so on.

    >>> [path.name for path in output_paths(Path("talk.flac"), Path("out"), 2)]
    ['talk_s1.wav', 'talk_s2.wav']
    """
    return tuple(folder / f"{source.stem}_s{j + 1}.wav" for j in range(sources))


def check_outputs(source: Path, outputs: Sequence[Path], inputs: Iterable[Path] = ()) -> None:
    """Raise an AudioError for an output that is the input itself, or another input of the same call."""
    files = {os.path.realpath(path): path for path in (*inputs, source)}
    for output in outputs:
        same = files.get(os.path.realpath(output))
        if same is None and output.exists() and source.exists() and output.samefile(source):
            same = source
        if same is not None:
            raise AudioError(
                f"{source}: its output {output} is {'the same file' if same == source else 'also an input'}; choose "
                "another folder with out=..., or another name"
            )


class SourceFile:
    """A file as it is now: to see at the end whether it was replaced, written to or deleted meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = self._look()

    def _look(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns, status.st_ino

    def change(self) -> str | None:
        """What happened to the file, or None."""
        now = self._look()
        return None if now == self.state else "deleted" if now is None else "replaced or written to"

    def check(self) -> None:
        """Raise an AudioError if the file is no longer the same."""
        if (change := self.change()) is not None:
            raise AudioError(
                f"{self.path}: was {change} while it was separated, so nothing was written: give it again when it is "
                "complete"
            )
