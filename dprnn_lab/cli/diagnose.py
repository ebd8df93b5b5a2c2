"""``dprnn-lab diagnose`` and ``checklist``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import app, parse_value, stop

__all__ = ["checklist", "diagnose"]


@app.command()
def diagnose(
    checkpoint: Annotated[
        str | None, typer.Option(help="The model: a checkpoint of any kind, or a hub id.")
    ] = None,
    mixture: Annotated[Path | None, typer.Option(help="The recording that does not separate.")] = None,
    references: Annotated[
        list[Path] | None, typer.Option("--reference", help="A true source; once for each.")
    ] = None,
    estimates: Annotated[
        list[Path] | None, typer.Option("--estimate", help="An output that you got; once for each.")
    ] = None,
    speakers: Annotated[int | None, typer.Option(help="How many people you hear in the mixture.")] = None,
    run: Annotated[Path | None, typer.Option(help="A training run: its folder, or its CSV.")] = None,
    data: Annotated[Path | None, typer.Option(help="A data folder with train, test; s1, s2 in them.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Scores per example: what evaluate --out left, or a CSV.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="What you give load_model; again for more."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the report to this file.")] = None,
) -> None:
    """Why does it not separate?

    Bring what you have; each piece decides more. Nothing in the checkpoint is
    run. Exit status 0: nothing wrong, 1: warnings, 2: failures, or something
    that can't be read.

    dprnn-lab diagnose --checkpoint best_model.pth --mixture talk.wav
    dprnn-lab diagnose --checkpoint last.ckpt --mixture talk.wav --estimate s1.wav --estimate s2.wav
    """
    from rich.console import Console

    from ..diagnosis import diagnose as examine

    if not any((checkpoint, mixture, estimates, run, data, scores)):
        stop("nothing to look at: give --checkpoint, --mixture or --run", code=2)
    try:
        report = examine(
            checkpoint, mixture, references=references or None, estimates=estimates or None, speakers=speakers,
            run=run, data=data, scores=scores, config=dict(parse_value(text) for text in values or []),
        )  # fmt: skip
        if json is not None:
            report.to_json(json)
    except (ValueError, TypeError, OSError) as error:  # CheckpointError and AudioError are ValueErrors
        stop(error, code=2)
    Console().print(report)
    raise typer.Exit(report.exit_code)


@app.command()
def checklist() -> None:
    """Every failure that diagnose knows, on a page to print (Markdown)."""
    from ..diagnosis import checklist as page

    typer.echo(page(), nl=False)
