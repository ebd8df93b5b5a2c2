"""``dprnn-lab train``: an option for each field of :class:`dprnn_lab.training.Settings`."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..training.settings import Settings
from .common import app, stop
from .setting_options import ConfigFile, SetValues, read_settings, with_setting_options

__all__ = ["train"]


@app.command()
@with_setting_options
def train(
    run: Annotated[Path, typer.Argument(help="Folder of the run: settings, checkpoints, curves, model.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint in RUN.")
    ] = False,
    config: ConfigFile = None,
    values: SetValues = None,
    **given: Any,
) -> None:
    """Train a model; by default on dynamic mixtures of the bundled voices.

    The settings are, from lowest to highest priority: the defaults, those of a
    resumed RUN, a --config file, --set, the other options. RUN/config.yaml
    holds the result.

    dprnn-lab train runs/mine --minutes 30

    dprnn-lab train --resume runs/mine --steps 40000

    dprnn-lab train runs/libri --config data/libri2mix.yaml --data Libri2Mix/wav8k/min/train-100

    Ctrl-C (and SIGTERM, SIGHUP) ends the run after the current step, with a
    model, its results and the exit code 130 (143, 129); --resume continues it.
    A second one aborts at once. On several processes or machines: --devices,
    --num-nodes, or torchrun.
    """
    from ..training import train_run
    from ..training.ending import read_ending
    from ..training.machine import is_first_process

    try:
        settings = Settings()
        if resume and (run / "config.yaml").is_file():
            settings = Settings.read(run / "config.yaml")
        settings = read_settings(settings, config, values, given)
        train_run(settings, run, resume, progress=sys.stderr.isatty())
    except (
        ValueError,
        TypeError,
        OSError,
        ImportError,
    ) as error:  # CheckpointError, AudioError are ValueErrors
        stop(error)
    except KeyboardInterrupt:  # the second one: the run is as its last checkpoint left it
        raise typer.Exit(130) from None
    if not is_first_process():
        return  # one of several processes prints, and has the exit code
    typer.echo(
        f"{run}: model.safetensors, results.csv; try it: dprnn-lab evaluate --model {run}/model.safetensors"
    )
    ending = read_ending(run)
    if ending is not None and ending.state == "interrupted":
        typer.echo(f"{run}: {ending.sentence}")
        raise typer.Exit(128 + (ending.signal or signal.SIGTERM))
