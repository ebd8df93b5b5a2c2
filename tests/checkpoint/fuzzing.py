"""Broken and hostile checkpoints, made from a seed, and what comes of loading them in a process with limits.

    python tests/checkpoint/fuzzing.py 300 --seed 5

prints the count of each outcome, and every file that neither loads nor is refused with a CheckpointError.
"""

import argparse
import collections
import io
import json
import pickle
import random
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from dprnn_lab import DPRNNTasNet, save_model
from dprnn_lab.checkpoint.asteroid import to_asteroid

SECONDS, MEMORY = 10, 2 * 2**30  # of one file: time, and bytes beyond what the process has at its start
LOADS, REFUSED = "loads", "CheckpointError"


def mutants(folder: Path, count: int, seed: int) -> list[Path]:
    """Write ``count`` files into ``folder``: the same ones for the same seed."""
    draw = random.Random(seed)
    bases = _bases(folder, seed)
    paths = []
    for i in range(count):
        kind = draw.choice([*_DAMAGES, *[_crafted] * len(_DAMAGES)])
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
    package = _package(model)
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
        "package": _torch(package),
        "older": _torch(package, _use_new_zipfile_serialization=False),
        "lightning": _torch(lightning),
        "ours": ours,
    }


def _package(model: DPRNNTasNet) -> dict:
    return {
        "model_name": "DPRNNTasNet",
        "model_args": dict(model.config),
        "state_dict": to_asteroid(model.state_dict()),
        "infos": {"epochs": 3},
    }


