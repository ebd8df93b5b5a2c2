"""Messages name options on the command line and arguments in Python: checked over all messages of the package."""

import ast
import re
from pathlib import Path

import pytest
import typer

from dprnn_lab import cli
from dprnn_lab.cli.spelling import as_options, options_of

PACKAGE = Path(cli.__file__).parents[1]
COMMANDS = typer.main.get_command(cli.app).commands
OPTIONS = {"mix": "--mix", "resample": "--resample", "mono": "--mono", "skip_bad": "--skip-bad", "values": "--set",
           "float_samples": "--float", "window": "--window", "prefix": "--prefix"}  # fmt: skip


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        ("choose one with mix=...", "choose one with --mix"),
        ("choose one with mix=... (--mix)", "choose one with --mix"),
        ("pass resample=True (--resample) to convert it", "pass --resample to convert it"),
        (
            "choose mono='mean', mono='left' or mono='right'",
            "choose --mono mean, --mono left or --mono right",
        ),
        ("float_samples=True keeps the level", "--float keeps the level"),
        ("to leave them out: skip_bad=True, --skip-bad)", "to leave them out: --skip-bad)"),
        ("3 left out (skip_bad, --skip-bad): a", "3 left out (--skip-bad): a"),
        (
            "window is 0: give 1 second or more, or None for no windows",
            "--window is 0: give 1 second or more",
        ),
        ("load_model(path, prefix='ema')", "--prefix ema"),
        (
            "Choose one: load_model(path, prefix='ema'), on the command line --prefix ema",
            "Choose one: --prefix ema",
        ),
        ("leave prefix (--prefix) out", "leave --prefix out"),
        ("a.ckpt: load_model(path, stride=4, chunk_size=9)", "a.ckpt: --set stride=4 --set chunk_size=9"),
        ("premix=1 and --set mix=2 stay", "premix=1 and --set mix=2 stay"),
        ("the mix is loud", "the mix is loud"),
    ],
)
def test_a_message_in_the_words_of_the_command_line(python, shell):
    assert as_options(python, OPTIONS) == shell


def messages():
    """Every text of the package that names an argument: name=..., name=True and their like."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                for argument in node.exc.args:
                    text = flat(argument)
                    if re.search(r"\b[a-z_]+=", text):
                        yield path.relative_to(PACKAGE).as_posix(), text


def flat(node):
    """The text of a string or f-string, ``...`` for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(flat(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "..."


def test_no_message_names_an_argument_that_the_command_has_as_an_option():
    found = list(messages())
    assert len(found) > 10
    for command in COMMANDS.values():
        options = options_of(command)
        for place, text in found:
            shown = as_options(text, options)
            for name in options:
                assert not re.search(rf"(?<![\w.-])(?<!--set ){name}=", shown), (place, shown)


def test_options_are_named_as_the_commands_have_them():
    assert options_of(COMMANDS["separate"])["float_samples"] == "--float"
    assert options_of(COMMANDS["evaluate"])["models"] == "--model"
    assert "sources" not in options_of(COMMANDS["separate"])  # an argument without a name


def test_what_a_setting_names_or_changes():
    options = {"freeze": "--freeze", "blocks": "--blocks", "init": "--init", "resume": "--resume"}
    assert as_options("freeze names 'x', which", options) == "--freeze names 'x', which"
    text = "blocks changes a loaded network, and init is not set"
    assert as_options(text, options) == "--blocks changes a loaded network, and --init is not set"
    assert (
        as_options("start another run (init='a/last.ckpt')", options)
        == "start another run (--init a/last.ckpt)"
    )
    assert as_options("leave resume out to start it", options) == "leave --resume out to start it"
