"""Broken and hostile checkpoints, made from a seed, and what comes of loading them in a process with limits.

    python tests/checkpoint/fuzzing.py 300 --seed 5

prints the count of each outcome, and every file that neither loads nor is refused with a CheckpointError.
"""

import argparse
import collections
import json
import random
import struct
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from dprnn_lab import DPRNNTasNet, save_model

sys.path.insert(0, str(Path(__file__).parent))  # as for a program: this folder is no package
from hostile import CRAFTED, members_of, package_of, torch_file, zip_of

SECONDS, MEMORY = 10, 2 * 2**30  # of one file: time, and bytes beyond what the process has at its start
LOADS, REFUSED = "loads", "CheckpointError"


def mutants(folder: Path, count: int, seed: int) -> list[Path]:
    """Write ``count`` files into ``folder``: the same ones for the same seed."""
    draw = random.Random(seed)
    bases = _bases(folder, seed)
    paths = []
    for i in range(count):
        kind = draw.choice([*_DAMAGES, *[_crafted] * len(_DAMAGES)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch and zipfile, about kinds that are old or odd
            name, content = kind(draw, bases)
        path = folder / f"{i:04d}-{name}{draw.choice(['.pth', '.ckpt', '.safetensors'])}"
        path.write_bytes(content)
        paths.append(path)
    return paths


def outcomes(paths: Sequence[Path], seconds: int = SECONDS, memory: int = MEMORY) -> dict[Path, str]:
    """Load every file in a child process: ``"loads"``, ``"CheckpointError"``, or what happened instead.

    The child has a limit of memory, and of time for each file. If it dies, another one goes on after the file that it
    died of.
    """
    found: dict[Path, str] = {}
    waiting = list(paths)
    while waiting:
        child = subprocess.run(
            [sys.executable, "-c", _CHILD, str(seconds), str(memory)],
            input="\n".join(map(str, waiting)),
            capture_output=True,
            text=True,
            timeout=60 + seconds * len(waiting),
        )
        lines = [line for line in child.stdout.splitlines() if line.startswith("{")]
        for path, line in zip(waiting, lines, strict=False):
            found[path] = json.loads(line)["outcome"]
        waiting = waiting[len(lines) :]
        if waiting:
            found[waiting[0]] = f"the process died ({child.returncode}): {child.stderr[-300:]}"
            waiting = waiting[1:]
    return found


_CHILD = """
import json, resource, signal, sys, warnings
import torch
from dprnn_lab import CheckpointError, load_model
seconds, memory = int(sys.argv[1]), int(sys.argv[2])
warnings.simplefilter("ignore")
in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + memory, in_use + memory))
class TooLong(BaseException): pass
def stop(*_): raise TooLong
signal.signal(signal.SIGALRM, stop)
for path in sys.stdin.read().splitlines():
    signal.alarm(seconds)
    try:
        model, report = load_model(path, report=True)
        str(report), json.dumps(report.facts)
        outcome = "loads"
    except CheckpointError as error:
        lines = str(error).splitlines()
        outcome = "CheckpointError" if len(lines) == 1 and str(error).isprintable() else f"a message {lines[:2]}"
    except TooLong:
        outcome = f"longer than {seconds} s"
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error}"[:300]
    signal.alarm(0)
    print(json.dumps({"outcome": outcome}), flush=True)
"""


# Whole files


def _bases(folder: Path, seed: int) -> dict[str, bytes]:
    """Sound files of each format, all of one small model."""
    torch.manual_seed(seed)
    model = DPRNNTasNet(bn_chan=6, hid_size=4, chunk_size=10, n_repeats=2, n_filters=5).eval()
    package = package_of(model)
    lightning = {
        "state_dict": {f"model.{name}": value for name, value in package["state_dict"].items()},
        "pytorch-lightning_version": "2.5",
        "hyper_parameters": dict(model.config),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
    }
    path = save_model(model, folder / "base.safetensors", training={"steps": 5})
    ours = path.read_bytes()
    path.unlink()
    return {
        "package": torch_file(package),
        "older": torch_file(package, _use_new_zipfile_serialization=False),
        "lightning": torch_file(lightning),
        "ours": ours,
    }


# Damage


def _flip(draw: random.Random, bases: dict[str, bytes]) -> tuple[str, bytes]:
    name, content = draw.choice(list(bases.items()))
    changed = bytearray(content)
    for _ in range(draw.choice([1, 3, 30])):
        changed[draw.randrange(draw.choice([64, 2000, len(changed)]))] ^= 1 << draw.randrange(8)
    return f"flip-{name}", bytes(changed)


def _cut(draw: random.Random, bases: dict[str, bytes]) -> tuple[str, bytes]:
    name, content = draw.choice(list(bases.items()))
    return f"cut-{name}", content[: draw.randrange(len(content))]


def _splice(draw: random.Random, bases: dict[str, bytes]) -> tuple[str, bytes]:
    (name, first), (_, second) = draw.choices(list(bases.items()), k=2)
    return f"splice-{name}", first[: draw.randrange(len(first))] + second[draw.randrange(len(second)) :]


def _pickle_bytes(draw: random.Random, bases: dict[str, bytes]) -> tuple[str, bytes]:
    """Bytes of the pickle alone, in an archive whose checksums are right."""
    name = draw.choice(["package", "lightning"])
    members = []
    for member, content in members_of(bases[name]):
        if member.endswith("data.pkl"):
            changed = bytearray(content)
            for _ in range(draw.choice([1, 2, 10])):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
            content = bytes(changed)
        members.append((member, content))
    return f"pickle-{name}", zip_of(members)


def _header_bytes(draw: random.Random, bases: dict[str, bytes]) -> tuple[str, bytes]:
    """Numbers of a safetensors header."""
    content = bases["ours"]
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    for _ in range(draw.choice([1, 3])):
        entry = header[draw.choice([name for name in header if name != "__metadata__"])]
        wrong = draw.choice([0, -1, 1, 10**6, 2**40, 2**63])
        draw.choice([entry["shape"], entry["data_offsets"]])[0] = wrong
    text = json.dumps(header).encode()
    return "header", struct.pack("<Q", len(text)) + text + content[8 + length :]


_DAMAGES = (_flip, _cut, _splice, _pickle_bytes, _header_bytes)


def _crafted(draw: random.Random, bases: dict[str, bytes]) -> tuple[str, bytes]:
    name = draw.choice(list(CRAFTED))
    return f"crafted-{name}", CRAFTED[name](draw, bases)


def unexpected(found: dict[Path, str]) -> Iterator[str]:
    """The files that neither load nor are refused, and what happened."""
    for path, outcome in found.items():
        if outcome not in (LOADS, REFUSED):
            yield f"{path.name}: {outcome}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = outcomes(mutants(Path(folder), given.count, given.seed))
    print(dict(collections.Counter(o if o in (LOADS, REFUSED) else "other" for o in found.values())))
    print("\n".join(unexpected(found)))


if __name__ == "__main__":
    main()
