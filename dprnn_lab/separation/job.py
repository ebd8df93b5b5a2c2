"""The hidden folder of one file that is being separated: its windows' estimates, and outputs before they are complete.

Notebook: 09_long_audio
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile
import torch

from ..audio import AudioError, to_pcm16
from ..files import naming, write_whole

__all__ = ["Job"]


class Job:
    """The hidden folder of one file: its identity, the estimates of finished windows, incomplete outputs."""

    def __init__(self, folder: Path, identity: dict) -> None:
        self.folder, self.identity = folder, identity
        self.about, self.finishing = folder / "job.json", folder / "finishing"
        try:
            self.found = json.loads(self.about.read_text())
        except (OSError, ValueError, RecursionError):
            self.found = None

    def was_finishing(self) -> bool:
        """Whether an earlier run of this job was interrupted while it renamed its outputs."""
        return self.found == self.identity and self.finishing.exists()

    def start(self) -> list[str]:
        """Continue the job found in the folder if it is this one, else start anew; notes on which of the two."""
        if self.found == self.identity:
            done = self.done()
            return [f"continued after window {done} of {len(self.identity['windows'])}"] if done else []
        notes = []
        if isinstance(self.found, dict):
            changed = [k for k, v in self.identity.items() if self.found.get(k) != v]
            notes.append(
                f"started anew: another {' and '.join(changed)} than in the run that was interrupted"
            )
        self.remove()
        write_whole(self.about, json.dumps(self.identity).encode())
        return notes

    @contextmanager
    def cleared_after_errors(self) -> Iterator[None]:
        """After an error inside: remove the folder if the audio is at fault or no window is done, else say where it is.

        What a full disk or an interruption ended can be continued.
        """
        try:
            yield
        except AudioError:
            self.remove()
            raise
        except BaseException as error:
            if done := self.done():
                error.add_note(
                    f"{done} of {len(self.identity['windows'])} windows are kept in {self.folder}: the same call or "
                    "command continues after them"
                )
            else:
                self.remove()
            raise

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def done(self) -> int:
        """The number of finished windows."""
        return len(list(self.folder.glob("window-*.npy")))

    def _path(self, k: int) -> Path:
        return self.folder / f"window-{k:06d}.npy"

    def has(self, k: int) -> bool:
        """Whether window ``k`` is finished."""
        return self._path(k).exists()

    def keep(self, k: int, estimates: torch.Tensor) -> None:
        """Write the estimates ``[S, T]`` of window ``k``."""
        scratch = self.folder / "window.part"
        with naming(self._path(k)):
            with scratch.open("wb") as file:
                np.save(file, estimates.numpy())
            os.replace(scratch, self._path(k))

    def fetch(self, k: int) -> torch.Tensor:
        """The estimates ``[S, T]`` of window ``k``."""
        return torch.from_numpy(np.load(self._path(k)))

    def finish(
        self,
        joined: Iterator[torch.Tensor],
        gains: torch.Tensor,
        outputs: Sequence[Path],
        rate: int,
        float_samples: bool,
        check: Callable[[], None],
    ) -> None:
        """Write all outputs under temporary names, call ``check``, rename them and remove the folder.

        Raises:
            OSError: an output can't be written whole; names it.
        """
        scratch = [self.folder / f"output-{j}.wav" for j in range(len(outputs))]
        samples = self._write(joined, gains, scratch, rate, "FLOAT" if float_samples else "PCM_16")
        for path, output in zip(scratch, outputs, strict=True):
            if path.stat().st_size < samples * (4 if float_samples else 2):  # libsndfile is silent about it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output))
        check()
        with naming(outputs[0]):
            self.finishing.touch()
        for path, output in zip(scratch, outputs, strict=True):
            with naming(output):
                os.replace(path, output)
        self.remove()

    def _write(
        self,
        joined: Iterator[torch.Tensor],
        gains: torch.Tensor,
        paths: Sequence[Path],
        rate: int,
        subtype: str,
    ) -> int:
        """Write a WAV file per speaker and return the number of samples of each."""
        count = 0
        with ExitStack() as stack:
            try:
                files = [
                    # As bytes: the folder's name may not be UTF-8.
                    stack.enter_context(
                        soundfile.SoundFile(
                            str(path) if os.name == "nt" else os.fsencode(path),
                            "w",
                            rate,
                            1,
                            subtype,
                            format="WAV",
                        )
                    )
                    for path in paths
                ]
                for block in joined:
                    scaled = block * gains if subtype == "FLOAT" else to_pcm16(block * gains)
                    count += scaled.shape[1]
                    for file, samples in zip(files, scaled.numpy(), strict=True):
                        file.write(samples)
            except (
                soundfile.LibsndfileError,
                AssertionError,
            ) as error:  # the latter: fewer samples than given
                with suppress(soundfile.LibsndfileError):
                    stack.close()
                raise OSError(
                    errno.ENOSPC, "can't be written whole; is the disk full?", str(paths[0])
                ) from error
        return count
