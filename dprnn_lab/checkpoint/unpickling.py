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
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.torch_version import TorchVersion

from .errors import CheckpointError, DamagedError, RefusedError, short
from .pickle_scan import LONGEST, Scan, scan

__all__ = ["HARMLESS", "RESAVE", "check_text_pickle", "foreign_names", "safe_load"]


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


RESAVE = "Where it was made, save the weights alone: torch.save(model.state_dict(), path)"


def safe_load(path: Path) -> object:
    """The object in a file of ``torch.save``, zip or older format, with its tensors on the CPU.

    Raises:
        CheckpointError: the file names anything beyond weights and :data:`HARMLESS` (no code of it was run), reading it
            would fill the memory, or it is damaged.
    """
    scans = list(_scans(path))
    for found in scans:
        if found.excess:
            raise RefusedError(
                f"{path}: refused, nothing of it was run: {found.excess}, which no checkpoint needs. {RESAVE}"
            )
    if not all(found.complete for found in scans):
        raise _cut_off(path, "its pickle is not complete")
    try:
        return _load(path)
    except pickle.UnpicklingError as error:
        names = sorted(foreign_names(path))
        if names:
            raise RefusedError(_refusal(path, names)) from error
        raise RefusedError(
            f"{path}: refused, nothing of it was run: {_dialect(scans, error)}. {RESAVE}"
        ) from error
    except Exception as error:  # the exception depends on where the file is damaged
        if isinstance(error, EOFError) or "EOF" in str(error):
            raise _cut_off(path, _first_line(error)) from error
        if "magic number" in str(error):
            raise CheckpointError(f"{path}: {_dialect(scans, error)}. {RESAVE}") from error
        raise CheckpointError(
            f"{path}: its content can't be rebuilt ({_first_line(error)}): it was changed, or saved by a PyTorch "
            f"whose format is unknown to version {torch.__version__}. {RESAVE}"
        ) from error


def _dialect(scans: list[Scan], error: Exception) -> str:
    """Why the safe reader does not take a pickle in which nothing is foreign."""
    protocol = max((found.protocol for found in scans), default=0)
    if "magic number" in str(error):
        return "it was written by pickle, not by torch.save"
    if protocol > 2:
        return f"it was written with pickle_protocol={protocol}, PyTorch's default is 2"
    cause = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
    return f"the safe reader does not take its pickle: {short(cause[1] if cause else error, 200)}"


def _load(path: Path) -> object:
    """Read with the safe reader; texts of Python 2 that are not UTF-8 as Latin-1."""
    for encoding in ("utf-8", "latin1"):
        try:
            # An open file: with a path, torch.load would choose the format by its ending.
            with (
                path.open("rb") as file,
                warnings.catch_warnings(),
                torch.serialization.safe_globals(HARMLESS),
            ):
                warnings.simplefilter("ignore")  # about the age of a format: what matters is in our errors
                return torch.load(file, map_location="cpu", weights_only=True, encoding=encoding)
        except UnicodeDecodeError:
            if encoding == "latin1":
                raise
    raise AssertionError("unreachable")


def _first_line(error: Exception) -> str:
    return short(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}", 200)


def _cut_off(path: Path, reason: str) -> DamagedError:
    return DamagedError(
        f"{path}: not a whole file of torch.save ({path.stat().st_size} bytes): truncated or damaged ({reason})"
    )


def _refusal(path: Path, names: list[str]) -> str:
    shown = ", ".join(short(name) for name in names[:6]) + (
        f" and {len(names) - 6} more" if len(names) > 6 else ""
    )
    start = f"{path}: refused, nothing of it was run: "
    if any(name.startswith("torch.distributed.") for name in names):
        return (
            f"{start}its tensors are parts of a distributed model ({shown}). Where it was made, gather them: "
            "torch.distributed.checkpoint.state_dict.get_model_state_dict with full_state_dict=True"
        )
    layers = [name for name in names if re.match(r"torch\.nn\.(?!parameter)|asteroid", name)]
    if layers and all(".loss" in name for name in layers):
        return (
            f"{start}beside the weights the file holds a loss, pickled with its class ({shown}). Where it was made, "
            "save the weights alone: torch.save({'state_dict': module.state_dict()}, path); in Lightning "
            "save_hyperparameters(ignore=[...]) keeps such objects out"
        )
    if layers:
        return (
            f"{start}the file holds a whole model, pickled with its classes ({shown}). "
            f" Where it was made, save the weights alone: torch.save(model.state_dict(), path), or "
            "torch.save(model.serialize(), path) for an Asteroid model"
        )
    return (
        f"{start}the file names {shown}, which weights do not need, and a pickle may call what it names. Ask its "
        "author for a .safetensors file or a plain state_dict"
    )


def check_text_pickle(path: Path) -> None:
    """Raise if a file is a pickle of protocol 0 or 1, which begin with no mark, and which PyTorch does not read.

    Raises:
        RefusedError: it is one.
    """
    with path.open("rb") as file:
        content = file.read(2**20)
    if content[:1] not in (
        b"(",
        b"c",
        b"L",
        b"I",
        b"l",
        b"F",
        b"V",
        b"S",
        b"N",
        b"d",
        b"}",
        b"]",
        b"K",
        b"G",
    ):
        return
    found = scan(content, len(content))
    if found.complete and found.protocol < 2:
        names = sorted(foreign_names(path))
        dialect = f"{path}: refused, nothing of it was run: it is a pickle of protocol 0 or 1, as in Python 2. {RESAVE}"
        raise RefusedError(_refusal(path, names) if names else dialect)


def foreign_names(path: Path) -> set[str]:
    """The names in a file's pickles beyond weights and :data:`HARMLESS`, as ``module.name``.

    The pickle is read as a list of instructions; none is executed.
    """
    allowed = {f"{o.__module__}.{o.__qualname__}" if not isinstance(o, tuple) else o[1] for o in HARMLESS}
    names = {name for found in _scans(path, everything=True) for name in found.names}
    return {name for name in names if name not in allowed and not _OWN.fullmatch(name)}


def _scans(path: Path, everything: bool = False) -> Iterator[Scan]:
    """What the pickles of a file would do; of an archive the one that is read, or each of them."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                yield scan(file.read(LONGEST), size)
                return
            with zipfile.ZipFile(file) as archive:
                available = sum(member.file_size for member in archive.infolist())
                for member in archive.infolist():
                    if member.filename.endswith(".pkl" if everything else "data.pkl"):
                        with archive.open(member) as stream:
                            yield scan(stream.read(LONGEST), available)
    except Exception:  # what a damaged archive raises depends on where it is damaged
        yield Scan()
