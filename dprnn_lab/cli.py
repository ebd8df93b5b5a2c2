"""The command line: ``dprnn-lab train | evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Speech separation with DPRNN-TasNet: train and evaluate on the bundled corpus.",
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


if __name__ == "__main__":
    app()