def _torch(content: object, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def _members(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _zip(members: Sequence[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


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
    for member, content in _members(bases[name]):
        if member.endswith("data.pkl"):
            changed = bytearray(content)
            for _ in range(draw.choice([1, 2, 10])):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
            content = bytes(changed)
        members.append((member, content))
    return f"pickle-{name}", _zip(members)


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


# Crafted


def _crafted(draw: random.Random, bases: dict[str, bytes]) -> tuple[str, bytes]:
    name = draw.choice(list(CRAFTED))
    return f"crafted-{name}", CRAFTED[name](draw, bases)


def _with(draw: random.Random, part: str, value: object) -> bytes:
    model = DPRNNTasNet(bn_chan=6, hid_size=4, chunk_size=10, n_repeats=2, n_filters=5)
    package = _package(model)
    package[part] = value if not isinstance(value, dict) or part == "infos" else {**package[part], **value}
    if draw.random() < 0.3:
        state = {f"model.{name}": tensor for name, tensor in package["state_dict"].items()}
        package = {
            "state_dict": state,
            "hyper_parameters": package["model_args"] | {"x": package["infos"]},
            "pytorch-lightning_version": value if part == "infos" else "2",
            "callbacks": value if part == "infos" else {},
            "epoch": value if part == "infos" else 1,
        }
    return _torch(package, _use_new_zipfile_serialization=draw.random() < 0.7)


def _nested(draw: random.Random) -> object:
    kind, levels = draw.choice([list, tuple, "dict"]), draw.choice([30, 60, 100])
    twice = draw.random() < 0.7
    value: object = 1
    for _ in range(levels):
        parts = [value, value] if twice else [value]
        value = {str(i): part for i, part in enumerate(parts)} if kind == "dict" else kind(parts)
    return value


def _number(draw: random.Random) -> object:
    return draw.choice(
        [0, -1, 10**5, 10**9, 2**62, 10**400, 1.5, float("nan"), True, None, "x", [1], {"a": 1}, 1e308]
    )


def _argument(draw: random.Random, bases: dict[str, bytes]) -> bytes:
    config = DPRNNTasNet(n_repeats=1).config
    return _with(draw, "model_args", {draw.choice(list(config)): _number(draw)})


def _header_argument(draw: random.Random, bases: dict[str, bytes]) -> bytes:
    content = bases["ours"]
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    config = json.loads(header["__metadata__"]["config"])
    config[draw.choice(list(config))] = _number(draw)
    deep = ["[" * 50_000, "9" * 6000, "[1]", '{"a":' * 300 + "1" + "}" * 300]
    texts = {"config": [json.dumps(config), *deep], "training": ["{}", *deep]}
    header["__metadata__"].update({name: draw.choice(values) for name, values in texts.items()})
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def _weight(draw: random.Random, bases: dict[str, bytes]) -> bytes:
    ones = torch.ones(6)
    name = draw.choice(["masker.net_out.0.bias", "masker.net.0.intra_norm.gamma"])
    tensors = [
        ones.to(torch.float8_e4m3fn), ones.to(torch.float8_e5m2), ones.to(torch.int8), ones.bool(), ones.bfloat16(),
        ones + 0j, ones.to_sparse(), ones.to("meta"), ones[:1].expand(6), ones[:1].expand(10**10), ones[0], ones[:0],
        torch.nested.nested_tensor([ones, ones]), torch.quantize_per_tensor(ones, 0.1, 0, torch.qint8),
        ones.reshape(*[1] * 40, 6), ones.double(), ones / 0, ones.expand(3, 6).T, torch.zeros(0, 6, 0),
    ]  # fmt: skip
    return _with(draw, "state_dict", {name: draw.choice(tensors)})


def _name(draw: random.Random, bases: dict[str, bytes]) -> bytes:
    name = draw.choice(
        [
            "masker.net.999999.intra_norm.gamma", f"masker.net.{'9' * 6000}.intra_norm.gamma", "encoder." * 500 + "x",
            "", ".", "\x1b[2J", "masker." + "a." * 100 + "weight", "encoder.filterbank._filters_g", "\ud800", "a\nb",
            "masker.net.-1.intra_norm.gamma", "masker.mask_net.weight_v",
        ]
    )  # fmt: skip
    return _with(draw, "state_dict", {name: torch.ones(6)})


def _instructions(draw: random.Random, bases: dict[str, bytes]) -> bytes:
    """Pickles that no program writes: of an archive, or alone."""
    long = b"\x8d" + struct.pack("<Q", 2 ** draw.choice([10, 40, 62])) + b"abc"
    doubled = b"K\x01\x85q\x00" + b"".join(
        b"h" + bytes([i]) * 1 + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60)
    )
    body = draw.choice(
        [
            b"\x80\x04" + long + b".",
            b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
            b"\x80\x02ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R.",
            b"\x80\x02}" + doubled + b"K\x01s.",
            b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s.",
            b"\x80\x02" + b"]q\x00" + b"h\x00a" * 5 + b".",
            b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"abc.",
            b"\x80\x02" + b"(" * 100_000 + b".",
            b"\x80\x02h\x07.", b"\x80\x02R.", b"\x80\x02.", b"\x80\x02}K\x01Q.",
            b"\x80\x02ccollections\nOrderedDict\n.",
            pickle.dumps({"a": np.arange(3)}, draw.choice([0, 1, 2, 3, 4, 5])),
            pickle.dumps({"a": print}, draw.choice([0, 1, 2, 3, 4, 5])),
        ]
    )  # fmt: skip
    if draw.random() < 0.5:
        return body
    return _zip([("a/data.pkl", body), ("a/version", b"3\n"), ("a/byteorder", b"little")])


def _storage(draw: random.Random, bases: dict[str, bytes]) -> bytes:
    """Tensors that claim more numbers, or other places, than their storage has."""
    content = _torch(
        {"encoder.filterbank._filters": torch.ones(10)}, _use_new_zipfile_serialization=draw.random() < 0.5
    )
    wrong = b"J" + struct.pack("<i", draw.choice([-1, 11, 10**6, 2**31 - 1]))
    if content[:2] != b"PK":
        return content.replace(b"K\n", wrong)
    return _zip(
        [(n, c.replace(b"K\n", wrong) if n.endswith("data.pkl") else c) for n, c in _members(content)]
    )


def _archive(draw: random.Random, bases: dict[str, bytes]) -> bytes:
    members = _members(bases["package"])
    return draw.choice(
        [
            lambda: _zip([*members, ("archive/data/999", bytes(3 * 10**8))], zipfile.ZIP_DEFLATED),
            lambda: _zip([*members, members[0]]),
            lambda: _zip(members, zipfile.ZIP_DEFLATED),
            lambda: _zip([*members, ("../../outside", b"x"), ("archive/data/\x1b[2J", b"x")]),
            lambda: bases["ours"] + bases["package"],
            lambda: pickle.dumps({"a": 1}, 2) + bases["package"],
            lambda: struct.pack("<Q", 2 ** draw.choice([20, 31, 63])) + bases["ours"][8:],
        ]
    )()


CRAFTED: dict[str, Callable[[random.Random, dict[str, bytes]], bytes]] = {
    "argument": _argument,
    "header": _header_argument,
    "weight": _weight,
    "name": _name,
    "fact": lambda draw, bases: _with(
        draw, "infos", draw.choice([_nested(draw), _number(draw), "\x1b[31m\u202e" * 99])
    ),
    "place": lambda draw, bases: _torch({"a": _nested(draw), "net": {"encoder": _nested(draw)}}),
    "instructions": _instructions,
    "storage": _storage,
    "archive": _archive,
}


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
