"""The folder of a run during one session: locked, cleaned up after a failure, and told how the session ended.

Notebook: 05_training
"""

import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback

from ..checkpoint import load_model, read_info, save_model
from ..checkpoint.errors import CheckpointError
from ..files import locked, remove_leftovers, write_whole
from ..model import DPRNNTasNet
from .checkpoints import FOLDERS, check_folders, run_was_removed, saved_step
from .ending import FILE, Ending, claim_ending, write_ending
from .finite import NotFiniteError
from .machine import is_first_process, launched_by_us
from .signals import StopAfterStep

__all__ = ["BeginSession", "Session", "end_badly", "open_session", "process_state", "save_result"]

# What training makes in a run's folder.
FILES = ("config.yaml", "environment.json", "model.safetensors", "results.csv", FILE)
PARTS = ("checkpoints/*", "validation/*", "curves/*", "tensorboard/*")


@dataclass
class Session:
    """One session of a run.

    Attributes:
        run: the run's folder.
        loaded: whether everything has loaded, and training began.
        validating: whether it was interrupted by an error in a validation.
        begun: whether a step was made; before that a failure leaves nothing.
        keep: keep what was written, whatever happened.
        on_begin: called when everything has loaded, before the first step: writes the settings.
    """

    run: Path
    loaded: bool = False
    validating: bool = False
    begun: bool = False
    keep: bool = False
    on_begin: Callable[[], None] | None = None


@contextmanager
def open_session(run: str | os.PathLike) -> Iterator[Session]:
    """Keep a run's folder for this session; only the first of several processes locks it.

    A session that fails before its first step removes what it created, and nothing else.

    Raises:
        InUseError: another process trains in the folder.
        NotADirectoryError, OSError: the path is a file, or the folder can't be made or written.
        CheckpointError: a part of the folder is a link out of it.
    """
    run = Path(run)
    with suppress(OSError):
        if run.is_dir():
            check_folders(run)
    if run.exists() and not run.is_dir():
        raise NotADirectoryError(f"{run} is a file: give the name of a folder for the run")
    if not is_first_process():
        yield Session(run)
        return
    made = [folder for folder in (run, *run.parents) if not folder.exists()]
    try:
        with _named(run), locked(run, "training"):
            parts = (*(run / name for name in FOLDERS), *(run / "curves").glob("version_*"))
            remove_leftovers(run, *parts)
            before = _contents(run)
            session = Session(run)
            try:
                yield session
            except BaseException as error:
                if isinstance(error, OSError) and error.errno is not None and not run.is_dir():
                    raise run_was_removed(run) from error
                if not (session.begun or session.keep):
                    _remove_new(run, before)
                raise
    finally:
        for folder in made:  # those that were made for nothing
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _named(run: Path) -> Iterator[None]:
    """An error of the system that names no path, such as a full disk's, names this one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            raise OSError(error.errno, error.strerror, str(run)) from error
        raise


def _contents(run: Path) -> set[Path]:
    return {run / name for name in FILES if (run / name).exists()} | {
        p for part in PARTS for p in run.glob(part)
    }


def _remove_new(run: Path, before: set[Path]) -> None:
    for path in _contents(run) - before:
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for part in PARTS:
        with suppress(OSError):
            (run / part).parent.rmdir()  # if it is empty


class BeginSession(Callback):
    """When everything has loaded: write the settings, and that the run goes on; note the first step.

    Before that (a checkpoint of another optimiser, data that are not there) nothing on disk has changed.
    """

    def __init__(self, session: Session, steps: int):
        self.session, self.steps = session, steps

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.session.loaded = True
        if trainer.is_global_zero:
            if self.session.on_begin is not None:
                self.session.on_begin()
            step = trainer.global_step
            ending = Ending(
                "running",
                step,
                self.steps,
                f"training goes on from step {step}",
                saved_step(self.session.run),
            )
            write_ending(self.session.run, ending)

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        self.session.begun = True

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        self.session.validating = bool(trainer.validating)


def end_badly(
    error: BaseException, session: Session, step: int, steps: int, stop: StopAfterStep, on_cpu: bool
) -> None:
    """Record a session that failed; of several processes that fail together, one tells the user.

    Raises:
        SystemExit: in a process that is not the one to tell.
    """
    saved = saved_step(session.run)
    kept = f"; the checkpoint of step {saved} and its averaged model stay" if saved else ""
    again = f", resume from step {saved}" if saved else ""
    if isinstance(error, NotFiniteError):
        session.keep = True
        sentence = " ".join(f"{error}{kept}".split())
        error.args = (sentence,)
        ending = Ending("not finite", step, steps, sentence, saved, fault=error.fault)
    elif stop.aborted:
        ending = Ending(
            "interrupted", step, steps, f"aborted in step {step + 1}{again}", saved, signal=stop.signal
        )
    else:
        sentence = " ".join(str(error).split()) or type(error).__name__
        ending = Ending("error", step, steps, sentence, saved)
    if not (session.begun or session.keep or not is_first_process()):
        return
    if not is_first_process() and isinstance(error, RuntimeError):
        time.sleep(
            3
        )  # a connection that broke: the process with the cause tells, or was killed and this one ends too
    try:
        first = claim_ending(session.run, ending)
    except OSError:  # a full disk
        first = is_first_process()
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return
    if not first:
        raise SystemExit(1 if is_first_process() else 0) from error
    if not is_first_process() and launched_by_us() and on_cpu and session.begun:
        # With an exit code other than 0, Lightning kills the first process, which would leave no time to clean up. On a
        # CPU that process learns from the broken connection.
        print(f"dprnn-lab: {ending.sentence}", file=sys.stderr, flush=True)
        raise SystemExit(0) from error


def save_result(model: DPRNNTasNet, run: Path, step: int, seed: int) -> None:
    """Write ``model.safetensors`` and ``results.csv``, both of one step; neither is ever beside another's.

    Files that hold these weights and these results already stay as they are.
    """
    path, results = run / "model.safetensors", run / "results.csv"
    if not run.is_dir():
        raise run_was_removed(run)
    if not _holds(path, model, step):
        results.unlink(missing_ok=True)
        with _named(path):
            save_model(model, path, training={"steps": step, "seed": seed})
    table = run / "validation" / f"step{step:07d}.csv"
    if not table.is_file():
        results.unlink(missing_ok=True)
        return
    from ..evaluation import summarise  # imported here: it takes a second

    rows = summarise(pd.read_csv(table))
    rows.insert(0, "step", step)
    content = rows.round(3).to_csv(index=False, lineterminator="\n").encode()
    if not results.is_file() or results.read_bytes() != content:
        with _named(results):
            write_whole(results, content)


def _holds(path: Path, model: DPRNNTasNet, step: int) -> bool:
    """Whether a model file has the weights of this model, of this step."""
    if not path.is_file():
        return False
    try:
        if read_info(path)["training"].get("steps") != step:
            return False
        saved = load_model(path).state_dict()
    except (CheckpointError, OSError, KeyError, TypeError, AttributeError):
        return False
    own = model.state_dict()
    return saved.keys() == own.keys() and all(torch.equal(saved[name], own[name].cpu()) for name in own)


@contextmanager
def process_state() -> Iterator[None]:
    """Put back what belongs to the whole process: threads, random numbers, gradients, the seed in the environment."""
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    environment = {name: os.environ.get(name) for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")}
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
