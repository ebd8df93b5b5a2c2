"""Atomic file writes; results guarded against other settings and other processes; YAML; the data folder.

Notebook: 05_training
"""

import errno
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

__all__ = [
    "InUseError",
    "check_or_write_settings",
    "data_folder",
    "locked",
    "made_folder",
    "naming",
    "read_yaml",
    "remove_leftovers",
    "was_removed",
    "write_whole",
]

# Of a YAML file: bytes, values after all aliases are replaced by what they stand for, lists in lists.
YAML_BYTES, YAML_VALUES, YAML_DEPTH = 2**20, 10_000, 50
_DEEP = re.compile(rf"(?:[\[{{]\s*){{{YAML_DEPTH},}}")
# A temporary name of write_whole, of a file that goes into a folder of results.
LEFTOVER = re.compile(r"\..+-[0-9a-f]{8}\.(ckpt|csv|html|json|jsonl|md|parquet|png|safetensors|yaml)")


class InUseError(OSError):
    """Another process, or another call in this one, is writing the same results."""


@contextmanager
def locked(path: str | os.PathLike, work: str, file: bool = False) -> Iterator[None]:
    """Keep a folder of results, or one result file, for this process alone while it lasts.

    The lock is the operating system's, so it ends with its process, however that ends: a killed run leaves no stale
    one. A lock file says who holds it: ``.lock`` in the folder, for a file ``.NAME.lock`` beside it.

    Args:
        path: a folder, made if it does not exist, or a file.
        work: what is done there, for the message to others: "training", "an evaluation".
        file: ``path`` is a file.

    Raises:
        InUseError: it is locked; names the work, process, host and time of its owner.
    """
    path = Path(path)
    held = path.with_name(f".{path.name}.lock") if file else path / ".lock"
    held.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(held, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InUseError(f"{path} is in use by {_owner(held)}: wait for it, or choose another name") from None
    try:
        owner = {
            "work": work,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%F %T"),
        }
        held.write_text(json.dumps(owner), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):  # removed while it is held: whoever waits for the old file checks for that
            held.unlink(missing_ok=True)
        lock.release()


def _owner(file: Path) -> str:
    """The owner as its lock file names it."""
    try:
        owner = json.loads(file.read_text(encoding="utf-8"))
        return "{work} (process {pid} on {host}, since {since})".format(**owner)
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def write_whole(path: str | os.PathLike, content: bytes) -> Path:
    """Write a file atomically, through a temporary file beside it; missing folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        with naming(path):
            scratch.write_bytes(content)
            os.replace(scratch, path)
    finally:
        with suppress(OSError):  # absent after a successful rename
            scratch.unlink(missing_ok=True)
    return path


def was_removed(folder: Path, work: str, remedy: str) -> OSError:
    """The error for a folder of results that vanished while ``work``, such as "a sweep", wrote to it."""
    return FileNotFoundError(
        f"{folder} was removed or renamed while {work} wrote to it: nothing more was written; {remedy}"
    )


def remove_leftovers(*folders: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote into these folders of results.

    To be called by whoever has :func:`locked` them: another process may be writing otherwise.
    """
    for folder in folders:
        for file in list(folder.glob(".*")) if folder.is_dir() else ():
            if LEFTOVER.fullmatch(file.name) and file.is_file() and not file.is_symlink():
                with suppress(OSError):
                    file.unlink()


def read_yaml(path: str | os.PathLike) -> Any:
    """The content of a YAML file: plain values only, within bounds on time and memory.

    Ten lines with aliases, each of which stands for the line before nine times, are a thousand million values; they
    are counted here before any is made.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not YAML, or far more of it than settings have.
    """
    import yaml  # imported here: it takes 0.1 s

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such settings file")
    if path.stat().st_size > YAML_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes; settings have at most {YAML_BYTES:,}")
    try:
        text = path.read_text(encoding="utf-8")
        if _DEEP.search(text):
            raise RecursionError  # found here, since reading it takes time in the square of the depth
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        excess = root is not None and _excess(root)
        if not excess:
            return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: a date or number that is none
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        excess = f"lists in lists, deeper than {YAML_DEPTH}"
    raise ValueError(f"{path} has {excess}; settings are names and values, such as 'steps: 20000'")


def _excess(root: Any) -> str:
    """What is too much in a YAML file, given as its graph of nodes; "" if nothing is."""
    sizes: dict[int, int] = {}
    under_way: set[int] = set()

    def size(node: Any, depth: int) -> int:
        if depth > YAML_DEPTH or id(node) in under_way:
            raise RecursionError
        if id(node) not in sizes:
            under_way.add(id(node))
            inner = node.value if isinstance(node.value, list) else ()  # a text has none
            pairs = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
            sizes[id(node)] = 1 + sum(size(part, depth + 1) for part in pairs)
            under_way.remove(id(node))
        return sizes[id(node)]

    total = size(root, 0)
    return f"{total:,} values, more than {YAML_VALUES:,}" if total > YAML_VALUES else ""


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """An OSError inside names this path: a full disk names none, and a temporary file's name tells nobody anything."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a short write of NumPy's
            raise OSError(errno.ENOSPC, f"not written whole ({error})", str(path)) from error
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def made_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Make a folder and its parents; after an error inside, those that were made and are empty are removed again."""
    path = Path(path)
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    except BaseException:
        with suppress(OSError):  # the first that is not empty ends it
            for folder in new:
                folder.rmdir()
        raise


def check_or_write_settings(folder: str | os.PathLike, settings: dict) -> list[str]:
    """Write the settings of a folder of results to ``settings.json``, or compare them with those already there.

    Returns:
        The names of the settings that differ from the folder's; nothing is written then.
    """
    file = Path(folder) / "settings.json"
    if not file.is_file():
        write_whole(file, json.dumps(settings, indent=1).encode())
        return []
    present = json.loads(file.read_text(encoding="utf-8"))
    return [key for key in settings if present.get(key) != settings[key]]


def data_folder() -> Path:
    """The repository's ``data`` folder, or the one named by the environment variable DPRNN_LAB_DATA.

    Raises:
        FileNotFoundError: it has no ``speech/metadata.csv``.
    """
    folder = Path(os.environ.get("DPRNN_LAB_DATA") or Path(__file__).resolve().parents[1] / "data")
    if not (folder / "speech" / "metadata.csv").is_file():
        raise FileNotFoundError(
            f"no corpus at {folder}: speech/metadata.csv is missing. Work in a clone of the repository "
            "(pip install -e .), or set DPRNN_LAB_DATA to its data folder"
        )
    return folder
