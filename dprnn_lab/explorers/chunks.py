"""The chunk explorer: choose chunk size, hop, duration, kernel and stride, and see the sequences of both RNNs.

The arithmetic follows the sliders (:mod:`.chunk_plan`); time and memory are measured on request, by a forward pass in
a separate process (:mod:`dprnn_lab.evaluation.forward_cost`).

Notebook: 02_dual_path
"""

from collections.abc import Mapping
from html import escape

import ipywidgets as widgets
import torch

from ..evaluation.forward_cost import ForwardCost, measure_forward
from .chunk_plan import ChunkPlan, describe, draw_plan, plan_chunks
from .controls import picture_bytes

__all__ = ["ChunkExplorer"]

KERNELS = (2, 8, 16, 32, 64)  # samples
MAX_CHUNK = 512  # frames
STEP_SECONDS = 0.5  # of the duration, and its minimum; exact in binary, so that no slider shows 3.9999
TABLE_ROWS = 4  # measurements that are kept


class ChunkExplorer(widgets.VBox):
    """Controls, a sentence, a picture, and measurements on demand.

    Args:
        waveform: ``[T]``, the recording to segment; it limits the duration.
        config: ``model.config`` of the model to measure; its chunk size, hop, kernel and stride are the initial
            values of the controls.

    Attributes:
        chunk, hop, duration, kernel, stride, half_overlap: the controls.
        measure: the button.
        readout: HTML of class ``chunk-readout``, the plan in sentences.
        measured: HTML of class ``chunk-measured``, the last measurement and a table of those before.
        picture: the image.
        plan: the :class:`ChunkPlan` shown.

    Raises:
        ValueError: the waveform is not ``[T]``, or shorter than half a second.
    """

    def __init__(self, waveform: torch.Tensor, config: Mapping):
        least = round(STEP_SECONDS * config["sample_rate"])
        if waveform.dim() != 1 or len(waveform) < least:
            raise ValueError(
                f"the waveform has shape {list(waveform.shape)}: give one recording [T] of at least "
                f"{least} samples"
            )
        self.waveform, self.config = waveform.detach().float(), dict(config)
        self.history: list[tuple[ChunkPlan, ForwardCost]] = []
        self._updating = False
        self._make_controls()
        self.readout = widgets.HTML(layout=widgets.Layout(min_height="5.5em"))
        self.readout.add_class("chunk-readout")
        self.picture = widgets.Image(format="png", width=900, height=468)
        self.measured = widgets.HTML(
            "Press <b>Measure</b> to run the model at this setting.", layout=widgets.Layout(min_height="14em")
        )
        self.measured.add_class("chunk-measured")
        rows = [
            self._row(self.chunk, self.chunk_box, self.half_overlap),
            self._row(self.hop, self.hop_box),
            self._row(self.duration, self.duration_box, self.kernel, self.stride),
        ]
        super().__init__([*rows, self.readout, self.picture, self.measure, self.measured])
        self._limit_hop()
        self._refresh()
        for control in (self.chunk, self.half_overlap, self.kernel, self.hop, self.duration, self.stride):
            control.observe(self._changed, names="value")
        self.measure.on_click(self._measure)

    def __repr__(self) -> str:
        return "The chunk explorer, a widget: run this notebook in JupyterLab to use it."

    def _make_controls(self) -> None:
        config = self.config
        rate = config["sample_rate"]
        longest = len(self.waveform) / rate
        wide = {"style": {"description_width": "7.5em"}, "layout": widgets.Layout(width="26em")}
        chunk, hop = min(config["chunk_size"], MAX_CHUNK), config["hop_size"]
        self.chunk = widgets.IntSlider(chunk, 2, MAX_CHUNK, description="chunk size K", readout=False, **wide)
        self.hop = widgets.IntSlider(min(hop, chunk), 1, chunk, description="hop P", readout=False, **wide)
        self.duration = widgets.FloatSlider(
            min(4.0, longest),
            min=STEP_SECONDS,
            max=longest,
            step=STEP_SECONDS,
            description="duration (s)",
            readout=False,
            **wide,
        )
        # A slider's handle has no accessible name; the box beside it has one, and takes exact numbers.
        self.chunk_box = _box(self.chunk, widgets.BoundedIntText, "K =")
        self.hop_box = _box(self.hop, widgets.BoundedIntText, "P =")
        self.duration_box = _box(self.duration, widgets.BoundedFloatText, "seconds")
        self.half_overlap = widgets.Checkbox(
            hop == chunk // 2,
            description="hop is half a chunk",
            indent=False,
            layout=widgets.Layout(width="12em"),
        )
        narrow = {"style": {"description_width": "4em"}, "layout": widgets.Layout(width="9em")}
        kernel = config["kernel_size"] if config["kernel_size"] in KERNELS else 16
        self.kernel = widgets.Dropdown(options=KERNELS, value=kernel, description="kernel", **narrow)
        self.stride = widgets.Dropdown(options=_strides(kernel), description="stride", **narrow)
        stride = config["stride"]
        self.stride.value = stride if stride in _strides(kernel) else kernel // 2
        self.measure = widgets.Button(
            description="Measure", button_style="primary", tooltip="Run a forward pass at this setting"
        )

    @staticmethod
    def _row(*children: widgets.Widget) -> widgets.HBox:
        return widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap"))

    def _changed(self, change: dict) -> None:
        """Update the controls that depend on the changed one, then draw once."""
        if self._updating:
            return  # a change made below
        self._updating = True
        try:
            if change["owner"] is self.kernel:
                # Only strides without gaps between the kernels; half a kernel at first.
                self.stride.options = _strides(self.kernel.value)
                self.stride.value = self.kernel.value // 2
            self._limit_hop()
        finally:
            self._updating = False
        self._refresh()

    def _limit_hop(self) -> None:
        """Keep P <= K, and P = K / 2 while the box is ticked."""
        half = self.half_overlap.value
        self.hop.max = self.hop_box.max = self.chunk.value  # the widget reduces a larger hop
        self.hop.disabled = self.hop_box.disabled = half
        if half:
            self.hop.value = max(1, self.chunk.value // 2)

    @property
    def samples(self) -> int:
        """T at the chosen duration."""
        return min(round(self.duration.value * self.config["sample_rate"]), len(self.waveform))

    def _refresh(self) -> None:
        """Compute and show the chosen plan."""
        samples = self.samples
        self.plan = plan_chunks(
            samples,
            self.config["sample_rate"],
            self.kernel.value,
            self.stride.value,
            self.chunk.value,
            self.hop.value,
        )
        text = escape(describe(self.plan, self.config["bn_chan"]))
        self.readout.value = f"<div style='line-height:1.45'>{text}</div>"
        self.picture.value = picture_bytes(
            draw_plan(self.plan, self.waveform[:samples], self.config["bn_chan"])
        )

    def _measure(self, button: widgets.Button) -> None:
        """Measure the plan shown; a refusal or failure is shown in place of a number."""
        plan = self.plan
        sizes = {name: getattr(plan, name) for name in ("chunk_size", "hop_size", "kernel_size", "stride")}
        self.measure.disabled = True
        self.measured.value = (
            f"Measuring K = {plan.chunk_size}, P = {plan.hop_size} in a separate process ..."
        )
        try:
            cost = measure_forward([{**self.config, **sizes}], plan.samples)[0]
        except ValueError as error:
            said = f"<b>Not measured</b>: {escape(str(error))}."
        except (RuntimeError, OSError) as error:
            said = f"<b>The measurement failed</b>: {escape(str(error))}."
        else:
            self.history = [(plan, cost), *self.history][:TABLE_ROWS]
            said = (
                f"<b>Measured</b>: K = {plan.chunk_size}, P = {plan.hop_size} on {plan.seconds:.1f} s takes "
                f"{_cost(cost)} (median of {cost.runs} run{'s' * (cost.runs > 1)}; tensors held at one time, "
                "weights not counted)."
            )
        finally:
            self.measure.disabled = False
        self.measured.value = f"<div style='line-height:1.45'>{said}</div>{self._table()}"

    def _table(self) -> str:
        if not self.history:
            return ""
        head = "".join(
            f"<th style='padding:0 1em'>{h}</th>" for h in ("K", "P", "kernel / stride", "s", "C", "cost")
        )
        rows = ""
        for plan, cost in self.history:
            kernel, seconds = f"{plan.kernel_size} / {plan.stride}", f"{plan.seconds:.1f}"
            values = (plan.chunk_size, plan.hop_size, kernel, seconds, plan.chunks, _cost(cost))
            cells = "".join(f"<td style='padding:0 1em;text-align:right'>{v}</td>" for v in values)
            rows += f"<tr>{cells}</tr>"
        return f"<table><tr>{head}</tr>{rows}</table>"


def _box(slider: widgets.Widget, kind: type, description: str) -> widgets.Widget:
    """A number box linked to the slider, with the accessible name that the slider's handle lacks."""
    box = kind(
        value=slider.value, min=slider.min, max=slider.max, step=slider.step, description=description,
        style={"description_width": "4.5em"}, layout=widgets.Layout(width="10em"),
    )  # fmt: skip
    widgets.link((slider, "value"), (box, "value"))
    return box


def _strides(kernel: int) -> tuple[int, ...]:
    return tuple(s for s in (kernel // 4, kernel // 2, kernel) if s)


def _cost(cost: ForwardCost) -> str:
    return f"{1000 * cost.seconds:.3g} ms and {cost.peak_bytes / 1e6:.3g} MB"
