"""The report of a sweep: a table of settings, a picture per varied parameter, the notebooks, and what failed.

Notebook: 10_experiments
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from .. import report_page as html
from ..files import write_whole
from ..plots import COLOURS, png
from ..report_page import escape, markdown, markdown_code, markdown_table
from .plan import SEED
from .sounds import Compared, compared_runs
from .summary import choose_metric, has_value, need_runs, read_axes, reported, summarise_runs

__all__ = ["draw_parameter", "write_report"]

INTERVAL = "the mean over the seeds with its 95 % Student interval, which needs two finished seeds"


def write_report(
    out: str | os.PathLike, table: pd.DataFrame, metric: str | None = None, title: str = "Sweep"
) -> tuple[Path, Path]:
    """Write ``report.md`` and ``report.html`` beside the results and return their paths.

    If the runs wrote sounds, the page has a player that compares them, chosen as :func:`sounds_by_setting` says; it
    names those that can't be played.

    Args:
        out: folder of the sweep.
        table: the result of :func:`sweep`.
        metric: a reported column of numbers; None for the first.

    Raises:
        ValueError: no such column, or a table that is none of a sweep. Nothing is written then.
    """
    out = Path(out)
    axes = read_axes(out)
    varied = [name for name, values in axes.items() if len(values) > 1 and name != SEED]
    need_runs(table, varied)
    numbers = reported(table, list(axes))
    metric = choose_metric(table, list(axes), metric)
    done = table[table["status"] == "ok"]
    fixed = {name: values[0] for name, values in axes.items() if len(values) == 1 and name != SEED}
    intro = f"{len(done)} of {len(table)} runs finished"
    if len(done) < len(table):
        intro += f", {len(table) - len(done)} failed"
    intro += f". Seeds: {', '.join(map(str, axes[SEED]))}."
    if fixed:
        intro += f" The same in all runs: {', '.join(f'{k}={v}' for k, v in fixed.items())}."
    sections = _sections(table, varied, metric, numbers)
    failures = _failures(out, table)
    pictures = [(name, _picture(table, name, varied, metric)) for name in varied] if len(done) else []
    compared = compared_runs(out, table, metric)
    sounds, rate = compared.read()
    about = _about(compared) if compared.labels else []
    player = [html.paragraph(text) for text in about] + ([html.players(sounds, rate)] if sounds else [])
    links = _sound_lines(out, compared)
    texts = {
        "report.md": _markdown(title, intro, metric, sections, pictures, about, links, failures, table),
        "report.html": _html(title, intro, metric, sections, pictures, player, failures, table),
    }
    for name, data in pictures:
        write_whole(out / f"{name}.png", data)
    markdown, document = (
        write_whole(out / name, text.encode(errors="backslashreplace")) for name, text in texts.items()
    )
    return markdown, document


def draw_parameter(
    axes: Axes, table: pd.DataFrame, parameter: str, metric: str, others: Sequence[str] = ()
) -> None:
    """Draw a metric over the values of a parameter: a dot per run, the mean with its interval beside them.

    Args:
        table: of :func:`sweep`.
        others: further parameters; each combination of their values gets its own line.

    Raises:
        ValueError: no such columns.
    """
    values = list(dict.fromkeys(None if pd.isna(value) else value for value in table[parameter]))
    numbers = pd.api.types.is_numeric_dtype(table[parameter]) and not pd.api.types.is_bool_dtype(
        table[parameter]
    )

    def place(value: object) -> int:
        return values.index(None if pd.isna(value) else value)

    line = "o-" if numbers else "o"  # no line between names
    summary = summarise_runs(table, [*others, parameter], metric)
    groups = list(summary.groupby(list(others), sort=False, dropna=False)) if others else [((), summary)]
    for i, (key, group) in enumerate(groups):
        colour = COLOURS[1:][i % 3] if len(groups) <= 3 else plt.cm.viridis(i / len(groups))
        rows = table
        for name, value in zip(others, key, strict=True):
            rows = rows[has_value(rows[name], value)]
        shift = 0.3 * (i - (len(groups) - 1) / 2) / len(groups)
        places = [place(value) + shift for value in group[parameter]]
        axes.plot(
            [place(value) + shift - 0.08 for value in rows[parameter]],
            rows[metric],
            ".",
            color=colour,
            alpha=0.6,
        )
        error = [(group["mean"] - group["low"]).fillna(0), (group["high"] - group["mean"]).fillna(0)]
        label = ", ".join(f"{name}={value}" for name, value in zip(others, key, strict=True))
        axes.errorbar(
            places, group["mean"], error, fmt=line, color=colour, capsize=4, label=_plain(label) or None
        )
    axes.set_xticks(range(len(values)), [_plain(value) for value in values])
    axes.set(xlabel=parameter, ylabel=metric, xlim=(-0.5, len(values) - 0.5))
    axes.grid(alpha=0.3)
    if others:
        axes.legend(fontsize=8)


def _plain(value: object) -> str:
    """Text that matplotlib does not read as mathematics."""
    return str(value).replace("$", r"\$")


def _sections(table: pd.DataFrame, varied: list[str], metric: str, numbers: list[str]) -> list[tuple]:
    """Heading, sentence and table."""
    by = varied or [SEED]
    sections = [
        (f"{metric} by setting", f"A row per setting: {INTERVAL}.", summarise_runs(table, by, metric))
    ]
    others = [name for name in (*numbers, "seconds") if name != metric]
    done = table[table["status"] == "ok"]
    if len(done):
        means = done.groupby(by, sort=False, dropna=False)[others].mean().reset_index()
        whole = [name for name in others if means[name].notna().all() and (means[name] % 1 == 0).all()]
        means = means.astype(dict.fromkeys(whole, int))  # counts, such as the number of weights
        sections.append(("Other results", "Means over the seeds.", means))
    return sections


def _failures(out: Path, table: pd.DataFrame) -> list[dict]:
    """Cell, code and message of each failed run."""
    failures = []
    for row in table[table["status"] != "ok"].itertuples():
        name = Path(row.notebook).stem
        try:
            record = json.loads((out / "runs" / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # removed or damaged since: what the table says of it
            cell = None if pd.isna(row.cell) else int(row.cell)
            record = {"source": "", "cell": cell, "error": str(row.error)}
        code = record["source"].strip().splitlines()
        failures.append({
            "name": name, "notebook": row.notebook, "error": record["error"], "code": code[0] if code else "",
            "cell": "no cell" if record["cell"] is None else f"cell [{record['cell']}]",
        })  # fmt: skip
    return failures


def _picture(table: pd.DataFrame, parameter: str, varied: list[str], metric: str) -> bytes:
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    draw_parameter(axes, table, parameter, metric, [name for name in varied if name != parameter])
    data = png(figure)
    plt.close(figure)
    return data


def _heard(compared: Compared) -> list[str]:
    """The setting and the result of each run that is compared."""
    heard = []
    for label, (_, row) in zip(compared.labels, compared.rows.iterrows(), strict=True):
        seed = "" if compared.by_seed else f", {SEED}={row[SEED]}"
        heard.append(f"{label}{seed}, {compared.metric} {row[compared.metric]:.2f}")
    return heard


def _about(compared: Compared) -> list[str]:
    """Which runs are in the player, and what can't be played, a sentence each."""
    runs = "; ".join(_heard(compared))
    if compared.by_seed:
        text = "Each finished run that has sounds"
    else:
        text = "Of each setting the first seed that has sounds, and not an average of its seeds"
    chosen = len(compared.labels)
    if chosen < compared.settings:
        one = "seeds" if compared.by_seed else "settings"
        text = (
            f"{chosen} of the {compared.settings} {one} that have sounds, from the lowest to the highest "
            + (f"{compared.metric}" if compared.by_seed else f"{compared.metric}. {text}")
        )
    return [f"{text}: {runs}.", *(f"{problem.rstrip('.')}." for problem in compared.problems)]


