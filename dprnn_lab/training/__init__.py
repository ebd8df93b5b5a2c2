"""Training with Lightning: a run that can be watched, stopped, resumed, and spread over processes.

``train_run`` makes a whole run from :class:`Settings`: model, data, folder, results. ``train`` is the part
below it that takes a model and data that you made. ``module.py`` holds the training step.

Notebook: 05_training
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .settings import Settings

if TYPE_CHECKING:
    from .callbacks import EpochCallback, EpochRecord, print_line
    from .datamodule import MixingData
    from .fitting import train
    from .module import SeparationModule
    from .run import train_run

__all__ = [
    "EpochCallback", "EpochRecord", "MixingData", "SeparationModule", "Settings", "print_line", "train", "train_run",
]  # fmt: skip

# Imported on first use: the command line needs only the settings, and Lightning takes seconds to import.
_MODULES = {
    "EpochCallback": "callbacks", "EpochRecord": "callbacks", "print_line": "callbacks", "MixingData": "datamodule",
    "SeparationModule": "module", "train": "fitting", "train_run": "run",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
