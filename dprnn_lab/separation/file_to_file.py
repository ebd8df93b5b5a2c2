"""From audio files to a file per speaker: any length in bounded memory, resumable.

The windows' estimates wait on the disk in a hidden folder beside the output, so that the speakers can be
followed with the whole recording as evidence (:mod:`dprnn_lab.separation.speaker_tracking`) while two windows at a time
are in memory. A run that was stopped, or killed, finds the windows that it had finished there, and ends with
the same output as one that was not. The folder takes 7 to 9 bytes per sample and speaker, and is removed at
the end.

Notebook: 09_long_audio
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch

from ..audio import AudioError, to_pcm16
from ..model import DPRNNTasNet
from .audio_stream import AudioStream
from .in_memory import PEAK, check_options
from .rescaling import MixtureFit
from .speaker_tracking import track_speakers
from .windows import WINDOW_SECONDS, Window, estimate_window, overlap_add, windows_for

__all__ = ["Separated", "find_audio", "output_paths", "separate_file", "separate_files"]

Progress = Callable[[int, int], None]  # windows done, windows in all
ENDINGS = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw", ".mat4", ".mat5"} | {
    ".aif", ".oga", ".opus", ".wave", ".gsm", ".sph"
}  # fmt: skip


@dataclass(frozen=True)
class Separated:
    """What became of one file."""

    source: Path
    outputs: tuple[Path, ...] = ()
    seconds: float = 0.0
    windows: int = 0
    notes: list[str] = field(default_factory=list)  # what a person should know about the result
    error: str | None = None  # why there is no result


def separate_files(
    model: DPRNNTasNet,
    sources: Iterable[str | os.PathLike],
    out: str | os.PathLike | None = None,
    *,
    recursive: bool = False,
    progress: Callable[[Path], Progress] | None = None,
    **options,
) -> Iterator[Separated]:
    """Separate files and folders of them, one after the other; a bad file does not stop the others.

    Args:
        sources: files, and folders of which the audio files are taken (:func:`find_audio`).
        out: folder for the outputs; beside each input when None.
        recursive: also go into the folders' folders, which are then found again in ``out``.
        progress: given a file, returns what :func:`separate_file` calls as ``progress``.
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
            reports = {} if progress is None else {"progress": progress(source)}
            yield separate_file(model, source, folder, **reports, **options)
        except (AudioError, OSError) as error:
            yield Separated(source, error=str(error))


def find_audio(sources: Iterable[str | os.PathLike], recursive: bool = False) -> Iterator[tuple[Path, Path]]:
    """Each file with the subfolder it is in, seen from the folder that was given.

    A file given by name is taken whatever it is. In a folder those with an ending that soundfile knows are
    taken, in the order of their names, but for hidden ones and for our own outputs: ``talk_s1.wav`` beside
    ``talk.flac``.
    """
    for source in map(Path, sources):
        if not source.is_dir():
            yield source, Path()
            continue
        for path in sorted(source.rglob("*") if recursive else source.iterdir()):
            inside = path.relative_to(source)
            hidden = any(part.startswith(".") for part in inside.parts)
            if path.is_file() and path.suffix.lower() in ENDINGS and not hidden and not _is_ours(path):
                yield path, inside.parent


