"""The command line: ``dprnn-lab train | evaluate | info | convert``."""

import ast
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    help="Speech separation with DPRNN-TasNet: train and evaluate models, look into checkpoints.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def train(
    run: Annotated[Path, typer.Argument(help="Folder for checkpoints, curves and the final model.")],
    steps: Annotated[int, typer.Option(help="Optimiser steps in all, resumed parts included.")] = 20_000,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes, resumable.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from RUN's last checkpoint.")] = False,
    devices: Annotated[int, typer.Option(help="Processes (CPU) or GPUs.")] = 1,
    accelerator: Annotated[str, typer.Option(help="cpu or gpu.")] = "cpu",
    batch: Annotated[int, typer.Option(help="Mixtures per step and process.")] = 4,
    seconds: Annotated[float, typer.Option(help="Length of a training mixture.")] = 1.0,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    warmup: Annotated[int, typer.Option(help="Steps to reach the learning rate.")] = 200,
    cooldown: Annotated[int, typer.Option(help="Last steps, down to a rate of zero.")] = 0,
    easy_epochs: Annotated[int, typer.Option(help="Epochs of man-woman pairs before all pairs.")] = 0,
    woman_woman: Annotated[float, typer.Option(help="Share of woman-woman pairs after that.")] = 0.5,
    speed: Annotated[int, typer.Option(help="Speed perturbation, per cent, after the easy epochs too.")] = 0,
    epoch_size: Annotated[int, typer.Option(help="Mixtures per epoch.")] = 2000,
    valid_every: Annotated[int, typer.Option(help="Epochs between validations.")] = 1,
    kernel_size: Annotated[int, typer.Option(help="Samples per filter; the stride is half.")] = 16,
    n_filters: Annotated[int, typer.Option(help="Learned filters.")] = 64,
    chunk_size: Annotated[int, typer.Option(help="Frames per chunk.")] = 64,
    n_repeats: Annotated[int, typer.Option(help="Dual-path blocks.")] = 3,
    bn_chan: Annotated[int, typer.Option(help="Features per frame in the separator.")] = 64,
    hid_size: Annotated[int, typer.Option(help="Hidden units per RNN and direction.")] = 64,
    mask_act: Annotated[str, typer.Option(help="Activation of the masks.")] = "sigmoid",
    encoder_activation: Annotated[str | None, typer.Option(help="Activation of the encoder.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights and mixtures.")] = 0,
) -> None:
    """Train a model on dynamic mixtures of the bundled voices."""
    import torch

    from . import training
    from .mixing import DynamicMixing, FixedMixtures
    from .model import DPRNNTasNet
    from .speech import SAMPLE_RATE

    torch.manual_seed(seed)
    if devices > 1 and accelerator == "cpu":
        torch.set_num_threads(1)
    model = DPRNNTasNet(
        kernel_size=kernel_size, stride=kernel_size // 2, n_filters=n_filters, chunk_size=chunk_size,
        n_repeats=n_repeats, bn_chan=bn_chan, hid_size=hid_size, mask_act=mask_act,
        encoder_activation=encoder_activation,
    )  # fmt: skip
    everything = {"man-woman": 1 - woman_woman, "woman-woman": woman_woman}
    mixing = DynamicMixing.from_corpus(
        samples=int(seconds * SAMPLE_RATE),
        size=epoch_size,
        kinds=[(0, {"man-woman": 1.0}), (easy_epochs, everything)] if easy_epochs else everything,
        speed_percent=speed,
        seed=seed,
    )
    last = run / "checkpoints" / "last.ckpt"
    if resume and not last.is_file():
        raise typer.BadParameter(f"{last} does not exist: nothing to resume", param_hint="--resume")
    training.train(
        model, training.MixingData(mixing, FixedMixtures("valid"), batch), run, steps,
        lr=lr, warmup=warmup, cooldown=cooldown, devices=devices, accelerator=accelerator,
        valid_every=valid_every, max_minutes=minutes, resume=last if resume else None, seed=seed,
    )  # fmt: skip


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A .safetensors file.")],
    mixtures: Annotated[str, typer.Option(help="'test', 'valid', or a CSV file.")] = "test",
    out: Annotated[Path | None, typer.Option(help="Also write every mixture's scores to this CSV.")] = None,
) -> None:
    """Mean SI-SDRi by pair kind on fixed mixtures."""
    from . import evaluation
    from .checkpoint import CheckpointError, load_model
    from .mixing import FixedMixtures

    try:
        network, dataset = load_model(model), FixedMixtures(mixtures)
    except (CheckpointError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error)) from error
    table = evaluation.evaluate(network, dataset)
    if out is not None:
        table.round(3).to_csv(out, index=False)
    print(evaluation.summarise(table).round(2).to_string(index=False))


@app.command()
def info(
    checkpoint: Annotated[str, typer.Argument(help="A file, or the id of a model on the hub: user/name.")],
) -> None:
    """What is in a checkpoint, and whether it loads.

    Shows the format; the parameters that fit, are missing or do not belong;
    NaNs; every value of the configuration and how it is known (from the file,
    from the shapes of the weights, or assumed because neither says it); and
    facts about the training. Nothing in the file is run. Exit status 1 when
    it does not load.
    """
    from .checkpoint import CheckpointError, inspect_checkpoint

    try:
        report = inspect_checkpoint(checkpoint)
    except CheckpointError as error:
        _stop(error)
    typer.echo(report)
    raise typer.Exit(1 if report.problems() else 0)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A checkpoint of any kind, or a hub id.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".safetensors: ours; .pth: Asteroid's.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="What the file does not say; again for more."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT.")] = False,
) -> None:
    """Write a checkpoint in another format, with its configuration.

    From Asteroid's packages, Lightning's .ckpt, bare state dicts and hub
    models to our .safetensors, which opens without running code; or to a
    package that Asteroid's DPRNNTasNet.from_pretrained opens.

    A bare state dict does not say its stride, chunk_size, mask_act and some
    more. They are assumed, and named; give them if you know them:
    --set stride=1 --set chunk_size=250
    """
    from .checkpoint import CheckpointError, load_model, save_asteroid, save_model
    from .checkpoint.report import assumption

    if out.exists() and not force:
        _stop(f"{out}: exists already; give another name, or --force to overwrite it")
    try:
        model, report = load_model(source, report=True, **dict(_parse(text) for text in values or []))
        if out.suffix == ".safetensors":
            save_model(model, out, training=report.facts)
        else:
            save_asteroid(model, out, infos=report.facts.get("infos", report.facts))
    except (CheckpointError, TypeError, OSError) as error:
        _stop(error)
    typer.echo(f"{out}: {report.parameters:,} parameters from {report.path} ({report.format})")
    if report.assumed:
        typer.echo(f"dprnn-lab: {assumption(report.assumed)}", err=True)


def _parse(text: str) -> tuple[str, object]:
    """``NAME=VALUE`` with the value as Python would read it, or else as text.

    >>> _parse("chunk_size=250"), _parse("mask_act=relu")
    (('chunk_size', 250), ('mask_act', 'relu'))
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r}: write NAME=VALUE, such as chunk_size=250", param_hint="--set")
    try:
        return name.strip(), ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name.strip(), value


def _stop(error: Exception | str) -> NoReturn:
    """End with the message and without a traceback."""
    typer.echo(f"dprnn-lab: {error}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
