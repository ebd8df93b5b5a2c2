"""The four commands that work for long: how to start and to continue each, and what must hold at any moment."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pandas as pd
import soundfile
import torch
import yaml

from dprnn_lab import DPRNNTasNet, load_model, save_model

__all__ = ["JOBS", "Evaluate", "Job", "Separate", "Sweep", "Train"]


class Job:
    """A command with one folder of results; ``folder`` is where its inputs are made."""

    name = ""
    parts = ""  # what can be continued from, in the plural

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def command(self, out: Path) -> Sequence[object]:
        """The arguments that start the work in ``out``, or continue it."""
        raise NotImplementedError

    def result(self, out: Path) -> object:
        """What is compared with an undisturbed run: equal values for equal results."""
        raise NotImplementedError

    def halves(self, out: Path) -> list[str]:
        """What is half-written in ``out``, at any moment; hidden files are the command's own."""
        raise NotImplementedError

    def done(self, out: Path) -> int:
        """How many parts of the work lie in ``out``."""
        raise NotImplementedError


class Train(Job):
    """A network of some thousand weights, 60 steps, a checkpoint every 6."""

    name = "train"
    parts = "checkpoints"
    every = 6  # steps between checkpoints
    network = (
        "--n-filters", 8, "--kernel-size", 16, "--chunk-size", 16, "--n-repeats", 1, "--bn-chan", 8, "--hid-size", 8,
    )  # fmt: skip

    def command(self, out: Path) -> Sequence[object]:
        if any((out / "checkpoints").glob("*.ckpt")):
            return ["train", "--resume", out]
        size = ["--set", f"epoch_size={2 * self.every}"]
        return ["train", out, *self.network, "--batch", 2, "--seconds", 0.5, "--steps", 60, *size]

    def result(self, out: Path) -> object:
        state = load_model(out / "model.safetensors").state_dict()
        return {name: tensor.tolist() for name, tensor in state.items()}, (out / "results.csv").read_text()

    def halves(self, out: Path) -> list[str]:
        found = []
        for file in [*(out / "checkpoints").glob("*.ckpt"), *out.glob("*.safetensors")]:
            if not file.name.startswith("."):
                found += _fails(file, load_model)
        for file in out.glob("config.yaml"):
            found += _fails(file, lambda path: dict(yaml.safe_load(path.read_text())))
        for file in (out / "validation").glob("*.csv"):
            found += _fails(file, pd.read_csv)
        return found

    def done(self, out: Path) -> int:
        return len(list((out / "checkpoints").glob("step*.ckpt")))


class Separate(Job):
    """Ten minutes of noise with a network of some thousand weights."""

    name = "separate"
    parts = "windows"

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.model = _tiny_model(folder)
        self.recording = folder / "ten-minutes.wav"
        soundfile.write(self.recording, 0.1 * torch.randn(600 * 8000).numpy(), 8000)

    def command(self, out: Path) -> Sequence[object]:
        return ["separate", self.recording, "--model", self.model, "--out", out, "--force"]

    def result(self, out: Path) -> object:
        return [soundfile.read(file, dtype="int16")[0].tolist() for file in sorted(out.glob("*.wav"))]

    def halves(self, out: Path) -> list[str]:
        lengths = [soundfile.info(file).frames for file in out.glob("[!.]*.wav")]
        return (
            [f"{len(lengths)} outputs of {lengths} samples"] if lengths not in ([], [600 * 8000] * 2) else []
        )

    def done(self, out: Path) -> int:
        return len(list(out.glob(".*.separation/window-*.npy")))


class Evaluate(Job):
    """A network of some thousand weights on the 48 validation mixtures, in two processes beside the first."""

    name = "evaluate"
    parts = "rows"

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.model = _tiny_model(folder)

    def command(self, out: Path) -> Sequence[object]:
        return ["evaluate", "--model", self.model, "--data", "valid", "--workers", 2, "--out", out]

    def result(self, out: Path) -> object:
        return pd.read_csv(out / "scores.csv").drop(columns="rtf").to_csv()

    def halves(self, out: Path) -> list[str]:
        return [part for file in out.glob("*.csv") for part in _fails(file, pd.read_csv)] + [
            part
            for file in out.glob("settings.json")
            for part in _fails(file, lambda p: json.loads(p.read_text()))
        ]

    def done(self, out: Path) -> int:
        file = out / "rows.jsonl"
        return file.read_bytes().count(b"\n") if file.is_file() else 0


class Sweep(Job):
    """A notebook that adds two numbers, four times, two at once."""

    name = "sweep"
    parts = "runs"

    def __init__(self, folder: Path):
        super().__init__(folder)
        code = nbformat.v4.new_code_cell
        cells = [
            code("seed = 0\nsize = 1\nreport = ''", metadata={"tags": ["parameters"]}),
            code("import json, time\ntime.sleep(0.5)"),
            code("with open(report, 'w') as file:\n    json.dump({'score': 10 * size + seed}, file)"),
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        self.notebook = folder / "sum.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), self.notebook)

    def command(self, out: Path) -> Sequence[object]:
        return ["sweep", self.notebook, "--grid", "size=[1,2]", "--seeds", 2, "--workers", 2, "--out", out]

    def result(self, out: Path) -> object:
        return pd.read_csv(out / "results.csv").drop(columns="seconds").to_csv()

    def halves(self, out: Path) -> list[str]:
        return [part for file in out.glob("*.csv") for part in _fails(file, pd.read_csv)] + [
            part
            for file in out.glob("runs/*.json")
            for part in _fails(file, lambda p: json.loads(p.read_text()))
        ]

    def done(self, out: Path) -> int:
        return len(list(out.glob("runs/*.json")))


def _tiny_model(folder: Path) -> Path:
    torch.manual_seed(0)
    model = DPRNNTasNet(bn_chan=8, hid_size=8, chunk_size=20, n_repeats=1, n_filters=8)
    return save_model(model, folder / "tiny.safetensors")


def _fails(file: Path, read) -> list[str]:
    try:
        read(file)
    except Exception as error:  # whatever the reader raises: the file is not whole
        return [f"{file.name} is not whole: {error}"[:200]]
    return []


JOBS = (Train, Separate, Evaluate, Sweep)


@dataclass
class Row:
    """A line of the table: a fault, how often it was injected, and what went wrong."""

    fault: str
    times: int = 0  # how often it was injected
    problems: list[str] = field(default_factory=list)
    note: str = ""
