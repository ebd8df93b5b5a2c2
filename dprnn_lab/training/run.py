"""A run from its settings: the network, the data, and the folder with settings, versions and results.

Notebook: 05_training
"""

import dataclasses
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ..checkpoint import load_model
from ..files import write_whole
from ..model import DPRNNTasNet
from ..model.growing import at_sample_rate, deepen, refine, widen
from .callbacks import EpochCallback, print_line
from .checkpoints import Resumed, checkpoints, find_checkpoint
from .data_sources import describe, make_data
from .fitting import fit
from .machine import check_machine, is_first_process
from .module import freeze
from .session import open_session, process_state
from .settings import SMALL, Settings

__all__ = ["make_model", "train_run"]

NETWORK_SETTINGS = ("model", "init", "prefix", "blocks", "hidden", "stride", "sample_rate")


def train_run(
    settings: Settings,
    run: str | os.PathLike,
    resume: bool = False,
    callbacks: Sequence[EpochCallback] = (print_line,),
    progress: bool = False,
) -> DPRNNTasNet:
    """Train as the settings say. In addition to the files of :func:`train`, the folder ``run`` then holds:

    ``config.yaml`` (the settings), ``environment.json`` (versions and machine of the last session), ``results.csv``
    (SI-SDRi by pair kind on the validation mixtures, with 95 % intervals).

    Args:
        resume: continue from ``run/checkpoints/last.ckpt``, or the newest checkpoint that can be read. It contains the
            network: the checkpoint ``init`` is no longer needed. The settings are those of the whole run; steps already
            made are not repeated. Nothing on disk changes until everything has loaded.
        callbacks: functions of an :class:`EpochRecord`, called after each validation.
        progress: show a progress bar for each epoch.

    Raises:
        FileExistsError: the folder holds a run, and ``resume`` is False.
        FileNotFoundError: nothing to resume.
        InUseError: another process trains in the folder.
        ValueError, TypeError: settings that do not fit each other, the data or this machine, or settings of another
            network or optimiser than those of the resumed run; NaN or infinity in a step (NotFiniteError).
        OSError: the folder can't be written, is a file, or was removed meanwhile.
    """
    run = Path(run)
    check_machine(settings.accelerator, settings.devices, settings.num_nodes, settings.precision)
    with process_state(), open_session(run) as session:
        resumed = _resumed(settings, run) if resume else None
        if not resume and checkpoints(run):
            raise FileExistsError(f"{run} holds a run already: resume it, or choose another folder")
        if settings.devices * settings.num_nodes > 1 and settings.accelerator == "cpu":
            torch.set_num_threads(1)  # the processes share the cores
        torch.manual_seed(settings.seed)
        model = make_model(settings) if resumed is None else load_model(resumed.path)
        if settings.freeze:
            freeze(model, settings.freeze)
        data = make_data(settings, model.sample_rate, model.n_src)
        if is_first_process():
            print(*describe(data), sep="\n", flush=True)

        def write_settings() -> None:
            settings.write(run / "config.yaml")
            write_whole(run / "environment.json", json.dumps(_environment(), indent=2).encode())

        session.on_begin = write_settings
        return fit(
            session, model, data, settings.steps,
            lr=settings.lr, warmup=settings.warmup, cooldown=settings.cooldown, optimizer=settings.optimizer,
            halve_after=settings.halve_after, stop_after=settings.stop_after, clip=settings.clip, ema=settings.ema,
            devices=settings.devices, num_nodes=settings.num_nodes, accelerator=settings.accelerator,
            precision=settings.precision, compile_model=settings.compile_model, valid_every=settings.valid_every,
            max_minutes=settings.minutes, resume=resumed, seed=settings.seed, callbacks=callbacks, progress=progress,
            settings=dataclasses.asdict(settings), loss=None,
        )  # fmt: skip


def _resumed(settings: Settings, run: Path) -> Resumed:
    """The checkpoint to go on from, which must have the network of the settings."""
    resumed = find_checkpoint(run)
    _refuse_another_network(settings, run)
    if resumed.note and is_first_process():
        print(resumed.note, flush=True)
    return resumed


def make_model(settings: Settings) -> DPRNNTasNet:
    """The network of the settings: new with random weights, or from a checkpoint and changed as they say."""
    if settings.init:
        model = load_model(settings.init, prefix=settings.prefix)
    else:
        model = DPRNNTasNet(**SMALL | settings.model)
    if settings.sample_rate is not None:
        model = at_sample_rate(model, settings.sample_rate)
    if settings.stride is not None:
        model = refine(model, settings.stride)
    if settings.hidden is not None:
        model = widen(model, settings.hidden)
    if settings.blocks is not None:
        model = deepen(model, settings.blocks)
    return model


def _refuse_another_network(settings: Settings, run: Path) -> None:
    """Raise ValueError if the settings ask for another network than the run started with."""
    path = run / "config.yaml"
    if not path.is_file():
        return
    started = Settings.read(path)
    for name in NETWORK_SETTINGS:
        asked, had = getattr(settings, name), getattr(started, name)
        if name == "model":  # only what differs, with the values that hold where nothing was given
            asked, had = SMALL | asked, SMALL | had
            differing = [key for key in {**asked, **had} if asked.get(key) != had.get(key)]
            if differing:
                name, asked, had = f"model.{differing[0]}", asked.get(differing[0]), had.get(differing[0])
        if asked != had:
            raise ValueError(
                f"{name} is {asked!r}, and {run} was started with {had!r}: a resumed run keeps its network; leave "
                f"{name} out, or start another run with init (--init) {run / 'checkpoints' / 'last.ckpt'}"
            )


def _environment() -> dict:
    """What decides whether a run gives the same numbers again."""
    packages = ("dprnn-lab", "torch", "torchaudio", "lightning", "numpy")
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "commit": _commit(),
        "machine": platform.platform(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    if shutil.which("git") is None:
        return None
    command = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
