"""Runs in other processes: one that is killed, and two that share the work."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

OPTIONS = [
    "--set", "model.n_filters=4", "--set", "model.kernel_size=32", "--set", "model.stride=16",
    "--set", "model.chunk_size=20", "--set", "model.n_repeats=1", "--set", "model.bn_chan=4",
    "--set", "model.hid_size=3", "--set", "ema=0.5", "--seconds", "0.2", "--warmup", "1",
]  # fmt: skip


def command(*arguments):
    return [sys.executable, "-m", "dprnn_lab.cli", "train", *map(str, arguments)]


def finish(*arguments, **options):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def curve(run):
    parts = sorted((run / "curves").glob("version_*/metrics.csv"))
    table = pd.concat([pd.read_csv(part) for part in parts]).groupby("step").last()
    return table.drop(columns="examples_per_second")


def weights(run):
    return load_file(run / "model.safetensors")


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_result(tmp_path):
    arguments = [*OPTIONS, "--batch", 2, "--epoch-size", 8, "--steps", 200, "--valid-every", 5]
    finish(tmp_path / "whole", *arguments)
    killed = tmp_path / "killed"
    last = killed / "checkpoints" / "last.ckpt"
    with subprocess.Popen(
        command(killed, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while not (last.is_file() and len(list((killed / "validation").glob("*.csv"))) > 1):
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not (killed / "model.safetensors").exists()
    reached = torch.load(last, weights_only=False)["global_step"]
    assert 0 < reached < 200
    done = finish(killed, "--resume")  # the settings are in the folder
    first = next(line for line in done.stdout.splitlines() if line.startswith("step "))
    assert int(first.split()[1]) in range(reached + 1, reached + 21)  # the next validation
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(killed)[name], value, atol=1e-6, rtol=0)
    pd.testing.assert_frame_equal(curve(killed), curve(tmp_path / "whole"), atol=1e-4, check_like=True)


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this PyTorch has no gloo")
def test_two_processes_learn_what_one_learns_from_the_doubled_batch(tmp_path):
    arguments = [*OPTIONS, "--epoch-size", 16, "--steps", 8]
    finish(tmp_path / "one", *arguments, "--batch", 4)
    finish(tmp_path / "two", *arguments, "--batch", 2, "--devices", 2)
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert one.index.tolist() == two.index.tolist()
    for name in ("train_loss", "valid_loss", "grad_norm", "si_sdri_man-woman", "output_correlation"):
        assert one[name].notna().any()
        pd.testing.assert_series_equal(two[name], one[name], atol=2e-3, rtol=1e-3)
    for name, value in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], value, atol=1e-4, rtol=1e-3)
    tables = [sorted((tmp_path / run / "validation").iterdir())[-1] for run in ("one", "two")]
    first, second = (pd.read_csv(t).sort_values("id", ignore_index=True) for t in tables)
    pd.testing.assert_frame_equal(second, first, atol=1e-2)
