"""Messages in the words of the command line: an argument of Python, ``mix=...``, becomes its option, ``--mix``.

The package's messages name arguments as Python writes them. The handler of errors translates those that the running
command has as options, so that one message serves both.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

__all__ = ["as_options", "options_of"]

QUOTED = r"'([^'\s]+)'|\"([^\"\s]+)\""
BEFORE = r"(?<![\w.\-])(?<!--set )(?<!--grid )"  # whole names only, and not what an option is already given


def options_of(command: Any) -> dict[str, str]:
    """Name of each argument that a command has as an option, with the option's longest name.

    >>> from dprnn_lab.cli import app
    >>> import typer
    >>> options_of(typer.main.get_command(app).commands["separate"])["float_samples"]
    '--float'
    """
    found = {}
    for parameter in getattr(command, "params", ()):
        names = [name for name in parameter.opts if name.startswith("--")]
        if names:
            found[parameter.name] = max(names, key=len)
    return found


def as_options(text: str, options: Mapping[str, str]) -> str:
    """The message with the options' names in place of the arguments'.

    >>> as_options("pass resample=True (--resample) to convert it", {"resample": "--resample"})
    'pass --resample to convert it'
    >>> as_options("choose mono='mean' or 'left'", {"mono": "--mono"})
    "choose --mono mean or 'left'"
    """
    if options:  # a message that has both ways needs one
        text = re.sub(r"\bload_model\([^()]*\), on the command line ", "", text)
    if "values" in options:  # --set NAME=VALUE
        text = re.sub(r"load_model\(path, ([^()]*)\)", partial(_as_set, options), text)
    for name, option in options.items():
        named = BEFORE + re.escape(name)
        if re.search(named + "=", text):
            text = re.sub(rf" \({re.escape(option)}\)", "", text)
        text = re.sub(rf"{named} \({re.escape(option)}\)", option, text)
        text = re.sub(named + r"=True\b", option, text)
        text = re.sub(named + r"=(?:False|None)\b", f"no {option}", text)
        text = re.sub(named + r"=\.\.\.", option, text)
        text = re.sub(named + f"=(?:{QUOTED})", partial(_quoted, option), text)
        text = re.sub(named + r"=(?=\S)", f"{option} ", text)
        text = re.sub(named + "=", option, text)
        text = re.sub(
            rf"(?:{named}|{re.escape(option)}), {re.escape(option)}\b", option, text
        )  # both were named
        text = re.sub(rf"(^|: |, and ){re.escape(name)} (?=is |are |names |changes )", rf"\1{option} ", text)
        text = re.sub(rf"(?<=\bleave ){re.escape(name)}(?= out\b| as )", option, text)
    return re.sub(r",? or None (?:for|to) [\w ]+", "", text) if options else text


def _quoted(option: str, match: re.Match) -> str:
    return f"{option} {match[1] or match[2]}"


def _as_set(options: Mapping[str, str], call: re.Match) -> str:
    """The arguments of a call, those that are no options of their own with ``--set``."""
    given = [argument.strip() for argument in call[1].split(", ")]
    return " ".join(a if a.partition("=")[0] in options else f"--set {a}" for a in given)
