"""The model, in the order in which a signal passes through it: filterbank, dual path, separator, TasNet."""

from .config import ModelConfig
from .tasnet import DPRNNTasNet

__all__ = ["DPRNNTasNet", "ModelConfig"]
