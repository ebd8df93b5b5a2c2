"""Writing a file so that nobody ever finds half of it, and a folder so that it holds one thing.

Notebook: 05_training
"""

import json
import os
import secrets
from pathlib import Path

__all__ = ["claim", "data_folder", "write_whole"]


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


def data_folder() -> Path:
    """The repository's ``data`` folder, or the one named by the environment variable DPRNN_LAB_DATA.

    Raises:
        FileNotFoundError: it is not where it should be.
    """
    folder = Path(os.environ.get("DPRNN_LAB_DATA") or Path(__file__).resolve().parents[1] / "data")
    if not (folder / "speech" / "metadata.csv").is_file():
        raise FileNotFoundError(
            f"no corpus at {folder}: speech/metadata.csv is missing. Work in a clone of the repository "
            "(pip install -e .), or set DPRNN_LAB_DATA to its data folder"
        )
    return folder
