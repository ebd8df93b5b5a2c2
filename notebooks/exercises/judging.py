"""What the judges of several notebooks share: comparing tensors, and naming what is wrong with them."""

from collections.abc import Callable, Mapping

import torch

from .exercise import Mistake

__all__ = ["need_numbers", "need_shape", "need_tensor", "on_strided", "recognise", "same"]


def same(answer: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether shape and numbers agree, whatever the dtype."""
    return answer.shape == wanted.shape and torch.allclose(answer.to(wanted.dtype), wanted, atol=1e-5)


def need_tensor(answer, what: str = "a tensor") -> torch.Tensor:
    """The answer, if it is a tensor; ``what`` says which one is wanted."""
    if not isinstance(answer, torch.Tensor):
        raise Mistake(
            "not a tensor", f"your function returned {type(answer).__name__}; it should return {what}."
        )
    return answer


def need_shape(answer: torch.Tensor, wanted: torch.Tensor, meaning: str) -> None:
    """The shape of ``wanted``; ``meaning`` explains its axes."""
    if answer.shape != wanted.shape:
        raise Mistake(
            "wrong shape",
            f"your result has shape {list(answer.shape)}, expected {list(wanted.shape)}: {meaning}.",
        )


def recognise(answer: torch.Tensor, slips: Mapping[str, tuple[torch.Tensor, str]]) -> None:
    """Raise the first named slip, ``name: (its result, its hint)``, whose result the answer equals."""
    for name, (result, hint) in slips.items():
        if same(answer, result):
            raise Mistake(name, hint)


def need_numbers(answer: torch.Tensor, wanted: torch.Tensor, advice: str) -> None:
    """The numbers and the dtype of ``wanted``, whose shape the answer has."""
    if not same(answer, wanted):
        worst = float((answer - wanted).abs().max())
        raise Mistake(
            "other numbers",
            f"the shape is right, the numbers are not: they differ by up to {worst:.3g}. {advice}",
        )
    if answer.dtype != wanted.dtype:
        raise Mistake(
            "precision lost",
            f"for {wanted.dtype} input the result is {answer.dtype}. New tensors should follow the input: "
            "`x.new_zeros(...)`, or `torch.zeros(..., dtype=x.dtype)`.",
        )


def on_strided(function: Callable, wanted: torch.Tensor, *inputs) -> None:
    """The same question with tensors that are not contiguous in memory."""
    strided = [x.mT.contiguous().mT if isinstance(x, torch.Tensor) and x.dim() > 1 else x for x in inputs]
    try:
        right = same(function(*strided), wanted)
    except RuntimeError:
        right = False
    if not right:
        raise Mistake(
            "needs contiguous memory",
            "right for a fresh tensor, wrong for one that is not contiguous in memory, as slices and "
            "transposed tensors are not: use `reshape` in place of `view`.",
        )
