"""``dprnn-lab preflight``: look at a training before a long run, with the settings of ``dprnn-lab train``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..training.settings import Settings
from .common import app, stop
from .setting_options import ConfigFile, SetValues, read_settings, with_setting_options

__all__ = ["preflight"]


@app.command()
@with_setting_options
def preflight(
    checkpoint: Annotated[
        str | None,
        typer.Option(help="A model to go on with: a checkpoint of any kind, or a hub id; as --init."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the report to this page, REPORT.html.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the report to this file.")] = None,
    budget_s: Annotated[float, typer.Option("--budget", help="Seconds for all checks.")] = 60.0,
    config: ConfigFile = None,
    values: SetValues = None,
    **given: Any,
) -> None:
    """Look at a training before a long run: would it learn, and what will it cost?

    Takes the settings of dprnn-lab train, and trains nothing: gradients, one
    batch learnt by heart, the learning rate, time and memory of a step, the
    time to read data, all on copies and in under a minute. Exit status 0: no
    failure, 1: a failure, or something that can't be read.

    dprnn-lab preflight --lr 0.01 --out report.html

    dprnn-lab preflight --config data/libri2mix.yaml --data Libri2Mix/wav8k/min/train-100

    dprnn-lab preflight --checkpoint best_model.ckpt --data my_voices --lr 1e-4
    """
    from rich.console import Console

    from ..diagnosis.preflight import preflight_settings

    if checkpoint is not None:
        if given.get("init") is not None:
            stop("--checkpoint and --init both name a checkpoint: leave one of them out")
        given["init"] = checkpoint
    settings = read_settings(Settings(), config, values, given)
    report = preflight_settings(settings, budget_s=budget_s)
    if out is not None:
        report.to_html(out)
    if json is not None:
        report.to_json(json)
    Console().print(report)
    raise typer.Exit(report.exit_code)
