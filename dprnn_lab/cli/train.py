"""``dprnn-lab train``."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .common import app, parse_value, stop

__all__ = ["train"]

MODEL = (
    "n_filters",
    "kernel_size",
    "chunk_size",
    "n_repeats",
    "bn_chan",
    "hid_size",
    "mask_act",
    "encoder_activation",
)


@app.command()
def train(
    run: Annotated[Path, typer.Argument(help="Folder of the run: settings, checkpoints, curves, model.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from RUN's last checkpoint.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file of settings, such as another run's.")
    ] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting; again for more.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps in all, resumed parts included.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes, resumable.")] = None,
    init: Annotated[str | None, typer.Option(help="A checkpoint to start from (fine-tuning).")] = None,
    freeze: Annotated[
        list[str] | None, typer.Option(help="A part to leave as it is; again for more.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Folder of folders per speaker, or with mix, s1, s2; the bundled voices."),
    ] = None,
    valid_data: Annotated[str | None, typer.Option(help="Such a folder for validation.")] = None,
    mix: Annotated[str | None, typer.Option(help="Folder of the mixtures, where DATA has several.")] = None,
    seconds: Annotated[
        list[float] | None,
        typer.Option(help="Length of a training mixture; again for more, of which each step draws one."),
    ] = None,
    epoch_size: Annotated[int | None, typer.Option(help="Mixtures per epoch.")] = None,
    easy_epochs: Annotated[
        int | None, typer.Option(help="Epochs of man-woman pairs before all pairs.")
    ] = None,
    woman_woman: Annotated[float | None, typer.Option(help="Share of woman-woman pairs after that.")] = None,
    speed: Annotated[int | None, typer.Option(help="Speed perturbation, per cent.")] = None,
    flip: Annotated[bool | None, typer.Option("--flip", help="Turn half of the sources upside down.")] = None,
    noise: Annotated[str | None, typer.Option(help="white, pink, babble, or a folder of noise.")] = None,
    batch: Annotated[int | None, typer.Option(help="Mixtures per step and process.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read ahead.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="muon or adam.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Steps to reach the learning rate.")] = None,
    cooldown: Annotated[int | None, typer.Option(help="Last steps, down to a rate of zero.")] = None,
    halve_after: Annotated[
        int | None, typer.Option(help="Validations without progress until the rate is halved.")
    ] = None,
    stop_after: Annotated[
        int | None, typer.Option(help="Validations without progress until the end.")
    ] = None,
    valid_every: Annotated[int | None, typer.Option(help="Epochs between validations.")] = None,
    n_filters: Annotated[int | None, typer.Option(help="Filters of encoder and decoder.")] = None,
    kernel_size: Annotated[int | None, typer.Option(help="Samples per filter; the stride is half.")] = None,
    chunk_size: Annotated[int | None, typer.Option(help="Frames per chunk.")] = None,
    n_repeats: Annotated[int | None, typer.Option(help="Dual-path blocks.")] = None,
    bn_chan: Annotated[int | None, typer.Option(help="Features per frame in the separator.")] = None,
    hid_size: Annotated[int | None, typer.Option(help="Hidden units per RNN and direction.")] = None,
    mask_act: Annotated[str | None, typer.Option(help="Activation of the masks.")] = None,
    encoder_activation: Annotated[str | None, typer.Option(help="Activation of the encoder.")] = None,
    accelerator: Annotated[str | None, typer.Option(help="cpu or gpu.")] = None,
    devices: Annotated[int | None, typer.Option(help="Processes (CPU) or GPUs on each machine.")] = None,
    num_nodes: Annotated[int | None, typer.Option(help="Machines.")] = None,
    precision: Annotated[str | None, typer.Option(help="32-true or bf16-mixed.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and mixtures.")] = None,
) -> None:
    """Train a model; by default on dynamic mixtures of the bundled voices.

    The settings are, from weak to strong: the defaults, those of a resumed RUN,
    a --config file, --set, the other options. RUN/config.yaml holds what they
    came to.

    dprnn-lab train runs/mine --minutes 30

    dprnn-lab train --resume runs/mine --steps 40000

    dprnn-lab train runs/libri --config data/libri2mix.yaml --data Libri2Mix/wav8k/min/train-100

    Ctrl-C ends the run after the step at work; --resume goes on from there. On
    several processes or machines: --devices, --num-nodes, or torchrun.
    """
    given = {
        name: value for name, value in locals().items() if name not in ("run", "resume", "config", "values")
    }
    from ..training import Settings, train_run

    try:
        settings = Settings()
        if resume and (run / "config.yaml").is_file():
            settings = Settings.read(run / "config.yaml")
        if config is not None:
            settings = Settings.read(config)
        # All at once: some settings are right only beside others.
        asked = dict(parse_value(text) for text in values or [])
        asked |= {name: value for name, value in given.items() if value is not None}
        settings = settings.changed(**_settings(asked))
        train_run(settings, run, resume, progress=sys.stderr.isatty())
    except (
        ValueError,
        TypeError,
        OSError,
        ImportError,
    ) as error:  # CheckpointError, AudioError are ValueErrors
        stop(error)
    if int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", 0))) == 0:  # of several processes one speaks
        typer.echo(
            f"{run}: model.safetensors, results.csv; try it: dprnn-lab evaluate --model {run}/model.safetensors"
        )


def _settings(values: dict) -> dict:
    """Options of the network go to the setting ``model``; the stride follows the kernel."""
    model = {name: values.pop(name) for name in MODEL if name in values}
    if "kernel_size" in model:
        model["stride"] = model["kernel_size"] // 2
    for name in [name for name in values if name.startswith("model.")]:
        model[name.removeprefix("model.")] = values.pop(name)
    return values | ({"model": model} if model else {})
