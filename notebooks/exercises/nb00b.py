"""Checks of notebook 00b's exercises; their texts, solutions and wrong answers are in ``nb00b.md``.

Notebook: 00b_prerequisites
"""

import torch
from torch import nn

from .exercise import Mistake, sheet_exercise
from .judging import ask, compare_numbers, compare_tensors, need_numbers, need_shape, need_tensor, noise

__all__ = ["cell", "level", "mix_at", "spectrogram", "unit_level"]


@sheet_exercise
def level(function, exercise):
    # Noise and tones: their peaks and mean absolute values are not in the ratio of their RMS.
    first = noise(2, 3, 400, seed=1) * torch.tensor([[1.0], [0.1], [3.0]])
    second = torch.sin(torch.arange(400, dtype=torch.float64) * 0.3).expand(2, 3, 400)
    answer, wanted = need_numbers(ask(function, (first, second))), exercise.right(first, second)
    if answer.shape == ():
        raise Mistake("summed over the batch", shape=list(first.shape))
    need_shape(answer, wanted)
    compare_numbers(answer, wanted, exercise, (first, second), tolerance=0.01)


@sheet_exercise
def mix_at(function, exercise):
    for db in (6.0, -4.0):
        inputs = 0.3 * noise(500, seed=2), 2 * noise(500, seed=3), db
        compare_tensors(ask(function, inputs), exercise.right(*inputs), exercise, inputs)


@sheet_exercise
def spectrogram(function, exercise):
    for width, hop in ((16, 5), (10, 3)):
        window = torch.hann_window(width, dtype=torch.float64)
        inputs = noise(103, seed=width), window, hop
        wanted = torch.stft(inputs[0], width, hop, window=window, center=False, return_complex=True).abs()
        answer = need_tensor(ask(function, inputs))
        if answer.is_complex():
            raise Mistake("complex numbers")
        compare_tensors(answer, wanted, exercise, inputs)


@sheet_exercise
def unit_level(function, exercise):
    batch = noise(4, 300, seed=4) * torch.tensor([[1.0], [0.01], [30.0], [2.0]]) + 0.5
    compare_tensors(ask(function, (batch,)), exercise.right(batch), exercise, (batch,))


@sheet_exercise
def cell(function, exercise):
    reference = nn.LSTMCell(3, 4).double()
    for i, parameter in enumerate(reference.parameters()):
        parameter.data = noise(*parameter.shape, seed=i)
        parameter.requires_grad_(False)
    x, h, c = noise(5, 3, seed=7), noise(5, 4, seed=8), noise(5, 4, seed=9)
    bias = reference.bias_ih + reference.bias_hh
    inputs = x, (h, c), reference.weight_ih, reference.weight_hh, bias

    def joined(pair):
        """Output and memory as one tensor ``[2, B, H]``."""
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise Mistake("not a pair", found=type(pair).__name__)
        for part in pair:
            need_shape(need_tensor(part), h)
        return torch.stack(tuple(pair))

    answer = joined(ask(function, inputs))
    for name, wrong in exercise.known.items():
        if torch.allclose(answer.double(), joined(ask(wrong, inputs)), atol=1e-5):
            raise Mistake(name)
    compare_tensors(answer, torch.stack(reference(x, (h, c))), exercise)
