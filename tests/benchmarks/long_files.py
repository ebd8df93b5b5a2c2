"""Minutes of audio from a file to files, on all cores: time and peak memory, each run in a process of its own.

Run as a program it is such a process: ``python long_files.py CONTESTANT SECONDS THREADS FOLDER`` prints JSON. The
memory is read from /proc, so on Linux only.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from timing import Result, run_child, summarise

# The first is what the others are held against. All that cut into windows have the same window.
WHOLE = "Asteroid, whole"
CONTESTANTS = ("Asteroid, LambdaOverlapAdd", WHOLE, "dprnn-lab, float32", "dprnn-lab, bfloat16")
WINDOW = 8.0  # seconds
WHOLE_MIB = 11.0  # for each second of audio; 10 were measured


def bench(threads: int, turns: int, lengths: list[float]) -> list[Result]:
    """Two rows for each length: seconds, and MiB above what the process held before."""
    rows = []
    for seconds in lengths:
        fits = WHOLE_MIB * seconds < available_mebibytes()
        contestants = [name for name in CONTESTANTS if name != WHOLE or fits]
        took = {name: [] for name in contestants}
        memory = {name: [] for name in contestants}
        with tempfile.TemporaryDirectory() as folder:
            from models import RATE, speech

            from dprnn_lab.audio import write_audio

            samples = speech(seconds)[0]
            write_audio(Path(folder) / "talk.wav", 0.9 * samples / samples.abs().max(), RATE)
            for turn in range(turns):
                for name in contestants[turn % len(contestants) :] + contestants[: turn % len(contestants)]:
                    answer = json.loads(run_child(__file__, name, seconds, threads, folder, threads=threads))
                    took[name].append(answer["seconds"])
                    memory[name].append(answer["mebibytes"])
        case = f"default, {seconds:g} s"
        left_out = "" if fits else f"{WHOLE} is left out: it needs about {WHOLE_MIB * seconds / 1024:.0f} GiB"
        rows.append(summarise("long files", f"{case}: time, file to files", "s", took, left_out))
        rows.append(summarise("long files", f"{case}: peak memory above the model's", "MiB", memory))
    return rows


def available_mebibytes() -> float:
    """Memory that programs can have now, as Linux counts it."""
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable"))


def mebibytes(field: str) -> float:
    """Of this process, as Linux counts them: ``VmRSS`` (held now) or ``VmHWM`` (the most held so far)."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def measure(contestant: str, seconds: float, threads: int, folder: Path) -> dict:
    """Separate ``talk.wav`` into two files, and say how long it took and how much memory it needed."""
    from models import RATE, SIZES, pair

    from dprnn_lab.audio import read_audio, write_audio
    from dprnn_lab.separation.file_to_file import separate_file

    torch.set_num_threads(threads)
    theirs, ours = pair(SIZES["default"])
    source = folder / "talk.wav"
    with torch.inference_mode():
        network, precision = ours, contestant.rpartition(", ")[2]
        if contestant.startswith("Asteroid"):
            from asteroid.dsp.overlap_add import LambdaOverlapAdd

            network, precision = theirs, "float32"
            if contestant != WHOLE:
                network = LambdaOverlapAdd(
                    theirs, n_src=2, window_size=round(WINDOW * RATE), reorder_chunks=True
                )

            def run() -> list[Path]:
                estimates = network(read_audio(source)[0][None])[0]
                paths = [folder / f"theirs_{j}.wav" for j in range(2)]
                for path, samples in zip(paths, estimates, strict=True):
                    write_audio(path, samples / estimates.abs().max(), RATE)
                return paths

        else:

            def run() -> list[Path]:
                return list(
                    separate_file(
                        ours,
                        source,
                        folder / "ours",
                        window=WINDOW,
                        workers=threads,
                        precision=precision,
                        force=True,
                    ).outputs
                )

        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            (theirs if contestant.startswith("Asteroid") else ours)(
                torch.zeros(1, RATE)
            )  # what a first call needs
        with open("/proc/self/clear_refs", "w") as control:
            control.write("5")  # the most so far is now what is held now
        before, start = mebibytes("VmRSS"), time.perf_counter()
        paths = run()
        took, peak = time.perf_counter() - start, mebibytes("VmHWM")
    for path in paths:
        if (length := read_audio(path)[0].shape[-1]) != round(seconds * RATE):
            raise RuntimeError(f"{contestant} wrote {length} samples")
    return {"seconds": took, "mebibytes": peak - before}


if __name__ == "__main__":
    name, length, count, place = sys.argv[1:]
    print(json.dumps(measure(name, float(length), int(count), Path(place))))
