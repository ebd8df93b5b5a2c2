"""Remarks on data: kept for whoever prints them, and warnings for whoever does not.

Notebook: 04_data
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

from ..error_texts import printable

__all__ = ["SKIP_BAD", "DataWarning", "left_out_text", "note"]

SKIP_BAD = " (to leave out files that can't be used: skip_bad=True, --skip-bad)"


class DataWarning(UserWarning):
    """Something about the data that is no error, and that its user wants to know."""


def note(notes: list[str], text: str) -> None:
    """Add a remark to ``notes``, and warn of it."""
    notes.append(printable(text))
    warnings.warn(notes[-1], DataWarning, stacklevel=3)


def left_out_text(left_out: Sequence[tuple[Path, str]], total: int) -> str:
    """How many of ``total`` are left out as they can't be used, with the first three and their reasons."""
    shown = "; ".join(reason for _, reason in left_out[:3])
    more = f"; and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    return f"{len(left_out)} of {total} left out (skip_bad, --skip-bad): {shown}{more}"
