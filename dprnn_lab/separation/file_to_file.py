"""From audio files to a file per speaker: any length in bounded memory, resumable.

The windows' estimates are kept on disk in a hidden folder beside the output. Speakers can then be tracked with
the whole recording as evidence (:mod:`dprnn_lab.separation.speaker_tracking`) while two windows at a time are in
memory, and an interrupted run continues after its last finished window, with the same output as an uninterrupted
one. The folder takes 7 to 9 bytes per sample and speaker, and is removed at the end.

Notebook: 09_long_audio
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..audio import PEAK, AudioError
from ..error_texts import explained
from ..files import locked, made_folder
from ..model import DPRNNTasNet
from .audio_stream import AudioStream
from .inputs import SourceFile, check_outputs, find_audio, output_paths
from .job import Job
from .remarks import cancelling_in_file, on_silence
from .rescaling import MixtureFit, check_scale
from .speaker_tracking import check_tracking, track_speakers
from .windows import (
    WINDOW_SECONDS,
    Progress,
    Window,
    estimate_window,
    overlap_add,
    reporting,
    windows_for,
)

__all__ = ["Separated", "find_audio", "output_paths", "separate_file", "separate_files"]


@dataclass(frozen=True)
class Separated:
    """The result of one file."""

    source: Path
    outputs: tuple[Path, ...] = ()
    seconds: float = 0.0
    windows: int = 0
    notes: list[str] = field(default_factory=list)  # remarks for the user
    error: str | None = None  # why the file failed
    cause: Exception | None = field(default=None, repr=False, compare=False)  # the exception behind it
    rate: float = 0.0  # Hz, of the input


def separate_files(
    model: DPRNNTasNet,
    sources: Iterable[str | os.PathLike],
    out: str | os.PathLike | None = None,
    *,
    recursive: bool = False,
    progress: Callable[[Path], Progress] | None = None,
    **options: Any,
) -> Iterator[Separated]:
    """Separate files, and the audio files of folders, one after the other; a bad file does not stop the others.

    Args:
        sources: files and folders (:func:`find_audio`).
        out: folder for the outputs; beside each input when None.
        recursive: include subfolders; ``out`` gets the same subfolders.
        progress: called with each file; returns the ``progress`` of its :func:`separate_file`.
        **options: of :func:`separate_file`.

    Yields:
        one result per file; one that failed has ``error`` set.
    """
    written: dict[Path, Path] = {}
    found = list(find_audio(sources, recursive))
    inputs = [source for source, _ in found]
    for source, subfolder in found:
        folder = source.parent if out is None else Path(out) / subfolder
        try:
            if source.is_dir() or not os.path.lexists(source):
                what = (
                    "the folder can't be listed; check its permissions"
                    if source.is_dir()
                    else "no such file or folder"
                )
                raise AudioError(f"{source}: {what}")
            outputs = output_paths(source, folder, model.n_src)
            for path in outputs:
                if (other := written.setdefault(path, source)) != source:
                    raise AudioError(
                        f"{source}: {path} was just written from {other}; give one of the two another name"
                    )
            check_outputs(source, outputs, inputs)
            report = False if progress is None else progress(source)
            yield separate_file(model, source, folder, progress=report, **options)
        except (ValueError, OSError, MemoryError, RuntimeError) as error:
            yield Separated(source, error=explained(error), cause=error)


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
    progress: bool | Progress = False,
) -> Separated:
    """Separate a file into ``NAME_s1.wav``, ``NAME_s2.wav`` and so on, a WAV file per speaker.

    Args:
        folder: for the outputs, created if missing; beside the input when None.
        resample, mono, scale, window, tracking: as for :func:`separate <dprnn_lab.separate>`.
        float_samples: write 32-bit floating point instead of 16-bit PCM.
        force: overwrite.
        progress: True shows a tqdm bar; a function is called after each window with the number done and the
            total. An exception in it interrupts the run; the same call continues it.

    Raises:
        AudioError: audio that does not suit the model, an unknown option, or an output that exists, with the remedy.
    """
    check_scale(scale)
    check_tracking(tracking)
    source = Path(source)
    state = SourceFile(source)
    stream = AudioStream(source, model.sample_rate, resample=resample, mono=mono)
    stream.check_end()
    plan = windows_for(model, stream.samples, window)
    folder = source.parent if folder is None else Path(folder)
    outputs = output_paths(source, folder, model.n_src)
    check_outputs(source, outputs)
    with made_folder(folder), locked(outputs[0], "a separation", file=True):
        job = Job(folder / f".{source.stem}.separation", _identity(model, stream, plan))
        existing = [path for path in outputs if os.path.lexists(path)]
        if existing and not force and not job.was_finishing():
            raise AudioError(f"{existing[0]}: exists already; use force=True to overwrite it")
        if there := [path for path in outputs if path.is_dir()]:
            raise AudioError(
                f"{there[0]}: is a folder, where a file is to be written; remove it or choose out=..."
            )
        with job.cleared_after_errors(), _unchanged(state):
            notes = job.start()
            with reporting(progress) as report:
                for k, (start, stop) in enumerate(plan):
                    if not job.has(k):
                        job.keep(k, estimate_window(model, stream.read(start, stop), str(source)))
                    report(k + 1, len(plan))
            tracked = track_speakers(map(job.fetch, range(len(plan))), plan, model.sample_rate, tracking)
            joined = partial(overlap_add, job.fetch, plan, tracked.orders)
            gains, peak, silence = _gains(stream, joined(), model.n_src, scale)
            notes += silence
            if mono == "mean" and (cancelled := cancelling_in_file(source)):
                notes.append(cancelled)
            if peak > 1 and not float_samples:
                notes.append(
                    f"all outputs are {20 * np.log10(peak):.1f} dB down, or 16-bit samples would clip "
                    "(float_samples=True keeps the level)"
                )
                gains = gains / peak
            job.finish(joined(), gains, outputs, int(model.sample_rate), float_samples, state.check)
    return Separated(
        source, outputs, stream.samples / model.sample_rate, len(plan), notes, rate=float(stream.rate)
    )


@contextmanager
def _unchanged(state: SourceFile) -> Iterator[None]:
    """An error of reading a file that was changed meanwhile says so."""
    try:
        yield
    except AudioError as error:
        if state.change() is not None:
            try:
                state.check()
            except AudioError as changed:
                raise changed from error
        raise


def _gains(
    stream: AudioStream, joined: Iterator[torch.Tensor], sources: int, scale: str
) -> tuple[torch.Tensor, float, list[str]]:
    """One gain per speaker ``[S, 1]``, the largest sample with these gains, and remarks on silence."""
    fit, peaks, done, loudest = MixtureFit(sources), torch.zeros(sources), 0, 0.0
    for block in joined:
        if not block.shape[1]:
            continue
        if scale != "none" or loudest == 0:
            mixture = stream.read(done, done + block.shape[1])
            loudest = max(loudest, float(mixture.abs().max()))
            if scale != "none":
                fit.add(block, mixture)
        peaks = torch.maximum(peaks, block.abs().amax(1))
        done += block.shape[1]
    gains = torch.ones(sources) if scale == "none" else fit.gains()
    peak = float((peaks * gains.abs()).max())
    if scale == "peak":
        gains, peak = gains * (PEAK / max(peak, 1e-8)), PEAK
    return gains.unsqueeze(1), peak, on_silence(loudest, peaks)


def _identity(model: DPRNNTasNet, stream: AudioStream, plan: list[Window]) -> dict:
    """All that the windows' estimates depend on; scale and tracking may change when a run is resumed."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    status = os.stat(stream.path)
    return {
        "file": [str(Path(stream.path).resolve()), status.st_size, status.st_mtime_ns],
        "model": [digest.hexdigest(), json.dumps(model.config, sort_keys=True)],
        "windows": [list(window) for window in plan],
        "channels": stream.mono,
    }
