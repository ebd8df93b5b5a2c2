"""Read a file of ``torch.save`` without running code from it.

A pickle is a small program: it names functions of any installed module and calls them. A "checkpoint" can
therefore delete a home folder, before the first weight is read. PyTorch's ``weights_only=True`` reads the same files
with an interpreter that calls only the few functions that rebuild tensors, and those that are explicitly allowed.
:data:`HARMLESS` lists what is allowed here in addition:

========================================  ====================================================================
in the file                               why it is there, and why it is harmless
========================================  ====================================================================
``torch.torch_version.TorchVersion``      Asteroid writes the version of PyTorch into each package; a string
numpy scalars, arrays and dtypes          scores and losses; numbers only: arrays of objects stay refused
``argparse.Namespace``                    the options of old training scripts; attributes only
Lightning's ``AttributeDict``             hyper-parameters; read as a plain dictionary
``pathlib`` paths                         the folder of a run; read as *pure* paths, which can't access a disk
========================================  ====================================================================

The states of optimisers, schedulers and Lightning's callbacks are numbers, text and tensors and need nothing
more. A whole model (``torch.save(model)``) names its classes and is refused; its ``state_dict`` is accepted.

Notebook: 06_failures_at_inference
"""

import argparse
import pathlib
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch.torch_version import TorchVersion

from .errors import CheckpointError

__all__ = ["HARMLESS", "foreign_names", "safe_load"]


def _harmless() -> list:
    """The items that ``torch.serialization.safe_globals`` takes: an object, or a pair of an object and its name."""
    # NumPy's rebuilding functions moved between modules; numbers and arrays refer to the installed ones.
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    allowed: list = [argparse.Namespace, TorchVersion, np.ndarray, np.dtype]
    allowed += [type(np.dtype(code)) for code in "?bhilqBHILQefdFD"]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since NumPy 2
        allowed += [(scalar, f"{module}.scalar"), (array, f"{module}._reconstruct")]
    for module in (
        "pytorch_lightning.utilities.parsing",
        "lightning.pytorch.utilities.parsing",
        "lightning_fabric.utilities.data",
        "lightning.fabric.utilities.data",
    ):
        allowed.append((dict, f"{module}.AttributeDict"))
    for module in ("pathlib", "pathlib._local"):  # the second in Python 3.13
        for kind, pure in (("Posix", pathlib.PurePosixPath), ("Windows", pathlib.PureWindowsPath)):
            allowed += [(pure, f"{module}.{kind}Path"), (pure, f"{module}.Pure{kind}Path")]
    return allowed


HARMLESS = _harmless()

# Names that PyTorch's safe reader accepts by itself; used only to leave them out of a message.
_OWN = re.compile(
    r"collections\.(OrderedDict|Counter)|_codecs\.encode|(builtins|__builtin__)\.(set|bytearray|complex)"
    r"|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.serialization\._get_layout"
    r"|torch\.nn\.parameter\.Parameter|torch\.storage\.\w+|torch\.(cuda\.)?\w+(Storage|Tensor)"
    r"|torch\.(Size|Tensor|device|bool|[a-z]*float\w+|u?int\d+|complex\d+|per_\w+|qu?int\w+)"
)


def safe_load(path: Path) -> object:
    """The object in a file of ``torch.save``, zip or older format, with its tensors on the CPU.

    Raises:
        CheckpointError: the file names anything beyond weights and :data:`HARMLESS` (no code of it was run), or it is
            damaged.
    """
    try:
        # An open file: with a path, torch.load would choose the format by its ending.
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
            torch.serialization.safe_globals(HARMLESS),
        ):
            warnings.simplefilter("ignore")  # about the age of a format: what matters is in our errors
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        names = sorted(foreign_names(path))
        if not names:
            cause = re.search(r"WeightsUnpickler error:\s*(.+)", str(error)) or [None, error]
            raise CheckpointError(
                f"{path}: refused, nothing of it was run: the safe reader does not take its pickle "
                f"({cause[1]}). Where it was made, save the weights alone: "
                "torch.save(model.state_dict(), path)"
            ) from error
        raise CheckpointError(_refusal(path, names)) from error
    except Exception as error:  # the exception depends on where the file is damaged
        raise CheckpointError(
            f"{path}: not a whole file of torch.save ({path.stat().st_size} bytes): "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}. Download it again"
        ) from error


def _refusal(path: Path, names: list[str]) -> str:
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    if any(re.match(r"torch\.nn\.|asteroid", name) for name in names):
        return (
            f"{path}: refused, nothing of it was run: the file holds a whole model, pickled with its classes "
            f"({shown}). Where it was made, save the weights alone: torch.save(model.state_dict(), path), or "
            "torch.save(model.serialize(), path) for an Asteroid model"
        )
    return (
        f"{path}: refused, nothing of it was run: the file names {shown}, which weights do not need, and a "
        "pickle may call what it names. Ask its author for a .safetensors file or a plain state_dict"
    )


def foreign_names(path: Path) -> set[str]:
    """The names in a file's pickles beyond weights and :data:`HARMLESS`, as ``module.name``.

    The pickle is read as a list of instructions; none is executed.
    """
    allowed = {f"{o.__module__}.{o.__qualname__}" if not isinstance(o, tuple) else o[1] for o in HARMLESS}
    return {name for name in _names(path) if name not in allowed and not _OWN.fullmatch(name)}


def _names(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    if member.endswith(".pkl"):
                        yield from _names_in_pickle(archive.open(member))
        else:
            file.seek(0)
            yield from _names_in_pickle(file)


def _names_in_pickle(stream: IO[bytes]) -> Iterator[str]:
    """Names in the pickles at the start of a stream (the older format has several, then raw data)."""
    texts: list[str] = []  # pushed so far; the last two are a STACK_GLOBAL's module and name
    memo: dict[Any, Any] = {}
    last: Any = None
    try:
        while True:
            value: Any
            for opcode, value, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    yield value.replace(" ", ".")
                elif opcode.name == "STACK_GLOBAL":
                    yield ".".join(texts[-2:]) or "(a name made up by the pickle)"
                elif opcode.name == "MEMOIZE":
                    memo[len(memo)] = last
                elif "PUT" in opcode.name:
                    memo[value] = last
                elif "GET" in opcode.name and memo.get(value) is not None:
                    texts.append(memo[value])
                if isinstance(value, str) and "UNICODE" in opcode.name:
                    texts.append(value)
                if not ("PUT" in opcode.name or opcode.name in ("MEMOIZE", "FRAME")):
                    last = value if "UNICODE" in opcode.name else None
    except (ValueError, IndexError, EOFError, UnicodeDecodeError):
        return  # the end of the pickles
