"""``dprnn-lab evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import PREFIX_HELP, SCHEDULER_HELP, app, say, stop

__all__ = ["evaluate"]


@app.command()
def evaluate(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="A checkpoint, a hub id, or conv-tasnet:FILE; repeatable."),
    ] = None,
    prefixes: Annotated[
        list[str] | None,
        typer.Option("--prefix", help=f"{PREFIX_HELP} Once for all models, or once for each --model."),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also the mixture itself, ideal masks (IRM, IBM) and NMF.")
    ] = False,
    chosen: Annotated[
        list[str] | None,
        typer.Option("--baseline", help="One of them: mixture, irm, ibm or nmf; repeatable."),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="unseen (people whom no bundled model was trained on), unseen-rooms, test, valid; several with commas "
            "between; a CSV of mixtures; or a folder with mix, s1, s2."
        ),
    ] = "unseen,test",
    mix: Annotated[
        str | None, typer.Option(help="Folder of the mixtures, if DATA has several, such as mix_clean.")
    ] = None,
    sample_rate: Annotated[
        float | None,
        typer.Option(help="Sample rate of the mixtures, in Hz; the bundled voices are converted."),
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="si_sdr, bss (SDR, SIR, SAR), stoi, pesq; separated by commas.")
    ] = "si_sdr",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out mixtures that can't be read, and list them.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores.csv, report.md and report.html; resumable.")
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Also write scores.parquet. Needs --out and pyarrow.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes; 0 for none beside this one. Needs --out.")] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(help=f"{SCHEDULER_HELP} Models and mixtures are read here and sent. Needs --out."),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="Of all models: float32, bfloat16, or auto (bfloat16 where the processor has it). Figures to be "
            "published are float32."
        ),
    ] = "float32",
) -> None:
    """Score models and baselines on the same mixtures.

    The report compares the first model with all others, and shows its worst mixtures.

    dprnn-lab evaluate --model mine.ckpt --model small --baselines --out results

    dprnn-lab evaluate --model mine.ckpt --data Libri2Mix/wav8k/min/test --mix mix_clean --metrics si_sdr,bss
    """
    from contextlib import nullcontext

    from .. import evaluation
    from ..evaluation.baselines import BASELINES, why_not
    from ..evaluation.processes import check_workers
    from ..evaluation.run import check_fits, evaluate_to, open_mixtures
    from ..evaluation.schedulers import check_scheduler, open_scheduler
    from ..evaluation.scores import check_metrics
    from ..evaluation.systems import at_precision, make_system, names_of
    from ..model.precision import resolve_precision

    if unknown := [name for name in chosen or [] if name not in BASELINES]:
        stop(f"baseline is {unknown[0]!r}: choose from {', '.join(BASELINES)}")
    wanted_baselines = [n for n in BASELINES if baselines or n in (chosen or [])]
    precision = resolve_precision(precision)
    files = [at_precision(file, precision) for file in _with_prefixes(models or [], prefixes or [])]
    if not files and not wanted_baselines:
        stop("nothing to evaluate: give --model FILE, --baseline NAME, or --baselines")
    if out is None and (parquet or workers or scheduler is not None):
        option = "--parquet" if parquet else "--workers" if workers else "--scheduler"
        stop(f"{option} needs --out, the folder for the results")
    if scheduler is not None:
        if workers:
            stop("--scheduler has its own workers: leave --workers out")
        check_scheduler(scheduler)
    wanted = tuple(metric.strip() for metric in metrics.split(","))
    check_metrics(wanted)
    check_workers(workers)
    names = names_of([*files, *wanted_baselines])
    mixtures = open_mixtures(data, mix, sample_rate, skip_bad)
    systems = dict(zip(names, [*files, *wanted_baselines], strict=True))
    for name in wanted_baselines:
        if reason := next(filter(None, (why_not(name, spec) for spec in mixtures.specs)), None):
            say(f"dprnn-lab: the baseline {name} is left out: {reason}", err=True)
            del systems[name]
    if not systems:
        stop(
            "nothing to evaluate: none of these baselines can be computed on these mixtures; give --model FILE"
        )
    networks = {n: make_system(a) for n, a in systems.items() if a not in BASELINES}
    check_fits(networks, mixtures)
    if out is None:
        made = {n: networks[n] if n in networks else make_system(a) for n, a in systems.items()}
        table = evaluation.evaluate(made, mixtures, wanted, skip_bad)
    else:
        with open_scheduler(scheduler) if scheduler else nullcontext() as executor:
            table = evaluate_to(
                out, systems, mixtures, wanted, workers, parquet=parquet, skip_bad=skip_bad, executor=executor
            )
        evaluation.write_report(out, table, systems, mixtures)
    say(evaluation.overview(table, wanted).round(2).to_string(index=False))
    for sentence in evaluation.undefined(table, wanted):
        say(f"dprnn-lab: {sentence}", err=True)
    for name, reason in table.attrs["left_out"]:
        say(f"dprnn-lab: left out {name}: {reason}", err=True)
    if table.attrs["left_out"]:
        say(f"dprnn-lab: {len(table.attrs['left_out'])} left out, see above", err=True)
    if out is not None:
        say(f"{out}: scores.csv, report.md, report.html")


def _with_prefixes(models: list[str], prefixes: list[str]) -> list[str]:
    """The addresses of models, each with its prefix."""
    if len(prefixes) not in (0, 1, len(models)):
        stop(
            f"there are {len(models)} --model and {len(prefixes)} --prefix: give one prefix for all, or one for each"
        )
    if len(prefixes) < len(models):
        prefixes = (prefixes or [""]) * len(models)
    return [f"{m}::{p}" if p else m for m, p in zip(models, prefixes, strict=True)]
