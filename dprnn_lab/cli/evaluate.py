"""``dprnn-lab evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import app, stop

__all__ = ["evaluate"]


@app.command()
def evaluate(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="A checkpoint, a hub id, or conv-tasnet:FILE; repeatable."),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also the mixture itself, ideal masks (IRM, IBM) and NMF.")
    ] = False,
    data: Annotated[
        str,
        typer.Option(
            help="'test' or 'valid' of the bundled voices; a CSV of mixtures; or a folder with mix, s1, s2."
        ),
    ] = "test",
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
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores.csv, report.md and report.html; resumable.")
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Also write scores.parquet. Needs --out and pyarrow.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes; 0 for none beside this one. Needs --out.")] = 0,
) -> None:
    """Score models and baselines on the same mixtures.

    The report compares the first model with all others, and shows its worst mixtures.

    dprnn-lab evaluate --model mine.ckpt --model data/model/small.safetensors --baselines --out results

    dprnn-lab evaluate --model mine.ckpt --data Libri2Mix/wav8k/min/test --mix mix_clean --metrics si_sdr,bss
    """
    from .. import evaluation
    from ..evaluation.run import check_rates, evaluate_to, open_mixtures
    from ..evaluation.systems import make_system, name_of

    addresses = [*(models or []), *(evaluation.BASELINES if baselines else [])]
    if not addresses:
        stop("nothing to evaluate: give --model FILE, --baselines, or both")
    systems = {name_of(address): address for address in addresses}
    if len(systems) < len(addresses):
        stop(f"two models have the same name among {', '.join(map(name_of, addresses))}: rename a file")
    wanted = tuple(metric.strip() for metric in metrics.split(","))
    try:
        mixtures = open_mixtures(data, mix, sample_rate)
        networks = {n: make_system(a) for n, a in systems.items() if a not in evaluation.BASELINES}
        check_rates(networks, mixtures)
        if out is None:
            made = {n: networks[n] if n in networks else make_system(a) for n, a in systems.items()}
            table = evaluation.evaluate(made, mixtures, wanted)
        else:
            table = evaluate_to(out, systems, mixtures, wanted, workers, parquet=parquet)
            evaluation.write_report(out, table, systems, mixtures)
    except (ValueError, OSError) as error:  # CheckpointError and AudioError are ValueErrors
        stop(error)
    typer.echo(evaluation.summarise(table).round(2).to_string(index=False))
    if out is not None:
        typer.echo(f"{out}: scores.csv, report.md, report.html")
