"""Any DPRNN-TasNet checkpoint that people have: read safely, checked, and written in one format.

Notebook: 06_failures_at_inference
"""

from .errors import CheckpointError
from .loading import inspect_checkpoint, load_model, read_info
from .report import LoadReport
from .saving import FORMAT, save_asteroid, save_model

__all__ = [
    "FORMAT",
    "CheckpointError",
    "LoadReport",
    "inspect_checkpoint",
    "load_model",
    "read_info",
    "save_asteroid",
    "save_model",
]
