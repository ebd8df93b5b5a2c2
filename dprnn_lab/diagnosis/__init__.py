"""Why does it not separate? Checks of what the user has, and the list of failures that they look for.

* :func:`diagnose` runs every check on the input that it has and returns a :class:`Report`.
* :func:`checklist` is the :data:`CATALOGUE` of failures on one page, to print.

:mod:`dprnn_lab.faults` makes each failure on purpose.

Notebooks: 06_failures_at_inference, 07_failures_in_training
"""

from .catalogue import CATALOGUE, GROUPS, Entry, Finding
from .checklist import checklist
from .checks.config import rebuild
from .engine import diagnose
from .recovery import Recovery, recover_config
from .report import Report

__all__ = [
    "CATALOGUE",
    "GROUPS",
    "Entry",
    "Finding",
    "Recovery",
    "Report",
    "checklist",
    "diagnose",
    "rebuild",
    "recover_config",
]
