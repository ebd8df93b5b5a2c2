"""The gate explorer of notebook 00b agrees with PyTorch's LSTM cell."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from dprnn_lab.explorers.lstm_gates import GateExplorer, describe_memory, remember


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_a_cell_with_constant_gates_remembers_the_same():
    cell = nn.LSTMCell(1, 1).double()
    forget, write, read = 0.9, 0.6, 0.7
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.weight_ih[2] = 50.0  # the candidate follows the input: tanh(50) = 1
        cell.bias_ih[:] = torch.tensor([logit(write), logit(forget), 0.0, logit(read)])
        state, outputs, memories = None, [], []
        for step in range(20):
            x = torch.full((1, 1), float(step == 0), dtype=torch.float64)
            state = cell(x, state)
            outputs.append(float(state[0]))
            memories.append(float(state[1]))
    memory, output = remember(forget, write, read, 20)
    np.testing.assert_allclose(memories, memory, atol=1e-12)
    np.testing.assert_allclose(outputs, output, atol=1e-12)


@pytest.mark.parametrize("gates", [(1.1, 1, 1), (0.5, -0.1, 1), (0.5, 1, math.nan)])
def test_a_gate_that_is_no_sigmoid_is_refused(gates):
    with pytest.raises(ValueError, match="from 0 to 1"):
        remember(*gates)


def test_no_step_is_refused():
    with pytest.raises(ValueError, match="steps is 0"):
        remember(0.5, 1, 1, 0)


def test_half_of_the_memory_is_left_when_the_sentence_says_so():
    assert "after 6.6 steps" in describe_memory(0.9)
    assert abs(0.9**6.6 - 0.5) < 0.01
    assert "for ever" in describe_memory(1.0) and "every step" in describe_memory(0.0)


def test_the_sliders_change_sentence_and_picture():
    explorer = GateExplorer()
    picture = explorer.picture.value
    explorer.forget.value = 0.5
    assert "0.500" in explorer.readout.value and explorer.picture.value != picture
    assert "widget" in repr(explorer)
