"""Read a file: tensors under its own names, arguments, training facts.

The format is detected from the first bytes, never from the ending. Most "broken checkpoints" are something else with
the name of one: a web page, a git-lfs pointer, half a download.

Notebook: 06_failures_at_inference
"""

import json
import re
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from .archives import check_archive, check_header, check_one_format, siblings
from .contents import Contents, sort_out
from .errors import CheckpointError, DamagedError, short
from .facts import plain
from .find_weights import check_tensors
from .folders import in_folder, shards
from .saving import FORMAT
from .unpickling import check_text_pickle, safe_load

__all__ = ["Contents", "read_file"]


def read_file(path: Path, prefix: str | None = None) -> Contents:
    """Read a checkpoint of any known format.

    Args:
        prefix: which of several models in the file, as for :func:`dprnn_lab.load_model`.

    Raises:
        CheckpointError: no such file, or not a checkpoint; the message says what the file looks like.
    """
    try:
        if path.is_dir():
            raise CheckpointError(in_folder(path))
        if not path.is_file():
            raise CheckpointError(
                f"{path}: no such file; give the path of a .safetensors file (or .pth, .ckpt)"
            )
        if path.name.endswith(".index.json"):
            return _read_shards(path)
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise CheckpointError(
            f"{path}: can't be read: {error.strerror}. Change its permissions, or copy it"
        ) from error
    if head[4:9] == b"\0\0\0\0{":  # the length of the header in eight bytes, then the header as JSON
        check_header(path)
        check_one_format(path, "a safetensors file")
        return _read_safetensors(path, head)
    if head[:4] == b"PK\x03\x04":
        _check_zip(path, head)
        return sort_out(path, safe_load(path), prefix)
    if head[:1] == b"\x80":  # a pickle: torch.save before 1.6, or no torch file at all
        check_one_format(path, "a pickle")
        return sort_out(path, _loaded_whole(path), prefix)
    reason = _mistaken_for(head)
    if reason is None:
        check_text_pickle(path)
    kind = "whole safetensors file" if path.suffix == ".safetensors" else "checkpoint"
    kind_of_error = CheckpointError
    if not head:
        kind_of_error, reason = DamagedError, f"the file is empty. {siblings(path)}"
    elif reason is None:
        kind_of_error = DamagedError
        reason = f"it begins like no checkpoint known here. {siblings(path)}"
    raise kind_of_error(f"{path}: not a {kind} ({_size(path, head)}): {reason}")


def _loaded_whole(path: Path) -> object:
    """The object in a file of the older format; of a damaged file the error names the other checkpoints."""
    try:
        return safe_load(path)
    except DamagedError as error:
        raise DamagedError(f"{error}. {siblings(path)}") from error


def _size(path: Path, head: bytes) -> str:
    return f"{path.stat().st_size} bytes, beginning with {head[:8]!r}"


def _mistaken_for(head: bytes) -> str | None:
    """Name the kind of a file that is no checkpoint, with the remedy."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"version https://git-lfs"):
        size = re.search(rb"size (\d+)", text)
        whole = f" of {int(size[1]):,} bytes" if size else ""
        return f"it is the pointer that git-lfs leaves in the place of a file{whole}. Run git lfs pull"
    if text.startswith(b"<"):
        return (
            "it is a web page (HTML or XML) saved under this name. Use the download link of the page, not "
            "the address of the page"
        )
    if text.startswith((b"{", b"[")):
        return "it is JSON text, perhaps a server's error message. Open it in an editor, then download again"
    if head.startswith(b"\x1f\x8b"):
        return "it is compressed with gzip. Unpack it first"
    if head.startswith(b"\x89HDF"):
        return "it is an HDF5 file, as Keras writes it; DPRNN-TasNet checkpoints are PyTorch's"
    return None


def _read_safetensors(path: Path, head: bytes) -> Contents:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
    except Exception as error:  # SafetensorError; PyTorch's own for types and shapes that it does not have
        kind = DamagedError if isinstance(error, SafetensorError) else CheckpointError
        reason = _mistaken_for(head) or f"{short(error, 300)}. {siblings(path)}"
        raise kind(f"{path}: not a whole safetensors file ({_size(path, head)}): {reason}") from error
    tensors = check_tensors(path, tensors)
    if metadata.get("format") != FORMAT or "config" not in metadata:
        return Contents("safetensors without a configuration", tensors)
    try:
        config, facts = json.loads(metadata["config"]), dict(json.loads(metadata.get("training", "{}")))
    except (TypeError, ValueError, RecursionError) as error:
        raise DamagedError(
            f"{path}: the text in its header is damaged: {short(error)}. Download or save it again"
        ) from error
    return Contents(f"{FORMAT} (safetensors)", tensors, config, facts=plain(facts))


def _read_shards(path: Path) -> Contents:
    """A model in several files, as an index lists them."""
    tensors: dict[str, torch.Tensor] = {}
    for part in shards(path):
        tensors |= read_file(part).tensors
    return Contents("files listed in an index", check_tensors(path, tensors))


def _check_zip(path: Path, head: bytes) -> None:
    """Check a zip archive: ``torch.save`` since 1.6. Its table of contents is at its end: a truncated file has none.

    The archive has a checksum of each tensor, which ``torch.load`` ignores; it is checked here.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            check_archive(path, archive)
            damaged = archive.testzip()
    except CheckpointError:
        raise
    except Exception as error:  # what a damaged archive raises depends on where it is damaged
        cut = isinstance(error, zipfile.BadZipFile) and "not a zip file" in str(error)
        raise DamagedError(
            f"{path}: not a whole file of torch.save ({_size(path, head)}): "
            f"{'truncated, its end is missing' if cut else short(error)}. {siblings(path)}"
        ) from error
    if damaged:
        raise DamagedError(
            f"{path}: damaged on its way ({_size(path, head)}): the checksum of {short(damaged)} is wrong. "
            f"{siblings(path)}"
        )
    if any(m.endswith("constants.pkl") for m in members):
        raise CheckpointError(
            f"{path}: is a TorchScript program, code and weights in one. Where it was made, save the "
            "weights: torch.save(model.state_dict(), path)"
        )
    if not any(m.endswith("data.pkl") for m in members):
        shown = ", ".join(short(m, 60) for m in members[:3]) + (", ..." if len(members) > 3 else "")
        raise CheckpointError(
            f"{path}: is a zip archive and no checkpoint; it holds {shown}. Unpack it first"
        )
