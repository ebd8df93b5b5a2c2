"""What the processor can reach in a matrix product, and how much of that each part of the network reaches.

``torch.mm`` in float32 is MKL's product, and MKL leaves AVX-512 out on processors of other makers than Intel. A
convolution of width one is the same product by oneDNN, which PyTorch uses for the LSTMs: the larger of the two is the
true peak. The bfloat16 peak is oneDNN's.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import torch
from models import SIZES, speech
from timing import Result
from torch.nn import functional as F

from dprnn_lab import DPRNNTasNet
from dprnn_lab.model.precision import computing_in

__all__ = ["bench", "peaks"]


def gflops(product: Callable[[], object], size: int, turns: int) -> float:
    """Billions of operations a second of a product of ``size`` x ``size`` matrices (median)."""
    product()
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        product()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(times) / 1e9


@torch.inference_mode()
def peaks(size: int = 2048, turns: int = 15) -> dict[str, float]:
    """GFLOP/s of a large product: MKL's in float32, oneDNN's in float32 and in bfloat16."""
    a, b = torch.randn(2, size, size)
    weights, columns = a[:, :, None, None], b.reshape(1, size, size, 1)
    found = {"torch.mm, float32": gflops(lambda: a @ b, size, turns)}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        w, x = weights.to(dtype), columns.to(dtype).contiguous(memory_format=torch.channels_last)
        found[f"oneDNN, {name}"] = gflops(lambda w=w, x=x: F.conv2d(x, w), size, turns)
    return found


def parts(model: DPRNNTasNet) -> dict[str, list[torch.nn.Module]]:
    """The modules of a forward pass by what they are; what is left of its time is segmentation, sums and copies."""
    separator = model.separator
    blocks = list(separator.blocks)
    masks = [
        separator.source_act, separator.output_tanh, separator.output_gate, separator.mask_act, separator.bottleneck,
    ]  # fmt: skip
    return {
        "encoder": [model.encoder, model.encoder_act],
        "intra RNN": [block.intra.rnn for block in blocks],
        "inter RNN": [block.inter.rnn for block in blocks],
        "projections": [path.projection for block in blocks for path in (block.intra, block.inter)],
        "norms": [
            separator.input_norm,
            *(n for block in blocks for n in (block.intra_norm, block.inter_norm)),
        ],
        "bottleneck and masks": masks,
        "decoder": [model.decoder],
    }


def operations(model: DPRNNTasNet, samples: int) -> dict[str, float]:
    """Floating-point operations of the products in each part, counted from the shapes that pass through it."""
    counts: dict[str, float] = defaultdict(float)
    hooks = []
    for name, modules in parts(model).items():
        for module in modules:

            def count(module, given, result, name=name):
                x = given[0]
                if isinstance(module, torch.nn.LSTM):
                    steps = x.shape[0] * x.shape[1] * (2 if module.bidirectional else 1)
                    counts[name] += 2 * 4 * module.hidden_size * (x.shape[-1] + module.hidden_size) * steps
                elif isinstance(module, torch.nn.Linear):
                    counts[name] += 2 * x.numel() * module.out_features
                elif module is model.encoder:
                    counts[name] += 2 * result.numel() * model.config["kernel_size"]
                elif module is model.decoder:
                    counts[name] += 2 * x.numel() * model.config["kernel_size"]

            hooks.append(module.register_forward_hook(count))
    with torch.inference_mode():
        model(speech(samples / 8000)[0])
    for hook in hooks:
        hook.remove()
    return counts


def bench(turns: int, seconds: float, peak: dict[str, float]) -> list[Result]:
    """A row for each precision and size: milliseconds of each part, and in the note its share of the peak.

    One thread, since the times of the parts are taken between hooks around the modules.
    """
    mixture, rows = speech(seconds)[0], []
    for size in ("small", "default"):
        model = DPRNNTasNet(n_src=2, **SIZES[size]).eval()
        work = operations(model, len(mixture))
        for precision in ("float32", "bfloat16"):
            best = max(value for name, value in peak.items() if name.endswith(precision))
            times, whole = time_parts(model, mixture, precision, turns)
            times["the rest"] = whole - sum(times.values())
            shares = [
                f"{name} {work[name] / (times[name] * 1e6):.0f} GFLOP/s, {work[name] / (times[name] * 1e6) / best:.0%}"
                for name in times
                if work.get(name)
            ]
            total = sum(work.values()) / (whole * 1e6)
            note = f"whole {whole:.0f} ms, {total:.0f} GFLOP/s, {total / best:.0%} of the peak; " + "; ".join(
                shares
            )
            rows.append(Result("parts", f"{size}, {precision}, {seconds:g} s", "ms", times, {}, turns, note))
    return rows


@torch.inference_mode()
def time_parts(
    model: DPRNNTasNet, mixture: torch.Tensor, precision: str, turns: int
) -> tuple[dict[str, float], float]:
    """Milliseconds (medians over turns) of each part, and of the whole."""
    groups = parts(model)
    spent: dict[str, float] = {}
    began: dict[int, float] = {}
    hooks = []
    for name, modules in groups.items():
        for module in modules:

            def before(module, given):
                began[id(module)] = time.perf_counter()

            def after(module, given, result, name=name):
                spent[name] += time.perf_counter() - began[id(module)]

            hooks += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    measured: dict[str, list[float]] = {name: [] for name in [*groups, "whole"]}
    with computing_in(precision):
        for turn in range(turns + 1):
            spent.update(dict.fromkeys(groups, 0.0))
            start = time.perf_counter()
            model(mixture)
            whole = time.perf_counter() - start
            for name, value in {**spent, "whole": whole}.items():
                if turn:  # the first fills caches
                    measured[name].append(1000 * value)
    for hook in hooks:
        hook.remove()
    medians = {name: statistics.median(values) for name, values in measured.items()}
    return {name: medians[name] for name in groups}, medians["whole"]
