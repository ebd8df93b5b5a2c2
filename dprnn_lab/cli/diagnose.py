"""``dprnn-lab diagnose`` and ``checklist``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import PREFIX_HELP, app, parse_value, stop

__all__ = ["checklist", "diagnose"]


@app.command()
def diagnose(
    checkpoint: Annotated[
        str | None, typer.Option(help="The model: a checkpoint of any kind, or a hub id.")
    ] = None,
    prefix: Annotated[str | None, typer.Option(help=PREFIX_HELP)] = None,
    mixture: Annotated[Path | None, typer.Option(help="The recording that does not separate.")] = None,
    references: Annotated[
        list[Path] | None, typer.Option("--reference", help="A true source; repeatable.")
    ] = None,
    estimates: Annotated[
        list[Path] | None, typer.Option("--estimate", help="An output of the model; repeatable.")
    ] = None,
    speakers: Annotated[int | None, typer.Option(help="Number of people in the mixture.")] = None,
    run: Annotated[Path | None, typer.Option(help="A training run: its folder, or its CSV.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="A data folder with train and test, each with s1, s2.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Scores per example: a folder of evaluate --out, or a CSV.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting missing in the checkpoint; repeatable.",
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the report to this file.")] = None,
) -> None:
    """Find out why a model does not separate.

    Give what you have; each piece allows more checks. No code in the checkpoint
    is run. Exit status 0: nothing wrong in the checks that had what they need,
    1: warnings, 2: failures, or something that can't be read, 3: a check itself
    raised an error.

    dprnn-lab diagnose --checkpoint best_model.pth --mixture talk.wav
    dprnn-lab diagnose --checkpoint last.ckpt --mixture talk.wav --estimate s1.wav --estimate s2.wav
    """
    from rich.console import Console

    from ..diagnosis import diagnose as examine

    if not any((checkpoint, mixture, estimates, run, data, scores)):
        stop(
            "nothing to look at: give --checkpoint, --mixture, --estimate, --run, --data or --scores", code=2
        )
    try:
        report = examine(
            checkpoint, mixture, references=references or None, estimates=estimates or None, speakers=speakers,
            run=run, data=data, scores=scores, config=_loading(values or [], prefix),
        )  # fmt: skip
        report.on_command_line = True
        if json is not None:
            report.to_json(json)
    except (ValueError, TypeError, OSError) as error:  # CheckpointError and AudioError are ValueErrors
        stop(error, code=2)
    Console().print(report)
    raise typer.Exit(report.exit_code)


def _loading(values: list[str], prefix: str | None) -> dict:
    """The arguments of ``load_model``."""
    arguments = dict(parse_value(text) for text in values)
    return arguments if prefix is None else arguments | {"prefix": prefix}


@app.command()
def checklist() -> None:
    """Print every failure that diagnose knows, as Markdown."""
    from ..diagnosis import checklist as page

    typer.echo(page(), nl=False)
