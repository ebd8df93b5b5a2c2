"""Minutes of audio: time and peak memory, each run in a process of its own.

Run as a program it is such a process: ``python long_files.py CONTESTANT SECONDS THREADS`` prints JSON. The
memory is read from /proc, so on Linux only.
"""

import json
import sys
import time

import torch
from timing import Result, run_child, summarise

CONTESTANTS = ("Asteroid, whole", "Asteroid, LambdaOverlapAdd", "dprnn-lab")
WINDOW = 20.0  # seconds, for both that cut into windows


def bench(threads: int, turns: int, lengths: dict[float, tuple[str, ...]]) -> list[Result]:
    """Two rows for each length: seconds, and MiB above what the process held before."""
    rows = []
    for seconds, contestants in lengths.items():
        took = {name: [] for name in contestants}
        memory = {name: [] for name in contestants}
        for _ in range(turns):
            for name in contestants:
                answer = json.loads(run_child(__file__, name, seconds, threads, threads=threads))
                took[name].append(answer["seconds"])
                memory[name].append(answer["mebibytes"])
        case = f"default, {seconds:g} s"
        rows.append(summarise("long files", f"{case}: time", "s", took))
        rows.append(summarise("long files", f"{case}: peak memory above the model's", "MiB", memory))
    return rows


def mebibytes(field: str) -> float:
    """Of this process, as Linux counts them: ``VmRSS`` (held now) or ``VmHWM`` (the most held so far)."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def measure(contestant: str, seconds: float, threads: int) -> dict:
    """Separate once, and say how long it took and how much memory it needed."""
    from models import SIZES, pair, speech

    torch.set_num_threads(threads)
    theirs, ours = pair(SIZES["default"])
    mixture = speech(seconds)
    with torch.inference_mode():
        if contestant == "dprnn-lab":
            from dprnn_lab import separate

            def run():
                return separate(ours, mixture[0], window=WINDOW, scale="none")

        elif contestant == "Asteroid, LambdaOverlapAdd":
            from asteroid.dsp.overlap_add import LambdaOverlapAdd

            windows = LambdaOverlapAdd(theirs, n_src=2, window_size=round(WINDOW * 8000), reorder_chunks=True)

            def run():
                return windows(mixture[None])

        else:

            def run():
                return theirs(mixture)

        (theirs if contestant != "dprnn-lab" else ours)(mixture[:, :8000])  # what the first call alone needs
        with open("/proc/self/clear_refs", "w") as control:
            control.write("5")  # the most so far is now what is held now
        before, start = mebibytes("VmRSS"), time.perf_counter()
        estimates = run()
        took, peak = time.perf_counter() - start, mebibytes("VmHWM")
    if estimates.shape[-2:] != (2, mixture.shape[1]):
        raise RuntimeError(f"{contestant} returned {list(estimates.shape)}")
    return {"seconds": took, "mebibytes": peak - before}


if __name__ == "__main__":
    name, length, count = sys.argv[1:]
    print(json.dumps(measure(name, float(length), int(count))))
