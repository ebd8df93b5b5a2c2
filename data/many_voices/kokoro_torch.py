"""Kokoro's ONNX network run by PyTorch, for a GPU: some fifty operators, each in a line or two.

The integer products of the quantised network are done in float32: its activations are scaled but not rounded, so the
result is a little closer to the network before quantisation than onnxruntime's. Weights and activations lie on the
device, shapes and other whole numbers on the CPU.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional

_TYPES = {1: torch.float32, 6: torch.int64, 7: torch.int64, 9: torch.bool}


class TorchNetwork:
    """``run`` is like that of an ``onnxruntime.InferenceSession``."""

    def __init__(self, path: Path, device: str):
        graph = onnx.load(path).graph
        self.device = torch.device(device)
        self.constants = {}
        for item in graph.initializer:
            value = torch.from_numpy(np.array(numpy_helper.to_array(item)))
            if value.dtype in (torch.uint8, torch.int8):  # quantised weights and their zero points
                value = value.float()
            elif value.dtype == torch.int32:
                value = value.long()
            self.constants[item.name] = value.to(self.device) if value.is_floating_point() else value
        self.steps, self.lstms = [], {}
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            operator = getattr(self, f"_{node.op_type}", None) or _SIMPLE[node.op_type]
            self.steps.append((operator, list(node.input), list(node.output), attributes, node.name))
        last = {name: k for k, step in enumerate(self.steps) for name in step[1]}
        self.forget = [[n for n in set(s[1]) if last[n] == k and n] for k, s in enumerate(self.steps)]

    @torch.inference_mode()
    def run(self, _names, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [self(**{k: torch.from_numpy(v) for k, v in inputs.items()}).cpu().numpy()]

    @torch.inference_mode()
    def __call__(self, tokens: torch.Tensor, style: torch.Tensor, speed: torch.Tensor) -> torch.Tensor:
        """``tokens`` int64 ``[1, n]``, ``style`` ``[1, 256]``, ``speed`` ``[1]``; audio ``[1, T]`` at 24 kHz."""
        values = {"tokens": tokens, "style": style.to(self.device), "speed": speed.to(self.device)}
        for (operator, names, outputs, attributes, name), done in zip(self.steps, self.forget, strict=True):
            taken = [None if n == "" else values[n] if n in values else self.constants[n] for n in names]
            if operator not in _WHOLE_NUMBERS and len({t.device for t in taken if t is not None}) > 1:
                taken = [t.to(self.device) if t is not None and t.ndim else t for t in taken]
            result = operator(*taken, **attributes, **({"name": name} if "LSTM" in name else {}))
            for key, value in zip(outputs, result if isinstance(result, tuple) else (result,), strict=False):
                values[key] = value
            for key in done:
                values.pop(key, None)
        return values["audio"]

    def _DynamicQuantizeLSTM(self, x, w, r, b, lengths, h, c, p, ws, wz, rs, rz, name, hidden_size, **_):
        """x ``[T, 1, I]``; w ``[2, I, 4H]``, r ``[2, H, 4H]``: gates in the order input, output, forget, cell."""
        if name not in self.lstms:
            lstm = torch.nn.LSTM(x.shape[-1], hidden_size, bidirectional=True).to(self.device)
            order = torch.cat([torch.arange(hidden_size) + hidden_size * g for g in (0, 2, 3, 1)])
            for d, suffix in enumerate(("", "_reverse")):
                for kind, q, scale, zero in (("ih", w, ws, wz), ("hh", r, rs, rz)):
                    weight = (q[d] - (zero[d] if zero.ndim else zero)) * (scale[d] if scale.ndim else scale)
                    getattr(lstm, f"weight_{kind}_l0{suffix}").copy_(weight.T[order])
                    half = b[d].view(2, -1)[0 if kind == "ih" else 1]
                    getattr(lstm, f"bias_{kind}_l0{suffix}").copy_(half[order])
            lstm.flatten_parameters()
            self.lstms[name] = lstm
        y, (h, c) = self.lstms[name](x)
        return y.view(len(x), 1, 2, hidden_size).transpose(1, 2), h, c


def _quantise(x):
    """The scale that onnxruntime would use; no rounding and no zero point."""
    scale = (x.max().clamp(min=0) - x.min().clamp(max=0)) / 255
    scale = torch.where(scale > 0, scale, 1.0)
    return x / scale, scale, torch.zeros((), device=x.device)


def _conv(x, w, b=None, pads=(0, 0), strides=(1,), dilations=(1,), group=1, **_):
    if pads[0] != pads[-1]:
        x, pads = functional.pad(x, tuple(pads)), (0,)
    return functional.conv1d(x, w, b, strides[0], pads[0], dilations[0], group)


def _conv_transpose(
    x, w, b=None, pads=(0, 0), strides=(1,), dilations=(1,), group=1, output_padding=(0,), **_
):
    return functional.conv_transpose1d(x, w, b, strides[0], pads[0], output_padding[0], group, dilations[0])


def _reshape(x, shape, **_):
    return x.reshape([x.shape[i] if s == 0 else s for i, s in enumerate(shape.tolist())])


def _expand(x, shape):
    return x.expand(torch.broadcast_shapes(x.shape, shape.tolist()))


def _slice(x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    for axis, start, end, step in zip(axes, starts.tolist(), ends.tolist(), steps, strict=True):
        size = x.shape[axis]
        if step < 0:
            raise ValueError("a slice that runs backwards")
        start, end = (max(0, min(size, v + size if v < 0 else v)) for v in (start, end))
        x = x.narrow(axis, start, max(0, end - start))
        if step > 1:
            x = x.index_select(axis, torch.arange(0, x.shape[axis], step, device=x.device))
    return x


def _split(x, sizes, axis=0):
    return tuple(x.split(sizes.tolist(), axis))


def _squeeze(x, axes):
    return x.squeeze(tuple(axes.tolist()))


def _unsqueeze(x, axes):
    for axis in sorted(a % (x.ndim + len(axes)) for a in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def _pad(x, pads, value=None, axes=None, mode=b"constant"):
    pads, n = pads.tolist(), x.ndim
    flat = [p for axis in reversed(range(n)) for p in (pads[axis], pads[axis + n])]
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    squeeze = x.ndim == 1
    out = functional.pad(x[None] if squeeze else x, flat, mode.decode())
    return out[0] if squeeze else out


def _resize(x, _roi, scales, mode=b"nearest", **_):
    scale = float(scales[-1])
    if mode == b"nearest":
        return functional.interpolate(x, scale_factor=scale, mode="nearest")
    return functional.interpolate(x, scale_factor=scale, mode="linear", recompute_scale_factor=False)


def _mean(x, axes, keepdims=1, **_):
    return x.mean(axes.tolist(), bool(keepdims))


def _sum(x, axes, keepdims=1, **_):
    return x.sum(axes.tolist(), bool(keepdims))


def _gather(x, index, axis=0):
    index = index.to(x.device)
    index = torch.where(index < 0, index + x.shape[axis], index)
    out = x.index_select(axis, index.reshape(-1))
    return out.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _scatter(x, index, updates, **_):
    out = x.clone()
    out[tuple(index.unbind(-1))] = updates.to(x.dtype)
    return out


def _stft(x, step, window, length, **_):
    """As a product with a matrix of cosines and sines, for onnxruntime's small rounding errors, which the network
    hears as noise where the source is silent; and a negative constant part must have the phase +pi, not -pi."""
    frames = x.reshape(x.shape[0], -1).unfold(1, int(length), int(step)) * window
    n, k = torch.arange(int(length)), torch.arange(int(length) // 2 + 1)
    angle = (2 * torch.pi / int(length)) * (n[:, None] * k).float().to(x.device)
    imaginary = frames @ -angle.sin()
    imaginary[..., 0] = 1e-7
    return torch.stack([frames @ angle.cos(), imaginary], -1)


def _div(a, b):
    if not a.is_floating_point() and not b.is_floating_point():
        return torch.div(a, b, rounding_mode="trunc")
    return torch.nan_to_num(a / b, 0.0, torch.inf, -torch.inf)  # 0 / 0: the phase of nothing


def _skip_norm(x, skip, weight, bias, epsilon=0.0):
    return functional.layer_norm(x + skip, x.shape[-1:], weight, bias, epsilon)


def _fused_matmul(a, b, alpha=1.0, transA=0, transB=0, **_):
    return alpha * ((a.mT if transA else a) @ (b.mT if transB else b))


def _constant(shape, value):
    value = torch.from_numpy(np.array(numpy_helper.to_array(value)))
    return torch.full(shape.tolist(), value.item(), dtype=value.dtype)


_SIMPLE = {
    "Add": torch.add,
    "And": torch.logical_and,
    "Atan": torch.atan,
    "Cast": lambda x, to, **_: x.to(_TYPES[to]) if to != 6 else x,  # int32 appears only after quantisation
    "Clip": lambda x, low, high: x.clamp(low, high),
    "Concat": lambda *x, axis: torch.cat(x, axis),
    "ConstantOfShape": _constant,
    "Conv": _conv,
    "ConvInteger": lambda x, w, _xz, wz, **k: _conv(x, w - wz, **k),
    "ConvTranspose": _conv_transpose,
    "Cos": torch.cos,
    "CumSum": lambda x, axis, **_: x.cumsum(int(axis)),
    "DequantizeLinear": lambda x, scale, zero: (x - zero) * scale,
    "Div": _div,
    "DynamicQuantizeLinear": _quantise,
    "Equal": torch.eq,
    "Exp": torch.exp,
    "Expand": _expand,
    "FastGelu": lambda x, b: functional.gelu(x + b, approximate="tanh"),
    "Floor": torch.floor,
    "FusedMatMul": _fused_matmul,
    "Gather": _gather,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "LayerNormalization": lambda x, w, b, epsilon, **_: functional.layer_norm(x, x.shape[-1:], w, b, epsilon),
    "LeakyRelu": lambda x, alpha: functional.leaky_relu(x, alpha),
    "Less": torch.lt,
    "MatMul": torch.matmul,
    "MatMulInteger": lambda x, w, _xz, wz: x @ (w - wz),
    "Mul": torch.mul,
    "NonZero": lambda x: x.nonzero().T,
    "Pad": _pad,
    "Pow": lambda x, p: x * x if p.ndim == 0 and float(p.cpu()) == 2 else x**p,
    "Range": lambda a, b, step: torch.arange(int(a), int(b), int(step)),
    "ReduceMean": _mean,
    "ReduceSum": _sum,
    "Reshape": _reshape,
    "Resize": _resize,
    "Round": torch.round,
    "STFT": _stft,
    "ScatterND": _scatter,
    "Shape": lambda x, **_: torch.tensor(x.shape),
    "Sigmoid": torch.sigmoid,
    "Sin": torch.sin,
    "SkipLayerNormalization": _skip_norm,
    "Slice": _slice,
    "Softmax": lambda x, axis: x.softmax(axis),
    "Split": _split,
    "Sqrt": torch.sqrt,
    "Squeeze": _squeeze,
    "Sub": torch.sub,
    "Tanh": torch.tanh,
    "Transpose": lambda x, perm: x.permute(perm),
    "Unsqueeze": _unsqueeze,
    "Where": torch.where,
}
# These read shapes, axes and sizes as whole numbers, wherever they lie.
_WHOLE_NUMBERS = {
    _reshape,
    _expand,
    _slice,
    _split,
    _squeeze,
    _unsqueeze,
    _pad,
    _resize,
    _mean,
    _sum,
    _gather,
    _stft,
}