def _sound_lines(out: Path, compared: Compared) -> list[str]:
    """For each run that is compared, its files as Markdown links."""
    lines = []
    for text, files in zip(_heard(compared), compared.files, strict=True):
        links = [
            f"[{markdown(name)}]({quote(os.fsencode(file.relative_to(out).as_posix()))})"
            for name, file in files.items()
        ]
        lines.append(f"- {markdown(text)}: {', '.join(links)}")
    return lines


def _markdown(title, intro, metric, sections, pictures, about, sounds, failures, table) -> str:
    parts = [f"# {markdown(title)}\n\n{markdown(intro)}\n"]
    parts += [
        f"## {markdown(heading)}\n\n{markdown(text)}\n\n{markdown_table(part)}\n"
        for heading, text, part in sections
    ]
    for name, _ in pictures:
        over = markdown(f"{metric} over {name}")
        parts.append(f"## {over}\n\n![{over}]({quote(name)}.png)\n")
    if sounds:
        parts.append("## Listen\n\n" + "\n\n".join([*map(markdown, about), "\n".join(sounds)]) + "\n")
    if failures:
        lines = [
            f"- [{markdown(f['name'])}]({quote(f['notebook'])}): {markdown(f['cell'])}"
            + (f", which begins {markdown_code(f['code'])}" if f["code"] else "")
            + f": {markdown(f['error'])}"
            for f in failures
        ]
        parts.append("## Failed runs\n\n" + "\n".join(lines) + "\n")
    lines = [
        f"- [{markdown(Path(row.notebook).stem)}]({quote(row.notebook)}), {row.status}"
        for row in table.itertuples()
    ]
    parts.append("## The notebooks\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _html(title, intro, metric, sections, pictures, player, failures, table) -> str:
    parts = [html.paragraph(intro)]
    for text, sentence, part in sections:
        parts += [html.heading(text), html.paragraph(sentence), html.table(part)]
    for name, data in pictures:
        parts += [html.heading(f"{metric} over {name}"), html.picture(data, f"{metric} over {name}")]
    if player:
        parts += [html.heading("Listen"), *player]
    if failures:
        lines = [
            f"{html.link(f['notebook'], f['name'])}: {f['cell']}"
            + (f", which begins <code>{escape(f['code'])}</code>" if f["code"] else "")
            + f": {escape(f['error'])}"
            for f in failures
        ]
        parts += [html.heading("Failed runs"), html.items(lines)]
    notebooks = [
        f"{html.link(row.notebook, Path(row.notebook).stem)}, {row.status}" for row in table.itertuples()
    ]
    parts += [html.heading("The notebooks"), html.items(notebooks)]
    return html.page(title, parts)
