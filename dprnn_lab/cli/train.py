"""``dprnn-lab train``: an option for each field of :class:`dprnn_lab.training.Settings`."""

import dataclasses
import inspect
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer

from ..training.settings import KINDS, MODEL_HELP, SMALL, Settings, alternatives
from .common import app, parse_value, stop

__all__ = ["train"]


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


def _with_setting_options(command: Any) -> Any:
    """Replace ``**given`` in the signature that Typer reads by the options of the settings."""
    own = list(inspect.signature(command).parameters.values())[:-1]
    parameters = [*own, *_setting_options()]
    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


@app.command()
@_with_setting_options
def train(
    run: Annotated[Path, typer.Argument(help="Folder of the run: settings, checkpoints, curves, model.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint in RUN.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file of settings, such as another run's config.yaml.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Any setting by its name in config.yaml; repeatable."
        ),
    ] = None,
    **given: Any,
) -> None:
    """Train a model; by default on dynamic mixtures of the bundled voices.

    The settings are, from lowest to highest priority: the defaults, those of a
    resumed RUN, a --config file, --set, the other options. RUN/config.yaml
    holds the result.

    dprnn-lab train runs/mine --minutes 30

    dprnn-lab train --resume runs/mine --steps 40000

    dprnn-lab train runs/libri --config data/libri2mix.yaml --data Libri2Mix/wav8k/min/train-100

    Ctrl-C (and SIGTERM, SIGHUP) ends the run after the current step, with a
    model, its results and the exit code 130 (143, 129); --resume continues it.
    A second one aborts at once. On several processes or machines: --devices,
    --num-nodes, or torchrun.
    """
    from ..training import train_run
    from ..training.ending import read_ending
    from ..training.machine import is_first_process

    try:
        settings = Settings()
        if resume and (run / "config.yaml").is_file():
            settings = Settings.read(run / "config.yaml")
        if config is not None:
            settings = Settings.read(config)
        # All at once: some settings are valid only beside others.
        asked = dict(parse_value(text) for text in values or [])
        asked |= {n: list(v) if isinstance(v, tuple) else v for n, v in given.items() if v is not None}
        settings = settings.changed(**_settings(asked))
        train_run(settings, run, resume, progress=sys.stderr.isatty())
    except (
        ValueError,
        TypeError,
        OSError,
        ImportError,
    ) as error:  # CheckpointError, AudioError are ValueErrors
        stop(error)
    except KeyboardInterrupt:  # the second one: the run is as its last checkpoint left it
        raise typer.Exit(130) from None
    if not is_first_process():
        return  # one of several processes prints, and has the exit code
    typer.echo(
        f"{run}: model.safetensors, results.csv; try it: dprnn-lab evaluate --model {run}/model.safetensors"
    )
    ending = read_ending(run)
    if ending is not None and ending.state == "interrupted":
        typer.echo(f"{run}: {ending.sentence}")
        raise typer.Exit(128 + (ending.signal or signal.SIGTERM))


def _settings(values: dict) -> dict:
    """Options of the network go to the setting ``model``; the stride follows the kernel size."""
    model = {name: values.pop(name) for name in MODEL_HELP if name in values}
    if "kernel_size" in model:
        model["stride"] = model["kernel_size"] // 2
    for name in [name for name in values if name.startswith("model.")]:
        model[name.removeprefix("model.")] = values.pop(name)
    return values | ({"model": model} if model else {})
