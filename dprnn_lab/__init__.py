"""dprnn-lab: speech separation with DPRNN-TasNet, explained, measured and diagnosed."""

from typing import TYPE_CHECKING

from . import moved  # noqa: F401, finds modules by their old names
from .checkpoint import CheckpointError, LoadReport, load_model, save_model
from .loss import PITLossWrapper, pairwise_neg_sisdr
from .model import DPRNNTasNet, ModelConfig
from .separation import separate

if TYPE_CHECKING:
    from .diagnosis import diagnose, recover_config

__version__ = "1.0.0"
__all__ = [
    "CheckpointError",
    "DPRNNTasNet",
    "LoadReport",
    "ModelConfig",
    "PITLossWrapper",
    "diagnose",
    "load_model",
    "pairwise_neg_sisdr",
    "recover_config",
    "save_model",
    "separate",
]


def __getattr__(name: str) -> object:
    if name in ("diagnose", "recover_config"):  # imported on first use: with all checks they take a second
        from . import diagnosis

        return getattr(diagnosis, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