def _is_ours(path: Path) -> bool:
    match = re.fullmatch(r"(.+)_s\d+", path.stem)
    return bool(match) and any(
        (path.parent / f"{match[1]}{ending}").is_file() for ending in {*ENDINGS, *map(str.upper, ENDINGS)}
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
    progress: Progress | None = None,
) -> Separated:
    """Separate a file into ``NAME_s1.wav``, ``NAME_s2.wav`` and so on, a WAV file per speaker.

    Args:
        folder: for the outputs, made if need be; beside the input when None.
        resample, mono, scale, window, tracking: as for :func:`separate <dprnn_lab.separate>`.
        float_samples: write 32-bit floating point in place of 16-bit PCM.
        force: overwrite.
        progress: called after each window with the number done and their total. What it raises ends the run,
            which may be continued by calling again with the same arguments.

    Raises:
        AudioError: audio that does not suit the model, an output that exists, with the remedy.
    """
    check_options(scale, tracking)
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
    for k, (start, stop) in enumerate(plan):
        if not job.has(k):
            job.keep(k, estimate_window(model, stream.read(start, stop), str(source)))
        if progress is not None:
            progress(k + 1, len(plan))
    tracked = track_speakers(map(job.fetch, range(len(plan))), plan, model.sample_rate, tracking)
    gains, peak = _gains(stream, plan, job, tracked.orders, scale)
    if peak > 1 and not float_samples:
        notes.append(
            f"all outputs are {20 * np.log10(peak):.1f} dB down, or 16-bit samples would clip (--float keeps the level)"
        )
        gains = gains / peak
    _write(job, plan, tracked.orders, gains, outputs, int(model.sample_rate), float_samples)
    return Separated(source, outputs, stream.samples / model.sample_rate, len(plan), notes)


def _gains(stream: AudioStream, plan, job: "_Job", orders, scale: str) -> tuple[torch.Tensor, float]:
    """One gain per speaker ``[S, 1]``, and the largest sample after it."""
    sources = len(orders[0])
    fit, peaks, done = MixtureFit(sources), torch.zeros(sources), 0
    for block in overlap_add(job.fetch, plan, orders):
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


def _write(job: "_Job", plan, orders, gains: torch.Tensor, outputs, rate: int, float_samples: bool) -> None:
    """All outputs, each under another name until all are whole."""
    scratch = [job.folder / path.name for path in outputs]
    subtype = "FLOAT" if float_samples else "PCM_16"
    with ExitStack() as stack:
        files = [
            stack.enter_context(soundfile.SoundFile(path, "w", rate, 1, subtype, format="WAV"))
            for path in scratch
        ]
        for block in overlap_add(job.fetch, plan, orders):
            scaled = block * gains
            if not float_samples:
                scaled = to_pcm16(scaled)
            for file, samples in zip(files, scaled.numpy(), strict=True):
                file.write(samples)
    job.finish(scratch, outputs)


def _identity(model: DPRNNTasNet, stream: AudioStream, plan: list[Window]) -> dict:
    """What the windows' estimates depend on; anything else may change between two sittings."""
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
    """The hidden folder of one file: what it is for, the estimates of the windows done, outputs not yet whole."""

    def __init__(self, folder: Path, identity: dict):
        self.folder, self.identity = folder, identity
        self.about, self.finishing = folder / "job.json", folder / "finishing"
        try:
            self.found = json.loads(self.about.read_text())
        except (OSError, ValueError):
            self.found = None

    def was_finishing(self) -> bool:
        """Whether an earlier run of this job was stopped while it renamed its outputs."""
        return self.found == self.identity and self.finishing.exists()

    def start(self) -> list[str]:
        """Go on with what is there if it is this job, or else begin anew; notes on which of the two."""
        if self.found == self.identity:
            done = len(list(self.folder.glob("window-*.npy")))
            return [f"continued after window {done} of {len(self.identity['windows'])}"] if done else []
        notes = []
        if isinstance(self.found, dict):
            changed = [k for k, v in self.identity.items() if self.found.get(k) != v]
            notes.append(f"began anew: another {' and '.join(changed)} than in the run that was interrupted")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        scratch = self.about.with_suffix(".part")
        scratch.write_text(json.dumps(self.identity))
        os.replace(scratch, self.about)
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

    def finish(self, scratch: list[Path], outputs: Iterable[Path]) -> None:
        """Give the outputs their names and remove the folder."""
        self.finishing.touch()
        for path, output in zip(scratch, outputs, strict=True):
            os.replace(path, output)
        shutil.rmtree(self.folder)
