"""Controls and helpers that several explorers use."""

import io

import ipywidgets as widgets
from matplotlib.figure import Figure

__all__ = ["Sounds", "paired", "picture_bytes"]


class Sounds(widgets.Output):
    """A place for the HTML of a comparing player (:func:`dprnn_lab.compare.compare_html`).

    It is an output, since the script of the player runs there, and not in ``widgets.HTML``. A new value replaces the
    old player, which then falls silent.
    """

    @property
    def value(self) -> str:
        """The HTML shown, "" for none."""
        return self.outputs[0]["data"]["text/html"] if self.outputs else ""

    @value.setter
    def value(self, html: str) -> None:
        data = {"text/html": html, "text/plain": "sounds to compare, in JupyterLab"}
        shown = {"output_type": "display_data", "data": data, "metadata": {}}
        self.outputs = (shown,) if html else ()


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
