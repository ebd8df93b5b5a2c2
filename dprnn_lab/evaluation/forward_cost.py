"""What one forward pass costs: time and peak memory, measured in a process of their own.

A child process builds the model with random weights (the cost does not depend on their values), runs it
under PyTorch's memory profiler once and then under the clock. So the notebook's kernel lends neither its
memory nor its warm caches to the result, and a setting that is too large can't take it down.

**What the peak counts.** PyTorch reports each block of memory that its CPU allocator hands out or takes back.
The peak is the largest sum of blocks held at one time during the forward pass: all tensors that the pass
makes, its scratch included. Not counted are the weights and the input, which were there before, and the
scratch that a library such as oneDNN allocates by itself. The sum is exact and the same at each run. The
operating system sees somewhat more, for it also counts pages that the allocator keeps for later.

Notebook: 02_dual_path
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import pandas as pd
import torch
from torch.autograd.profiler import profile

from ..model import DPRNNTasNet
from ..model.dual_path import chunk_count
from ..model.filterbank import frame_count
from .systems import make_system
from .table import separate_with

__all__ = [
    "COST_SECONDS",
    "ForwardCost",
    "WORK_LIMIT",
    "forward_work",
    "measure_call",
    "measure_forward",
    "peak_of_events",
    "system_costs",
]

WORK_LIMIT = 15e9  # multiply-adds; a core of a laptop needs about half a second for them
CLOCK_SECONDS = 1.0  # time for the timed runs, one of which is always made
TIMEOUT = 120.0  # s; a child that takes longer is stuck


@dataclass(frozen=True)
class ForwardCost:
    """A measured forward pass."""

    seconds: float  # median over the runs
    runs: int
    peak_bytes: int  # held at one time by the tensors of the pass (see the module's text)


def forward_work(config: Mapping, samples: int) -> float:
    """Multiply-adds of the RNNs and projections for ``samples`` samples: the great part of a forward pass.

    An LSTM step with H units per direction and F inputs takes 4 H (F + H), its projection 2 H F. Every cell
    of the [C, K] plane is one step of both paths of all R blocks. (The other RNN types are counted as LSTMs.)
    """
    frames = frame_count(samples, config["kernel_size"], config["stride"])
    cells = chunk_count(frames, config["chunk_size"], config["hop_size"]) * config["chunk_size"]
    hidden, features = config["hid_size"], config["bn_chan"]
    step = 2 * 4 * hidden * (features + hidden) + 2 * hidden * features
    return float(cells) * 2 * config["n_repeats"] * config.get("num_layers", 1) * step


def measure_forward(configs: Sequence[Mapping], samples: int, limit: float = WORK_LIMIT) -> list[ForwardCost]:
    """Time and peak memory of a forward pass over ``samples`` samples, for each configuration.

    All are measured one after the other in one child process, with as many threads as PyTorch uses here.

    Args:
        configs: arguments of :class:`DPRNNTasNet`, ``hop_size`` and ``stride`` as numbers (``model.config``).
        samples: T.
        limit: multiply-adds above which a configuration is refused.

    Raises:
        ValueError: a configuration over the limit; nothing is measured then.
        RuntimeError: the child process failed; the message carries its last line.
    """
    if samples < 1:
        raise ValueError(f"samples is {samples}: a forward pass needs one sample at the least")
    for config in configs:
        work = forward_work(config, samples)
        if work > limit:
            raise ValueError(
                f"chunk size {config['chunk_size']}, hop {config['hop_size']} and stride {config['stride']} "
                f"on {samples} samples take {work / 1e9:.0f} billion multiply-adds, the limit is "
                f"{limit / 1e9:.0f}: choose a shorter duration, a larger hop or a larger stride"
            )
    request = {"configs": [dict(c) for c in configs], "samples": samples, "threads": torch.get_num_threads()}
    root = str(Path(__file__).resolve().parents[1])
    paths = [root, os.environ.get("PYTHONPATH", "")]
    try:
        child = subprocess.run(
            [sys.executable, "-c", f"from {__name__} import _child; _child()"],
            input=json.dumps(request),
            capture_output=True,  # the profiler writes its log to stderr, whatever it is told
            text=True,
            timeout=TIMEOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)},
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(
            f"the measurement took over {TIMEOUT:.0f} s and was ended: choose a smaller setting"
        ) from error
    if child.returncode:
        last = (child.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"the measuring process ended with code {child.returncode}: {last}")
    return [ForwardCost(**cost) for cost in json.loads(child.stdout.splitlines()[-1])]


def peak_of_events(sizes: Sequence[int]) -> int:
    """The highest running sum of allocations (above zero) and releases (below), in the order they happened.

    >>> peak_of_events([100, 50, -100, 20])
    150
    """
    held = peak = 0
    for size in sizes:
        held += size
        peak = max(peak, held)
    return peak


def _child() -> None:
    """Answer one request on stdin; runs in the child process."""
    request = json.load(sys.stdin)
    torch.set_num_threads(request["threads"])
    print(json.dumps([asdict(_measure_here(config, request["samples"])) for config in request["configs"]]))


def _measure_here(config: Mapping, samples: int) -> ForwardCost:
    torch.manual_seed(0)
    model = DPRNNTasNet(**config).eval()
    mixture = torch.randn(samples)
    return measure_call(lambda: model(mixture))


@torch.inference_mode()
def measure_call(function: Callable[[], object]) -> ForwardCost:
    """Time and peak memory of a function that computes with tensors, called in this process."""
    # The plain profiler: torch.profiler imports PyTorch's compiler first, which takes longer than the pass.
    with profile(profile_memory=True) as events:
        function()  # also the warm-up of the timed runs
    seconds: list[float] = []
    while not seconds or (sum(seconds) + seconds[-1] < CLOCK_SECONDS and len(seconds) < 9):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return ForwardCost(median(seconds), len(seconds), peak_of_events(_memory_events(events)))


def _memory_events(events: profile) -> list[int]:
    """Bytes of every allocation (above zero) and release (below) on the CPU, in order of time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        events.export_chrome_trace(str(path))
        trace = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    memory = [e for e in trace if e.get("name") == "[memory]" and e["args"]["Device Type"] == 0]
    return [e["args"]["Bytes"] for e in sorted(memory, key=lambda e: e["ts"])]


