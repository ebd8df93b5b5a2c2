"""Controls and helpers that several explorers use."""

import io

import ipywidgets as widgets
from matplotlib.figure import Figure

__all__ = ["paired", "picture_bytes"]


def paired(
    value: float,
    low: float,
    high: float,
    step: float,
    name: str,
    tooltip: str | None = None,
    name_width: float = 6,
) -> tuple[widgets.FloatSlider, widgets.HBox]:
    """A slider, and a row of it with a linked number box, which has the label and takes exact numbers.

    A slider's handle has no accessible name; the box has one.

    Args:
        name_width: of the label, in em.
    """
    tooltip = tooltip or name
    slider = widgets.FloatSlider(value, min=low, max=high, step=step, readout=False, tooltip=tooltip)
    box = widgets.BoundedFloatText(
        value, min=low, max=high, step=step, description=name, tooltip=tooltip,
        layout=widgets.Layout(width=f"{name_width + 6}em"), style={"description_width": f"{name_width}em"},
    )  # fmt: skip
    widgets.link((slider, "value"), (box, "value"))
    return slider, widgets.HBox([box, slider])


def picture_bytes(figure: Figure, dpi: int = 90) -> bytes:
    """The figure as a PNG in full colour: faster than :func:`dprnn_lab.plots.png`, for use with sliders."""
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=dpi)
        return file.getvalue()
