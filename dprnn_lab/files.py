"""Writing a file so that nobody ever finds half of it, and a folder so that it holds one thing.

Notebook: 05_training
"""

import json
import os
import secrets
from pathlib import Path

__all__ = ["claim", "write_whole"]


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file that appears whole or not at all, and make its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        scratch.write_bytes(content)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)  # gone already when all went well
    return path


def claim(folder: Path, settings: dict) -> list[str]:
    """Keep in ``folder/settings.json`` what a folder of results is for.

    Returns:
        The names of the settings that an earlier claim had otherwise: the folder is another's then, and left alone.
    """
    file = folder / "settings.json"
    if not file.is_file():
        write_whole(file, json.dumps(settings, indent=1).encode())
        return []
    before = json.loads(file.read_text(encoding="utf-8"))
    return [key for key in settings if before.get(key) != settings[key]]
