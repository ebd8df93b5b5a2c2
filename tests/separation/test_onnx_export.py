import json
import sys

import pytest
import torch
from typer.testing import CliRunner

from dprnn_lab import DPRNNTasNet, cli, load_model, save_model
from dprnn_lab.separation.onnx_export import ExportError, export_onnx
from dprnn_lab.separation.onnx_weights import store_weights_as

NEEDED = ("onnx", "onnxruntime", "onnxscript")


@pytest.fixture
def onnxruntime():
    for name in NEEDED:
        pytest.importorskip(name, reason=f'{name} is not installed: pip install "dprnn-lab[onnx]"')
    return sys.modules["onnxruntime"]


def run(*arguments):
    return CliRunner().invoke(
        cli.app, ["export", *map(str, arguments)], env={"COLUMNS": "1000", "TERM": "dumb"}
    )


# The exported file


def test_the_file_runs_in_onnx_runtime_to_the_same_numbers(onnxruntime, tiny, tmp_path):
    model = tiny(n_src=3).train()  # an export evaluates the model, whatever its mode
    path = tmp_path / "new" / "model.onnx"
    difference = export_onnx(model, path, samples=1003, batch=2)
    assert 0 < difference < 1e-4
    assert model.training
    assert [file.name for file in path.parent.iterdir()] == ["model.onnx"]

    session = onnxruntime.InferenceSession(path)
    mixture = torch.randn(2, 1003)
    (estimates,) = session.run(["estimates"], {"mixture": mixture.numpy()})
    expected = model.eval()(mixture).detach()
    assert estimates.shape == (2, 3, 1003)
    assert (torch.from_numpy(estimates) - expected).abs().max() < 1e-4 * expected.abs().max()

    facts = session.get_modelmeta().custom_metadata_map
    assert DPRNNTasNet(**json.loads(facts["config"])).config == model.config
    assert (facts["sample_rate"], facts["batch"], facts["samples"]) == ("8000", "2", "1003")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"rnn_type": "GRU", "bidirectional": False, "num_layers": 2, "use_mulcat": True},
        {"norm_type": "cLN", "mask_act": "relu", "encoder_activation": "relu"},
        {"norm_type": "fgLN", "chunk_size": 12, "hop_size": 5, "rnn_type": "RNN"},
        {"fb_name": "stft", "n_filters": 16, "norm_type": "bN", "mask_act": "prelu"},
        {"kernel_size": 2, "stride": 1, "mask_act": "softmax", "n_src": 1},
    ],
    ids=str,
)
def test_every_kind_of_model(onnxruntime, tiny, tmp_path, options):
    assert export_onnx(tiny(**options), tmp_path / "model.onnx", samples=640) < 1e-4


def test_other_numbers_than_pytorchs_are_not_written(onnxruntime, tiny, tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match=r"differ by \d\.\de-\d\d of the peak, more than 0\.0e\+00"):
        export_onnx(tiny(n_repeats=1), path, samples=400, tolerance=0.0)
    assert not list(tmp_path.iterdir())


