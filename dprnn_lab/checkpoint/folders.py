"""Folders with checkpoints: what to load from one, and models that were saved in several files.

Notebook: 06_failures_at_inference
"""

import json
from pathlib import Path

from .archives import ENDINGS
from .errors import CheckpointError, short

__all__ = ["in_folder", "shards"]

_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_MANY = 1000  # entries of a folder that are looked at
_INDEX_BYTES, _PARTS = 2**22, 200


def in_folder(folder: Path) -> str:
    """The sentence about a folder given in the place of a file: which file in it, or how to make one."""
    names = {p.name for p in _entries(folder)}
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        return (
            f"{folder}: is a folder of torch.distributed.checkpoint. Make one file of it: python -m "
            f"torch.distributed.checkpoint.format_utils dcp_to_torch {folder} model.pth"
        )
    states = _model_states(folder)
    if "zero_to_fp32.py" in names or states:
        one = f"give {states[0]}, or make" if len(states) == 1 else "make"
        return (
            f"{folder}: is a folder of DeepSpeed; {one} one file of it: python -m deepspeed.utils.zero_to_fp32 "
            f"{folder} model.pth"
        )
    for index in _INDICES:
        if index in names:
            return f"{folder}: is a folder with a model in several files: give {folder / index}"
    inside = sorted(name for name in names if name.endswith(ENDINGS))
    where = folder
    if not inside:
        for sub in sorted(p for p in _entries(folder) if p.is_dir() and not p.name.startswith(".")):
            inside = sorted(p.name for p in _entries(sub) if p.name.endswith(ENDINGS))
            if inside:
                where = sub
                break
    if not inside:
        return f"{folder}: is a folder; give a file, there is no checkpoint in it"
    if "config.yaml" in names and "model.safetensors" not in names:
        state = "is the folder of a training that has not written its model.safetensors yet"
    else:
        state = "is a folder"
    shown = ", ".join(short(name, 60) for name in inside[:5]) + (", ..." if len(inside) > 5 else "")
    best = next((name for name in ("best_model.pth", "last.ckpt") if name in inside), inside[0])
    choice = (
        f"give {where / best}"
        if len(inside) == 1 or best in ("best_model.pth", "last.ckpt")
        else (f"give one of them, such as {where / best}")
    )
    return f"{folder}: {state}; it holds {shown}: {choice}"


def _entries(folder: Path) -> list[Path]:
    found = []
    for path in folder.iterdir():
        found.append(path)
        if len(found) >= _MANY:
            break
    return found


def _model_states(folder: Path) -> list[Path]:
    """DeepSpeed's files of the model: in the folder, or in that of a step, which the file ``latest`` names."""
    found = [p for p in _entries(folder) if p.name.endswith("model_states.pt")]
    for sub in _entries(folder) if not found else ():
        if sub.is_dir() and (sub.name.startswith("global_step") or sub.name == "checkpoint"):
            found += [p for p in _entries(sub) if p.name.endswith("model_states.pt")]
    return sorted(found)


def shards(index: Path) -> list[Path]:
    """The files of a model, as ``model.safetensors.index.json`` lists them; all in the folder of the index.

    Raises:
        CheckpointError: no such list, a file outside the folder, or one that is missing.
    """
    try:
        if index.stat().st_size > _INDEX_BYTES:
            raise ValueError(f"more than {_INDEX_BYTES:,} bytes")
        names = dict.fromkeys(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if not names or len(names) > _PARTS or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{len(names)} files")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{index}: is no list of a model's files ({short(error)}). Give a .safetensors or .pth file"
        ) from error
    for name in names:
        if Path(name).name != name or name.endswith(".index.json"):
            raise CheckpointError(
                f"{index}: lists {short(name)}, which is not a file beside it. Put the files of the model into one "
                "folder"
            )
        if not (index.parent / name).is_file():
            raise CheckpointError(
                f"{index}: lists {short(name)}, which is missing. Download it into the same folder"
            )
    return [index.parent / name for name in names]
