"""The length of a recording: windows bound the memory, and the estimate of the memory is right."""

import pytest
import torch

from dprnn_lab import DPRNNTasNet, diagnose
from dprnn_lab.diagnosis.checks.length import pass_memory
from dprnn_lab.evaluation import forward_cost

SMALL = {"bn_chan": 32, "hid_size": 32, "chunk_size": 32, "n_repeats": 1, "n_filters": 32, "kernel_size": 32}


@pytest.mark.parametrize(
    "options",
    [
        {}, {"hid_size": 96}, {"bn_chan": 96}, {"rnn_type": "GRU"}, {"rnn_type": "RNN"}, {"use_mulcat": True},
        {"n_filters": 512}, {"n_filters": 512, "n_src": 3}, {"hop_size": 32}, {"num_layers": 2},
        {"bidirectional": False},
    ],
    ids=str,
)  # fmt: skip
def test_the_memory_of_a_pass_is_what_is_measured(monkeypatch, options):
    monkeypatch.setattr(forward_cost, "CLOCK_SECONDS", 0.0)
    model = DPRNNTasNet(**SMALL | options).eval()
    mixture = torch.randn(1, 16000)
    measured = forward_cost.measure_call(lambda: model(mixture)).peak_bytes
    assert pass_memory(model.config, 16000) * 1e9 == pytest.approx(measured, rel=0.2)


def test_five_minutes_are_no_failure(tiny):
    finding = diagnose(None, 0.1 * torch.randn(5 * 60 * 8000), 8000, config={"n_src": 2})["length"]
    assert finding.state == "note"
    assert "separate works in windows of 8 s" in finding.says
    assert finding.evidence["memory_of_a_window_gb"] < 0.1 < 2 < finding.evidence["memory_gb"]


def test_a_model_for_which_even_a_window_is_too_large():
    config = {"n_src": 2, "hid_size": 8192, "bn_chan": 8192}
    finding = diagnose(None, 0.1 * torch.randn(8 * 8000), 8000, config=config)["length"]
    assert finding.state == "warn"
    assert "window=" in finding.remedy


def test_a_short_recording_still_fails():
    assert diagnose(None, 0.1 * torch.randn(400), 8000, config={"n_src": 2})["length"].state == "fail"
