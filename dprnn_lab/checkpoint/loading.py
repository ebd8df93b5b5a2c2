"""Load a DPRNN-TasNet from any checkpoint: read safely, identified, checked.

Formats: our own safetensors, Asteroid's packages, Lightning's ``.ckpt`` (Asteroid's and ours), a ``state_dict`` with
or without a prefix from DDP or a training loop, plain safetensors. Sources: a path, a bundled model, or a model on the
Hugging Face hub.

Loading is strict: every parameter must be in the file, with its shape, and nothing else may be.

Notebook: 06_failures_at_inference
"""

import os
import re
import warnings
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch.overrides import TorchFunctionMode

from ..model import DPRNNTasNet
from .contents import Contents
from .errors import CheckpointError, short
from .hub import locate
from .names import Named, rename
from .reading import read_file
from .report import LoadReport, assumption
from .settings import Conflict, Setting, resolve

__all__ = ["inspect_checkpoint", "load_model", "read_info"]

# What a configuration may ask for beyond the weights in the file: blocks or layers, numbers, a multiple of theirs.
_LAYERS, _NUMBERS, _TIMES = 200, 20_000_000, 4
_LITTLE = 0.05  # share of random weights with which a load that is not strict is still worth an offer


@overload
def load_model(
    path: str | os.PathLike,
    *,
    strict: bool = True,
    report: Literal[False] = False,
    prefix: str | None = None,
    allow_nonfinite: bool = False,
    device: str | torch.device = "cpu",
    **config: Any,
) -> DPRNNTasNet: ...


@overload
def load_model(
    path: str | os.PathLike,
    *,
    strict: bool = True,
    report: Literal[True],
    prefix: str | None = None,
    allow_nonfinite: bool = False,
    device: str | torch.device = "cpu",
    **config: Any,
) -> tuple[DPRNNTasNet, LoadReport]: ...


def load_model(
    path: str | os.PathLike,
    *,
    strict: bool = True,
    report: bool = False,
    prefix: str | None = None,
    allow_nonfinite: bool = False,
    device: str | torch.device = "cpu",
    **config: Any,
) -> DPRNNTasNet | tuple[DPRNNTasNet, LoadReport]:
    """The model in a file or on the hub, in evaluation mode.

    >>> load_model("small").n_src
    2

    Args:
        path: a file of any known format; a bundled model, ``"small"`` or ``"large"``; a folder that
            ``save_pretrained`` wrote; or a hub id, ``"user/name"`` or ``"user/name@revision"``.
        strict: whether anything missing, unexpected or of another shape is an error. With False everything that
            fits is loaded, the rest stays random, and a warning (or the report) counts both.
        report: return ``(model, report)``. The report replaces the warnings.
        prefix: which of several models in one file, such as raw and averaged weights: the beginning of its
            parameters' names or the key that it is stored under, such as ``"ema_model"``. None to find the only one.
        allow_nonfinite: load weights that contain NaN or infinities.
        device: where the model is to run. The file is always read on the CPU, so a checkpoint that was saved on a GPU
            opens on a machine without one.
        **config: arguments of :class:`DPRNNTasNet` that take precedence over the file's, such as
            ``chunk_size=250, stride=1``, which no shape determines.

    Raises:
        CheckpointError: the file can't be found or downloaded, is no checkpoint, is unsafe, or does not fit.
        TypeError: an unknown argument.
        ValueError: a device that this machine does not have.

    Warns:
        UserWarning: values had to be assumed (they are named), or a load that is not strict left some out.
    """
    _check_device(device)
    found, named, contents = _examine(path, prefix, config)
    problems = found.problems()
    if strict and not (found.complete and not found.conflicts):
        raise CheckpointError(_misfit(found, contents.arguments is not None))
    if not found.matched:
        raise CheckpointError(f"{found.path}: nothing of it fits: {'; '.join(problems)}")
    if found.nonfinite and not allow_nonfinite:
        raise CheckpointError(
            f"{found.path}: {problems[-1]}: the training diverged, or the file is damaged. Take an earlier checkpoint, "
            "or pass allow_nonfinite=True to look at it"
        )
    model = DPRNNTasNet(**found.config)
    state = model.state_dict()
    state.update({name: named.tensors[name] for name in found.matched})
    model.load_state_dict(state)
    if not report:
        if problems:
            warnings.warn(f"{found.path}: loaded in part: {'; '.join(problems)}", stacklevel=2)
        if found.assumed:
            warnings.warn(f"{found.path}: {assumption(found.assumed)}", stacklevel=2)
    model.eval().to(device)
    return (model, found) if report else model