COST_SECONDS = 4


def system_costs(systems: Mapping[str, str], item: tuple) -> pd.DataFrame:
    """Cost of separating one mixture with each system.

    Args:
        systems: name to what :func:`make_system` takes.
        item: ``(mixture [T], sources [S, T], spec)``, repeated or cut to :data:`COST_SECONDS`. The baselines need the
            sources and the spec.

    Returns:
        A row per system: ``parameters`` (NaN for a system that is no network), ``seconds``, ``peak MiB`` (of the
        tensors it makes, see :mod:`dprnn_lab.evaluation.forward_cost`).
    """
    rows = []
    for name, spec in systems.items():
        # A fresh process for each, so that no system finds what another one left in memory.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            parameters, cost = pool.submit(_cost, spec, item, torch.get_num_threads()).result()
        rows.append(
            {
                "system": name,
                "parameters": parameters,
                "seconds": cost.seconds,
                "peak MiB": cost.peak_bytes / 2**20,
            }
        )
    return pd.DataFrame(rows).astype({"parameters": "Int64"})


def _cost(spec: str, item: tuple, threads: int) -> tuple[int | None, ForwardCost]:
    """Runs in the child process."""
    torch.set_num_threads(threads)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the profiler writes its log there, whatever it is told
    system = make_system(spec)
    mixture, sources, about = item
    samples = round(COST_SECONDS * getattr(about, "sample_rate", 8000))
    sources = sources.repeat(1, -(-samples // sources.shape[1]))[:, :samples]
    mixture = mixture.repeat(-(-samples // len(mixture)))[:samples]
    cost = measure_call(lambda: separate_with(system, mixture, sources, about))
    network = system if isinstance(system, torch.nn.Module) else getattr(system, "network", None)
    return (None if network is None else sum(p.numel() for p in network.parameters())), cost
