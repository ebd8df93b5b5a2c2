"""Checks of what the losses get: one sentence in place of a broadcast that hides a mistake, or of NaN.

Notebook: 03_loss_and_pit
"""

import torch

__all__ = ["check_function", "check_matrix", "check_order", "check_pair", "check_signals"]


def check_pair(
    estimates: object, targets: object, dims: int, name: str, more: bool = False, floating: bool = True
) -> None:
    """Raise unless both are tensors of equal shapes, of ``dims`` axes (with ``more`` at least as many), and not empty.

    Args:
        name: of the loss, for the message.
        floating: whether whole numbers are refused.

    Raises:
        TypeError: no tensors, or whole numbers.
        ValueError: other shapes.
    """
    estimates, targets = _tensors(estimates, targets, name, floating)
    enough = estimates.dim() >= dims if more else estimates.dim() == dims
    last = "..." if more else "time"
    wanted = {2: f"[batch, {last}]", 3: f"[batch, source, {last}]"}[dims]
    if estimates.shape != targets.shape or not enough:
        raise ValueError(
            f"{name}: estimates have shape {list(estimates.shape)} and targets {list(targets.shape)}, "
            f"expected two equal shapes {wanted}"
        )
    if estimates.numel() == 0:
        raise ValueError(
            f"{name}: estimates and targets have shape {list(estimates.shape)}, which is empty: every axis of "
            f"{wanted} needs a length of at least 1"
        )


def check_signals(estimates: object, targets: object, name: str) -> None:
    """Raise unless both are tensors ``[..., T]`` of the same T, at least 1; the other axes may broadcast.

    Raises:
        TypeError: no tensors, or whole numbers.
        ValueError: other lengths: broadcast along time, one sample would be compared with all.
    """
    estimates, targets = _tensors(estimates, targets, name, floating=True)
    lengths = [t.shape[-1] if t.dim() else None for t in (estimates, targets)]
    if lengths[0] != lengths[1] or not lengths[0]:
        raise ValueError(
            f"{name}: estimates have shape {list(estimates.shape)} and targets {list(targets.shape)}: expected "
            "[..., time] with the same number of samples, at least 1"
        )


def _tensors(
    estimates: object, targets: object, name: str, floating: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    found = []
    for value, what in ((estimates, "estimates"), (targets, "targets")):
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"{name}: {what} are {type(value).__name__}: give a tensor, torch.as_tensor({what})"
            )
        if floating and not (value.is_floating_point() or value.is_complex()):
            raise TypeError(f"{name}: {what} are {value.dtype}: convert them with {what}.float()")
        found.append(value)
    return found[0], found[1]


def check_function(value: object, name: str) -> None:
    """Raise TypeError unless the value can be called."""
    if not callable(value):
        raise TypeError(f"{name} is {value!r}: give a function, such as pairwise_neg_sisdr for loss_func")


def check_matrix(matrix: object) -> int:
    """The number of sources S of pairwise losses ``[B, S, S]``.

    Raises:
        TypeError: no tensor of floating point.
        ValueError: another shape, or an empty one.
    """
    if not isinstance(matrix, torch.Tensor) or not matrix.is_floating_point():
        kind = matrix.dtype if isinstance(matrix, torch.Tensor) else type(matrix).__name__
        raise TypeError(
            f"pair_wise_losses are {kind}: give a tensor of floating point, [batch, source, source]"
        )
    if matrix.dim() != 3 or matrix.shape[1] != matrix.shape[2] or matrix.numel() == 0:
        raise ValueError(
            f"pair_wise_losses have shape {list(matrix.shape)}, expected [batch, source, source], none of them 0"
        )
    return matrix.shape[1]


def check_order(sources: object, order: object) -> None:
    """Raise unless ``order`` ``[B, S]`` names sources of ``sources`` ``[B, S, ...]``.

    Raises:
        TypeError: no tensors, or an order that is not of whole numbers.
        ValueError: shapes that do not fit, or (on the CPU, where looking is free) a source that is not there.
    """
    if not isinstance(sources, torch.Tensor) or not isinstance(order, torch.Tensor):
        kinds = f"{type(sources).__name__} and {type(order).__name__}"
        raise TypeError(f"sources and order are {kinds}: give tensors")
    if order.dtype != torch.int64:
        raise TypeError(f"order is {order.dtype}: give whole numbers, order.long()")
    if order.dim() != 2 or sources.dim() < 2 or order.shape != sources.shape[:2] or order.numel() == 0:
        raise ValueError(
            f"order has shape {list(order.shape)} and the sources {list(sources.shape)}: expected [batch, source] and "
            "[batch, source, ...] with at least one of each"
        )
    if order.device.type == "cpu" and not torch.compiler.is_compiling():
        lowest, highest = int(order.min()), int(order.max())
        if lowest < 0 or highest >= order.shape[1]:
            raise ValueError(
                f"order has values from {lowest} to {highest}: they number the sources, from 0 to {order.shape[1] - 1}"
            )
