"""The outside of a file, before anything in it is read: archives and headers whose sizes are not true.

Notebook: 06_failures_at_inference
"""

import json
import struct
import zipfile
from collections import Counter
from pathlib import Path

from .errors import CheckpointError, DamagedError, RefusedError, short

__all__ = ["check_archive", "check_header", "check_one_format", "siblings"]

ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar", ".th")  # of checkpoints
LONGEST_HEADER = 16 * 2**20  # bytes of a safetensors header; a DPRNN-TasNet's has 10 kB
MEMBERS = 20_000  # of an archive: one for each tensor
# torch.save does not compress, and trained weights can't be compressed by much.
UNPACKED, UNPACKED_TIMES = 16 * 2**20, 10


def siblings(path: Path) -> str:
    """The remedy for a damaged file: other checkpoints in its folder, newest first."""
    try:
        others = [p for p in path.parent.iterdir() if p.suffix in ENDINGS and p != path and p.stat().st_size]
        others.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    except OSError:
        others = []
    if not others:
        return "Save it again, or download it again and compare its size"
    names = ", ".join(short(p.name) for p in others[:3]) + (", ..." if len(others) > 3 else "")
    return f"Take another checkpoint beside it ({names}), or download it again and compare its size"


def check_one_format(path: Path, kind: str) -> None:
    """Raise if a file that begins as ``kind`` is also a zip archive: two readers would see two contents.

    Raises:
        RefusedError: it is both.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # finds archives by the end of the file
            members = archive.namelist()
    except Exception:  # of many kinds: bytes that merely look like the end of an archive
        return
    if members:
        raise RefusedError(
            f"{path}: refused: it is {kind} and a zip archive at once (with {short(members[0])}), so that different "
            "programs read different weights from it. Ask its author for a file in one format"
        )


def check_header(path: Path) -> None:
    """Raise if the file can't be as long as its safetensors header says, or if the header is far too long.

    The other contradictions (tensors that overlap, sizes that are not those of their shapes) safetensors itself finds.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST_HEADER:
        raise RefusedError(
            f"{path}: refused: its safetensors header claims {length:,} bytes; no more than {LONGEST_HEADER:,} are "
            "read. Ask its author for a file with fewer tensors and facts"
        )
    if length + 8 > size:
        raise DamagedError(
            f"{path}: not a whole safetensors file ({size} bytes): truncated, its header alone has {length + 8:,}. "
            f"{siblings(path)}"
        )
    needed = length + 8 + _end_of_data(path, length)
    if needed > size:
        raise DamagedError(
            f"{path}: not a whole safetensors file ({size} bytes): truncated, {needed:,} bytes by its header. "
            f"{siblings(path)}"
        )


def _end_of_data(path: Path, length: int) -> int:
    """Where the last tensor ends, in bytes after the header; 0 if that can't be read."""
    with path.open("rb") as file:
        file.seek(8)
        text = file.read(length)
    try:
        entries = json.loads(text).items()
        return max((int(e["data_offsets"][1]) for name, e in entries if name != "__metadata__"), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        return 0


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise if unpacking would take far more memory than the file has bytes, or if its table contradicts itself.

    Raises:
        RefusedError: a zip bomb, a member twice, too many members.
        CheckpointError: members that are encrypted.
    """
    size, members = path.stat().st_size, archive.infolist()
    packed, unpacked = sum(m.compress_size for m in members), sum(m.file_size for m in members)
    doubled = [name for name, count in Counter(m.filename for m in members).items() if count > 1]
    excess = None
    if len(members) > MEMBERS:
        excess = f"its archive has {len(members):,} members, more than {MEMBERS:,}"
    elif packed > size:
        excess = f"its archive lists {packed:,} bytes, the file has {size:,}"
    elif unpacked > UNPACKED + UNPACKED_TIMES * size:
        excess = f"its {size:,} bytes unpack to {unpacked:,}"
    elif doubled:
        excess = f"its archive has {short(doubled[0])} twice"
    if excess:
        raise RefusedError(
            f"{path}: refused: {excess}. Ask its author for a file as torch.save or safetensors writes it"
        )
    if any(m.flag_bits & 1 for m in members):
        raise CheckpointError(
            f"{path}: its archive is encrypted. Unpack it with its password, and save it again"
        )
