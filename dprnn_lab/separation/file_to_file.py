"""From audio files to a file per speaker: any length in bounded memory, resumable.

The windows' estimates are kept on disk in a hidden folder beside the output. Speakers can then be tracked with
the whole recording as evidence (:mod:`dprnn_lab.separation.speaker_tracking`) while a few windows at a time are in
memory, and an interrupted run continues after its last finished window, with the same output as an uninterrupted
one. The folder takes 7 to 9 bytes per sample and speaker, and is removed at the end.

Windows are computed several at a time (:mod:`dprnn_lab.separation.parallel`): those of one file, and at its end
already those of the next files of a list.

Notebook: 09_long_audio
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import torch

from ..audio import AudioError
from ..error_texts import explained
from ..model import DPRNNTasNet
from ..model.precision import resolve_precision
from .inputs import check_outputs, find_audio, output_paths
from .one_file import FileOptions, OneFile, Separated
from .parallel import check_compute, estimates_of
from .windows import WINDOW_SECONDS, Progress

__all__ = ["Separated", "find_audio", "output_paths", "separate_file", "separate_files"]

FAILURES = (ValueError, OSError, MemoryError, RuntimeError)  # of one file, which do not stop the others
Read = Callable[[], torch.Tensor]


def separate_files(
    model: DPRNNTasNet,
    sources: Iterable[str | os.PathLike],
    out: str | os.PathLike | None = None,
    *,
    recursive: bool = False,
    progress: Callable[[Path], Progress] | None = None,
    workers: int | None = None,
    precision: str = "auto",
    **options: Any,
) -> Iterator[Separated]:
    """Separate files, and the audio files of folders, in their order; a bad file does not stop the others.

    Args:
        sources: files and folders (:func:`find_audio`).
        out: folder for the outputs; beside each input when None.
        recursive: include subfolders; ``out`` gets the same subfolders.
        progress: called with each file; returns the ``progress`` of its :func:`separate_file`.
        workers, precision: as for :func:`separate_file`. The windows of several short files are computed at a time.
        **options: of :func:`separate_file`.

    Yields:
        one result per file; one that failed has ``error`` set.

    Raises:
        AudioError: an impossible number of workers, or an unknown precision.
    """
    check_compute(workers, precision)
    files = _Files(model, find_audio(sources, recursive), out, precision, options)
    if len(files.waiting) == 1:  # nothing to compute beside it
        source, _ = files.waiting[0]
        try:
            folder, _ = files.place()
            report = False if progress is None else progress(source)
            yield separate_file(
                model, source, folder, progress=report, workers=workers, precision=precision, **options
            )
        except FAILURES as error:
            yield Separated(source, error=explained(error), cause=error)
        return
    try:
        while files.waiting:
            yield from _round(files, progress, workers)
    finally:
        files.remove_empty_folders()


def separate_file(
    model: DPRNNTasNet,
    source: str | os.PathLike,
    folder: str | os.PathLike | None = None,
    *,
    resample: bool = False,
    mono: str | None = None,
    scale: str = "mixture",
    window: float | None = WINDOW_SECONDS,
    tracking: str = "profiles",
    float_samples: bool = False,
    force: bool = False,
    workers: int | None = None,
    precision: str = "auto",
    progress: bool | Progress = False,
) -> Separated:
    """Separate a file into ``NAME_s1.wav``, ``NAME_s2.wav`` and so on, a WAV file per speaker.

    Args:
        folder: for the outputs, created if missing; beside the input when None.
        resample, mono, scale, window, tracking, workers: as for :func:`separate <dprnn_lab.separate>`. At most
            ``workers + 1`` windows are in memory.
        float_samples: write 32-bit floating point instead of 16-bit PCM.
        force: overwrite.
        precision: "auto" is "bfloat16" where the processor or GPU computes in it, else "float32". An interrupted run
            is continued in the same precision only.
        progress: True shows a tqdm bar; a function is called after each window with the number done and the
            total. An exception in it interrupts the run; the same call continues it.

    Raises:
        AudioError: audio that does not suit the model, an unknown option, or an output that exists, with the remedy.
    """
    check_compute(workers, precision)
    source = Path(source)
    options = FileOptions(
        resample=resample, mono=mono, scale=scale, window=window, tracking=tracking, float_samples=float_samples,
        force=force,
    )  # fmt: skip
    folder = source.parent if folder is None else Path(folder)
    file = OneFile(model, source, folder, _resolved(model, precision), options)
    try:
        file.show(progress)
        with closing(estimates_of(model, file.windows(), workers, file.precision)) as results:
            for k, estimates in results:
                file.take(k, estimates.result)
        return file.finish()
    except BaseException as error:
        if not file.over:
            file.abandon(error)
        raise


class _Files:
    """The files of a call of :func:`separate_files`: those that wait, and what is known of the others' outputs."""

    def __init__(
        self,
        model: DPRNNTasNet,
        found: Iterable[tuple[Path, Path]],
        out: str | os.PathLike | None,
        precision: str,
        options: dict[str, Any],
    ) -> None:
        self.model, self.out, self.options = model, None if out is None else Path(out), options
        self.waiting = deque(found)
        self.precision = _resolved(model, precision)
        self.inputs = [source for source, _ in self.waiting]
        self.written: dict[Path, Path] = {}  # output to input
        self.new_folders: dict[Path, None] = {}  # that did not exist, the innermost first

    def place(self) -> tuple[Path, tuple[Path, ...]]:
        """The folder and the outputs of the first file that waits.

        Raises:
            AudioError: no such file, or an output that is an input or another file's output.
        """
        source, subfolder = self.waiting[0]
        folder = source.parent if self.out is None else self.out / subfolder
        if source.is_dir() or not os.path.lexists(source):
            what = (
                "the folder can't be listed; check its permissions"
                if source.is_dir()
                else "no such file or folder"
            )
            raise AudioError(f"{source}: {what}")
        outputs = output_paths(source, folder, self.model.n_src)
        for path in outputs:
            if (other := self.written.setdefault(path, source)) != source:
                raise AudioError(
                    f"{source}: {path} was just written from {other}; give one of the two another name"
                )
        check_outputs(source, outputs, self.inputs)
        return folder, outputs

    def open(self, folder: Path) -> OneFile:
        """The first file that waits, opened."""
        new = [place for place in (folder, *folder.parents) if not place.exists()]
        options = FileOptions(**self.options)
        file = OneFile(self.model, self.waiting[0][0], folder, self.precision, options)
        self.new_folders.update(dict.fromkeys(new))
        return file

    def remove_empty_folders(self) -> None:
        """Those that were made for files of which none was separated."""
        for folder in sorted(self.new_folders, key=lambda place: -len(place.parts)):
            with suppress(OSError):  # not empty, or gone
                folder.rmdir()


