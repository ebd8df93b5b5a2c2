"""Reports as one self-contained HTML page or notebook output, and their tables in Markdown.

Pictures and sounds are embedded as data, so that a report needs no other file. :func:`page` joins pieces of HTML to a
document and :func:`fragment` to the output of a notebook cell. The pieces come from :func:`heading`,
:func:`paragraph`, :func:`table` (a DataFrame), :func:`rows` (a table of HTML cells), :func:`items` (a list),
:func:`link`, :func:`picture` and :func:`players`. Each function escapes the plain text it is given; ``cells`` and
``parts`` are HTML already. Attributes stand in single quotes, which ``html.escape`` escapes as well.

Notebook: 08_evaluation
"""

import base64
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape as escape_html
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd
import torch

from .compare import compare_html
from .error_texts import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "fragment",
    "heading",
    "items",
    "link",
    "markdown",
    "markdown_code",
    "markdown_table",
    "page",
    "paragraph",
    "picture",
    "players",
    "rows",
    "table",
]

STYLE = (
    "body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "td,th{padding:.2em .8em;text-align:right}tr:nth-child(even){background:#f4f4f4}img{max-width:100%}"
)
CELL = "text-align:left;vertical-align:top;padding:4px"


def escape(text: object) -> str:
    """Text as HTML; control characters and undecodable bytes of file names become visible."""
    return escape_html(printable(text, lines=True))


def page(title: str, parts: Iterable[str]) -> str:
    """A whole HTML document; the title is also its first heading."""
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title>\n"
        f"<style>{STYLE}</style>\n" + "\n".join([heading(title, 1), *parts]) + "\n</html>\n"
    )


def fragment(parts: Iterable[str]) -> str:
    """HTML for a notebook; all styles are inline, since JupyterLab drops style sheets."""
    return "<div style='font-family:sans-serif;max-width:60em'>" + "".join(parts) + "</div>"


def heading(text: str, level: int = 2) -> str:
    """A heading, its text escaped."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str) -> str:
    """A paragraph, its text escaped."""
    return f"<p>{escape(text)}</p>"


def link(target: str, text: str) -> str:
    """A link to a file beside the page."""
    return f"<a href='{quote(os.fsencode(target))}'>{escape(text)}</a>"


def items(parts: Iterable[str]) -> str:
    """A list of pieces of HTML."""
    return "<ul>" + "".join(f"<li>{part}</li>" for part in parts) + "</ul>"


def table(frame: pd.DataFrame) -> str:
    """Numbers with two decimals, NaN as a dash, without the index."""
    shown = frame.map(lambda value: printable(value) if isinstance(value, str) else value)
    shown.columns = [printable(name) for name in frame.columns]
    return shown.to_html(index=False, float_format="{:.2f}".format, na_rep="–", border=0)


def rows(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    """A left-aligned table: the names of its columns, and for each row its cells as HTML."""
    head = "".join(f"<th scope='col' style='{CELL}'>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td style='{CELL}'>{cell}</td>" for cell in row) + "</tr>" for row in cells
    )
    return (
        "<table style='border-collapse:collapse;width:100%;table-layout:auto;text-align:left'>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def picture(figure: "Figure | bytes", text: str) -> str:
    """A matplotlib figure, or a PNG file's bytes, with its alternative text."""
    if not isinstance(figure, bytes):
        from .plots import png

        figure = png(figure)
    data = base64.b64encode(figure).decode()
    return f"<img alt='{escape(text)}' style='max-width:100%' src='data:image/png;base64,{data}'>"


def players(sounds: Mapping[str, torch.Tensor], sample_rate: int) -> str:
    """A player that compares the named sounds ``[T]``: spectrograms under one play head, switched while they play.

    Sounds keep their relative level; where one has a peak over 1, all are turned down, so that it does not clip. See
    :func:`dprnn_lab.compare.compare_html`.
    """
    return compare_html(sounds, sample_rate)


def markdown(text: object) -> str:
    """Plain text for Markdown, also in a cell of a table: nothing in it is a sign of Markdown or HTML.

    >>> print(markdown("a|b <i> `c` [d] x_1 < 2"))
    a\\|b &lt;i> \\`c\\` \\[d\\] x_1 < 2
    """
    shown = re.sub(r"&(?=#?\w+;)", "&amp;", printable(text))
    shown = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", shown)
    return re.sub(r"([\\`*\[\]|])", r"\\\1", shown)


def markdown_code(text: object) -> str:
    """Text in a code span, fenced by more backticks than it contains.

    >>> print(markdown_code("a `b`"))
    `` a `b` ``
    """
    shown = printable(text).strip() or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def markdown_table(frame: pd.DataFrame, digits: int = 2) -> str:
    """A pipe table; numbers rounded, NaN as a dash.

    >>> print(markdown_table(pd.DataFrame({"kind": ["man-woman"], "mean": [9.221]})))
    | kind | mean |
    |---|---:|
    | man-woman | 9.22 |
    """

    def cell(value: Any) -> str:
        if pd.isna(value):
            return "–"
        # + 0.0: no minus zero
        return f"{round(value, digits) + 0.0:.{digits}f}" if isinstance(value, float) else markdown(value)

    rule = "|".join("---:" if pd.api.types.is_numeric_dtype(t) else "---" for t in frame.dtypes)
    lines = ["| " + " | ".join(map(markdown, frame.columns)) + " |", f"|{rule}|"]
    lines += [
        "| " + " | ".join(map(cell, row)) + " |" for row in frame.astype(object).itertuples(index=False)
    ]
    return "\n".join(lines)
