"""A run from its settings: the network, the data, the folder with all that was decided and found.

Notebook: 05_training
"""

import dataclasses
import json
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import torch

from ..checkpoint import load_model
from ..files import write_whole
from ..model import DPRNNTasNet
from ..model.growing import at_sample_rate, deepen, refine, widen
from .callbacks import Listener, print_line
from .datasets import make_data
from .fitting import train
from .module import freeze
from .settings import SMALL, Settings

__all__ = ["train_run"]

NETWORK = ("model", "init", "blocks", "hidden", "stride", "sample_rate")  # settings that make the network


def train_run(
    settings: Settings,
    run: str | Path,
    resume: bool = False,
    listeners: Sequence[Listener] = (print_line,),
    progress: bool = False,
) -> DPRNNTasNet:
    """Train as the settings say, and leave in the folder ``run``, beside what :func:`train` leaves:

    ``config.yaml`` (the settings), ``environment.json`` (versions and machine of the last sitting), ``results.csv``
    (SI-SDRi by pair kind on the validation mixtures, with 95 % intervals).

    Args:
        resume: go on from ``run/checkpoints/last.ckpt``, which holds the network, too: a checkpoint that the run was
            begun from is no longer needed. The settings are then those of the whole run: steps that are over are
            not made again, whatever they say.

    Raises:
        FileExistsError: the folder holds a run, and ``resume`` is False.
        FileNotFoundError: nothing to resume.
        ValueError, TypeError: settings that do not fit each other or the data, or a resumed run that is to get
            another network.
    """
    run = Path(run)
    last = run / "checkpoints" / "last.ckpt"
    if resume and not last.is_file():
        raise FileNotFoundError(f"{last} does not exist: nothing to resume")
    if last.is_file() and not resume:
        raise FileExistsError(f"{run} holds a run already: resume it, or name another folder")
    if resume:
        _refuse_another_network(settings, run)
    if settings.devices * settings.num_nodes > 1 and settings.accelerator == "cpu":
        torch.set_num_threads(1)  # the processes share the cores
    torch.manual_seed(settings.seed)
    model = load_model(last) if resume else make_model(settings)
    if settings.freeze:
        freeze(model, settings.freeze)
    data = make_data(settings, model.sample_rate)
    settings.write(run / "config.yaml")
    write_whole(run / "environment.json", json.dumps(_environment(), indent=2).encode())
    model = train(
        model, data, run, settings.steps,
        lr=settings.lr, warmup=settings.warmup, cooldown=settings.cooldown, optimizer=settings.optimizer,
        halve_after=settings.halve_after, stop_after=settings.stop_after, clip=settings.clip, ema=settings.ema,
        devices=settings.devices, num_nodes=settings.num_nodes, accelerator=settings.accelerator,
        precision=settings.precision, compile_model=settings.compile_model, valid_every=settings.valid_every,
        max_minutes=settings.minutes, resume=last if resume else None, seed=settings.seed,
        listeners=listeners, progress=progress, settings=dataclasses.asdict(settings),
    )  # fmt: skip
    _write_results(run)
    return model


def make_model(settings: Settings) -> DPRNNTasNet:
    """The network of the settings: new with random weights, or from a checkpoint, changed as they say."""
    model = load_model(settings.init) if settings.init else DPRNNTasNet(**SMALL | settings.model)
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
    """A run keeps the network that it was begun with."""
    path = run / "config.yaml"
    if not path.is_file():
        return
    begun = Settings.read(path)
    for name in NETWORK:
        asked, had = getattr(settings, name), getattr(begun, name)
        if asked != had:
            raise ValueError(
                f"{name} is {asked!r}, and {run} was begun with {had!r}: a resumed run keeps its network; leave that "
                f"out, or begin another run, where init {run / 'checkpoints' / 'last.ckpt'} starts from these weights"
            )


def _write_results(run: Path) -> None:
    from ..evaluation import summarise  # here, since it takes a second to import and most uses need it not

    tables = sorted((run / "validation").glob("step*.csv"))
    if tables:
        rows = summarise(pd.read_csv(tables[-1]))
        rows.insert(0, "step", int(tables[-1].stem.removeprefix("step")))
        write_whole(run / "results.csv", rows.round(3).to_csv(index=False, lineterminator="\n").encode())


def _environment() -> dict:
    """What somebody needs to know who wants the same numbers."""
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
