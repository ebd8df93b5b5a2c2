"""Exercises of notebook 02: count chunks, cut them, add them back, follow the inter-chunk RNN, choose K.

The judges feed small float64 tensors whose sizes are all different and whose hop is not half a chunk, and
compare a wrong answer with what the usual slips would have given.

Notebook: 02_dual_path
"""

import numbers
from collections.abc import Callable, Mapping, Sequence

import torch
from torch.nn import functional as F

from dprnn_lab.model.dual_path import chunk_count, overlap_add, segment
from dprnn_lab.model.filterbank import frame_count

from .exercise import Exercise, Mistake
from .judging import need_numbers, need_shape, need_tensor, on_strided, recognise

__all__ = ["best_chunk", "count_chunks", "cut_chunks", "inter_frames", "join_chunks"]

# ---------------------------------------------------------------- what the judges share

Slips = Mapping[str, tuple[Callable, str]]


def _need_whole_numbers(answers: Sequence, cases: Sequence) -> None:
    for case, answer in zip(cases, answers, strict=True):
        if not isinstance(answer, numbers.Real) or isinstance(answer, bool):
            raise Mistake(
                "not a number", f"for {case} your function returned {type(answer).__name__}, not an int."
            )


def _judge_tensor(answer, wanted: torch.Tensor, letters: str, slips: Mapping[str, tuple[torch.Tensor, str]]):
    """Raise the slip that the answer equals, or say what is wrong with its shape, numbers or dtype."""
    recognise(need_tensor(answer), slips)
    need_shape(answer, wanted, letters)
    need_numbers(answer, wanted, "Try three frames, K = 2 and P = 1 on paper.")


# ---------------------------------------------------------------- 02.1

