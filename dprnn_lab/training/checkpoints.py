"""Checkpoints of a run: written atomically, read without running code, confined to the run's own folder.

A run folder may come from elsewhere. Lightning keeps the paths of earlier checkpoints *inside* each checkpoint and
later removes what they name. Here no path in a file is used: names are compared with the files that lie in
``RUN/checkpoints``, and nothing outside the run's folder is removed or written.

Notebook: 05_training
"""

import io
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import CheckpointIO
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from ..checkpoint.errors import CheckpointError
from ..checkpoint.unpickling import safe_load
from ..error_texts import near_name
from ..files import was_removed, write_whole

__all__ = [
    "ConfinedCheckpoint", "OwnEarlyStopping", "Resumed", "RunCheckpoints", "check_folders", "checkpoints",
    "find_checkpoint", "read_checkpoint", "run_was_removed", "saved_step",
]  # fmt: skip

FOLDERS = (
    "checkpoints",
    "curves",
    "tensorboard",
    "validation",
)  # of a run, in which training writes and removes
NAMES = re.compile(r"step\d{7,}\.ckpt|best\.ckpt|last\.ckpt")
NEEDED = {
    "state_dict": Mapping,
    "callbacks": Mapping,
    "loops": Mapping,
    "optimizer_states": list,
    "lr_schedulers": list,
    "pytorch-lightning_version": str,
}


@dataclass
class Resumed:
    """A checkpoint that a run can go on from."""

    path: Path
    content: dict[str, Any]
    note: str = ""  # which newer ones could not be read

    @property
    def step(self) -> int:
        """Optimiser steps made."""
        return self.content["global_step"]


def read_checkpoint(path: Path) -> Resumed:
    """Read a checkpoint of a training, safely.

    Raises:
        CheckpointError: no such file, damaged, unsafe, or without the state of a training.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file: nothing to resume")
    content = safe_load(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: is no checkpoint of a training: nothing to resume")
    for name, kind in NEEDED.items():
        if not isinstance(content.get(name), kind):
            raise CheckpointError(
                f"{path}: has no {name!r}: it can't be resumed; start another run from its weights, init={str(path)!r}"
            )
    if (
        not re.fullmatch(r"\d+(\.\w+)*(\+\w+)?", content["pytorch-lightning_version"])
        or not content["optimizer_states"]
    ):
        raise CheckpointError(f"{path}: its state of the training is not whole: take another checkpoint")
    step = content.get("global_step")
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step < 10**12:
        raise CheckpointError(f"{path}: its step is {step!r}: damaged, take another checkpoint")
    return Resumed(path, content)


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, those to resume from first: ``last``, then by step, then ``best``."""
    folder = run / "checkpoints"
    found = [p for p in folder.glob("*.ckpt") if NAMES.fullmatch(p.name) and p.is_file()]
    order = {"last.ckpt": math.inf, "best.ckpt": -1.0}
    return sorted(found, key=lambda p: -order.get(p.name, float(_step_in(p.name))))


def _step_in(name: str) -> int:
    digits = re.search(r"\d+", name)
    return int(digits[0]) if digits else 0


def saved_step(run: Path) -> int | None:
    """The step of the newest checkpoint by name; None if there is none."""
    return max((_step_in(p.name) for p in checkpoints(run) if p.name.startswith("step")), default=None)


def find_checkpoint(run: Path) -> Resumed:
    """The newest checkpoint of a run that can be read, with a note about those that can't.

    Raises:
        FileNotFoundError: the run has no checkpoint.
        CheckpointError: none of them can be read.
    """
    last, problems = run / "checkpoints" / "last.ckpt", []
    found = checkpoints(run)
    if not found:
        near = None if run.exists() else near_name(run)
        remedy = "leave resume out to start it" if near is None else f"did you mean {near}?"
        raise FileNotFoundError(f"{last} does not exist: nothing to resume; {remedy}")
    if found[0] != last:
        problems.append(f"{last} does not exist")
    for path in found:
        try:
            resumed = read_checkpoint(path)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        if problems:
            resumed.note = f"{problems[0]}; resuming from {path.name}, step {resumed.step}"
        return resumed
    raise CheckpointError(f"{problems[0]}; none of the {len(found)} checkpoints of {run} can be resumed")


