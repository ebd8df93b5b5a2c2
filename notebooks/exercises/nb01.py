"""Checks of notebook 01's exercises; their texts, solutions and wrong answers are in ``nb01.md``.

Random inputs have sizes that all differ, so that swapped axes show, are float64, so that ``torch.zeros`` shows, and
are also given not contiguous in memory, so that ``view`` shows.

Notebook: 01_encoder_decoder
"""

import itertools
import math
import random
from numbers import Integral

import torch
from torch.nn import functional as F

from .exercise import Mistake, sheet_exercise
from .judging import (
    ask,
    compare_cases,
    compare_tensors,
    generator,
    need_number,
    need_shape,
    need_tensor,
    noise,
    on_strided,
    recognise,
    same,
    shuffled,
    varied,
)

__all__ = ["borrow_phase", "decode", "encode", "filter_order", "frames"]

# samples, kernel size, stride
FRAME_CASES = (
    (8000, 16, 8), (8005, 16, 8), (1003, 20, 7), (1004, 20, 7), (47, 10, 10), (16, 16, 8), (15, 16, 8), (1, 16, 8),
)  # fmt: skip


def other_frame_cases(rng: random.Random) -> tuple:
    kernels = [rng.randrange(4, 40) for _ in range(6)]
    cases = [(rng.randrange(kernel, 3000), kernel, rng.randint(2, kernel)) for kernel in kernels]
    return (*cases, (kernels[0], *cases[0][1:]), (rng.randrange(1, kernels[1]), *cases[1][1:]))


@sheet_exercise
def frames(function, exercise):
    cases = varied(FRAME_CASES, other_frame_cases)
    answers = [need_number(ask(function, case)) for case in cases]
    wrong = [case for case, answer in zip(cases, answers, strict=True) if answer != exercise.right(*case)]
    if wrong and all(samples < kernel for samples, kernel, _ in wrong):
        raise Mistake("short input")
    compare_cases(function, exercise, cases, need_number, otherwise="other count")
    if not all(isinstance(answer, Integral) for answer in answers):
        raise Mistake("not a whole number")


@sheet_exercise
def encode(function, exercise):
    inputs = noise(3, 75, seed=1), noise(7, 10, seed=11), 4
    wanted = F.conv1d(inputs[0].unsqueeze(1), inputs[1].unsqueeze(1), stride=inputs[2])
    compare_tensors(ask(function, inputs), wanted, exercise, inputs)
    on_strided(function, wanted, inputs)


@sheet_exercise
def borrow_phase(function, exercise):
    source, mixture = torch.randn(2, 5, 9, generator=generator(2), dtype=torch.complex128)
    mixture[3, 4] = 0  # a silent bin has no phase of its own
    source[1, 2] = 0
    loud = mixture != 0
    wanted = torch.polar(source.abs(), mixture.angle())
    answer = need_tensor(ask(function, (source, mixture)))
    need_shape(answer, wanted)
    if not answer.is_complex():
        raise Mistake("phase dropped", found=answer.dtype)
    recognise(answer[loud], exercise, (source, mixture), lambda result: result[loud])
    compare_tensors(answer[loud], wanted[loud], exercise)
    if not torch.isfinite(torch.view_as_real(answer)).all():
        raise Mistake("silent bin")


def tones() -> torch.Tensor:
    """Short windowed tones [7, 16] at 8 kHz in no order of frequency, of several gains and phases.

    1010 and 1180 Hz share a bin of a 16-sample FFT.
    """
    peaks = torch.tensor(shuffled([2600, 400, 1180, 3500, 1010, 1900, 2800]), dtype=torch.float64)  # Hz
    gains = torch.tensor([0.3, 2.0, 0.2, 1.0, 3.0, 0.5, 1.5], dtype=torch.float64)
    phases = torch.tensor([2.5, 0.5, 6.0, 0.0, 0.5, 1.5, 1.5], dtype=torch.float64)
    time = torch.arange(16, dtype=torch.float64) - 7.5
    window = torch.hann_window(18, periodic=False, dtype=torch.float64)[1:-1]
    return gains[:, None] * window * torch.cos(2 * math.pi * peaks[:, None] / 8000 * time + phases[:, None])


@sheet_exercise
def filter_order(function, exercise):
    inputs = tones(), 512
    wanted = exercise.right(*inputs)
    answer = need_tensor(ask(function, inputs))
    if answer.dtype != torch.bool and same(answer.long(), wanted, 0):
        if answer.is_floating_point():
            raise Mistake("not indices")
        return
    recognise(answer, exercise, inputs)
    need_shape(answer, wanted)
    order = [int(i) for i in answer]
    if sorted(order) != list(range(len(order))):
        raise Mistake("no permutation", found=order)
    coarse = torch.fft.rfft(inputs[0]).abs().argmax(-1)  # filters in one bin may be in either order
    if all(coarse[a] <= coarse[b] for a, b in itertools.pairwise(order)):
        raise Mistake("no zero-padding")
    raise Mistake("other order")


@sheet_exercise
def decode(function, exercise):
    inputs = noise(2, 5, 9, seed=3), noise(5, 10, seed=13), 4
    wanted = F.conv_transpose1d(inputs[0], inputs[1].unsqueeze(1), stride=inputs[2]).squeeze(1)
    compare_tensors(ask(function, inputs), wanted, exercise, inputs)
    on_strided(function, wanted, inputs)
