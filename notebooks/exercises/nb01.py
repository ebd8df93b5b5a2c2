"""Exercises of notebook 01: frames, encoding, borrowed phase, order by frequency, overlap-add.

Each judge feeds small random tensors whose sizes are all different (so that swapped axes show), in float64
and not contiguous in memory (so that ``torch.zeros`` and ``view`` show), and compares a wrong answer with
what the usual slips would have given.

Notebook: 01_encoder_decoder
"""

import itertools
import numbers
from collections.abc import Callable

import torch
from torch.nn import functional as F

from .exercise import Exercise, Mistake
from .judging import need_numbers, need_shape, need_tensor, on_strided, recognise, same

__all__ = ["borrow_phase", "decode", "encode", "filter_order", "frames"]

# ---------------------------------------------------------------- 01.1

_FRAME_CASES = (
    (8000, 16, 8),
    (8005, 16, 8),
    (1003, 20, 7),
    (1004, 20, 7),
    (47, 10, 10),
    (16, 16, 8),
    (15, 16, 8),
    (1, 16, 8),
)
_FRAME_SLIPS: dict[str, tuple[Callable[[int, int, int], int], str]] = {
    "off by one": (
        lambda t, k, s: max(t - k, 0) // s,
        "one too few. Count the *gaps* between frame starts, then remember that n gaps lie between n + 1 "
        "frames.",
    ),
    "kernel forgotten": (
        lambda t, k, s: t // s,
        "that counts the starts of frames, and the last starts would reach past the end: a frame needs "
        "`kernel_size` samples. Take them off before you divide.",
    ),
    "rounded up": (
        lambda t, k, s: -(-max(t - k, 0) // s) + 1,
        "you count a last frame that is not full. The encoder drops the tail: round down.",
    ),
    "rounded": (
        lambda t, k, s: round(max(t - k, 0) / s) + 1,
        "`round` goes up as often as down. A frame that is not full is dropped: use `//`.",
    ),
    "not a whole number": (
        lambda t, k, s: max(t - k, 0) / s + 1,
        "a number of frames is whole: divide with `//`, which rounds down.",
    ),
    "short input": (
        lambda t, k, s: (t - k) // s + 1,
        "right for every input of at least one kernel. A shorter one is padded to one kernel, "
        "so the answer is 1, never 0 or less.",
    ),
}


def _judge_frames(function: Callable) -> None:
    answers = [function(*case) for case in _FRAME_CASES]
    for case, answer in zip(_FRAME_CASES, answers, strict=True):
        if not isinstance(answer, numbers.Real) or isinstance(answer, bool):
            raise Mistake(
                "not a number",
                f"for {case} your function returned {type(answer).__name__}; it should return an int.",
            )
    right = [max(t - k, 0) // s + 1 for t, k, s in _FRAME_CASES]
    if answers != right:
        for name, (slip, hint) in _FRAME_SLIPS.items():
            if answers == [slip(*case) for case in _FRAME_CASES]:
                raise Mistake(name, hint)
        # Every long input right and a short one wrong: whatever was returned for it.
        wrong = [i for i in range(len(right)) if answers[i] != right[i]]
        if all(_FRAME_CASES[i][0] < _FRAME_CASES[i][1] for i in wrong):
            raise Mistake("short input", _FRAME_SLIPS["short input"][1])
        case = _FRAME_CASES[wrong[0]]
        raise Mistake(
            "other count",
            f"T={case[0]}, kernel_size={case[1]}, stride={case[2]} has {right[wrong[0]]} frames, "
            f"your function says {answers[wrong[0]]}. Draw it.",
        )
    if not all(isinstance(answer, numbers.Integral) for answer in answers):
        raise Mistake("not a whole number", _FRAME_SLIPS["not a whole number"][1])


frames = Exercise(
    id="01.1",
    title="count the frames",
    task="Write `my_frame_count(samples, kernel_size, stride)`: the number of frames L that the encoder "
    "makes of "
    "`samples` samples. A tail that does not fill a frame is dropped. An input shorter than one kernel is "
    "padded "
    "to one kernel.",
    done_when="the count is right for lengths that fit, for tails of every kind, and for inputs shorter "
    "than a kernel.",
    judge=_judge_frames,
    hints=(
        "The first frame starts at sample 0, the next at `stride`. Where must the last one start at the "
        "latest?",
        "It starts at `samples - kernel_size` at the latest. How many multiples of `stride` lie from 0 up "
        "to there?",
        "For a short input, pretend that it has `kernel_size` samples: `max(samples - kernel_size, 0)`.",
    ),
    solution="```python\ndef my_frame_count(samples, kernel_size, stride):\n"
    "    return max(samples - kernel_size, 0) // stride + 1\n```",
    minutes=4,
    difficulty=1,
)

# ---------------------------------------------------------------- 01.2


def _encode(waveform: torch.Tensor, filters: torch.Tensor, stride: int) -> torch.Tensor:
    return F.conv1d(waveform.unsqueeze(1), filters.unsqueeze(1), stride=stride)


def _judge_encode(function: Callable) -> None:
    generator = torch.Generator().manual_seed(1)
    stride, kernel = 4, 10
    waveform = torch.randn(3, 75, generator=generator, dtype=torch.float64)
    filters = torch.randn(7, kernel, generator=generator, dtype=torch.float64)
    wanted = _encode(waveform, filters, stride)
    answer = need_tensor(function(waveform, filters, stride), "a tensor [B, N, L]")
    padded = F.pad(waveform, (0, kernel))
    stride_hint = (
        "you have more or fewer frames than the encoder. It moves by `stride` samples from one frame to "
        "the next: "
        "not by one, and not by a whole kernel."
    )
    slips = {
        "axes transposed": (
            wanted.transpose(1, 2),
            "the numbers are right, their order is [B, L, N]. The encoder puts the filters before the "
            "frames: "
            "transpose the last two axes.",
        ),
        "filter flipped": (
            _encode(waveform, filters.flip(-1), stride),
            "you have turned the filters round, as convolution in signal processing does. `conv1d` does not: "
            "it correlates. Drop the flip.",
        ),
        "stride forgotten": (_encode(waveform, filters, 1), stride_hint),
        "no overlap": (_encode(waveform, filters, kernel), stride_hint),
        "tail kept": (
            _encode(padded, filters, stride)[..., : wanted.shape[-1] + 1],
            "you have padded the end and made one frame more. The encoder drops a tail that does not fill "
            "a frame.",
        ),
        "stride forgotten, axes transposed": (_encode(waveform, filters, 1).transpose(1, 2), stride_hint),
    }
    recognise(answer, slips)
    need_shape(answer, wanted, "[B, N, L]")
    need_numbers(answer, wanted, "Work one entry out by hand.")
    on_strided(function, wanted, waveform, filters, stride)


encode = Exercise(
    id="01.2",
    title="encode by hand",
    task="Write `my_encode(waveform, filters, stride)` without `conv1d`: `waveform` is [B, T], `filters` is "
    "[N, kernel_size], the result [B, N, L]. `unfold` cuts the frames, one matrix product does the rest.",
    done_when="it equals the encoder's convolution, in float64 too, and for tensors that are not contiguous.",
    judge=_judge_encode,
    hints=(
        "`waveform.unfold(-1, size, step)` is [B, L, size]: one frame in each row. What are size and step "
        "here?",
        "Each output is the inner product of a frame and a filter: [B, L, kernel_size] times "
        "[kernel_size, N].",
        "That product is [B, L, N]; the encoder returns [B, N, L].",
    ),
    solution="```python\ndef my_encode(waveform, filters, stride):\n"
    "    windows = waveform.unfold(-1, filters.shape[-1], stride)  # [B, L, kernel_size]\n"
    "    return (windows @ filters.T).transpose(1, 2)  # [B, N, L]\n```",
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- 01.3


def _judge_borrow(function: Callable) -> None:
    generator = torch.Generator().manual_seed(2)
    source, mixture = torch.randn(2, 5, 9, generator=generator, dtype=torch.complex128)
    mixture[3, 4] = 0  # a silent bin has no phase of its own
    source[1, 2] = 0
    heard = mixture != 0
    wanted = torch.polar(source.abs(), mixture.angle())
    answer = need_tensor(function(source.clone(), mixture.clone()), "a complex tensor of the inputs' shape")
    need_shape(answer, wanted, "[bins, frames]")
    if not answer.is_complex():
        raise Mistake(
            "phase dropped",
            f"the result is {answer.dtype}, a magnitude only. A complex number needs both: magnitude times "
            "exp(j phase).",
        )
    slips = {
        "swapped": (
            torch.polar(mixture.abs(), source.angle()),
            "the other way round: magnitude from the source, phase from the mixture.",
        ),
        "phase not borrowed": (
            source,
            "that is the source itself, with its own phase, which nobody knows at test time.",
        ),
        "conjugate": (
            wanted.conj(),
            "the phase has the wrong sign: exp(+j phase), not exp(-j phase).",
        ),
        "degrees": (
            torch.polar(source.abs(), torch.rad2deg(mixture.angle())),
            "`torch.polar` and `exp` take radians; `angle()` gives radians already.",
        ),
    }
    for name, (result, hint) in slips.items():
        if same(answer[heard], result[heard]):
            raise Mistake(name, hint)
    need_numbers(answer[heard], wanted[heard], "Work one entry out by hand.")
    if not torch.isfinite(torch.view_as_real(answer)).all():
        raise Mistake(
            "silent bin",
            "NaN where the mixture is exactly zero: dividing a number by its own magnitude fails there. "
            "Use `angle()`, or keep the divisor above zero with `clamp`.",
        )


borrow_phase = Exercise(
    id="01.3",
    title="borrow a phase",
    task="Write `my_borrow_phase(source, mixture)`: two complex spectra of equal shape in, one out, with the "
    "magnitude of the source and the phase of the mixture.",
    done_when="magnitude and phase are right in every bin, and no bin is NaN, not even where the mixture "
    "is zero.",
    judge=_judge_borrow,
    hints=(
        "A complex number is magnitude times exp(j phase): `x.abs()` and `x.angle()` give the two parts.",
        "`torch.polar(magnitude, phase)` puts them together.",
    ),
    solution="```python\ndef my_borrow_phase(source, mixture):\n"
    "    return torch.polar(source.abs(), mixture.angle())\n```",
    minutes=5,
    difficulty=1,
)

# ---------------------------------------------------------------- 01.4

# Peaks in Hz at 8 kHz, in no order. 1010 and 1180 Hz share a bin of a 16-sample FFT.
_PEAKS = (2600.0, 400.0, 1180.0, 3500.0, 1010.0, 1900.0, 2800.0)


def _tones() -> torch.Tensor:
    """Short windowed tones [N, 16] of several gains and phases, one a peak."""
    time = torch.arange(16, dtype=torch.float64) - 7.5
    phases = torch.tensor([2.5, 0.5, 6.0, 0.0, 0.5, 1.5, 1.5], dtype=torch.float64)
    gains = torch.tensor([0.3, 2.0, 0.2, 1.0, 3.0, 0.5, 1.5], dtype=torch.float64)
    angle = 2 * torch.pi * torch.tensor(_PEAKS, dtype=torch.float64)[:, None] / 8000 * time + phases[:, None]
    return (
        gains[:, None] * torch.hann_window(18, periodic=False, dtype=torch.float64)[1:-1] * torch.cos(angle)
    )


def _judge_order(function: Callable) -> None:
    filters = _tones()
    spectrum = torch.fft.rfft(filters, n=512)
    peaks = spectrum.abs().argmax(-1)
    wanted = peaks.argsort()
    answer = need_tensor(function(filters, 512), "a tensor [N] of filter indices")
    coarse = torch.fft.rfft(filters).abs().argmax(-1)
    slips = {
        "wrong axis": (
            spectrum.abs().argmax(0),
            "you took the loudest *filter* of each frequency. The loudest *frequency* of each filter lies "
            "along "
            "the last axis: `argmax(-1)`.",
        ),
        "peaks returned": (
            peaks,
            "those are the peaks themselves. Asked is the order of the filters: `argsort` of the peaks.",
        ),
        "sorted peaks returned": (
            peaks.sort().values,
            "those are the sorted peaks. Asked is *which filter* comes first: `argsort` gives indices, "
            "`sort` values.",
        ),
        "high to low": (wanted.flip(0), "high to low; asked is low to high."),
        "ranks": (
            wanted.argsort(),
            "those are ranks: the place of filter i. Asked is the filter at place i: one `argsort`, not two.",
        ),
        "real part": (
            spectrum.real.argmax(-1).argsort(),
            "the real part alone depends on where the wave sits in its window. Take the magnitude, `abs()`.",
        ),
        "peak in time": (
            filters.abs().argmax(-1).argsort(),
            "that is the loudest *sample* of each filter. Go to frequencies first: `torch.fft.rfft`.",
        ),
        "no zero-padding": (
            coarse.argsort(),
            "close, but filters that lie near each other share a bin. Zero-pad: `torch.fft.rfft(filters, "
            "n=n_fft)`.",
        ),
    }
    if answer.dtype != torch.bool and answer.shape == wanted.shape and torch.equal(answer.long(), wanted):
        if answer.is_floating_point():
            raise Mistake("not indices", "the order is right, as floats; indices are integers.")
        return
    recognise(answer, slips)
    need_shape(answer, wanted, "[N], one index for each filter")
    order = [int(i) for i in answer]
    if sorted(order) != list(range(len(order))):
        raise Mistake(
            "no permutation", f"the result {order} does not hold every filter once; `argsort` would."
        )
    # Ties of the coarse bins may be broken either way.
    if all(coarse[a] <= coarse[b] for a, b in itertools.pairwise(order)):
        raise Mistake("no zero-padding", slips["no zero-padding"][1])
    raise Mistake("other order", "each filter is there once, but not from the lowest peak to the highest.")


filter_order = Exercise(
    id="01.4",
    title="sort filters by frequency",
    task="Write `my_order(filters, n_fft)`: `filters` is [N, kernel_size], the result [N] are the "
    "filters' indices "
    "from the lowest centre frequency to the highest. The centre frequency is where the magnitude of the "
    "filter's "
    "FFT, zero-padded to `n_fft` points, is largest.",
    done_when="`filters[my_order(filters, n_fft)]` climbs from low to high, whatever the filters' gains "
    "and phases.",
    judge=_judge_order,
    hints=(
        "`torch.fft.rfft(filters, n=n_fft)` is [N, n_fft // 2 + 1], complex.",
        "`.abs().argmax(-1)` is the peak's bin of each filter. You want the *filters* in the order of "
        "their bins.",
        "`argsort`, once.",
    ),
    solution="```python\ndef my_order(filters, n_fft):\n"
    "    return torch.fft.rfft(filters, n=n_fft).abs().argmax(-1).argsort()\n```",
    minutes=5,
    difficulty=1,
)

# ---------------------------------------------------------------- 01.5


def _decode(frames: torch.Tensor, filters: torch.Tensor, stride: int) -> torch.Tensor:
    return F.conv_transpose1d(frames, filters.unsqueeze(1), stride=stride).squeeze(1)


def _judge_decode(function: Callable) -> None:
    generator = torch.Generator().manual_seed(3)
    stride, kernel = 4, 10
    frames = torch.randn(2, 5, 9, generator=generator, dtype=torch.float64)
    filters = torch.randn(5, kernel, generator=generator, dtype=torch.float64)
    wanted = _decode(frames, filters, stride)
    pieces = torch.einsum("bnl,nk->blk", frames, filters)
    overwritten = torch.zeros_like(wanted)
    for i in range(frames.shape[-1]):
        overwritten[:, i * stride : i * stride + kernel] = pieces[:, i]
    covered = _decode(torch.ones_like(frames[:, :1]), torch.ones_like(filters[:1]), stride)
    answer = need_tensor(function(frames, filters, stride), "a tensor [B, samples]")
    slips = {
        "overwritten": (
            overwritten,
            "where two frames overlap, the later one has wiped out the earlier. Add with `+=`.",
        ),
        "no overlap": (
            pieces.flatten(1),
            "the frames stand side by side. Frame l starts at sample `l * stride`, and overlaps its "
            "neighbours.",
        ),
        "averaged": (
            wanted / covered,
            "you have divided by the number of frames that cover a sample. The decoder only adds; "
            "its filters have learned with that gain.",
        ),
        "filter flipped": (
            _decode(frames, filters.flip(-1), stride),
            "the filters are turned round. The decoder lays them down as they are.",
        ),
        "end cut off": (
            wanted[:, : frames.shape[-1] * stride],
            "the end is missing: the last frame starts at (L - 1) * stride and is `kernel_size` samples "
            "long.",
        ),
        "channel axis kept": (wanted.unsqueeze(1), "the result has an axis too many: [B, samples] is asked."),
    }
    recognise(answer, slips)
    need_shape(answer, wanted, "[B, (L - 1) * stride + kernel_size]")
    need_numbers(answer, wanted, "Work one entry out by hand.")
    on_strided(function, wanted, frames, filters, stride)


decode = Exercise(
    id="01.5",
    title="decode by overlap-add",
    task="Write `my_decode(frames, filters, stride)` without `conv_transpose1d`: `frames` is [B, N, L], "
    "`filters` is "
    "[N, kernel_size], the result [B, (L - 1) * stride + kernel_size]. A loop over the frames is fine.",
    done_when="it equals the decoder's transposed convolution, in float64 too, and for tensors that are "
    "not contiguous.",
    judge=_judge_decode,
    hints=(
        "The piece of frame l is the sum of all filters, each times its number: `frames[:, :, l] @ filters`, "
        "[B, kernel_size].",
        "Begin with zeros of the right length: `frames.new_zeros(B, (L - 1) * stride + kernel_size)`.",
        "Add each piece at `l * stride` with `+=`.",
    ),
    solution="```python\ndef my_decode(frames, filters, stride):\n"
    "    batch, _, count = frames.shape\n"
    "    kernel_size = filters.shape[-1]\n"
    "    out = frames.new_zeros(batch, (count - 1) * stride + kernel_size)\n"
    "    for i in range(count):\n"
    "        out[:, i * stride : i * stride + kernel_size] += frames[:, :, i] @ filters\n"
    "    return out\n```",
    minutes=10,
    difficulty=2,
)
