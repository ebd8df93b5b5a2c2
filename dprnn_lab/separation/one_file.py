"""One file that is being separated: opened, fed its windows' estimates in order, and written at the end.

Notebook: 09_long_audio
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..audio import PEAK, AudioError, check_finite
from ..files import locked, made_folder
from ..model import DPRNNTasNet
from .audio_stream import AudioStream
from .inputs import SourceFile, check_outputs, output_paths
from .job import Job
from .remarks import cancelling_in_file, on_silence
from .rescaling import MixtureFit, check_scale
from .speaker_tracking import check_tracking, track_speakers
from .windows import WINDOW_SECONDS, Progress, Window, overlap_add, reporting, windows_for

__all__ = ["FileOptions", "OneFile", "Separated"]


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


@dataclass(frozen=True)
class FileOptions:
    """How a file is separated and written: the options of one file, as ``separate_file`` describes them.

    They are checked when the file is opened.
    """

    resample: bool = False
    mono: str | None = None
    scale: str = "mixture"
    window: float | None = WINDOW_SECONDS
    tracking: str = "profiles"
    float_samples: bool = False
    force: bool = False


class OneFile:
    """A file under way. Its outputs are locked, and its hidden folder is there, until it is finished or has failed.

    Args:
        precision: "float32" or "bfloat16", in which the windows are computed: those of a run in another precision are
            not continued.

    Raises:
        AudioError: audio that does not suit the model, an unknown option, or an output that exists.
    """

    def __init__(
        self,
        model: DPRNNTasNet,
        source: Path,
        folder: Path,
        precision: str,
        options: FileOptions,
    ) -> None:
        check_scale(options.scale)
        check_tracking(options.tracking)
        self.source, self.options = source, options
        self.n_src, self.rate, self.precision = model.n_src, model.sample_rate, precision
        self.state = SourceFile(source)
        self.stream = AudioStream(source, model.sample_rate, resample=options.resample, mono=options.mono)
        self.stream.check_end()
        self.plan = windows_for(model, self.stream.samples, options.window)
        self.outputs = output_paths(source, folder, model.n_src)
        check_outputs(source, self.outputs)
        with ExitStack() as stack:
            stack.enter_context(made_folder(folder))
            stack.enter_context(locked(self.outputs[0], "a separation", file=True))
            self.job = Job(
                folder / f".{source.stem}.separation", _identity(model, self.stream, self.plan, precision)
            )
            existing = [path for path in self.outputs if os.path.lexists(path)]
            if existing and not options.force and not self.job.was_finishing():
                raise AudioError(f"{existing[0]}: exists already; use force=True to overwrite it")
            if there := [path for path in self.outputs if path.is_dir()]:
                raise AudioError(
                    f"{there[0]}: is a folder, where a file is to be written; remove it or choose out=..."
                )
            stack.enter_context(self.job.cleared_after_errors())
            stack.enter_context(_unchanged(self.state))
            self.notes = self.job.start()
            self.missing = [k for k in range(len(self.plan)) if not self.job.has(k)]
            self.report: Progress = lambda done, total: None
            self.shown = self.over = False  # reports to the caller; is finished or has failed
            self._stack = stack.pop_all()

    def windows(self) -> Iterator[tuple[int, Callable[[], torch.Tensor]]]:
        """The windows that are not in the hidden folder: their numbers, and functions that read their samples."""
        for k in tuple(self.missing):
            if self.over:
                return
            yield k, partial(self.stream.read, *self.plan[k])

    def show(self, progress: bool | Progress) -> None:
        """Report to ``progress`` from now on."""
        self.shown = True
        with self._ended_by_errors():
            self.report = self._stack.enter_context(reporting(progress))
            for done in range(len(self.plan) - len(self.missing)):
                self.report(done + 1, len(self.plan))

    def take(self, k: int, estimates: Callable[[], torch.Tensor]) -> None:
        """Keep the estimates ``[S, T]`` of window ``k``, or fail with what the function raises."""
        with self._ended_by_errors():
            kept = estimates()
            check_finite(kept, f"the model's output for {self.source}")
            self.job.keep(k, kept)
            self.missing.remove(k)
            self.report(len(self.plan) - len(self.missing), len(self.plan))

    def finish(self) -> Separated:
        """Track the speakers through the windows, and write the outputs."""
        with self._ended_by_errors():
            fetch, plan = self.job.fetch, self.plan
            tracked = track_speakers(map(fetch, range(len(plan))), plan, self.rate, self.options.tracking)
            joined = partial(overlap_add, fetch, plan, tracked.orders)
            gains, peak, silence = _gains(self.stream, joined(), self.n_src, self.options.scale)
            self.notes += silence
            if self.stream.mono == "mean" and (cancelled := cancelling_in_file(self.source)):
                self.notes.append(cancelled)
            if peak > 1 and not self.options.float_samples:
                self.notes.append(
                    f"all outputs are {20 * np.log10(peak):.1f} dB down, or 16-bit samples would clip "
                    "(float_samples=True keeps the level)"
                )
                gains = gains / peak
            self.job.finish(
                joined(), gains, self.outputs, int(self.rate), self.options.float_samples, self.state.check
            )
        self.over = True
        self._stack.close()
        return Separated(
            self.source, self.outputs, self.stream.samples / self.rate, len(plan), self.notes,
            rate=float(self.stream.rate),
        )  # fmt: skip

    def abandon(self, error: BaseException) -> None:
        """Clean up as after ``error``, which another file or the caller raised."""
        try:
            with self._ended_by_errors():
                raise error
        except BaseException:
            pass

    @contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        """After an error inside: all that the file holds is released, and the error goes on."""
        try:
            yield
        except BaseException:
            self.over = True
            with self._stack.pop_all():
                raise


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


def _identity(model: DPRNNTasNet, stream: AudioStream, plan: list[Window], precision: str) -> dict:
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
        "precision": precision,
    }
