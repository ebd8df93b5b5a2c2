"""What a call leaves behind, in files small enough to come back from the machine with the GPU.

``NAME-model.safetensors`` is the moving average, for ``dprnn_lab.load_model``. ``NAME-last.ckpt`` has what is needed to
go on; with it ``--resume`` needs the former. Where it would be too large, the weights are kept as their distance
from the moving average, and all of it in bfloat16.
"""

import io
from pathlib import Path

import torch

from dprnn_lab import load_model, save_model
from dprnn_lab.files import write_whole

from .stepping import Trainer

MOST = 15_000_000  # bytes


def save(trainer: Trainer, out: Path, name: str, seconds: float, mixtures: int, facts: dict) -> None:
    """Write the two files; each appears whole or not at all."""
    done = {"steps": trainer.steps, "seconds": seconds, "mixtures": mixtures}
    save_model(trainer.average, out / f"{name}-model.safetensors", facts | done)
    weights = dict(trainer.model.state_dict())
    average = trainer.average.state_dict()
    memory = trainer.optimizer.state()
    small = 4 * sum(t.numel() for t in [*weights.values(), *memory.values()]) > MOST
    if small:
        weights = {n: (w - average[n]).bfloat16() for n, w in weights.items()}
        memory = {n: m.bfloat16() for n, m in memory.items()}
    state = done | {
        "small": small,
        "updates": trainer.optimizer.updates,
        "weights": {n: w.detach().cpu() for n, w in weights.items()},
        "memory": {n: m.detach().cpu() for n, m in memory.items()},
        "config": dict(trainer.model.config),
    }
    content = io.BytesIO()
    torch.save(state, content)
    write_whole(out / f"{name}-last.ckpt", content.getvalue())


def read_last(out: Path, name: str):
    """The averaged model and the rest of what :func:`save` wrote; None where there is nothing."""
    files = out / f"{name}-model.safetensors", out / f"{name}-last.ckpt"
    if not all(file.is_file() for file in files):
        return None
    return load_model(files[0]), torch.load(files[1], map_location="cpu", weights_only=True)


@torch.no_grad()
def restore(trainer: Trainer, average: torch.nn.Module, state: dict) -> None:
    """Put a trainer where :func:`save` found another one."""
    kept = {
        n: t.clone() for n, t in average.state_dict().items()
    }  # the average may be the trainer's own model
    weights = state["weights"]
    if state["small"]:
        weights = {n: kept[n] + w.float() for n, w in weights.items()}
    trainer.model.load_state_dict(weights)
    trainer.average.load_state_dict(kept)
    trainer.optimizer.load(state["memory"], state["updates"])
    trainer.steps = state["steps"]