def test_any_number_of_mixtures(onnxruntime, tiny, tmp_path):
    model, path = tiny(n_repeats=1), tmp_path / "model.onnx"
    assert export_onnx(model, path, samples=503, any_batch=True) < 1e-4
    session = onnxruntime.InferenceSession(path)
    assert isinstance(session.get_inputs()[0].shape[0], str)  # a name in place of a number
    assert session.get_modelmeta().custom_metadata_map["batch"] == "any"
    for batch in (1, 3):
        mixture = torch.randn(batch, 503)
        (estimates,) = session.run(None, {"mixture": mixture.numpy()})
        expected = model(mixture).detach()
        assert (torch.from_numpy(estimates) - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.slow
def test_smaller_weights(onnxruntime, tmp_path):
    torch.manual_seed(0)
    model = DPRNNTasNet(bn_chan=64, hid_size=64, chunk_size=10, n_repeats=1)
    sizes, differences = {}, {}
    for weights in ("float32", "float16", "int8"):
        path = tmp_path / f"{weights}.onnx"
        differences[weights] = export_onnx(model, path, samples=400, weights=weights)
        sizes[weights] = path.stat().st_size
        facts = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
        assert facts["weights"] == weights
    parameters = sum(p.numel() for p in model.parameters())
    assert sizes["float32"] < 4 * parameters + 150_000  # the weights, the graph, and a constant of the length
    assert b".py" not in (tmp_path / "float32.onnx").read_bytes()  # no traces of where a node was made
    assert sizes["float32"] - sizes["float16"] > 1.8 * parameters
    assert sizes["float32"] - sizes["int8"] > 2.7 * parameters
    assert 0 < differences["float32"] < differences["float16"] < differences["int8"]


@pytest.mark.parametrize(("weights", "size", "error"), [("float16", 2, 1e-3), ("int8", 1, 1e-2)])
def test_a_product_with_stored_weights_differs_by_their_rounding(onnxruntime, weights, size, error):
    onnx = sys.modules["onnx"]
    matrix, x = torch.randn(64, 48).numpy(), torch.randn(5, 64).numpy()
    small = torch.randn(48).numpy()
    sizes = {"x": (5, 64), "y": (5, 48)}
    x_info, y_info = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in sizes.items()
    )
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "matrix"], ["product"]),
        onnx.helper.make_node("Add", ["product", "small"], ["y"]),
    ]
    stored = [onnx.numpy_helper.from_array(v, n) for n, v in {"matrix": matrix, "small": small}.items()]
    graph = onnx.helper.make_graph(nodes, "product", [x_info], [y_info], stored)
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    before = len(proto.SerializeToString())
    assert store_weights_as(proto, weights) == 1  # the bias is too small to matter
    assert before - len(proto.SerializeToString()) > (4 - size) * matrix.size - 1000
    onnx.checker.check_model(proto)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x})
    expected = x @ matrix + small
    assert 0 < abs(y - expected).max() < error * abs(expected).max()


def test_the_command(onnxruntime, tiny, tmp_path):
    model, out = save_model(tiny(n_repeats=1), tmp_path / "model.safetensors"), tmp_path / "model.onnx"
    result = run(model, out, "--seconds", 0.1)
    assert result.exit_code == 0, result.output
    assert "mixture [1, 800] at 8000 Hz -> estimates [1, 2, 800]" in result.output
    shape = onnxruntime.InferenceSession(out).get_inputs()[0].shape
    assert shape == [1, 800]


# Errors; none of these tests needs the packages


def test_a_missing_package_is_named_with_the_remedy(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=r'onnx is not installed: pip install "dprnn-lab\[onnx\]"'):
        export_onnx(tiny(), tmp_path / "model.onnx", samples=800)
    result = run(save_model(tiny(), tmp_path / "model.safetensors"), tmp_path / "model.onnx")
    assert result.exit_code == 1
    assert "pip install" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("model.pt", {"samples": 800}, r"model\.pt: end the name with \.onnx"),
        ("model.onnx", {"samples": 0}, "samples is 0: it must be a whole number of 1 or more"),
        ("model.onnx", {"samples": 0.5}, r"samples is 0\.5"),
        ("model.onnx", {"samples": 800, "batch": True}, "batch is True"),
        (
            "model.onnx",
            {"samples": 800, "weights": "int4"},
            "weights is 'int4': choose one of float32, float16, int8",
        ),
    ],
)
def test_wrong_arguments(tiny, tmp_path, name, sizes, message):
    with pytest.raises(ExportError, match=message):
        export_onnx(tiny(), tmp_path / name, **sizes)


def test_the_command_says_what_is_wrong(tiny, tmp_path):
    model = save_model(tiny(), tmp_path / "model.safetensors")
    for arguments, message in [
        ((tmp_path / "none.safetensors", tmp_path / "a.onnx"), "no such file"),
        ((model, model), "exists already"),
        ((model, tmp_path / "a.txt"), "end the name with .onnx"),
        (
            (model, tmp_path / "a.onnx", "--seconds", 0),
            "--seconds is 0.0: give a number above 0 and up to 600",
        ),
    ]:
        result = run(*arguments)
        assert result.exit_code == 1, message
        assert message in result.output
        assert "Traceback" not in result.output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "large"])
def test_the_bundled_models_are_exported_for_four_seconds(onnxruntime, tmp_path, name):
    path = tmp_path / "model.onnx"
    assert export_onnx(load_model(name), path, samples=32_000) < 1e-3  # a single sample; see TOLERANCES
    assert path.stat().st_size > 1e6
