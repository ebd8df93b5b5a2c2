"""The model, in the order in which a signal passes through it: filterbank, dual path, separator, TasNet."""

from .tasnet import DPRNNTasNet

__all__ = ["DPRNNTasNet"]