def check_folders(run: Path) -> None:
    """Raise CheckpointError if a folder that training writes to is a link out of the run's folder."""
    home = run.resolve()
    for name in FOLDERS:
        folder = run / name
        if folder.is_symlink() and home not in folder.resolve().parents:
            raise CheckpointError(
                f"{folder} is a link to {folder.resolve()}, outside the run's folder: training would write and remove "
                "files there; make the run's folder itself the link, or copy the run without links"
            )


def run_was_removed(run: Path) -> OSError:
    """The error for a run's folder that vanished while training wrote to it."""
    return was_removed(run, "a training", "start another run")


class RunCheckpoints(CheckpointIO):
    """Lightning's reading, writing and removing of checkpoint files, for one run.

    Args:
        run: the run's folder.
        read: a checkpoint read before, which :meth:`load_checkpoint` returns for its path.
    """

    def __init__(self, run: Path, read: Resumed | None = None):
        self.run, self.read = run, read

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a whole file into the run's folder, then rename it, whatever TMPDIR is."""
        path = self._own(path)
        if not self.run.is_dir():
            raise run_was_removed(self.run)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            write_whole(path, buffer.getvalue())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read without running code, onto the CPU; ``map_location`` and ``weights_only`` change nothing."""
        if self.read is not None and Path(path) == self.read.path:
            return dict(self.read.content)
        return dict(read_checkpoint(Path(path)).content)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint of this run; anything else stays."""
        with suppress(CheckpointError):
            file = self._own(path)
            if file.is_file() or file.is_symlink():
                file.unlink()

    def _own(self, path: Any) -> Path:
        """The path, if it is that of a checkpoint of this run."""
        own = self.run / "checkpoints" / Path(path).name
        if Path(path).absolute().parent.resolve() != own.parent.resolve() or not NAMES.fullmatch(own.name):
            raise CheckpointError(
                f"{path}: is no checkpoint in {own.parent}: it is neither written nor removed"
            )
        return own


class ConfinedCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint that takes scores, and no paths, from a checkpoint."""

    @property
    def state_key(self) -> str:
        """Lightning's own key in a checkpoint."""
        return super().state_key.replace(type(self).__qualname__, "ModelCheckpoint", 1)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """A resumed run is saved already: Lightning ends the epoch again that it had ended, and would save again."""
        super().on_train_start(trainer, pl_module)
        self._last_global_step_saved = trainer.global_step

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the scores of those checkpoints that lie in the run's own folder."""
        folder = Path(str(self.dirpath))
        known = state_dict.get("best_k_models")
        for name, score in known.items() if isinstance(known, Mapping) else ():
            own = folder / Path(str(name)).name
            if not NAMES.fullmatch(own.name) or not own.is_file() or not _is_score(score):
                continue
            if own.name.startswith("step") == (self.monitor == "step"):
                step = _step_in(own.name)  # a wrong one in the file would stop the saving of new ones
                self.best_k_models[str(own)] = (
                    torch.tensor(step) if self.monitor == "step" else torch.as_tensor(score)
                )
        for name in list(self.best_k_models)[: max(0, len(self.best_k_models) - self.save_top_k)]:
            del self.best_k_models[name]
        if self.best_k_models:
            worst, best = (max, min) if self.mode == "min" else (min, max)
            score_of: Any = self.best_k_models.get
            self.best_model_path = best(self.best_k_models, key=score_of)
            self.best_model_score = self.best_k_models[self.best_model_path]
            if len(self.best_k_models) == self.save_top_k:
                self.kth_best_model_path = worst(self.best_k_models, key=score_of)
                self.kth_value = self.best_k_models[self.kth_best_model_path]


def _is_score(score: Any) -> bool:
    return isinstance(score, int | float) or (isinstance(score, torch.Tensor) and score.numel() == 1)


class OwnEarlyStopping(EarlyStopping):
    """Early stopping with the patience of this session: Lightning would restore that of the checkpoint."""

    @property
    def state_key(self) -> str:
        """Lightning's own key in a checkpoint."""
        return super().state_key.replace(type(self).__qualname__, "EarlyStopping", 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the count of validations without progress, and the best score."""
        super().load_state_dict(state_dict | {"patience": self.patience})

    def _run_early_stopping_check(self, trainer: Any) -> None:
        # A run that is resumed at the end of an epoch ends it again, without a validation.
        if self.monitor in trainer.callback_metrics:
            super()._run_early_stopping_check(trainer)
