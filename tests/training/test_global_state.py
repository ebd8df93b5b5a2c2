"""Importing and running a training leaves the process as it was: log levels, warning filters, PyTorch's settings."""

import json
import logging
import subprocess
import sys
import warnings
from types import SimpleNamespace

import torch

from dprnn_lab.training import MixingData, train

STATE = """
import json, logging, signal, sys, warnings
import lightning.pytorch, matplotlib, pandas, scipy, tensorboardX, torch, torchaudio
import dprnn_lab.checkpoint, dprnn_lab.datasets

def state():
    loggers = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict if "dprnn" not in name}
    return repr((
        loggers, logging.root.level, warnings.filters, signal.getsignal(signal.SIGINT), torch.get_default_dtype(),
        torch.get_num_threads(), torch.initial_seed(), torch.are_deterministic_algorithms_enabled(),
    ))

before = state()
from dprnn_lab.training import *
from dprnn_lab.training import train_run, train, MixingData, SeparationModule
print(json.dumps([before, state()]))
"""


def test_the_import_changes_no_global_state():
    child = subprocess.run([sys.executable, "-c", STATE], capture_output=True, text=True, check=True)
    before, after = json.loads(child.stdout.splitlines()[-1])
    assert after == before


def test_a_run_is_quiet_and_restores_log_level_and_filters(tiny, tmp_path, recwarn, caplog):
    class Noise(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return torch.randn(400), torch.randn(2, 400)

        def set_epoch(self, epoch):
            pass

    logger = logging.getLogger("lightning.pytorch")
    before = logger.level, list(warnings.filters)
    valid = [(torch.randn(400), torch.randn(2, 400), SimpleNamespace(id="a", kind="x"))]
    train(tiny(n_repeats=1), MixingData(Noise(), valid, 2), tmp_path / "run", 1, callbacks=())
    assert (logger.level, list(warnings.filters)) == before
    assert not [w for w in recwarn if "lightning" in str(w.filename)]
    assert not caplog.records
    assert (tmp_path / "run" / "model.safetensors").is_file()
