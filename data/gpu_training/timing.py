"""How long a step takes, by batch and precision."""

import copy
import csv
import time
from collections.abc import Callable
from pathlib import Path

import torch

from .mixing import Mixer
from .stepping import Trainer

COLUMNS = ("precision", "batch", "ms_step", "ms_mixing", "mixtures_per_second", "peak_gib", "note")


def time_steps(
    model,
    mixer: Mixer,
    device: torch.device,
    out: Path,
    batches=(32, 64, 128, 192),
    precisions=("bf16", "tf32"),
    seconds: float = 4.0,
    limit: float = 55.0,
    warm: int = 5,
    timed: int = 10,
    **options,
) -> list[dict]:
    """Print and write (CSV) a table: step and mixing in ms, mixtures a second, peak memory in GiB.

    Where the network does not fit the memory the note says so; what would go over ``limit`` seconds is left out.
    """
    began, rows = time.monotonic(), []
    samples = int(seconds * 8000)
    print("  ".join(COLUMNS), flush=True)
    for precision in precisions:
        slowest = 0.0  # seconds a mixture of the largest batch so far
        for batch in batches:
            row = dict.fromkeys(COLUMNS, "") | {"precision": precision, "batch": batch}
            if time.monotonic() - began + slowest * batch * (warm + timed) > limit:
                row["note"] = "left out: no time"
            else:
                try:
                    row |= _measure(model, mixer, device, precision, batch, samples, warm, timed, options)
                    slowest = float(row["ms_step"]) / 1000 / batch
                except torch.OutOfMemoryError:
                    row["note"] = "out of memory"
                except RuntimeError as error:
                    row["note"] = str(error).split("\n")[0][:80]
                if device.type == "cuda":
                    torch.cuda.empty_cache()
            rows.append(row)
            print("  ".join(str(row[c]).ljust(len(c)) for c in COLUMNS), flush=True)
            with open(out, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
    return rows


def seconds_per_call(work: Callable[[int], object], count: int, gpu: bool) -> float:
    """Mean time of ``work(0)`` to ``work(count - 1)``; on a GPU until it has computed all of them."""
    if gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for i in range(count):
        work(i)
    if gpu:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / count


def _measure(model, mixer, device, precision, batch, samples, warm, timed, options) -> dict:
    trainer = Trainer(copy.deepcopy(model), device, precision, **options)
    gpu = device.type == "cuda"
    if gpu:
        torch.cuda.reset_peak_memory_stats()

    def whole(i: int) -> None:
        trainer.step(*mixer.draw(i, batch, samples), 1e-5)

    seconds_per_call(whole, warm, gpu)
    if gpu:
        torch.cuda.set_sync_debug_mode("warn")  # a step that waits for the device says so
        whole(0)
        torch.cuda.set_sync_debug_mode("default")
    step = 1000 * seconds_per_call(whole, timed, gpu)
    mixing = 1000 * seconds_per_call(lambda i: mixer.draw(i, batch, samples), timed, gpu)
    peak = torch.cuda.max_memory_allocated() / 2**30 if gpu else 0.0
    return {
        "ms_step": f"{step:.1f}",
        "ms_mixing": f"{mixing:.2f}",
        "mixtures_per_second": f"{1000 * batch / step:.0f}",
        "peak_gib": f"{peak:.1f}",
    }
