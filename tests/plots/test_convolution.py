"""The table of a transposed convolution has the numbers of PyTorch's."""

import matplotlib.pyplot as plt
import pytest
import torch
from torch.nn import functional as F

from dprnn_lab.plots.convolution import transposed_convolution


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_last_row_is_the_transposed_convolution(stride):
    frames, kernel = [2.0, -1.0, 3.0], [1.0, 3.0, 2.0, -1.0]
    figure = transposed_convolution(frames, kernel, stride)
    table = figure.axes[0].images[0].get_array()
    expected = F.conv_transpose1d(torch.tensor([[frames]]), torch.tensor([[kernel]]), stride=stride)[0, 0]
    assert table[-1].tolist() == expected.tolist()
    assert table[1].compressed().tolist() == [
        -1.0,
        -3.0,
        -2.0,
        1.0,
    ]  # the second frame, and nothing elsewhere
    assert int(table.mask[1].argmin()) == stride
    plt.close(figure)
