"""Options of the commands that take the settings of a training: ``dprnn-lab train`` and ``preflight``.

There is an option for each field of :class:`dprnn_lab.training.Settings`.
"""

import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer

from ..training.settings import KINDS, MODEL_HELP, SMALL, Settings, alternatives
from .common import parse_value

__all__ = ["ConfigFile", "SetValues", "read_settings", "with_setting_options"]

ConfigFile = Annotated[
    Path | None, typer.Option(help="A YAML file of settings, such as another run's config.yaml.")
]
SetValues = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting by its name in config.yaml; repeatable."),
]


def _setting_options() -> Iterator[inspect.Parameter]:
    """An option for each setting; for ``model`` one for each argument of the network in MODEL_HELP."""
    defaults = Settings()
    for setting in dataclasses.fields(Settings):
        panel = setting.metadata["panel"]
        if setting.name == "model":
            for name, text in MODEL_HELP.items():
                yield _option(name, type(SMALL.get(name, "")), text, panel, SMALL.get(name))
        elif dict not in KINDS[setting.name]:  # a dictionary is given with --set
            yield _option(
                setting.name,
                _option_type(setting),
                setting.metadata["help"],
                panel,
                getattr(defaults, setting.name),
            )


def _option_type(setting: dataclasses.Field) -> Any:
    """The type of an option's value: two numbers for a range, a repeatable option for a list."""
    if setting.metadata.get("pair"):
        return tuple[float, float]
    kinds = alternatives(setting.type)
    return next((kind for kind in kinds if get_origin(kind) is list), kinds[0])


def _option(name: str, kind: Any, text: str, panel: str, default: Any) -> inspect.Parameter:
    """A keyword argument that is None unless given; ``--help`` shows the default of the setting."""
    shown = " ".join(map(str, default)) if isinstance(default, list) else str(default)
    option = typer.Option(
        help=text,
        rich_help_panel=panel,
        show_default=False if default in (None, [], False) else shown,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def with_setting_options(command: Any) -> Any:
    """Replace ``**given`` in the signature that Typer reads by the options of the settings."""
    own = list(inspect.signature(command).parameters.values())[:-1]
    parameters = [*own, *_setting_options()]
    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def read_settings(base: Settings, config: Path | None, values: list[str] | None, given: dict) -> Settings:
    """The settings asked for; from lowest to highest priority: ``base``, or else ``config``; ``--set``; ``given``.

    Raises:
        ValueError, TypeError, OSError: as :class:`Settings`.
    """
    settings = base if config is None else Settings.read(config)
    # All at once: some settings are valid only beside others.
    asked = dict(parse_value(text) for text in values or [])
    asked |= {n: list(v) if isinstance(v, tuple) else v for n, v in given.items() if v is not None}
    return settings.changed(**_settings(asked))


def _settings(values: dict) -> dict:
    """Options of the network go to the setting ``model``; the stride follows the kernel size."""
    model = {name: values.pop(name) for name in MODEL_HELP if name in values}
    if "kernel_size" in model:
        model["stride"] = model["kernel_size"] // 2
    for name in [name for name in values if name.startswith("model.")]:
        model[name.removeprefix("model.")] = values.pop(name)
    return values | ({"model": model} if model else {})
