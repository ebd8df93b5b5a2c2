"""Training with Lightning: a run that can be watched, stopped, resumed, and spread over processes.

``train_run`` makes a whole run from :class:`Settings`: model, data, folder, results. ``train`` is the part
below it that takes a model and data that you made. What happens in a step is in ``module.py``.

Notebook: 05_training
"""

from .callbacks import EpochRecord, print_line
from .datamodule import MixingData
from .fitting import train
from .module import SeparationModule
from .run import train_run
from .settings import Settings

__all__ = ["EpochRecord", "MixingData", "SeparationModule", "Settings", "print_line", "train", "train_run"]
