"""The two ends of a session: what is checked of the checkpoint it goes on from, and what it leaves.

Notebook: 05_training
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning as L

from ..checkpoint import load_model
from ..checkpoint.errors import CheckpointError
from ..model import DPRNNTasNet
from .checkpoints import Resumed, find_checkpoint, read_checkpoint, saved_step
from .datamodule import is_from_data
from .ending import Ending, read_ending, write_ending
from .finite import from_data
from .machine import is_first_process
from .module import SeparationModule
from .session import Session, save_result
from .signals import StopAfterStep

__all__ = ["check_optimizer", "explained", "finish", "leave_finished", "save_last_good", "what_ended"]


def finish(
    model: DPRNNTasNet,
    session: Session,
    trainer: L.Trainer,
    stop: StopAfterStep,
    stop_after: int | None,
    seed: int,
) -> DPRNNTasNet:
    """Write the model, its results and how the session ended."""
    run, step, max_steps = session.run, trainer.global_step, trainer.max_steps
    best = run / "checkpoints" / "best.ckpt"
    saved = step
    if stop_after is not None and best.is_file() and not stop.stopped:
        saved = _load_best(model, best)
    if trainer.is_global_zero:
        save_result(model, run, saved, seed)
        if stop.stopped:
            state, sentence = "interrupted", f"stopped after step {step} of {max_steps}; --resume continues"
        elif step >= max_steps:
            state, sentence = "finished", f"all {step} steps were made"
        elif stop.time_is_up:
            state, sentence = (
                "time limit",
                f"the time was over after step {step} of {max_steps}; --resume continues",
            )
        else:
            state, sentence = "stopped early", f"{stop_after} validations without progress, after step {step}"
        write_ending(run, Ending(state, step, max_steps, sentence, saved_step(run), signal=stop.signal))
    return model.eval()


def _load_best(model: DPRNNTasNet, best: Path) -> int:
    """Load the best checkpoint's averaged weights; returns their step."""
    model.load_state_dict(load_model(best).state_dict())
    return read_checkpoint(best).step


def what_ended(resumed: Resumed, max_steps: int, stop_after: int | None) -> str | None:
    """Why a run has no step left, with what would continue it; None if it has."""
    if resumed.step >= max_steps:
        return (
            f"all {resumed.step} steps are made; more steps continue it (--steps {resumed.step * 2}, steps=)"
        )
    for name, state in resumed.content["callbacks"].items():
        if stop_after is not None and str(name).startswith("EarlyStopping"):
            waited = state.get("wait_count") if isinstance(state, Mapping) else None
            if isinstance(waited, int) and waited >= stop_after:
                return (
                    f"the last {waited} validations made no progress (stop_after is {stop_after}); a larger value "
                    f"continues it (--stop-after {waited * 2}, stop_after=)"
                )
    return None


def leave_finished(
    model: DPRNNTasNet, session: Session, resumed: Resumed, max_steps: int, stop_after: int | None, seed: int,
    over: str,
) -> DPRNNTasNet:  # fmt: skip
    """The model of a run that has no step left; what a kill left undone is done, nothing else is written."""
    run, step = session.run, resumed.step
    model.load_state_dict(load_model(resumed.path).state_dict())
    best = run / "checkpoints" / "best.ckpt"
    early = resumed.step < max_steps
    if stop_after is not None and best.is_file():
        step = _load_best(model, best)
    if is_first_process():
        save_result(model, run, step, seed)
        ended = read_ending(run)
        if ended is None or ended.state not in ("finished", "stopped early"):
            state = "stopped early" if early else "finished"
            write_ending(
                run, Ending(state, resumed.step, max_steps, f"{run} is finished: {over}", saved_step(run))
            )
        print(f"{run} is finished: {over}", flush=True)
    return model.eval()


def check_optimizer(module: SeparationModule, resumed: Resumed) -> None:
    """Raise ValueError if the state of the optimiser in the checkpoint is another one's."""
    states = resumed.content["optimizer_states"]
    state = states[0] if states else None
    trained = "muon" if isinstance(state, Mapping) and "muon" in state else "adam"
    if trained != module.optimizer:
        raise ValueError(
            f"optimizer is {module.optimizer!r}, and {resumed.path} was trained with {trained!r}, whose state does not "
            f"fit: leave it out, or start another run from these weights (init={str(resumed.path)!r})"
        )
    made: Any = module.configure_optimizers()
    try:
        made["optimizer"].load_state_dict(deepcopy(state))
    except Exception as error:  # of any kind: it depends on what differs
        raise ValueError(
            f"{resumed.path}: the state of its optimiser belongs to other parameters than are trained now (freeze "
            f"differs, or the file is damaged): leave freeze as it was, or start another run "
            f"(init={str(resumed.path)!r})"
        ) from error


def explained(
    error: BaseException, module: SeparationModule, session: Session, resumed: Resumed | None
) -> BaseException:
    """The error as one sentence, where it is about the data or the checkpoint."""
    if is_from_data(error) and isinstance(error, Exception):
        return from_data(error, module, session.validating) or error
    if (
        resumed is not None
        and not session.loaded
        and isinstance(error, KeyError | TypeError | AttributeError | IndexError | RuntimeError)
    ):
        reason = " ".join(str(error).split())[:200]
        return CheckpointError(
            f"{resumed.path}: can't be resumed, its state of the training is not whole ({reason}): take another "
            "checkpoint, or start another run from its weights with init=..."
        )
    return error


def save_last_good(session: Session, seed: int) -> None:
    """The model of the newest checkpoint, for a run that went wrong after it."""
    try:
        good = find_checkpoint(session.run)
        save_result(load_model(good.path), session.run, good.step, seed)
    except (FileNotFoundError, CheckpointError):
        return  # it failed before its first checkpoint
