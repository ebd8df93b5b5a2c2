"""The command line, ``dprnn-lab``, in the order of its help.

``train | preflight | evaluate | sweep | separate | info | convert | export | diagnose | checklist``

Each command imports what it needs when it runs, so that ``--help`` stays quick.
"""

# In the order of the help.
from .train import train  # isort: skip
from .preflight import preflight  # isort: skip
from .evaluate import evaluate  # isort: skip
from .sweep import sweep  # isort: skip
from .separate import separate  # isort: skip
from .checkpoints import convert, export, info  # isort: skip
from .diagnose import checklist, diagnose  # isort: skip
from .common import app

__all__ = [
    "app",
    "checklist",
    "convert",
    "diagnose",
    "evaluate",
    "export",
    "info",
    "preflight",
    "separate",
    "sweep",
    "train",
]
