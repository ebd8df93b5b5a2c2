"""Controls that several explorers use."""

import ipywidgets as widgets

__all__ = ["paired"]


def paired(
    value: float,
    low: float,
    high: float,
    step: float,
    name: str,
    tooltip: str | None = None,
    name_width: float = 6,
) -> tuple[widgets.FloatSlider, widgets.HBox]:
    """A slider, and in a row with it the box that gives it a label and takes exact numbers.

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
