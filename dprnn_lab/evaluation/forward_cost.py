"""The cost of separating: time and peak memory of one forward pass, measured in a child process.

In a fresh process neither the memory nor the warm caches of the caller influence the result, and a setting that
needs too much memory can't crash the caller. The pass runs once under PyTorch's memory profiler and then under the
clock. :func:`measure_forward` measures networks with random weights (their values do not change the cost),
:func:`system_costs` the systems of an evaluation.

**What the peak counts.** PyTorch reports each block of memory that its CPU allocator hands out or takes back. The peak
is the largest sum of blocks held at one time during the forward pass: all tensors that the pass makes, temporary ones
included. It does not count the weights and the input, which were there before, nor memory that a library such as
oneDNN allocates by itself. The sum is exact and the same in each run. The operating system reports somewhat more, since
it also counts pages that the allocator keeps for later.

Notebook: 02_dual_path
"""

import contextlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch
from torch.autograd.profiler import profile

from ..audio import SAMPLE_RATE
from ..model import DPRNNTasNet
from ..model.dual_path import chunk_count
from ..model.filterbank import frame_count
from .systems import Address, make_system
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

COST_SECONDS = 4  # length of the mixture that system_costs separates
WORK_LIMIT = 15e9  # multiply-adds; a core of a laptop needs about half a second for them
CLOCK_SECONDS = 1.0  # time for the timed runs, of which at least one is made
TIMEOUT_SECONDS = 120.0
# What a child process does first, before an import of seconds: end as soon as its parent, which holds the other end of
# its stdin, is gone. Without select.poll (Windows) it notices that when it reads or writes.
WATCH = (
    "import os, select, threading; p = getattr(select, 'poll', bool)(); p and p.register(0, 0); "
    "p and threading.Thread(target=lambda: (p.poll(), os._exit(1)), daemon=True).start()"
)


@dataclass(frozen=True)
class ForwardCost:
    """A measured forward pass."""

    seconds: float  # median over the runs
    runs: int
    peak_bytes: int  # held at one time by the tensors of the pass (see the module's text)


def forward_work(config: Mapping, samples: int) -> float:
    """Multiply-adds of the RNNs and projections for ``samples`` samples: most of a forward pass.

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
        RuntimeError: the child process failed; the message contains the reason.
    """
    if samples < 1:
        raise ValueError(f"samples is {samples}: a forward pass needs at least one sample")
    for config in configs:
        work = forward_work(config, samples)
        if work > limit:
            raise ValueError(
                f"chunk size {config['chunk_size']}, hop {config['hop_size']} and stride {config['stride']} "
                f"on {samples} samples take {work / 1e9:.0f} billion multiply-adds, the limit is "
                f"{limit / 1e9:.0f}: choose a shorter duration, a larger hop or a larger stride"
            )
    try:
        return _in_child(
            _measure_configs, [dict(config) for config in configs], samples, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(
            f"the measurement took over {TIMEOUT_SECONDS:.0f} s and was stopped: choose a smaller setting"
        ) from error
    except Exception as error:
        raise RuntimeError(f"the measurement failed: {error}") from error


def _measure_configs(configs: list[dict], samples: int) -> list[ForwardCost]:
    costs = []
    for config in configs:
        torch.manual_seed(0)
        model = DPRNNTasNet(**config).eval()
        mixture = torch.randn(samples)
        costs.append(measure_call(partial(model, mixture)))
    return costs


def system_costs(systems: Mapping[str, Address], item: tuple) -> pd.DataFrame:
    """Cost of separating one mixture with each system, each in a child process of its own.

    Args:
        systems: name to what :func:`make_system` takes.
        item: ``(mixture [T], sources [S, T], spec)``, repeated or cut to :data:`COST_SECONDS`. The baselines need the
            sources and the spec.

    Returns:
        A row per system: ``parameters`` (NaN for a system that is not a network), ``seconds``, ``peak MiB`` (see the
        module's text).
    """
    rows = []
    for name, address in systems.items():
        parameters, cost = _in_child(_measure_system, address, item)
        row = {
            "system": name,
            "parameters": parameters,
            "seconds": cost.seconds,
            "peak MiB": cost.peak_bytes / 2**20,
        }
        rows.append(row)
    return pd.DataFrame(rows).astype({"parameters": "Int64"})


def _measure_system(address: Address, item: tuple) -> tuple[int | None, ForwardCost]:
    system = make_system(address)
    mixture, sources, spec = item
    samples = round(COST_SECONDS * getattr(spec, "sample_rate", SAMPLE_RATE))
    sources = sources.repeat(1, -(-samples // sources.shape[1]))[:, :samples]
    mixture = mixture.repeat(-(-samples // len(mixture)))[:samples]
    cost = measure_call(lambda: separate_with(system, mixture, sources, spec))
    network = system if isinstance(system, torch.nn.Module) else getattr(system, "network", None)
    return (None if network is None else sum(p.numel() for p in network.parameters())), cost


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


def _memory_events(events: profile) -> list[int]:
    """Bytes of every allocation (above zero) and release (below) on the CPU, in order of time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        events.export_chrome_trace(str(path))
        trace = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    memory = [e for e in trace if e.get("name") == "[memory]" and e["args"]["Device Type"] == 0]
    return [e["args"]["Bytes"] for e in sorted(memory, key=lambda e: e["ts"])]


def _in_child(function: Callable, *arguments: Any, timeout: float | None = None) -> Any:
    """``function(*arguments)`` in a fresh process with as many threads as PyTorch uses here; exceptions come back too.

    The process ends with this one, however that ends: it watches its stdin, which stays open until the answer is here.

    Raises:
        RuntimeError: the process died; the message has the last line that it printed.
        subprocess.TimeoutExpired: it took longer than ``timeout`` seconds.
    """
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, "-c", f"{WATCH}; from {__name__} import _answer; _answer()"]
    # A file: the profiler always writes its log to stderr, and nobody reads a pipe while the answer is awaited.
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in paths if p)},
        )
        late = threading.Event()

        def kill() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(timeout or 0, kill)
        timer.daemon = True
        try:
            if timeout is not None:
                timer.start()
            assert child.stdin is not None and child.stdout is not None  # they are pipes
            with contextlib.suppress(BrokenPipeError):  # it died: its last line says why
                child.stdin.write(pickle.dumps((function, arguments, torch.get_num_threads())))
                child.stdin.flush()
            answer = child.stdout.read()
            child.wait()
        finally:
            timer.cancel()
            child.kill()
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()  # type: ignore[union-attr]
            child.stdout.close()  # type: ignore[union-attr]
            child.wait()
        if late.is_set():
            raise subprocess.TimeoutExpired(command, timeout or 0)
        if child.returncode:
            log.seek(0)
            last = (log.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"the child process ended with code {child.returncode}: {last}")
    error, result = pickle.loads(answer)
    if error is not None:
        raise error
    return result


def _answer() -> None:
    """The child process: read a function and its arguments from stdin, write what it returns or raises to stdout."""
    function, arguments, threads = pickle.load(sys.stdin.buffer)
    torch.set_num_threads(threads)
    with contextlib.redirect_stdout(sys.stderr):
        answer: tuple[Exception | None, Any]
        try:
            answer = None, function(*arguments)
        except Exception as error:
            answer = error, None
    sys.stdout.buffer.write(pickle.dumps(answer))
    sys.stdout.buffer.flush()
    sys.stderr.flush()
    os._exit(0)  # a result is all that is wanted: no cleaning up
