"""Small files that would fill the memory, take hours or end in a traceback: one sentence each."""

import argparse
import io
import json
import pickle
import struct
import warnings
import zipfile

import pytest
import torch

from dprnn_lab import CheckpointError, load_model, save_model
from dprnn_lab.checkpoint import archives
from dprnn_lab.checkpoint.errors import DamagedError, RefusedError
from dprnn_lab.checkpoint.facts import plain
from dprnn_lab.error_texts import printable

pytestmark = [pytest.mark.usefixtures("no_warnings"), pytest.mark.timeout(60)]


def nested(levels, twice=True, kind=list):
    value = 1
    for _ in range(levels):
        value = kind([value, value] if twice else [value])
    return value


def itself():
    value = [1]
    value.append(value)
    return value


def archive(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def members(path):
    with zipfile.ZipFile(path) as file:
        return [(name, file.read(name)) for name in file.namelist()]


# Two formats at once, and headers that lie


def test_a_file_of_two_formats_is_refused(model, package, save, tmp_path, refuses):
    zipped = save(package(model)).read_bytes()
    ours = save_model(model, tmp_path / "ours.safetensors").read_bytes()
    refuses(ours + zipped, "refused: it is a safetensors file and a zip archive at once", RefusedError)
    refuses(pickle.dumps({}, 2) + zipped, "refused: it is a pickle and a zip archive at once", RefusedError)


def header_of(content):
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_a_header_that_lies_is_refused(model, tmp_path, refuses):
    whole = save_model(model, tmp_path / "ours.safetensors").read_bytes()
    refuses(struct.pack("<Q", 2**31) + whole[8:], "header claims 2,147,483,648 bytes", RefusedError)
    refuses(struct.pack("<Q", 10**6) + whole[8:], "truncated, its header alone has 1,000,008", DamagedError)
    refuses(
        whole[:-100],
        rf"\({len(whole) - 100} bytes\): truncated, {len(whole):,} bytes by its header",
        DamagedError,
    )
    for change in (
        {"data_offsets": [0, 320]},
        {"data_offsets": [10**12, 10**12 + 320]},
        {"shape": [500, 1, 16]},
        {"shape": [-5, 1, 16]},
        {"shape": [2**40, 2**40, 16]},
        {"dtype": "F8_E4M3"},
        {"dtype": "FOO"},
    ):
        header, data = header_of(whole)
        header["encoder.filters"].update(change)
        refuses(with_header(header, data), "not a whole safetensors file", DamagedError)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 6000, "{"], ids=["deep", "long number", "cut"])
@pytest.mark.parametrize("field", ["config", "training"])
def test_text_in_a_header_that_can_not_be_read(model, tmp_path, refuses, field, text):
    header, data = header_of(save_model(model, tmp_path / "ours.safetensors").read_bytes())
    header["__metadata__"][field] = text
    refuses(with_header(header, data), "the text in its header is damaged", DamagedError)


# Archives


def test_archives_that_unpack_to_more_than_they_are(
    model, package, save, refuses, tmp_path, same, monkeypatch
):
    parts = members(save(package(model)))
    bomb = archive([*parts, ("model/data/999", bytes(20 * 10**6))], zipfile.ZIP_DEFLATED)
    assert len(bomb) < 10**6
    refuses(bomb, r"refused: its .* bytes unpack to 20,\d{3},\d{3}", RefusedError)
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive([*parts, parts[0]])
    refuses(twice, "refused: its archive has model/data.pkl twice", RefusedError)
    monkeypatch.setattr(archives, "MEMBERS", 20)
    refuses(archive(parts), r"refused: its archive has \d\d members, more than 20", RefusedError)
    monkeypatch.undo()
    (tmp_path / "packed.pth").write_bytes(archive(parts, zipfile.ZIP_DEFLATED))
    assert same(load_model(tmp_path / "packed.pth"))  # packed as weights can be, it loads


# Sizes in the configuration


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_repeats", 100_000),
        ("num_layers", 10**6),
        ("n_filters", 10**9),
        ("hid_size", 10**9),
        ("bn_chan", 10**8),
        ("n_src", 10**9),
        ("kernel_size", 10**9),
        ("bn_chan", 2**62),
    ],
)
def test_a_number_in_the_file_does_not_decide_alone_how_large_a_model_is(model, package, save, name, value):
    for options in ({}, {"strict": False}):
        with pytest.raises(
            CheckpointError, match=rf"does not build a model: {name}(={value} is in the file .*, but| is )"
        ):
            load_model(save(package(model, in_chan=None, **{name: value})), **options)


@pytest.mark.parametrize("value", [10**12, 10**9, -5, float("nan"), "100"])
def test_a_chunk_size_that_no_model_has_is_refused(model, package, save, value):
    with pytest.raises(CheckpointError, match=r"does not build a model: .*chunk_size"):
        load_model(save(package(model, in_chan=None, chunk_size=value)))


