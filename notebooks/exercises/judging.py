"""What the checks of several notebooks share: reading answers, comparing them, naming the mistake.

The hints of the mistakes that are named here stand in ``judging.md``.

A check asks with inputs of its own, always the same. Graded work asks once more, with others: within
``other_inputs(variant)`` every seed and every list of cases that a check takes from :func:`seeded`, :func:`noise` and
:func:`varied` is another one.
"""

import copy
import inspect
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import Any, TypeVar

import numpy as np
import torch

from .exercise import Exercise, Mistake

__all__ = [
    "ask", "compare_cases", "compare_numbers", "compare_tensors", "generator", "need_number", "need_numbers",
    "need_shape", "need_tensor", "noise", "on_strided", "other_inputs", "recognise", "recognise_cases", "same",
    "seeded", "shuffled", "varied",
]  # fmt: skip

T = TypeVar("T")

_variant = 0  # of the inputs of all checks; 0: those of the notebooks


@contextmanager
def other_inputs(variant: int) -> Iterator[None]:
    """Within the block the checks ask with other inputs, the same for the same variant; 0 are those of the notebooks.

    Raises:
        ValueError: a negative variant.
    """
    global _variant
    if variant < 0:
        raise ValueError(f"variant is {variant}: it must be 0 (the inputs of the notebooks) or more")
    before, _variant = _variant, variant
    try:
        yield
    finally:
        _variant = before


def seeded(seed: int) -> int:
    """A seed of a check's inputs: the one given, or another one for graded work."""
    return seed + 1_000_003 * _variant


def varied(cases: T, draw: Callable[[random.Random], T]) -> T:
    """A check's own cases, or for graded work those that ``draw`` makes."""
    return draw(random.Random(_variant)) if _variant else cases


def shuffled(items: Sequence) -> list:
    """The items in their order, or for graded work in another one, which is never the same."""
    items = list(items)
    if not _variant:
        return items
    order = list(range(len(items)))
    rng = random.Random(_variant)
    while order == sorted(order):
        rng.shuffle(order)
    return [items[i] for i in order]


def generator(seed: int) -> torch.Generator:
    """A generator of a check's inputs."""
    return torch.Generator().manual_seed(seeded(seed))


def noise(*shape: int, seed: int) -> torch.Tensor:
    """Normal noise in float64, the same for the same shape and seed."""
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def ask(function: Callable, inputs: Sequence) -> Any:
    """What the answer returns for copies of the inputs."""
    return function(*copy.deepcopy(tuple(inputs)))


# Reading an answer


def need_tensor(answer: object) -> torch.Tensor:
    """The answer, if it is a tensor."""
    if not isinstance(answer, torch.Tensor):
        raise Mistake("not a tensor", found=type(answer).__name__)
    return answer


def need_shape(answer: torch.Tensor, wanted: torch.Tensor) -> None:
    """The answer has the shape of ``wanted``."""
    if answer.shape != wanted.shape:
        raise Mistake("wrong shape", found=list(answer.shape), wanted=list(wanted.shape))


def need_number(answer: object) -> float:
    """One finite number; a tensor or an array with one element counts, True and False do not."""
    if isinstance(answer, torch.Tensor | np.ndarray) and math.prod(answer.shape) == 1:
        answer = answer.item()
    if isinstance(answer, bool | np.bool_) or not isinstance(answer, Real) or not math.isfinite(answer):
        raise Mistake("not a number", found=repr(answer))
    return answer


def need_numbers(answer: object, count: int | None = None) -> torch.Tensor:
    """The answer as a float64 tensor ``[count]``, or of its own shape without ``count``.

    Tensors, arrays, sequences of numbers and single numbers count.
    """
    try:
        if isinstance(answer, torch.Tensor):
            numbers = answer.detach().double()
        elif isinstance(answer, bool | str):
            raise TypeError
        else:
            numbers = torch.from_numpy(np.array(answer, dtype=np.float64))
    except (TypeError, ValueError):
        raise Mistake("not a number", found=type(answer).__name__) from None
    if count is None:
        return numbers
    if numbers.numel() != count:
        raise Mistake("wrong count", found=numbers.numel())
    return numbers.flatten()


# Comparing it


