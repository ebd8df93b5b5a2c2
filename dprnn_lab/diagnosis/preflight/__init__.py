"""Look at a training before a long run: would it learn, at this learning rate, and what will it cost?

Notebook: 05_training
"""

from .engine import preflight
from .finding import CHECKS, PreflightFinding
from .range_test import RangeTest
from .report import PreflightReport
from .settings import preflight_settings

__all__ = ["CHECKS", "PreflightFinding", "PreflightReport", "RangeTest", "preflight", "preflight_settings"]