def _round(
    files: _Files, progress: Callable[[Path], Progress] | None, workers: int | None
) -> Iterator[Separated]:
    """Separate the files that wait, up to one whose outputs are being written in this round: a file given twice."""
    under_way: list[OneFile] = []

    def windows() -> Iterator[tuple[tuple[OneFile | Separated, int | None], Read]]:
        """The windows of one file after the other; without any, and for a failure, one call that computes nothing."""
        while files.waiting:
            source, _ = files.waiting[0]
            try:
                folder, outputs = files.place()
                if any(outputs == file.outputs for file in under_way):
                    return
                file = files.open(folder)
            except FAILURES as error:
                files.waiting.popleft()
                yield (Separated(source, error=explained(error), cause=error), None), _nothing
                continue
            files.waiting.popleft()
            under_way.append(file)
            if not file.missing:
                yield (file, None), _nothing
            yield from (((file, k), read) for k, read in file.windows())

    try:
        with closing(estimates_of(files.model, windows(), workers, files.precision)) as results:
            for (file, k), estimates in results:
                if isinstance(file, Separated):
                    yield file
                elif not file.over:
                    try:
                        if not file.shown:
                            file.show(False if progress is None else progress(file.source))
                        if k is not None:
                            file.take(k, estimates.result)
                        if file.missing:
                            continue
                        result = file.finish()
                    except FAILURES as error:
                        if not file.over:
                            file.abandon(error)
                        result = Separated(file.source, error=explained(error), cause=error)
                    under_way.remove(file)
                    yield result
    except BaseException as error:
        for file in under_way:
            if not file.over:
                file.abandon(error)
        raise


def _nothing() -> torch.Tensor:
    raise LookupError("there is no window to compute")  # nobody asks for the result


def _resolved(model: DPRNNTasNet, precision: str) -> str:
    return resolve_precision(precision, next(model.parameters()).device)
