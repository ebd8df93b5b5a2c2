"""``dprnn-lab info``, ``convert`` and ``export``: a checkpoint inspected and written in another format."""

from pathlib import Path
from typing import Annotated

import typer

from .common import PREFIX_HELP, app, parse_value, say, stop

__all__ = ["convert", "export", "info"]

LONGEST_EXPORT = 600  # seconds; longer recordings are separated in windows


@app.command()
def info(
    checkpoint: Annotated[str, typer.Argument(help="A file, or the id of a model on the hub: user/name.")],
    prefix: Annotated[str | None, typer.Option(help=PREFIX_HELP)] = None,
) -> None:
    """Show the contents of a checkpoint, and whether it loads.

    Shows the format; the parameters that match, are missing or unexpected;
    NaNs; every value of the configuration and its origin (the file, the shapes
    of the weights, or assumed because neither has it); and facts about the
    training. No code in the file is run. Exit status 1 if it does not load.
    """
    from ..checkpoint import inspect_checkpoint

    report = inspect_checkpoint(checkpoint, prefix=prefix)
    say(str(report))
    raise typer.Exit(1 if report.problems() else 0)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A checkpoint of any kind, or a hub id.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".safetensors: ours; .pth: Asteroid's.")],
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting that the file does not contain; repeatable."
        ),
    ] = None,
    prefix: Annotated[str | None, typer.Option(help=PREFIX_HELP)] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite OUT, and let --set contradict what IN states.")
    ] = False,
) -> None:
    """Write a checkpoint in another format, with its configuration.

    From Asteroid's packages, Lightning's .ckpt, bare state dicts and hub
    models to our .safetensors, which opens without running code; or to a
    package that Asteroid's DPRNNTasNet.from_pretrained opens.

    A bare state dict does not contain its stride, chunk_size, mask_act and some
    others. They are assumed, and listed; give them if you know them:
    --set stride=1 --set chunk_size=250

    A value that contradicts the weights is refused. One that contradicts what
    the file states, and no shape can confirm, such as its stride, needs --force.
    """
    from ..checkpoint import load_model, save_asteroid, save_model
    from ..checkpoint.report import assumption

    if out.exists() and not force:
        stop(f"{out}: exists already; give another name, or --force to overwrite it")
    given = dict(parse_value(text) for text in values or [])
    model, report = load_model(source, report=True, prefix=prefix, **given)
    changed = _contradictions(source, prefix, given, report.config)
    if changed and not force:
        stop(
            f"{source} states {' and '.join(changed)}: leave --set out, or add --force if you know that the file is "
            "wrong"
        )
    if out.suffix == ".safetensors":
        save_model(model, out, training=report.facts)
    else:
        save_asteroid(model, out, infos=report.facts.get("infos", report.facts))
    say(f"{out}: {report.parameters:,} parameters from {report.path} ({report.format})")
    if changed:
        say(f"dprnn-lab: {source} states {' and '.join(changed)}: written as --set says", err=True)
    if report.assumed:
        say(f"dprnn-lab: {assumption(report.assumed)}", err=True)


def _contradictions(source: str, prefix: str | None, given: dict, used: dict) -> list[str]:
    """Where a value that was given is another than the file's own, which shapes alone can't tell: each in words.

    Args:
        used: the configuration with which the file was loaded.
    """
    from ..checkpoint import CheckpointError, inspect_checkpoint

    if not given:
        return []
    try:
        stated = inspect_checkpoint(source, prefix=prefix).settings
    except CheckpointError:  # what it states makes no model: --set is the remedy
        return []
    return [
        f"{name}={stated[name].value!r} (not {used[name]!r}, as --set says)"
        for name in given
        if stated[name].source.startswith("file") and stated[name].value != used[name]
    ]


@app.command()
def export(
    source: Annotated[str, typer.Argument(metavar="MODEL", help="A checkpoint of any kind, or a hub id.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .onnx file to write.")],
    seconds: Annotated[float, typer.Option(help="Length of the mixtures that the file accepts.")] = 4.0,
    batch: Annotated[int, typer.Option(help="Mixtures per call.")] = 1,
    any_batch: Annotated[
        bool, typer.Option("--any-batch", help="Any number of mixtures per call, in place of --batch.")
    ] = False,
    weights: Annotated[
        str, typer.Option(help="How the file stores them: float32; float16 or int8 for smaller files.")
    ] = "float32",
    prefix: Annotated[str | None, typer.Option(help=PREFIX_HELP)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT.")] = False,
) -> None:
    """Write a model as an ONNX file, for programs without PyTorch.

    The file accepts mixtures of one length. It is written only if ONNX
    Runtime computes the same numbers as PyTorch, to the rounding of the
    weights. The configuration and the
    sample rate are in its metadata.

    Needs: pip install "dprnn-lab\\[onnx]"

    dprnn-lab export best_model.pth model.onnx --seconds 4
    """
    from ..checkpoint import load_model
    from ..separation.onnx_export import export_onnx

    if out.exists() and not force:
        stop(f"{out}: exists already; give another name, or --force to overwrite it")
    if not 0 < seconds <= LONGEST_EXPORT:
        stop(f"--seconds is {seconds}: give a number above 0 and up to {LONGEST_EXPORT}")
    model = load_model(source, prefix=prefix)
    samples = round(seconds * model.sample_rate)
    difference = export_onnx(model, out, samples, batch, any_batch=any_batch, weights=weights)
    count = "any" if any_batch else batch
    say(
        f"{out}: mixture [{count}, {samples}] at {model.sample_rate:g} Hz -> estimates "
        f"[{count}, {model.n_src}, {samples}]; ONNX Runtime differs from PyTorch by {difference:.0e} of the peak"
    )
