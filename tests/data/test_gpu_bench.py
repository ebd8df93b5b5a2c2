"""The benchmark of training on a GPU, as far as a CPU can tell: each row stands alone, and the best is trained with."""

import importlib
import json
import multiprocessing
import sys
import threading
from pathlib import Path

import psutil
import pytest

TESTS = Path(__file__).parents[1]
# Stands for the measuring process: one variant hangs, one dies, the others are answered.
FAKE = """
import os, subprocess, time

def answer(connection, *arguments):
    connection.send({"device": "fake"})
    while (variant := connection.recv()) is not None:
        if variant["batch"] == 2:
            helper = subprocess.Popen(["sleep", "300"])
            with open(os.path.join(os.path.dirname(__file__), "helper"), "w") as file:
                file.write(str(helper.pid))
            time.sleep(60)
        if variant["batch"] == 3:
            os._exit(1)
        connection.send({"rate": 10.0 * variant["batch"], "ms": 1.0})

def never(connection, *arguments):
    raise SystemExit
"""


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(TESTS / "benchmarks"), str(TESTS.parent / "data"), *sys.path])
    yield importlib.import_module("training_gpu")
    for name in [
        n for n in sys.modules if n in ("training_gpu", "train_on_gpu") or n.split(".")[0] == "gpu_training"
    ]:
        sys.modules.pop(name)


def steps(bench, batches):
    return [v for v in bench.variants(batches, 1) if v["kind"] == "step" and v["precision"] == "bf16"][
        : len(batches)
    ]


def test_a_measurement_that_hangs_or_dies_is_a_row_and_ends_no_other(bench, tmp_path, monkeypatch):
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    fake = importlib.import_module("fake")
    monkeypatch.setattr(bench, "measure_all", fake.answer)
    child = bench.Child("cpu", 0.25, True)
    rows = [v | child.ask(v, 6.0 if v["batch"] == 2 else 20.0) for v in steps(bench, [1, 2, 3, 4])]
    child.close()
    assert [row.get("rate") for row in rows] == [10.0, None, None, 40.0]
    assert rows[1]["note"] == "stopped after its 6 s"
    assert rows[2]["note"] == "the process that measured it died"
    helper = int((tmp_path / "helper").read_text())
    assert not psutil.pid_exists(helper) or psutil.Process(helper).status() == psutil.STATUS_ZOMBIE
    assert not [p for p in multiprocessing.active_children() if p.is_alive()]
    monkeypatch.setattr(bench, "measure_all", fake.never)
    child = bench.Child("cpu", 0.25, True)
    notes = [child.ask(v, 20.0)["note"] for v in steps(bench, [1, 2, 3])]
    assert notes[2] == "left out: the process that measures does not start"
    bench.write(tmp_path, {"device": "fake"}, rows, 0.25)
    text = (tmp_path / "training_gpu.md").read_text()
    assert "| step | bf16 | 4 | no | no | 40.0 |" in text
    assert "stopped after its 6 s" in text
    assert "Best: batch 4, precision bf16" in text


def test_the_measuring_process_answers_every_variant(bench):
    here, there = multiprocessing.Pipe()
    thread = threading.Thread(target=bench.measure_all, args=(there, "cpu", 0.25, True))
    thread.start()
    assert here.recv()["device"] == "CPU"
    answers = []
    for kind, graphs in (("step", False), ("step", True), ("mixing on the device", False)):
        here.send({"kind": kind, "precision": "bf16", "batch": 2, "compiled": False, "graphs": graphs})
        answers.append(here.recv())
    here.send(None)
    thread.join()
    plain, graphed, mixing = answers
    assert plain["rate"] == pytest.approx(2000 / plain["ms"], rel=0.05)
    assert graphed == {"note": "RuntimeError: CUDA graphs need a CUDA device"}
    assert 0 < mixing["ms"] < plain["ms"]


def test_the_smallest_batch_that_is_nearly_as_fast_is_chosen(bench):
    made = [
        {"kind": "step", "precision": "bf16", "compiled": False, "graphs": g, "batch": b, "rate": r}
        for b, g, r in [
            (32, False, 200),
            (64, True, 580),
            (128, True, 590),
            (256, False, None),
            (256, True, 570),
        ]
    ]
    assert bench.best_settings([*made, {"kind": "mixing on the device", "batch": 1, "rate": 9e9}]) == {
        "batch": 64, "precision": "bf16", "compiled": False, "graphs": True
    }  # fmt: skip
    assert bench.best_settings([{"kind": "step", "note": "out of memory"}]) == {}


def test_a_step_with_another_loss_is_not_chosen(bench, monkeypatch):
    losses = iter([-1.0, 3.0])
    monkeypatch.setattr(bench, "two_losses", lambda trainer, mixer: next(losses))
    from dprnn_lab import DPRNNTasNet

    model = DPRNNTasNet(kernel_size=64, stride=32, bn_chan=8, hid_size=8, n_repeats=1, chunk_size=32)
    variant = {"kind": "step", "precision": "float32", "batch": 1, "compiled": False, "graphs": False}
    result = bench.measure_step(model, None, "cpu", 0.25, variant, {})
    assert result == {"note": "wrong: the loss of two steps is 3.000, of plain ones -1.000"}


def test_the_best_settings_are_defaults_of_the_training(bench, tmp_path, monkeypatch):
    script = importlib.import_module("train_on_gpu")
    seen = []
    monkeypatch.setattr(script, "train", seen.append)
    file = tmp_path / "found.json"
    file.write_text(
        json.dumps({"best": {"batch": 64, "precision": "tf32", "compiled": False, "graphs": True}})
    )
    script.main(["train", "--out", str(tmp_path), "--settings", str(file)])
    script.main(["train", "--out", str(tmp_path), "--settings", str(file), "--batch", "8", "--no-graphs"])
    script.main(["train", "--out", str(tmp_path)])
    found = [(o.batch, o.precision, o.compiled, o.graphs) for o in seen]
    assert found == [(64, "tf32", False, True), (8, "tf32", False, False), (96, "bf16", False, False)]


@pytest.mark.parametrize(
    "content", [None, "{", "[]", "{}", '{"best": {"batch": "8"}}', '{"best": {"lr": 1}}', '{"best": {"batch": 0}}',
                '{"best": {"precision": "int8"}}', '{"best": []}'],
)  # fmt: skip
def test_files_without_settings_are_one_sentence(bench, tmp_path, content):
    script = importlib.import_module("train_on_gpu")
    file = tmp_path / "found.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SystemExit, match=r"found.json.*: write it with `make bench-gpu`"):
        script.main(["train", "--out", str(tmp_path), "--settings", str(file)])
