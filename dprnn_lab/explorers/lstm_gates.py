"""The gate explorer: one unit of an LSTM gets an impulse; its gates decide how long it remembers.

Notebook: 00b_prerequisites
"""

import math

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..plots.prerequisites import draw_memory
from .controls import paired, picture_bytes

__all__ = ["GateExplorer", "describe_memory", "draw_gates", "remember"]

STEPS = 60


def remember(forget: float, write: float, read: float, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Cell state and output ``[steps]`` of one unit with constant gates; the candidate is 1 at step 0, then 0.

    Args:
        forget, write, read: values of the forget, the input and the output gate, from 0 to 1.

    Raises:
        ValueError: a gate outside 0 to 1, or no step.

    >>> memory, output = remember(0.5, 1.0, 1.0, steps=3)
    >>> memory.tolist()
    [1.0, 0.5, 0.25]
    """
    for name, value in (("forget", forget), ("write", write), ("read", read)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}: a gate is a sigmoid, so give a number from 0 to 1")
    if steps < 1:
        raise ValueError(f"steps is {steps}: give 1 or more")
    memory = write * forget ** np.arange(steps)  # c[t] = f c[t - 1] + i g[t]
    return memory, read * np.tanh(memory)


def describe_memory(forget: float) -> str:
    """How long a forget gate of this value remembers, as a sentence."""
    if forget >= 1:
        return "A forget gate of 1 keeps the memory as it is, for ever."
    if forget <= 0:
        return "A forget gate of 0 clears the memory at every step."
    half = math.log(0.5) / math.log(forget)
    return (
        f"With a forget gate of {forget:.3f} half of the memory is left after {half:.1f} steps, and "
        f"{100 * forget**STEPS:.2g} % after {STEPS}."
    )


def draw_gates(forget: float, write: float, read: float) -> Figure:
    """Cell state and output over the steps."""
    figure, axes = plt.subplots(figsize=(8, 2.6))
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.19, top=0.88)  # fixed: nothing jumps at a refresh
    draw_memory(axes, *remember(forget, write, read), f"forget {forget:g}, input {write:g}, output {read:g}")
    return figure


class GateExplorer(widgets.VBox):
    """Sliders for the three gates, the memory as a picture, and how long it lasts in a sentence.

    Attributes:
        forget, write, read: the sliders, 0 to 1.
        readout: HTML of class ``gate-readout``.
        picture: the memory over 60 steps.
    """

    def __init__(self) -> None:
        self.forget, first = paired(0.9, 0.0, 1.0, 0.005, "forget gate")
        self.write, second = paired(1.0, 0.0, 1.0, 0.05, "input gate")
        self.read, third = paired(1.0, 0.0, 1.0, 0.05, "output gate")
        self.readout, self.picture = widgets.HTML(), widgets.Image(format="png", width=720, height=234)
        self.readout.add_class("gate-readout")
        super().__init__([first, second, third, self.readout, self.picture])
        for slider in (self.forget, self.write, self.read):
            slider.observe(self._refresh, names="value")
        self._refresh()

    def __repr__(self) -> str:
        return "The gate explorer, a widget: run this notebook in JupyterLab to use it."

    def _refresh(self, change: dict | None = None) -> None:
        figure = draw_gates(self.forget.value, self.write.value, self.read.value)
        self.picture.value = picture_bytes(figure)
        plt.close(figure)
        self.readout.value = describe_memory(self.forget.value)
