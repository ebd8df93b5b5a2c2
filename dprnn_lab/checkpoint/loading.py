"""Load a DPRNN-TasNet from any checkpoint: read safely, identified, checked.

Formats: our own safetensors, Asteroid's packages, Lightning's ``.ckpt`` (Asteroid's and ours), a ``state_dict`` with
or without a prefix from DDP or a training loop, plain safetensors. Sources: a path, a bundled model, or a model on the
Hugging Face hub.

Loading is strict: every parameter must be in the file, with its shape, and nothing else may be.

Notebook: 06_failures_at_inference
"""

import os
import warnings
from typing import Any, Literal, overload

import torch
from torch.overrides import TorchFunctionMode

from ..model import DPRNNTasNet
from .errors import CheckpointError
from .hub import locate
from .names import Named, rename
from .reading import Contents, read_file
from .report import LoadReport, assumption
from .settings import resolve

__all__ = ["inspect_checkpoint", "load_model", "read_info"]


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
        prefix: the prefix of the parameters' names in the file; None to find it.
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


def read_info(path: str | os.PathLike) -> dict:
    """Configuration and training facts of a file: ``{"config": ..., "training": ...}``."""
    found = inspect_checkpoint(path)
    return {"config": found.config, "training": found.facts}


class _NoRandomStart(TorchFunctionMode):
    """Skip random initialisation: on the meta device PyTorch would import its compiler for it, which takes a second."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return args[0] if func is torch.Tensor.normal_ else func(*args, **(kwargs or {}))


def _examine(path: str | os.PathLike, prefix: str | None, config: dict) -> tuple[LoadReport, Named, Contents]:
    file = locate(path)
    contents = read_file(file)
    named = rename(file, contents.tensors, prefix)
    tensors = named.tensors
    settings, conflicts = resolve(file, contents, tensors, config)
    try:
        with torch.device("meta"), _NoRandomStart():  # shapes without numbers
            expected = DPRNNTasNet(**{name: setting.value for name, setting in settings.items()}).state_dict()
    except (TypeError, ValueError) as error:
        at_fault = "the arguments given do" if config else "the configuration in the file does"
        raise CheckpointError(f"{file}: {at_fault} not build a model: {error}") from error
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
        ),
        named,
        contents,
    )


def _misfit(found: LoadReport, beside: bool) -> str:
    """The reason why a strict load fails, with the remedy."""
    if found.conflicts:
        values = ", ".join(f"{c.argument}={c.fits!r}" for c in found.conflicts)
        remedy = f"The values that fit: load_model(path, {values})"
    else:
        remedy = (
            "Save the model again with save_model, or find the right file; load_model(path, strict=False) "
            "loads what fits and leaves the rest random"
        )
    what = "the configuration beside them" if beside else "a model of the shapes they have"
    return f"{found.path}: the weights do not fit {what}: {'; '.join(found.problems())}. {remedy}"
