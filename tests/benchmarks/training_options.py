"""Does bf16 or torch.compile make a training step faster? Times by turns, in one process, on one thread.

    python tests/benchmarks/training_options.py

Writes ``training_options.md`` beside this file. torch.compile needs a C++ compiler, and its translation is timed
apart. The machine is part of the answer: run it on yours.
"""

import copy
import platform
import statistics
import time
from pathlib import Path

import torch

from dprnn_lab import DPRNNTasNet, PITLossWrapper, pairwise_neg_sisdr
from dprnn_lab.training.settings import SMALL

ROUNDS, STEPS = 5, 4
LOSS = PITLossWrapper(pairwise_neg_sisdr)


def step(model, mixture, sources, bf16=False):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        estimates = model(mixture)
    LOSS(estimates.float(), sources).backward()
    model.zero_grad()


def seconds(function):
    start = time.perf_counter()
    for _ in range(STEPS):
        function()
    return (time.perf_counter() - start) / STEPS


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = DPRNNTasNet(**SMALL)
    sources = torch.randn(4, 2, 8000)
    mixture = sources.sum(1)
    compiled = copy.deepcopy(model)
    compiled.compile()
    ways = {
        "32 bits": lambda: step(model, mixture, sources),
        "bf16-mixed": lambda: step(model, mixture, sources, bf16=True),
        "torch.compile": lambda: step(compiled, mixture, sources),
    }
    start = time.perf_counter()
    ways["torch.compile"]()
    translation = time.perf_counter() - start
    for way in ways.values():
        way()
    times = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times[name].append(seconds(way))
    plain = times["32 bits"]
    lines = [
        "# Options of a training step, measured", "",
        f"`python tests/benchmarks/training_options.py`: batch of 4 mixtures of 1 s, the default network, one thread, "
        f"PyTorch {torch.__version__.split('+')[0]}, {platform.machine()}. The ratio is to 32 bits, median of {ROUNDS} "
        "rounds by turns (lowest to highest); over 1 is slower.", "",
        "| option | seconds a step | ratio |", "|---|---|---|",
    ]  # fmt: skip
    for name, values in times.items():
        ratios = [value / base for value, base in zip(values, plain, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(f"| {name} | {statistics.median(values):.3f} | {spread} |")
    lines += ["", f"torch.compile needed {translation:.0f} s for its translation before the first step.", ""]
    text = "\n".join(lines)
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
