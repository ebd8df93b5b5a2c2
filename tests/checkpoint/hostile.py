"""Checkpoints that no program writes: each maker gets a source of random numbers and sound files by format."""

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Sequence

import numpy as np
import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.checkpoint.asteroid import to_asteroid

__all__ = ["CRAFTED", "members_of", "package_of", "torch_file", "zip_of"]


def package_of(model: DPRNNTasNet) -> dict:
    return {
        "model_name": "DPRNNTasNet",
        "model_args": dict(model.config),
        "state_dict": to_asteroid(model.state_dict()),
        "infos": {"epochs": 3},
    }


def torch_file(content: object, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def members_of(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def zip_of(members: Sequence[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def _with(draw: random.Random, part: str, value: object) -> bytes:
    model = DPRNNTasNet(bn_chan=6, hid_size=4, chunk_size=10, n_repeats=2, n_filters=5)
    package = package_of(model)
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
    return torch_file(package, _use_new_zipfile_serialization=draw.random() < 0.7)


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
    return zip_of([("a/data.pkl", body), ("a/version", b"3\n"), ("a/byteorder", b"little")])


def _storage(draw: random.Random, bases: dict[str, bytes]) -> bytes:
    """Tensors that claim more numbers, or other places, than their storage has."""
    content = torch_file(
        {"encoder.filterbank._filters": torch.ones(10)}, _use_new_zipfile_serialization=draw.random() < 0.5
    )
    wrong = b"J" + struct.pack("<i", draw.choice([-1, 11, 10**6, 2**31 - 1]))
    if content[:2] != b"PK":
        return content.replace(b"K\n", wrong)
    return zip_of(
        [(n, c.replace(b"K\n", wrong) if n.endswith("data.pkl") else c) for n, c in members_of(content)]
    )


def _archive(draw: random.Random, bases: dict[str, bytes]) -> bytes:
    members = members_of(bases["package"])
    return draw.choice(
        [
            lambda: zip_of([*members, ("archive/data/999", bytes(3 * 10**8))], zipfile.ZIP_DEFLATED),
            lambda: zip_of([*members, members[0]]),
            lambda: zip_of(members, zipfile.ZIP_DEFLATED),
            lambda: zip_of([*members, ("../../outside", b"x"), ("archive/data/\x1b[2J", b"x")]),
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
    "place": lambda draw, bases: torch_file({"a": _nested(draw), "net": {"encoder": _nested(draw)}}),
    "instructions": _instructions,
    "storage": _storage,
    "archive": _archive,
}
