"""From a cold start: importing the package, and a file separated on the command line."""

import tempfile
import time
from pathlib import Path

from models import RATE, SIZES, pair, speech
from timing import Result, run_child, summarise

from dprnn_lab import save_model
from dprnn_lab.audio import write_audio
from dprnn_lab.checkpoint import save_asteroid

IMPORT = """
import time, torch
start = time.perf_counter()
import {package}
print(time.perf_counter() - start)
"""


def bench(threads: int, turns: int) -> list[Result]:
    """Seconds that the import adds to ``import torch``, and seconds to the written files."""
    adds = {"Asteroid": [], "dprnn-lab": []}
    for _ in range(turns):
        for name, package in (("Asteroid", "asteroid"), ("dprnn-lab", "dprnn_lab")):
            adds[name].append(float(run_child("-c", IMPORT.format(package=package), threads=threads)))
    waits = {"Asteroid": [], "dprnn-lab": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        wav = folder / "talk.wav"
        write_audio(wav, 0.9 * speech(4)[0] / speech(4).abs().max(), RATE)
        _, model = pair(SIZES["small"])
        package, ours = folder / "model.pth", folder / "model.safetensors"
        save_asteroid(model, package)
        save_model(model, ours)
        infer = "from asteroid.scripts.asteroid_cli import infer; infer()"
        commands = {
            "Asteroid": ("-c", infer, package, "--files", wav, "-f", "-o", folder),
            "dprnn-lab": (
                "-m",
                "dprnn_lab.cli",
                "separate",
                wav,
                "--model",
                ours,
                "--out",
                folder,
                "--force",
            ),
        }
        for _ in range(turns):
            for name, command in commands.items():
                start = time.perf_counter()
                run_child(*command, threads=threads)
                waits[name].append(time.perf_counter() - start)
    return [
        summarise("cold start", "import, added to import torch", "s", adds),
        summarise("cold start", "command line, 4 s file to written files, small", "s", waits),
    ]