def _check_device(device: str | torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device is {device!r}: {reason}. Leave it out to use the CPU") from error


def inspect_checkpoint(path: str | os.PathLike, *, prefix: str | None = None, **config: Any) -> LoadReport:
    """The report on a file, whether or not its weights fit; arguments as of :func:`load_model`.

    Raises:
        CheckpointError: the file can't be read at all.
    """
    return _examine(path, prefix, config)[0]


def read_info(path: str | os.PathLike, *, prefix: str | None = None) -> dict:
    """Configuration and training facts of a file: ``{"config": ..., "training": ...}``; ``prefix`` as of
    :func:`load_model`.
    """
    found = inspect_checkpoint(path, prefix=prefix)
    return {"config": found.config, "training": found.facts}


class _NoRandomStart(TorchFunctionMode):
    """Skip random initialisation: on the meta device PyTorch would import its compiler for it, which takes a second."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return args[0] if func is torch.Tensor.normal_ else func(*args, **(kwargs or {}))


def _examine(path: str | os.PathLike, prefix: str | None, config: dict) -> tuple[LoadReport, Named, Contents]:
    if prefix is not None and not isinstance(prefix, str):
        raise TypeError(f"prefix is {prefix!r}: give the beginning of the parameters' names as text")
    file = locate(path)
    contents = read_file(file, prefix)
    named = rename(file, contents.tensors, prefix)
    tensors = named.tensors
    settings, conflicts = resolve(file, contents, tensors, config)
    at_fault = (
        "the shapes of the weights do" if contents.arguments is None else "the configuration in the file does"
    )
    if config:
        at_fault = "the arguments given do"
    expected = _expected(file, settings, conflicts, tensors, at_fault)
    common = expected.keys() & tensors.keys()
    reshaped = {
        name: (list(tensors[name].shape), list(expected[name].shape))
        for name in sorted(common)
        if tensors[name].shape != expected[name].shape
    }
    matched = sorted(common - reshaped.keys())
    return (
        LoadReport(
            path=file,
            format=contents.format,
            naming=named.naming,
            prefix=named.prefix,
            settings=settings,
            matched=matched,
            missing=sorted(expected.keys() - tensors.keys()),
            unexpected=sorted([*named.unexpected, *(tensors.keys() - expected.keys())]),
            reshaped=reshaped,
            outside=named.outside,
            conflicts=conflicts,
            nonfinite={n: c for n in tensors if (c := int((~torch.isfinite(tensors[n])).sum()))},
            parameters=sum(tensors[name].numel() for name in matched),
            dtypes=sorted({str(t.dtype).removeprefix("torch.") for t in tensors.values()}),
            facts=contents.facts,
            others=[*contents.others, *named.others],
            random=sum(
                expected[name].numel() for name in expected if name not in tensors or name in reshaped
            ),
        ),
        named,
        contents,
    )


def _expected(
    file: Path,
    settings: dict[str, Setting],
    conflicts: list[Conflict],
    tensors: dict[str, torch.Tensor],
    at_fault: str,
) -> dict[str, torch.Tensor]:
    """The shapes of the model that the settings describe, checked to be of the size of the file's.

    Building it takes time for each block and, later, memory for each weight: a number in a file must not decide alone.
    """
    known = {c.argument: c for c in conflicts}
    for name in ("n_repeats", "num_layers"):
        size = settings[name].value
        if isinstance(size, int) and size > max(_LAYERS, len(tensors)):
            raise CheckpointError(f"{file}: {at_fault} not build a model: {_oversized(name, size, known)}")
    try:
        with torch.device("meta"), _NoRandomStart():  # shapes without numbers
            expected = DPRNNTasNet(**{name: setting.value for name, setting in settings.items()}).state_dict()
    except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        reason = short((str(error).splitlines() or [type(error).__name__])[0], 500)
        if conflicts and not isinstance(error, TypeError | ValueError):  # too large even for a shape
            reason = str(_worst(conflicts))
        elif (argument := reason.partition(" is ")[0]) in known and "the network would have" in reason:
            reason = str(known[argument])  # the weights say which size fits
        raise CheckpointError(f"{file}: {at_fault} not build a model: {reason}") from error
    there, needed = sum(t.numel() for t in tensors.values()), sum(t.numel() for t in expected.values())
    if needed > _NUMBERS + _TIMES * there:
        far_more = f"its {needed:,} weights are far more than the {there:,} in the file"
        reason = str(_worst(conflicts)) if conflicts else far_more
        raise CheckpointError(f"{file}: {at_fault} not build a model: {reason}")
    return expected


def _worst(conflicts: list[Conflict]) -> Conflict:
    return max(conflicts, key=lambda c: c.value if isinstance(c.value, int) else 0)


def _oversized(name: str, size: int, known: dict[str, Conflict]) -> str:
    reason = str(known[name]) if name in known else "no weights of so many are in the file"
    return reason if reason.startswith(name) else f"{name} is {size}: {reason}"


def _misfit(found: LoadReport, beside: bool) -> str:
    """The reason why a strict load fails, with the remedy."""
    share = found.random / max(1, found.random + found.parameters)
    if found.conflicts:
        values = ", ".join(f"{c.argument}={c.fits!r}" for c in found.conflicts)
        remedy = f"The values that fit: load_model(path, {values})"
    elif re.search(r"-of-\d+\.\w+$", found.path.name):
        remedy = "It is one of several files that make a model: give the .index.json beside it"
    elif share <= _LITTLE:
        left = (
            f"leaves {found.random:,} weights random, to be trained"
            if found.random
            else "leaves out the others"
        )
        remedy = (
            "Save the model again with save_model, or find the right file; load_model(path, strict=False) "
            f"loads what fits and {left}"
        )
    else:
        remedy = (
            "Save the model again with save_model, or find the right file: with what is here the network would be "
            f"random in {share:.0%} of its weights"
        )
    what = "the configuration beside them" if beside else "a model of the shapes they have"
    return f"{found.path}: the weights do not fit {what}: {'; '.join(found.problems())}. {remedy}"