def test_the_index_of_a_block_is_no_number_of_blocks(model, theirs, save, silent):
    for index, message in (("999999", "n_repeats is 1000000"), ("9" * 5000, "1 unexpected")):
        state = theirs(model) | {f"masker.net.{index}.intra_norm.gamma": torch.ones(6)}
        with pytest.raises(CheckpointError, match=message):
            load_model(save(state), **silent)


def test_sizes_of_zero(model, theirs, save, silent):
    for name, shape in (
        ("masker.net.0.intra_RNN.rnn.weight_hh_l0", (16, 0)),
        ("masker.first_out.1.weight", (4, 0, 1, 1)),
        ("encoder.filterbank._filters", (0, 1, 16)),
    ):
        with pytest.raises(CheckpointError):
            load_model(save(theirs(model) | {name: torch.ones(shape)}), **silent)


# Tensors


ONES = torch.ones(6)
TENSORS = {
    "float8": (lambda: ONES.to(torch.float8_e4m3fn), "is torch.float8_e4m3fn: quantised weights"),
    "int8": (lambda: ONES.to(torch.int8), "is torch.int8: quantised weights"),
    "bool": (lambda: ONES.bool(), "is torch.bool: quantised weights"),
    "quantised": (lambda: torch.quantize_per_tensor(ONES, 0.1, 0, torch.qint8), "is torch.qint8"),
    "nested": (lambda: torch.nested.nested_tensor([ONES, ONES]), "is torch.float32, nested, not a dense"),
    "csr": (lambda: torch.eye(6).to_sparse_csr(), "is torch.float32, torch.sparse_csr, not a dense"),
    "expanded": (
        lambda: ONES[:1].expand(10**10),
        r"is a view of shape \[10000000000\] on 24 bytes \(expanded\)",
    ),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_are_no_weights(model, theirs, save, silent, kind):
    make, message = TENSORS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the age of these kinds
        path = save(theirs(model) | {"masker.net_out.0.bias": make()})
    for options in ({}, {"strict": False}):
        with pytest.raises(CheckpointError, match=rf"masker\.net_out\.0\.bias {message}"):
            load_model(path, **silent, **options)


def test_tensors_that_are_kept_in_other_ways_are_weights(model, theirs, save, silent, same):
    state = {name: value.double() for name, value in theirs(model).items()}
    name = "masker.net_out.0.bias"
    for value in (state[name].repeat(2, 1).T[:, 0], torch.nn.Parameter(state[name])):
        assert same(load_model(save(state | {name: value}), **silent))
    spread = torch.full((1,), 0.5).expand(6)
    assert torch.equal(load_model(save(state | {name: spread}), **silent).separator.output_tanh.bias, spread)


@pytest.mark.parametrize("older", [False, True])
def test_a_tensor_of_more_numbers_than_its_storage_has(save, refuses, older):
    path = save({"encoder.filterbank._filters": torch.ones(10)}, _use_new_zipfile_serialization=not older)
    wrong = b"J" + struct.pack("<i", 10**6)
    if older:
        content = path.read_bytes().replace(b"K\n", wrong)
    else:
        content = archive(
            [(n, c.replace(b"K\n", wrong) if n.endswith(".pkl") else c) for n, c in members(path)]
        )
    refuses(content, "a tensor in it claims 1000000 numbers, the file has", RefusedError)


# Facts


FACTS = {
    "doubled": nested(40),
    "doubled in a tuple": (nested(40),),
    "doubled in a dictionary": {"a": nested(30), "b": argparse.Namespace(x=nested(30))},
    "deep": nested(100, twice=False),
    "itself": itself(),
    "terminal": "\x1b[31mred\x07\u202e\n",
    "long": "x" * 10**6,
    "meta": torch.ones(3, device="meta"),
    "many": list(range(50_000)),
    "nan": float("nan"),
}


@pytest.mark.parametrize("kind", FACTS)
def test_facts_are_read_with_a_budget_and_shown_without_commands_to_the_terminal(
    model, theirs, save, same, kind
):
    fact = FACTS[kind]
    path = save(
        {
            "state_dict": theirs(model, "model."),
            "hyper_parameters": model.config | {"x": fact, "\x1b[2J": 1},
            "pytorch-lightning_version": fact,
            "callbacks": fact,
            "epoch": fact,
        }
    )
    loaded, report = load_model(path, report=True)
    assert same(loaded)
    assert len(json.dumps(report.facts)) < 2_000_000
    assert all(line.isprintable() for line in str(report).split("\n"))


def test_plain_keeps_what_fits_and_marks_what_does_not():
    assert plain({"a": [1, 2.5, None, True, "x"], 3: (1,)}) == {"a": [1, 2.5, None, True, "x"], "3": [1]}
    assert plain(10**400) == "(a number of 1329 bits)"
    assert plain("x" * 3000) == "x" * 2000 + "..."
    assert plain(itself())[1][1][0] == 1
    counted = plain(list(range(30_000)))
    assert counted[-1] == "..."
    assert 19_000 < len(counted) <= 20_001


def test_escapes():
    assert printable("a\x1b[31m\nb\u202eé") == r"a\x1b[31m\nb\u202eé"
    message = str(CheckpointError("x" * 10_000 + "\n"))
    assert len(message) < 2100
    assert message.isprintable()
