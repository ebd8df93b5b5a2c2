"""What the commands share: the application, values on the command line, the end with one line of error."""

import ast
from typing import NoReturn

import typer

__all__ = ["PREFIX_HELP", "app", "parse_value", "stop"]

app = typer.Typer(
    help="Speech separation with DPRNN-TasNet: separate recordings, train and evaluate models, look into checkpoints.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

PREFIX_HELP = "Which of several models in one file: what stands before its names, such as ema."
YAML = {"null": None, "true": True, "false": False}  # as config.yaml writes them


def parse_value(text: str, option: str = "--set") -> tuple[str, object]:
    """``NAME=VALUE`` with the value as Python or a YAML file would have it, or else as text.

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
    except (ValueError, SyntaxError):
        return name.strip(), value


def stop(error: Exception | str, code: int = 1) -> NoReturn:
    """End with the message and without a traceback."""
    typer.echo(f"dprnn-lab: {error}", err=True)
    raise typer.Exit(code)
