"""The facts beside the weights, as values that JSON can hold: read with a budget, since anybody wrote them.

A few bytes of a pickle can describe a list that contains itself, or thirty lists of which each contains the one before
twice: a thousand million values in one. Reading stops at a number of values, a depth and a length of text.

Notebook: 06_failures_at_inference
"""

import argparse
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["plain"]

VALUES = 20_000  # in one dictionary of facts
DEPTH = 20  # lists in lists
LETTERS = 2_000  # of one text
ALL_LETTERS = 500_000
BITS = 1_000  # of a whole number: Python writes no more than 4300 digits
CUT = "..."
# Classes whose text is short and says what they are.
_SPEAKING = (str, int, float, complex, pathlib.PurePath, torch.dtype, torch.device, torch.layout, np.dtype)


def plain(value: Any) -> Any:
    """The value as JSON can represent it; other values become text. What exceeds the budget becomes ``"..."``."""
    return _Reading().value(value, 0)


@dataclass
class _Reading:
    values: int = VALUES
    letters: int = ALL_LETTERS

    def value(self, value: Any, depth: int) -> Any:
        self.values -= 1
        if self.values < 0 or depth > DEPTH:
            return CUT
        if isinstance(value, argparse.Namespace):
            value = vars(value)
        if isinstance(value, Mapping):
            found: dict[str, Any] = {}
            for key, inner in value.items():
                if self.values <= 0:
                    found[CUT] = f"{len(value) - len(found)} more"
                    break
                found[self.text(key)] = self.value(inner, depth + 1)
            return found
        if isinstance(value, list | tuple | set):
            items: list[Any] = []
            for inner in value:
                if self.values <= 0:
                    items.append(CUT)
                    break
                items.append(self.value(inner, depth + 1))
            return items
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return value if value.bit_length() <= BITS else f"(a number of {value.bit_length()} bits)"
        return self.other(value)

    def other(self, value: Any) -> Any:
        """Numbers of PyTorch and NumPy as numbers, the rest as text."""
        try:
            if hasattr(value, "tolist") and getattr(value, "ndim", 1) == 0:
                value = value.tolist()
                return value if value is None or isinstance(value, bool | int | float) else self.text(value)
            if isinstance(value, torch.Tensor):
                return f"tensor {list(value.shape)}"
        except (RuntimeError, TypeError, ValueError):  # no numbers in it, or no shape
            return f"({type(value).__name__})"
        return self.text(value)

    def text(self, value: Any) -> str:
        if isinstance(value, bytes | bytearray):
            value = bytes(value[:LETTERS]).decode("latin-1")
        elif isinstance(value, np.ndarray):
            value = (
                str(value) if value.size < VALUES and value.dtype.kind in "biufc" else f"array {value.shape}"
            )
        elif isinstance(value, int) and value.bit_length() > BITS:
            value = f"(a number of {value.bit_length()} bits)"
        elif value is None or isinstance(value, _SPEAKING):
            value = str(value)
        else:
            value = f"({type(value).__name__})"
        kept = value[: max(0, min(LETTERS, self.letters))]
        self.letters -= len(kept)
        return kept if len(kept) == len(value) else kept + CUT
