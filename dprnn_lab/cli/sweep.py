"""``dprnn-lab sweep``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import SCHEDULER_HELP, app, parse_value, say, stop

__all__ = ["sweep"]


@app.command()
def sweep(
    notebook: Annotated[Path, typer.Argument(help="A notebook with a cell tagged parameters.")],
    out: Annotated[
        Path, typer.Option(help="Folder for notebooks, results.csv, report.md and report.html; resumable.")
    ],
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES", help="A parameter and its values, or a single value; repeatable."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each setting, with the parameter seed from 0 on.")] = 3,
    workers: Annotated[int, typer.Option(help="Runs at the same time, each with one thread.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help=SCHEDULER_HELP)] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="The value in the report.", show_default="the first value that the runs report"),
    ] = None,
) -> None:
    """Execute a notebook for every combination of settings and seeds, in parallel, and report.

    A call with the same arguments continues a stopped sweep, and repeats failed runs. Exit status 1 if a run failed.

    dprnn-lab sweep notebooks/experiments/one_run.ipynb --grid 'chunk_size=[8, 32]' --workers 2 --out runs/chunks

    dprnn-lab sweep notebooks/experiments/one_run.ipynb --grid 'pit=[True, False]' --scheduler tcp://host:8786 --out pit
    """
    from contextlib import nullcontext

    import pandas as pd

    from .. import sweeps
    from ..evaluation.schedulers import check_scheduler, open_scheduler

    axes: dict[str, list] = {}
    for text in grid or []:
        name, value = parse_value(text, "--grid")
        if isinstance(value, str) and value.startswith(("[", "(")):
            stop(f"{text}: {value} is not a Python list, such as [8, 32], [True, False], ['a', 'b']")
        if name in axes:
            stop(f"{name} is in the grid twice: give all its values in one list")
        axes[name] = list(value) if isinstance(value, list | tuple) else [value]
    if scheduler is not None and workers != 1:
        stop("--scheduler has its own workers: leave --workers out")
    if scheduler is not None:
        check_scheduler(scheduler)
    sweeps.plan(notebook, axes, seeds)  # before a cluster is started
    try:
        with open_scheduler(scheduler) if scheduler else nullcontext() as executor:
            table = sweeps.sweep(notebook, axes, out, workers, seeds, executor=executor)
    except KeyboardInterrupt as error:
        error.add_note("the same command continues from here")
        raise
    sweeps.write_report(out, table, metric, title=f"Sweep of {notebook.name}")
    failed = table[table["status"] != "ok"]
    for row in failed.itertuples():
        cell = "" if pd.isna(row.cell) else f" in cell [{row.cell}]"
        say(f"failed{cell}: {row.error}\n  {Path(out) / row.notebook}")
    say(f"{out}: {len(table) - len(failed)} of {len(table)} runs; results.csv, report.md, report.html")
    if len(failed):
        raise typer.Exit(1)