def same(answer: Any, wanted: Any, tolerance: float = 1e-5) -> bool:
    """Whether tensors agree in shape and numbers, whatever the dtype; other values are equal."""
    if not isinstance(wanted, torch.Tensor):
        return answer == wanted
    if not isinstance(answer, torch.Tensor) or answer.shape != wanted.shape:
        return False
    return torch.allclose(answer.to(wanted.dtype), wanted, atol=tolerance)


def recognise(
    answer: Any,
    exercise: Exercise,
    inputs: Sequence,
    read: Callable[[Any], Any] = lambda answer: answer,
    alike: Callable[[Any, Any], bool] = same,
) -> None:
    """Raise the first typical mistake of the sheet that gives the answer; ``read`` prepares what it returns."""
    for name, wrong in exercise.known.items():
        if alike(answer, read(ask(wrong, inputs))):
            raise Mistake(name)


def compare_tensors(
    answer: object, wanted: torch.Tensor, exercise: Exercise, inputs: Sequence | None = None
) -> None:
    """The answer is the tensor ``wanted`` in shape, numbers and dtype.

    With the ``inputs`` that it answers, the typical mistakes are recognised.
    """
    answer = need_tensor(answer)
    if inputs is not None:
        recognise(answer, exercise, inputs)
    need_shape(answer, wanted)
    if not same(answer, wanted):
        raise Mistake("other numbers", worst=f"{float((answer - wanted).abs().max()):.3g}")
    if answer.dtype != wanted.dtype:
        raise Mistake("precision lost", found=answer.dtype, wanted=wanted.dtype)


def compare_numbers(
    answer: torch.Tensor,
    wanted: torch.Tensor,
    exercise: Exercise,
    inputs: Sequence,
    tolerance: float,
    read: Callable[[Any], torch.Tensor] = need_numbers,
    **values: object,
) -> None:
    """The numbers of an answer, as ``read`` gives them, are those wanted; ``values`` are for the hint."""

    def alike(one, other):
        return same(one, other, tolerance)

    if alike(answer, wanted):
        return
    recognise(answer, exercise, inputs, lambda wrong: read(wrong).reshape(answer.shape), alike)
    raise Mistake("other numbers", found=_rounded(answer), wanted=_rounded(wanted), **values)


def recognise_cases(
    answers: Sequence,
    exercise: Exercise,
    cases: Sequence[tuple],
    read: Callable[[Any], Any] = lambda answer: answer,
    alike: Callable[[Any, Any], bool] = same,
) -> None:
    """Raise the first typical mistake that gives the answer of every case."""
    for name, wrong in exercise.known.items():
        if all(alike(answer, read(ask(wrong, case))) for case, answer in zip(cases, answers, strict=True)):
            raise Mistake(name)


def compare_cases(
    function: Callable,
    exercise: Exercise,
    cases: Sequence[tuple],
    read: Callable[[Any], Any] = lambda answer: answer,
    alike: Callable[[Any, Any], bool] = same,
    otherwise: str = "other numbers",
) -> None:
    """The answer is right in every case; ``read`` turns what it returns into something to compare, or refuses it.

    The hint of the mistake ``otherwise`` gets the arguments of the first wrong case by their names, the answer and
    the right one.
    """
    answers = [read(ask(function, case)) for case in cases]
    wanted = [read(ask(exercise.right, case)) for case in cases]
    if all(map(alike, answers, wanted)):
        return
    recognise_cases(answers, exercise, cases, read, alike)
    for case, mine, theirs in zip(cases, answers, wanted, strict=True):
        if not alike(mine, theirs):
            given = inspect.signature(exercise.right).bind(*case).arguments
            raise Mistake(otherwise, **given, found=_rounded(mine), wanted=_rounded(theirs))


def on_strided(function: Callable, wanted: torch.Tensor, inputs: Sequence) -> None:
    """The same question with tensors that are not contiguous in memory."""
    strided = [x.mT.contiguous().mT if isinstance(x, torch.Tensor) and x.dim() > 1 else x for x in inputs]
    try:
        right = same(function(*strided), wanted)
    except RuntimeError:
        right = False
    if not right:
        raise Mistake("needs contiguous memory")


def _rounded(value: Any) -> Any:
    """For a hint."""
    if isinstance(value, torch.Tensor):
        return [_rounded(v) for v in value.tolist()] if value.dim() else _rounded(value.item())
    return round(value, 4) if isinstance(value, float) else value
