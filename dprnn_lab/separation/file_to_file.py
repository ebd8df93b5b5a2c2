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
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from ..audio import AUDIO_ENDINGS, PEAK, AudioError, to_pcm16
from ..files import write_whole
from ..model import DPRNNTasNet
from .audio_stream import AudioStream
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
    for source, subfolder in find_audio(sources, recursive):
        folder = source.parent if out is None else Path(out) / subfolder
        try:
            for path in output_paths(source, folder, model.n_src):
                if (other := written.setdefault(path, source)) != source:
                    raise AudioError(
                        f"{source}: {path} was just written from {other}; give one of the two another name"
                    )
            report = False if progress is None else progress(source)
            yield separate_file(model, source, folder, progress=report, **options)
        except (AudioError, OSError) as error:
            yield Separated(source, error=str(error))


def find_audio(sources: Iterable[str | os.PathLike], recursive: bool = False) -> Iterator[tuple[Path, Path]]:
    """Each file with its subfolder, relative to the folder given.

    A file given by name is yielded whatever it is. Of a folder, the files with an ending in
    :data:`AUDIO_ENDINGS <dprnn_lab.audio.AUDIO_ENDINGS>` are, sorted, except hidden ones and outputs of a
    separation (``talk_s1.wav`` beside ``talk.flac``).
    """
    for source in map(Path, sources):
        if not source.is_dir():
            yield source, Path()
            continue
        for path in sorted(source.rglob("*") if recursive else source.iterdir()):
            inside = path.relative_to(source)
            hidden = any(part.startswith(".") for part in inside.parts)
            if (
                path.is_file()
                and path.suffix.lower() in AUDIO_ENDINGS
                and not hidden
                and not _is_output(path)
            ):
                yield path, inside.parent


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
    stream = AudioStream(source, model.sample_rate, resample=resample, mono=mono)
    plan = windows_for(model, stream.samples, window)
    folder = source.parent if folder is None else Path(folder)
    outputs = output_paths(source, folder, model.n_src)
    job = _Job(folder / f".{source.stem}.separation", _identity(model, stream, plan))
    existing = [path for path in outputs if path.exists()]
    if existing and not force and not job.was_finishing():
        raise AudioError(f"{existing[0]}: exists already; use force (--force) to overwrite it")
    notes = job.start()
    with reporting(progress) as report:
        for k, (start, stop) in enumerate(plan):
            if not job.has(k):
                job.keep(k, estimate_window(model, stream.read(start, stop), str(source)))
            report(k + 1, len(plan))
    tracked = track_speakers(map(job.fetch, range(len(plan))), plan, model.sample_rate, tracking)
    joined = partial(overlap_add, job.fetch, plan, tracked.orders)
    gains, peak = _gains(stream, joined(), model.n_src, scale)
    if peak > 1 and not float_samples:
        notes.append(
            f"all outputs are {20 * np.log10(peak):.1f} dB down, or 16-bit samples would clip (--float keeps the level)"
        )
        gains = gains / peak
    job.finish(joined(), gains, outputs, int(model.sample_rate), float_samples)
    return Separated(source, outputs, stream.samples / model.sample_rate, len(plan), notes)


def _gains(
    stream: AudioStream, joined: Iterator[torch.Tensor], sources: int, scale: str
) -> tuple[torch.Tensor, float]:
    """One gain per speaker ``[S, 1]``, and the largest sample with these gains."""
    fit, peaks, done = MixtureFit(sources), torch.zeros(sources), 0
    for block in joined:
        if not block.shape[1]:
            continue
        if scale != "none":
            fit.add(block, stream.read(done, done + block.shape[1]))
        peaks = torch.maximum(peaks, block.abs().amax(1))
        done += block.shape[1]
    gains = torch.ones(sources) if scale == "none" else fit.gains()
    peak = float((peaks * gains.abs()).max())
    if scale == "peak":
        gains, peak = gains * (PEAK / max(peak, 1e-8)), PEAK
    return gains.unsqueeze(1), peak


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


class _Job:
    """The hidden folder of one file: its identity, the estimates of finished windows, incomplete outputs."""

    def __init__(self, folder: Path, identity: dict) -> None:
        self.folder, self.identity = folder, identity
        self.about, self.finishing = folder / "job.json", folder / "finishing"
        try:
            self.found = json.loads(self.about.read_text())
        except (OSError, ValueError):
            self.found = None

    def was_finishing(self) -> bool:
        """Whether an earlier run of this job was interrupted while it renamed its outputs."""
        return self.found == self.identity and self.finishing.exists()

    def start(self) -> list[str]:
        """Continue the job found in the folder if it is this one, else start anew; notes on which of the two."""
        if self.found == self.identity:
            done = len(list(self.folder.glob("window-*.npy")))
            return [f"continued after window {done} of {len(self.identity['windows'])}"] if done else []
        notes = []
        if isinstance(self.found, dict):
            changed = [k for k, v in self.identity.items() if self.found.get(k) != v]
            notes.append(
                f"started anew: another {' and '.join(changed)} than in the run that was interrupted"
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        write_whole(self.about, json.dumps(self.identity).encode())
        return notes

    def _path(self, k: int) -> Path:
        return self.folder / f"window-{k:06d}.npy"

    def has(self, k: int) -> bool:
        return self._path(k).exists()

    def keep(self, k: int, estimates: torch.Tensor) -> None:
        scratch = self.folder / "window.part"
        with scratch.open("wb") as file:
            np.save(file, estimates.numpy())
        os.replace(scratch, self._path(k))

    def fetch(self, k: int) -> torch.Tensor:
        return torch.from_numpy(np.load(self._path(k)))

    def finish(
        self,
        joined: Iterator[torch.Tensor],
        gains: torch.Tensor,
        outputs: Sequence[Path],
        rate: int,
        float_samples: bool,
    ) -> None:
        """Write all outputs under temporary names, rename them and remove the folder."""
        scratch = [self.folder / path.name for path in outputs]
        subtype = "FLOAT" if float_samples else "PCM_16"
        with ExitStack() as stack:
            files = [
                stack.enter_context(soundfile.SoundFile(path, "w", rate, 1, subtype, format="WAV"))
                for path in scratch
            ]
            for block in joined:
                scaled = block * gains if float_samples else to_pcm16(block * gains)
                for file, samples in zip(files, scaled.numpy(), strict=True):
                    file.write(samples)
        self.finishing.touch()
        for path, output in zip(scratch, outputs, strict=True):
            os.replace(path, output)
        shutil.rmtree(self.folder)
