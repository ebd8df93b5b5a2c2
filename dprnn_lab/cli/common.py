"""Shared by the commands: the application with its handler of errors, NAME=VALUE arguments."""

import ast
from typing import Annotated, Any

import typer

from .errors import Commands, say, stop

__all__ = ["PREFIX_HELP", "SCHEDULER_HELP", "app", "parse_value", "say", "stop"]

app = typer.Typer(
    cls=Commands,
    help="Speech separation with DPRNN-TasNet: separate recordings, train and evaluate models, inspect checkpoints.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def common(
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="DPRNN_LAB_DEBUG", help="Show the traceback of an error, too."),
    ] = False,
) -> None:
    """Options of all commands."""


PREFIX_HELP = "Which of several models in one file: the prefix of its parameter names, such as ema."
SCHEDULER_HELP = (
    "Where to compute in place of --workers: tcp://HOST:8786, a Dask cluster, or local:N, one of N processes here. "
    "Needs the package distributed."
)
YAML = {"null": None, "true": True, "false": False}  # as config.yaml writes them


def parse_value(text: str, option: str = "--set") -> tuple[str, Any]:
    """``NAME=VALUE``, with the value read as Python or YAML, or else as text.

    >>> parse_value("chunk_size=250"), parse_value("mask_act=relu"), parse_value("blocks=null")
    (('chunk_size', 250), ('mask_act', 'relu'), ('blocks', None))
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r}: write NAME=VALUE, such as chunk_size=250", param_hint=option)
    if value in YAML:
        return name.strip(), YAML[value]
    try:
        return name.strip(), ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # the last two: nested too deeply
        return name.strip(), value
