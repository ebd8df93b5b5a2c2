"""Why does it not separate? Checks of a user's model, audio and training against a list of known failures.

* :func:`diagnose` runs every check that its inputs allow and returns a :class:`Report`.
* :func:`checklist` is the :data:`CATALOGUE` of failures on one page, to print.
* :func:`recover_config` ranks settings that no tensor shape reveals.

:mod:`dprnn_lab.faults` makes each failure on purpose.

Notebooks: 06_failures_at_inference, 07_failures_in_training
"""

from .catalogue import CATALOGUE, GROUPS, Entry
from .checklist import checklist
from .checks.config import rebuild
from .engine import diagnose
from .finding import Finding
from .inputs import Inputs
from .recovery import Recovery, recover_config
from .report import Report

__all__ = [
    "CATALOGUE",
    "GROUPS",
    "Entry",
    "Finding",
    "Inputs",
    "Recovery",
    "Report",
    "checklist",
    "diagnose",
    "rebuild",
    "recover_config",
]
