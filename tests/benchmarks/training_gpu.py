"""How many mixtures of 4 s a GPU trains on in a second: batch, precision, torch.compile, CUDA graphs, and the data.

    python tests/benchmarks/training_gpu.py                      # under four minutes on a GPU
    python tests/benchmarks/training_gpu.py --tiny --device cpu  # the same on small sizes, to try the command

Writes ``training_gpu.json`` and ``training_gpu.md`` into ``--out`` after each measurement. Each has a time limit of its
own: what takes longer, fails, or computes another loss than the plain step is a row that says so, and ends no other.
``data/train_on_gpu.py train --settings training_gpu.json`` trains with the best.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "data"), str(Path(__file__).parent)]

LIMIT, START, TOTAL = 40.0, 60.0, 225.0  # seconds: of a measurement, of a process's start, of all
WARM, TIMED = 3, 8  # steps
SAME_DB = 0.1  # losses of the same two steps may differ by so much
NEARLY = 0.97  # of the best rate: the smallest batch that reaches it is chosen
COLUMNS = ("kind", "precision", "batch", "compiled", "graphs", "rate", "ms", "peak_gib", "note")


def variants(batches: list[int], workers: int) -> list[dict]:
    """What to measure, the most useful first."""

    def step(precision: str, batch: int, compiled: bool = False, graphs: bool = False) -> dict:
        return {
            "kind": "step",
            "precision": precision,
            "batch": batch,
            "compiled": compiled,
            "graphs": graphs,
        }

    middle = batches[len(batches) // 2]
    found = [step("bf16", b) for b in batches]
    found += [step("bf16", b, graphs=True) for b in batches]
    found += [{"kind": "mixing on the device", "batch": middle}]
    found += [{"kind": f"mixing in {workers} processes", "batch": middle, "workers": workers}]
    found += [step("tf32", b, graphs=g) for b in (batches[0], batches[-1]) for g in (False, True)]
    found += [step("bf16", middle, compiled=True), step("bf16", middle, compiled=True, graphs=True)]
    return found + [step("float32", b) for b in (batches[0], batches[-1])]


def measure_all(connection: Connection, device: str, seconds: float, tiny: bool) -> None:
    """A child process: answers each variant that comes with what it measured, until None comes."""
    import torch
    from gpu_training.mixing import Mixer, MixingOptions
    from gpu_training.pairs import Pairs
    from gpu_training.voices import noise_bank

    from dprnn_lab import DPRNNTasNet, load_model
    from dprnn_lab.processes import end_worker_with_parent

    end_worker_with_parent()
    torch.manual_seed(0)
    sizes = {"bn_chan": 8, "hid_size": 8, "n_repeats": 1, "chunk_size": 32}
    model = DPRNNTasNet(kernel_size=64, stride=32, **sizes) if tiny else load_model("large")
    bank = noise_bank(device)
    pairs = Pairs(
        bank.voices, {"man-woman": 0.4, "woman-woman": 0.35, "man-man": 0.25}, {}, 4.0, bank.audio.device
    )
    mixer = Mixer(bank, pairs, MixingOptions(), 0)
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    connection.send(
        {"device": name, "torch": torch.__version__, "parameters": sum(p.numel() for p in model.parameters())}
    )
    plain: dict[str, float] = {}  # loss of two steps by precision
    while (variant := connection.recv()) is not None:
        try:
            if variant["kind"] == "step":
                result = measure_step(model, mixer, device, seconds, variant, plain)
            elif "workers" in variant:
                result = measure_workers(seconds, variant)
            else:
                result = measure_mixing(mixer, device, seconds, variant)
        except torch.OutOfMemoryError:
            result = {"note": "out of memory"}
        except Exception as error:
            result = {"note": f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]}
        if device.startswith("cuda"):
            torch.cuda.empty_cache()
        connection.send(result)


def measure_step(model, mixer, device: str, seconds: float, variant: dict, plain: dict) -> dict:
    """A whole training step, mixing included."""
    import copy

    import torch
    from gpu_training.stepping import Trainer
    from gpu_training.timing import seconds_per_call

    batch, samples, gpu = variant["batch"], int(seconds * 8000), device.startswith("cuda")
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    options = {"compiled": variant["compiled"], "graphs": variant["graphs"]}
    precision = variant["precision"]
    if precision not in plain:
        plain[precision] = two_losses(Trainer(copy.deepcopy(model), device, precision), mixer)
    expected, trainer = plain[precision], Trainer(copy.deepcopy(model), device, precision, **options)
    loss = two_losses(trainer, mixer)
    if not abs(loss - expected) <= SAME_DB:
        return {"note": f"wrong: the loss of two steps is {loss:.3f}, of plain ones {expected:.3f}"}

    def whole(i: int) -> None:
        trainer.step(*mixer.draw(i, batch, samples), 1e-5)

    seconds_per_call(whole, WARM, gpu)
    took = seconds_per_call(whole, TIMED, gpu)
    peak = {"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)} if gpu else {}
    return {"rate": round(batch / took, 2), "ms": round(1000 * took, 2)} | peak


def two_losses(trainer, mixer) -> float:
    """Mean loss of two steps on the same mixtures for all variants: the second shows the gradients of the first."""
    for i in range(2):
        trainer.step(*mixer.draw(i, 8, 8000), 1e-3)
    return trainer.mean_loss()


def measure_mixing(mixer, device: str, seconds: float, variant: dict) -> dict:
    """Drawing, speed, level and sum of mixtures on the device, without a network."""
    from gpu_training.timing import seconds_per_call

    batch, gpu = variant["batch"], device.startswith("cuda")

    def draw(i: int) -> None:
        mixer.draw(i, batch, int(seconds * 8000))

    seconds_per_call(draw, WARM, gpu)
    took = seconds_per_call(draw, TIMED, gpu)
    return {"rate": round(batch / took, 2), "ms": round(1000 * took, 2)}


def measure_workers(seconds: float, variant: dict) -> dict:
    """The same from the bundled voices in worker processes, as ``dprnn-lab train --num-workers`` reads."""
    from torch.utils.data import DataLoader

    from dprnn_lab.datasets import DynamicMixing

    batch, count = variant["batch"], variant["workers"]
    data = DynamicMixing.from_corpus(samples=int(seconds * 8000), size=batch * (WARM + TIMED) * 4)
    batches = iter(DataLoader(data, batch, num_workers=count, multiprocessing_context="spawn"))
    for _ in range(WARM):
        next(batches)
    start = time.perf_counter()
    for _ in range(TIMED):
        next(batches)
    took = (time.perf_counter() - start) / TIMED
    return {"rate": round(batch / took, 2), "ms": round(1000 * took, 2)}


def in_own_group(work: Callable[..., None], *arguments: object) -> None:
    """In a child process: work in a process group of its own, so that what it starts ends with it."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    work(*arguments)


