"""Sweeps: one notebook executed for every combination of settings and seeds, and a report.

Notebook: 10_experiments
"""

from .plan import Run, plan
from .report import draw_parameter, write_report
from .running import sweep
from .sounds import sounds_by_setting
from .summary import compare_runs, summarise_runs

__all__ = [
    "Run",
    "compare_runs",
    "draw_parameter",
    "plan",
    "sounds_by_setting",
    "summarise_runs",
    "sweep",
    "write_report",
]
