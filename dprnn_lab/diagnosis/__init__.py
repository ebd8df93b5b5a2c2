"""Why does it not separate? Failures reproduced on purpose, found by measuring, and mended.

* :func:`diagnose` asks every check of what the user brought and returns a :class:`Report`.
* :func:`inject` breaks a healthy :class:`Case` in one of the ways of the :data:`CATALOGUE`.
* :func:`checklist` is the same catalogue on one page, to print.

Notebooks: 06_failures_at_inference, 07_failures_in_training
"""

from .case import Case, healthy_case, healthy_training
from .catalogue import CATALOGUE, GROUPS, Entry
from .checklist import checklist
from .checks.config import rebuild
from .engine import diagnose
from .faults import FAULTS, inject
from .finding import Finding
from .report import Report

__all__ = [
    "CATALOGUE",
    "FAULTS",
    "GROUPS",
    "Case",
    "Entry",
    "Finding",
    "Report",
    "checklist",
    "diagnose",
    "healthy_case",
    "healthy_training",
    "inject",
    "rebuild",
]