def end_group(process: multiprocessing.process.BaseProcess) -> None:
    """Kill a process that :func:`in_own_group` runs in, and what it has started, such as readers of data."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, OSError):  # Windows; or the group is not made yet
        process.kill()
    process.join()


class Child:
    """The process that measures; a new one takes its place when it hangs or dies."""

    def __init__(self, device: str, seconds: float, tiny: bool):
        self.arguments, self.process, self.facts = (device, seconds, tiny), None, {}
        self.failed_starts = 0

    def ask(self, variant: dict, limit: float, left: float = START) -> dict:
        """What it measured within ``limit`` seconds, or a note that says why it did not; ``left``: also for a start."""
        if self.failed_starts == 2:
            return {"note": "left out: the process that measures does not start"}
        try:
            if self.process is None:
                self._start(min(START, left))
            started = time.monotonic()
            self.connection.send(variant)
            if self.connection.poll(limit):
                return self.connection.recv()
            note = f"stopped after its {time.monotonic() - started:.0f} s"
        except (EOFError, OSError):
            note = "the process that measured it died"
        except TimeoutError as error:
            note = str(error)
        self.close()
        return {"note": note}

    def _start(self, limit: float) -> None:
        self.failed_starts += 1
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=in_own_group, args=(measure_all, other, *self.arguments))
        self.process.start()
        other.close()
        if not self.connection.poll(limit):
            raise TimeoutError(f"the process that measures did not start within {limit:.0f} s")
        self.facts = self.connection.recv()
        self.failed_starts = 0

    def close(self) -> None:
        if self.process is not None:
            end_group(self.process)  # it may hang in the driver, and its memory is needed
            self.connection.close()
            self.process = None


def best_settings(rows: list[dict]) -> dict:
    """Of the measured steps, the fastest; among batches that are nearly as fast, the smallest."""
    steps = [row for row in rows if row["kind"] == "step" and row.get("rate")]
    if not steps:
        return {}
    top = max(row["rate"] for row in steps)
    chosen = min((r for r in steps if r["rate"] >= NEARLY * top), key=lambda r: (r["batch"], -r["rate"]))
    return {name: chosen[name] for name in ("batch", "precision", "compiled", "graphs")}


def write(out: Path, facts: dict, rows: list[dict], seconds: float) -> None:
    """Both files, anew."""
    from dprnn_lab.files import write_whole

    best = best_settings(rows)
    result = {"facts": facts, "seconds": seconds, "rows": rows, "best": best}
    write_whole(out / "training_gpu.json", (json.dumps(result, indent=1) + "\n").encode())
    lines = [
        "# Training on a GPU, measured", "",
        f"`make bench-gpu` (`tests/benchmarks/training_gpu.py`): {', '.join(f'{k} {v}' for k, v in facts.items())}; "
        f"mixtures of {seconds:g} s. `rate` is in mixtures a second, `ms` of a batch; a step contains its mixing.", "",
        "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS),
    ]  # fmt: skip
    for row in rows:
        cells = (row.get(column, "") for column in COLUMNS)
        lines.append(
            "| " + " | ".join(("no", "yes")[c] if isinstance(c, bool) else str(c) for c in cells) + " |"
        )
    if best:
        lines += ["", "Best: " + ", ".join(f"{name} {value}" for name, value in best.items()) + "."]
    write_whole(out / "training_gpu.md", ("\n".join(lines) + "\n").encode())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--device", help="cuda where there is one")
    parser.add_argument(
        "--tiny", action="store_true", help="a small network and short mixtures, to try the command"
    )
    parser.add_argument("--batches", type=int, nargs="+")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that mix")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of a measurement")
    parser.add_argument("--total", type=float, default=TOTAL, help="seconds of all")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    device = options.device or _device()
    if device == "cpu" and not options.tiny:
        raise SystemExit("there is no CUDA device: --tiny --device cpu tries the command on small sizes")
    seconds = 0.25 if options.tiny else 4.0
    batches = options.batches or ([1, 2] if options.tiny else [32, 64, 128, 256])
    child, rows = Child(device, seconds, options.tiny), []
    try:
        for variant in variants(batches, options.workers):
            left = options.total - (time.monotonic() - began)
            limit = min(options.limit, left)
            result = child.ask(variant, limit, left) if left > 2 else {"note": "left out: no time"}
            rows.append(variant | result)
            print("  ".join(f"{k} {v}" for k, v in rows[-1].items()), flush=True)
            write(options.out, child.facts, rows, seconds)
    finally:
        child.close()
    print(f"{options.out / 'training_gpu.md'}: {len(rows)} rows in {time.monotonic() - began:.0f} s")


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    main()
