"""Atomic file writes; a results folder guarded against other settings; the data folder.

Notebook: 05_training
"""

import json
import os
import secrets
from pathlib import Path

__all__ = ["check_or_write_settings", "data_folder", "write_whole"]


def write_whole(path: str | os.PathLike, content: bytes) -> Path:
    """Write a file atomically, through a temporary file beside it; missing folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        scratch.write_bytes(content)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)  # absent after a successful rename
    return path


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