_COUNT_CASES = ((999, 100, 50), (37, 8, 4), (37, 8, 2), (50, 7, 3), (23, 6, 6), (3, 10, 5), (1, 4, 3))
_COUNT_SLIPS: Slips = {
    "no padding": (
        lambda n, k, p: (n - k) // p + 1,
        "that is the count without padding. `segment` puts K frames of zeros before the first frame *and* K "
        "after the last: cut the chunks from L + 2 K frames.",
    ),
    "no padding, at least one": (
        lambda n, k, p: max(n - k, 0) // p + 1,
        "that is the count without padding. `segment` puts K frames of zeros before the first frame *and* K "
        "after the last: cut the chunks from L + 2 K frames.",
    ),
    "one end padded": (
        lambda n, k, p: n // p + 1,
        "you have padded one end only. With K zeros at *each* end there are L + 2 K frames.",
    ),
    "off by one": (
        lambda n, k, p: (n + k) // p,
        "one too few: n hops lie between n + 1 chunk starts.",
    ),
    "rounded up": (
        lambda n, k, p: -(-(n + k) // p) + 1,
        "you count a last chunk that does not fit. It would hold padding alone; round down.",
    ),
    "chunk's own length": (
        lambda n, k, p: (n + 2 * k) // p + 1,
        "the last chunk must *end* within the L + 2 K frames: take its K frames off before you divide.",
    ),
    "half overlap assumed": (
        lambda n, k, p: (n + k) // max(1, k // 2) + 1,
        "right at half overlap, wrong for other hops. Divide by the hop that you are given.",
    ),
    "not a whole number": (
        lambda n, k, p: (n + k) / p + 1,
        "a number of chunks is whole: divide with `//`, which rounds down.",
    ),
}


def _judge_count(function: Callable) -> None:
    answers = [function(*case) for case in _COUNT_CASES]
    _need_whole_numbers(answers, _COUNT_CASES)
    right = [chunk_count(*case) for case in _COUNT_CASES]
    if answers == right:
        return
    for name, (slip, hint) in _COUNT_SLIPS.items():
        if answers == [slip(*case) for case in _COUNT_CASES]:
            raise Mistake(name, hint)
    i = next(i for i in range(len(right)) if answers[i] != right[i])
    frames, chunk, hop = _COUNT_CASES[i]
    raise Mistake(
        "other count",
        f"L={frames}, K={chunk}, P={hop} gives {right[i]} chunks, your function says {answers[i]}. Draw it.",
    )


count_chunks = Exercise(
    id="02.1",
    title="count the chunks",
    task="Write `my_chunk_count(frames, chunk_size, hop_size)`: the number of chunks C. The L frames get one "
    "chunk of zeros at each end. Chunks start every `hop_size` frames, and each must lie wholly inside.",
    done_when="the count is right at half overlap, at other hops, and when L is smaller than K.",
    judge=_judge_count,
    hints=(
        "How many frames are there after padding? Where may the last chunk start at the latest?",
        "There are L + 2 K; the last chunk starts at L + K at the latest.",
        "How many multiples of P lie from 0 up to L + K, both ends included?",
    ),
    solution="```python\ndef my_chunk_count(frames, chunk_size, hop_size):\n"
    "    return (frames + chunk_size) // hop_size + 1\n```",
    minutes=4,
    difficulty=1,
)

# ---------------------------------------------------------------- 02.2


def _cut(x: torch.Tensor, chunk: int, hop: int, before: int, after: int) -> torch.Tensor:
    return F.pad(x, (0, 0, before, after)).unfold(1, chunk, hop).transpose(2, 3)


def _judge_cut(function: Callable) -> None:
    generator = torch.Generator().manual_seed(2)
    frames = torch.randn(2, 17, 3, generator=generator, dtype=torch.float64)
    chunk, hop = 6, 4
    wanted = segment(frames, chunk, hop)
    slips = {
        "no padding": (
            _cut(frames, chunk, hop, 0, 0),
            "you have cut the frames as they came. Pad first, K zeros at each end: without them the "
            "first and last frames lie in fewer chunks than the others, and a tail is lost.",
        ),
        "one end padded": (
            _cut(frames, chunk, hop, 0, chunk),
            "the end is padded, the beginning is not.",
        ),
        "padded by a hop": (
            _cut(frames, chunk, hop, hop, hop),
            "you have padded by a hop; `segment` pads by a whole chunk at each end.",
        ),
        "axes swapped": (
            wanted.transpose(1, 2),
            "the numbers are right, the axes are [B, K, C, F]: positions before chunks. The "
            "intra-chunk RNN would run across the chunks. Asked is [B, C, K, F].",
        ),
        "features before positions": (
            wanted.transpose(2, 3),
            "the axes are [B, C, F, K], as `unfold` leaves them: it puts the window last. Exchange the "
            "last two.",
        ),
        "last chunk lost": (
            wanted[:, :-1],
            "the last chunk is missing: n hops lie between n + 1 chunk starts.",
        ),
        "no overlap": (
            _cut(frames, chunk, chunk, chunk, chunk),
            "your chunks start every K frames and do not overlap. They start every P frames.",
        ),
    }
    _judge_tensor(function(frames, chunk, hop), wanted, "[B, C, K, F]", slips)
    for length, chunk, hop in ((17, 6, 3), (5, 8, 4), (1, 2, 1)):
        short = frames[:, :length].contiguous()
        _judge_tensor(function(short, chunk, hop), segment(short, chunk, hop), "[B, C, K, F]", {})
    on_strided(function, wanted, frames, 6, 4)


cut_chunks = Exercise(
    id="02.2",
    title="segment by hand",
    task="Write `my_segment(frames, chunk_size, hop_size)`: `frames` is [B, L, F], the result [B, C, K, "
    "F]. A loop that takes slices is fine; do not call `segment`.",
    done_when="it equals `segment`, in float64 too, for recordings shorter than a chunk, and for tensors "
    "that are not contiguous.",
    judge=_judge_cut,
    hints=(
        "Zeros of the right size, dtype and device: `frames.new_zeros(batch, chunk_size, features)`. "
        "`torch.cat((zeros, frames, zeros), dim=1)` pads both ends.",
        "Chunk c is `padded[:, c * hop_size : c * hop_size + chunk_size]`. How many are there? Exercise "
        "02.1.",
        "Collect the slices in a list; `torch.stack(chunks, dim=1)` puts the axis C in its place.",
    ),
    solution="```python\ndef my_segment(frames, chunk_size, hop_size):\n"
    "    batch, length, features = frames.shape\n"
    "    zeros = frames.new_zeros(batch, chunk_size, features)\n"
    "    padded = torch.cat((zeros, frames, zeros), dim=1)\n"
    "    starts = range(0, length + chunk_size + 1, hop_size)\n"
    "    return torch.stack([padded[:, s : s + chunk_size] for s in starts], dim=1)\n```",
    minutes=7,
    difficulty=2,
)

# ---------------------------------------------------------------- 02.3


def _join(chunks: torch.Tensor, hop: int, add: bool = True) -> torch.Tensor:
    """Chunks laid at multiples of ``hop``, with the padding still there."""
    batch, count, chunk, features = chunks.shape
    total = chunks.new_zeros(batch, (count - 1) * hop + 2 * chunk, features)
    for c in range(count):
        place = total[:, c * hop : c * hop + chunk]
        place.copy_(place + chunks[:, c] if add else chunks[:, c])
    return total


def _judge_join(function: Callable) -> None:
    generator = torch.Generator().manual_seed(3)
    frames, chunk, hop = 17, 6, 2
    chunks = torch.randn(
        2, chunk_count(frames, chunk, hop), chunk, 3, generator=generator, dtype=torch.float64
    )
    wanted = overlap_add(chunks, frames, hop)
    inside = slice(chunk, chunk + frames)
    slips = {
        "padding kept": (
            _join(chunks, hop)[:, :frames],
            "the sums are right and K frames late: the first K are the padding. Cut them off, "
            "`total[:, K : K + L]`.",
        ),
        "both paddings kept": (
            _join(chunks, hop)[:, : frames + 2 * chunk],
            "the chunks are added up rightly, but the padding is still there, K frames at each end.",
        ),
        "gain taken out": (
            wanted * (hop / chunk),
            "you have divided by K / P. That makes `segment` followed by this function an identity, "
            "which would be a fair design, but the model learned *with* the gain. Leave the sum as it "
            "is.",
        ),
        "overwritten": (
            _join(chunks, hop, add=False)[:, inside],
            "each chunk overwrites what the chunk before it left. Add: `total[...] += chunk`.",
        ),
        "half overlap assumed": (
            _join(chunks, chunk // 2)[:, inside],
            "right at half overlap, wrong for other hops. Chunk c starts at c P, and P is given.",
        ),
        "end to end": (
            _join(chunks, chunk)[:, inside],
            "you have laid the chunks end to end. Chunk c starts at c P, over the end of the chunk before "
            "it.",
        ),
    }
    _judge_tensor(function(chunks, frames, hop), wanted, "[B, L, F]", slips)
    for length, k, p in ((17, 6, 3), (17, 6, 4), (5, 8, 8), (1, 2, 1)):
        x = torch.randn(2, chunk_count(length, k, p), k, 3, generator=generator, dtype=torch.float64)
        _judge_tensor(function(x, length, p), overlap_add(x, length, p), "[B, L, F]", {})
    on_strided(function, wanted, chunks, frames, hop)


join_chunks = Exercise(
    id="02.3",
    title="overlap-add by hand",
    task="Write `my_overlap_add(chunks, frames, hop_size)`: `chunks` is [B, C, K, F], the result [B, L, "
    "F] with L = `frames`: the sum of the chunks, each where `segment` took it from, without the "
    "padding.",
    done_when="it equals `overlap_add` at any hop, gain included, in float64 too, and for tensors that "
    "are not contiguous.",
    judge=_judge_join,
    hints=(
        "Begin with zeros for all padded frames: L + 2 K of them, `chunks.new_zeros(...)`.",
        "In a loop over c, add `chunks[:, c]` to the K frames that begin at `c * hop_size`.",
        "The first real frame is the one after K frames of padding.",
    ),
    solution="```python\ndef my_overlap_add(chunks, frames, hop_size):\n"
    "    batch, count, chunk_size, features = chunks.shape\n"
    "    total = chunks.new_zeros(batch, frames + 2 * chunk_size, features)\n"
    "    for c in range(count):\n"
    "        total[:, c * hop_size : c * hop_size + chunk_size] += chunks[:, c]\n"
    "    return total[:, chunk_size : chunk_size + frames]\n```",
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- 02.4

_INTER_CASES = ((5, 60, 12, 6), (0, 60, 12, 6), (11, 61, 12, 4), (2, 40, 7, 3))


def _inter(k: int, length: int, chunk: int, hop: int) -> list[int]:
    return [c * hop - chunk + k for c in range(chunk_count(length, chunk, hop))]


_INTER_SLIPS: Slips = {
    "padding included": (
        _inter,
        "right, but some of these are no frames: below 0 and from L on lies the padding. Leave them out.",
    ),
    "offset forgotten": (
        lambda k, length, chunk, hop: [f for f in range(k, length, hop) if f < length],
        "you have started at frame k of the recording. Chunk 0 begins K frames *before* frame 0, in "
        "the padding, so its position k is frame k - K; the frames before k are seen too.",
    ),
    "a chunk apart": (
        lambda k, length, chunk, hop: [f for f in _inter(k, length, chunk, chunk) if 0 <= f < length],
        "you go from chunk to chunk by K frames. Chunks start a hop apart, so position k moves by P.",
    ),
    "intra, not inter": (
        lambda k, length, chunk, hop: list(range(k, min(k + chunk, length))),
        "those are neighbouring frames, as the *intra*-chunk RNN sees them. The inter-chunk RNN takes "
        "one frame of each chunk.",
    ),
}


def _judge_inter(function: Callable) -> None:
    answers = [function(*case) for case in _INTER_CASES]
    for case, answer in zip(_INTER_CASES, answers, strict=True):
        if isinstance(answer, (str, bytes)) or not hasattr(answer, "__iter__"):
            raise Mistake(
                "not a list", f"for {case} your function returned {type(answer).__name__}, not a list."
            )
    answers = [[int(f) for f in answer] for answer in answers]
    right = [[f for f in _inter(*case) if 0 <= f < case[1]] for case in _INTER_CASES]
    if answers == right:
        return
    for name, (slip, hint) in _INTER_SLIPS.items():
        if answers == [slip(*case) for case in _INTER_CASES]:
            raise Mistake(name, hint)
    i = next(i for i in range(len(right)) if answers[i] != right[i])
    k, length, chunk, hop = _INTER_CASES[i]
    raise Mistake(
        "other frames",
        f"k={k}, L={length}, K={chunk}, P={hop}: the first frames are {right[i][:3]}, yours "
        f"{answers[i][:3]}. In which frame does chunk 0 begin?",
    )


inter_frames = Exercise(
    id="02.4",
    title="what the inter-chunk RNN sees",
    task="Write `my_inter_frames(position, frames, chunk_size, hop_size)`: the list of frames, 0 to L - 1 in "
    "ascending order, that the inter-chunk RNN reads in the sequence of position k = `position` "
    "(0 to K - 1). Padding is no frame.",
    done_when="the list is right for several positions, also where the hop does not divide the chunk size.",
    judge=_judge_inter,
    hints=(
        "In which frame of the *padded* recording does chunk c begin? And its position k?",
        "Padded frame i is frame i - K of the recording. Position k of chunk c is frame c P + k - K.",
        "Go through all C chunks and keep what lies from 0 to L - 1.",
    ),
    solution="```python\ndef my_inter_frames(position, frames, chunk_size, hop_size):\n"
    "    chunks = (frames + chunk_size) // hop_size + 1\n"
    "    seen = [c * hop_size + position - chunk_size for c in range(chunks)]\n"
    "    return [f for f in seen if 0 <= f < frames]\n```",
    minutes=6,
    difficulty=2,
)

# ---------------------------------------------------------------- 02.5

_BEST_CASES = ((4.0, 8000, 16, 8), (1.0, 8000, 32, 16), (10.0, 8000, 2, 1), (30.0, 16000, 64, 32))


def _even(x: float) -> int:
    return max(2, 2 * round(x / 2))


def _longest(chunk: int, frames: int) -> int:
    return max(chunk, chunk_count(frames, chunk, max(1, chunk // 2)))


_BEST_SLIPS: Slips = {
    "factor two forgotten": (
        lambda t, length: length**0.5,
        "that is √L, right for chunks that do not overlap. At half overlap there are twice as many: C ≈ 2 "
        "L / K.",
    ),
    "samples, not frames": (
        lambda t, length: (2 * t) ** 0.5,
        "you have counted samples. The RNNs see frames: the encoder makes one every `stride` samples.",
    ),
    "root forgotten": (
        lambda t, length: 2 * length,
        "K = C and C = 2 L / K give K² = 2 L, and K is its root.",
    ),
    "half inside the root": (
        lambda t, length: (length / 2) ** 0.5,
        "that is √(L / 2). At half overlap C ≈ L / P = 2 L / K: the two belongs above the line.",
    ),
}


def _judge_best(function: Callable) -> None:
    answers = [function(*case) for case in _BEST_CASES]
    _need_whole_numbers(answers, _BEST_CASES)
    sizes = [(round(s * r), frame_count(round(s * r), k, p)) for s, r, k, p in _BEST_CASES]
    for name, (slip, hint) in _BEST_SLIPS.items():
        guesses = [slip(*size) for size in sizes]
        if all(abs(a - g) <= 2 + 0.02 * g for a, g in zip(answers, guesses, strict=True)):
            raise Mistake(name, hint)
    for case, answer, (_, frames) in zip(_BEST_CASES, answers, sizes, strict=True):
        if answer != int(answer) or answer < 2 or int(answer) % 2:
            raise Mistake(
                "not even",
                f"for {case} you chose {answer}. Take an even whole number, so that P = K / 2 is exact.",
            )
        best = min(_longest(k, frames) for k in range(2, 4 * _even((2 * frames) ** 0.5), 2))
        if _longest(int(answer), frames) > 1.1 * best + 1:
            raise Mistake(
                "path too long",
                f"for {case}, L = {frames}: with K = {int(answer)} the longer RNN makes "
                f"{_longest(int(answer), frames)} steps, and {best} would do.",
            )


best_chunk = Exercise(
    id="02.5",
    title="choose a chunk size",
    task="Write `my_best_chunk(seconds, sample_rate, kernel_size, stride)`: an even chunk size K for "
    "which, at half overlap, the longer of the two RNNs is as short as it can be (within a tenth).",
    done_when="max(K, C) is within a tenth of the best for several durations, rates and kernels, and K is "
    "even.",
    judge=_judge_best,
    hints=(
        "First the frames: L = (T - kernel_size) // stride + 1, with T = seconds × sample_rate.",
        "K falls, C ≈ 2 L / K rises. The longer of the two is shortest where they are equal.",
        "√(2 L), and the even number next to it: `2 * round(x / 2)`.",
    ),
    solution="```python\ndef my_best_chunk(seconds, sample_rate, kernel_size, stride):\n"
    "    frames = (round(seconds * sample_rate) - kernel_size) // stride + 1\n"
    "    return 2 * round((2 * frames) ** 0.5 / 2)\n```",
    minutes=5,
    difficulty=1,
)
