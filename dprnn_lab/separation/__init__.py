"""Separate audio of any length with a trained model: in memory, file to file, or exported to ONNX."""

from .file_to_file import separate_file, separate_files
from .in_memory import separate
from .rescaling import scale_to_mixture

__all__ = ["scale_to_mixture", "separate", "separate_file", "separate_files"]
