import pytest
import torch

from dprnn_lab.training.callbacks import moving_average


def test_the_average_forgets_the_random_start_and_then_has_the_memory_asked_for():
    average, value = moving_average(0.99), torch.zeros(())
    for step in range(20):
        value = average(value, torch.ones(()), torch.tensor(step))
    assert value > 0.999  # a plain average of memory 0.99 would still be at 0.18
    assert average(torch.zeros(()), torch.ones(()), torch.tensor(10_000)).item() == pytest.approx(0.01)
