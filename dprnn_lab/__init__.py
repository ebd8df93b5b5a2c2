"""dprnn-lab: speech separation with DPRNN-TasNet, taught, measured and mended."""

from .checkpoint import CheckpointError, load_model, save_model
from .loss import PITLossWrapper, pairwise_neg_sisdr
from .model import DPRNNTasNet
from .separation.in_memory import separate

__version__ = "0.1.0"
__all__ = [
    "CheckpointError",
    "DPRNNTasNet",
    "PITLossWrapper",
    "diagnose",
    "load_model",
    "pairwise_neg_sisdr",
    "save_model",
    "separate",
]


def __getattr__(name: str):
    if name == "diagnose":  # with all its checks, for those who ask
        from .diagnosis import diagnose

        return diagnose
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
