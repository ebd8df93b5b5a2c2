"""The report of an evaluation: tables and comparisons in Markdown, the same with pictures and players in HTML.

Notebook: 08_evaluation
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from .. import report_page as html
from ..audio import SAMPLE_RATE
from ..error_texts import printable
from ..files import write_whole
from ..loss import PITLossWrapper, pairwise_neg_sisdr
from ..report_page import markdown, markdown_table
from .baselines import BASELINES
from .clusters import MIN_VOICES, clusters_of
from .forward_cost import COST_SECONDS, system_costs
from .scores import METRICS
from .statistics import compare, worst
from .systems import Address, computes_in_bfloat16, make_system
from .table import MixtureSet, System, separate_with, summarise, undefined

__all__ = ["markdown_report", "markdown_table", "write_report"]

COMPARED = 3  # networks whose outputs are played beside each other
MEANS = ("sdr", "sdri", "sir", "sar", "stoi", "pesq", "correlation", "rtf")


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _tables(
    table: pd.DataFrame, costs: pd.DataFrame | None, clusters: Mapping[str, tuple[str, ...]] | None = None
) -> list[tuple[str, str, pd.DataFrame]]:
    """Heading, sentence and table of each section."""
    wider = ""
    if clusters:
        wider = (
            " Mixtures that share a voice are not independent: cluster_low and cluster_high are the interval of a "
            f"bootstrap over voices, or over utterances where a kind has fewer than {MIN_VOICES} voices. It errs on "
            "the wide side, the plain one on the narrow side."
        )
    sections = [
        (
            "SI-SDR improvement (dB)",
            f"Mean by system and kind of mixture, with the 95 % bootstrap interval of the mean.{wider}",
            summarise(table, clusters=clusters).drop(columns="correlation"),
        ),
        (
            "Other scores",
            " ".join(
                [
                    "Means. Correlation is between the two outputs; rtf is seconds of computing per second of audio.",
                    *(f"{sentence}." for sentence in undefined(table, METRICS)),
                ]
            ),
            table.groupby(["system", "kind"], sort=False, as_index=False)[
                [m for m in MEANS if m in table]
            ].mean(),
        ),
    ]
    names = list(table["system"].unique())
    parts = {name: table[table["system"] == name] for name in names}
    for name in names[1:]:
        comparison = compare(parts[name], parts[names[0]], clusters=clusters)
        if comparison.empty:  # no mixture has a score of both
            continue
        sections.append(
            (
                f"Is {names[0]} better than {name}?",
                f"SI-SDRi of {names[0]} minus {name} on the same mixtures (dB), the 95 % interval of the mean "
                "difference, the mixtures on which it is better and worse, and the p value of the sign test.",
                comparison.assign(p=comparison["p"].map(_p_value)),
            )
        )
    sections.append(
        (
            f"Worst mixtures of {names[0]}",
            "Lowest SI-SDRi first: listen to these.",
            worst(parts[names[0]], 5)[["id", "kind", "si_sdr", "si_sdri", "correlation"]],
        )
    )
    left_out = table.attrs.get("left_out", [])
    if left_out:
        count = f"{len(left_out)} mixtures or files that can't be read are in no number of this report."
        sections.append(("Left out", count, pd.DataFrame(left_out, columns=["mixture", "reason"])))
    if costs is not None and len(costs):
        sections.append(
            (
                "Cost",
                f"Separating {COST_SECONDS} s in a child process: seconds, and the peak memory of all tensors made.",
                costs,
            )
        )
    return sections


def markdown_report(
    table: pd.DataFrame,
    costs: pd.DataFrame | None = None,
    clusters: Mapping[str, tuple[str, ...]] | None = None,
) -> str:
    """All tables of an evaluation with several systems (a column ``system``); the first is compared with the others."""
    parts = [
        f"## {markdown(heading)}\n\n{markdown(text)}\n\n{markdown_table(t)}\n"
        for heading, text, t in _tables(table, costs, clusters)
    ]
    stated = [f"{markdown(table.attrs['precision'])}\n"] if "precision" in table.attrs else []
    return "# Evaluation\n\n" + "\n".join([*stated, *parts])


def write_report(
    folder: str | os.PathLike,
    table: pd.DataFrame,
    systems: Mapping[str, Address],
    mixtures: MixtureSet,
    players: int = 3,
) -> tuple[Path, Path]:
    """Write ``report.md`` and ``report.html`` and return their paths.

    Args:
        folder: that of :func:`evaluate_to`.
        table: its result.
        systems, mixtures: its arguments; the worst mixtures are separated again for the players.
        players: number of the worst mixtures with players.
    """
    folder = Path(folder)
    lower = [name for name, address in systems.items() if computes_in_bfloat16(address)]
    others = f"bfloat16: {', '.join(lower)}; the others in " if lower else ""
    table.attrs["precision"] = f"Computed in {others}float32."
    costs = system_costs(systems, mixtures[0])
    clusters = clusters_of(mixtures)
    markdown, document = folder / "report.md", folder / "report.html"
    write_whole(markdown, markdown_report(table, costs, clusters).encode(errors="backslashreplace"))
    parts = [html.paragraph(table.attrs["precision"]), *_histogram(table)]
    for title, text, section in _tables(table, costs, clusters):
        parts += [html.heading(title), html.paragraph(text), html.table(section)]
    parts += _players(table, systems, mixtures, count=players)
    write_whole(document, html.page("Evaluation", parts).encode(errors="backslashreplace"))
    return markdown, document


def _histogram(table: pd.DataFrame) -> list[str]:
    """SI-SDRi of the first system, a panel per kind: a mean can hide two clusters."""
    from matplotlib.figure import Figure

    from ..plots import COLOURS
    from ..plots.basics import finite_rows

    try:
        first = finite_rows(table[table["system"] == table["system"].iloc[0]], "si_sdri")
    except ValueError as error:
        return [html.paragraph(f"There is no histogram: {error}.")]
    kinds = list(first["kind"].unique())
    figure = Figure(figsize=(3 * len(kinds) + 0.5, 2.4), layout="constrained")
    panels = figure.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        values = first.loc[first["kind"] == kind, "si_sdri"]
        axes.hist(
            values, bins=15, range=(first["si_sdri"].min(), first["si_sdri"].max() + 1e-6), color=COLOURS[1]
        )
        axes.axvline(values.mean(), color=COLOURS[2])
        axes.set(title=printable(kind).replace("$", r"\$"), xlabel="SI-SDRi (dB)")
    panels[0].set_ylabel("mixtures")
    return [
        html.paragraph(f"SI-SDRi of {first['system'].iloc[0]} by kind; the line is the mean."),
        html.picture(figure, "histograms of SI-SDRi by kind"),
    ]


def _outputs(system: System, mixture: torch.Tensor, sources: torch.Tensor, spec: object) -> torch.Tensor:
    """Outputs at the level of the mixture, in the order of the sources where there is one."""
    from ..separation.rescaling import scale_to_mixture

    outputs = scale_to_mixture(separate_with(system, mixture, sources, spec).detach(), mixture)
    if outputs.shape == sources.shape and bool(outputs.isfinite().all()):
        order = PITLossWrapper(pairwise_neg_sisdr).best_permutation(outputs[None], sources[None])[1][0]
        outputs = outputs[order]
    return outputs


def _players(
    table: pd.DataFrame, systems: Mapping[str, Address], mixtures: MixtureSet, count: int
) -> list[str]:
    """The worst mixtures of the first system, separated again: mixture, sources, and outputs to compare.

    The outputs of the first system come first, then those of up to two other networks. Baselines are left out: some
    of them take many seconds per mixture.
    """
    name = table["system"].iloc[0]
    networks = [other for other in systems if other != name and os.fspath(systems[other]) not in BASELINES]
    opened = {other: make_system(systems[other]) for other in (name, *networks[: COMPARED - 1])}
    index = {spec.id: i for i, spec in enumerate(mixtures.specs)}
    parts = [html.heading(f"Listen to the worst mixtures of {name}")]
    scored = table[(table["system"] == name) & np.isfinite(table["si_sdri"])]
    for row in worst(scored, count).itertuples():
        mixture, sources, spec = mixtures[index[row.id]]
        sounds = {"mixture": mixture}
        sounds |= {f"source {i + 1}": s for i, s in enumerate(sources)}
        for other, system in opened.items():
            outputs = _outputs(system, mixture, sources, spec)
            whose = f"{other}: " if len(opened) > 1 else ""
            sounds |= {f"{whose}output {i + 1}": s for i, s in enumerate(outputs)}
        rate = int(getattr(spec, "sample_rate", SAMPLE_RATE))
        parts += [html.paragraph(f"{row.id}: SI-SDRi {row.si_sdri:.1f} dB"), html.players(sounds, rate)]
    return parts
