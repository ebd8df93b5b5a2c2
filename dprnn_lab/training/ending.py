"""How the last session of a run ended: the file ``ended.json`` in the run's folder.

The file is a JSON object, written atomically when a session begins, and again when it ends::

    {
      "version": 1,
      "state": "not finite",          one of STATES, see below
      "step": 312,                    optimiser steps made in the whole run (the failing one is not counted)
      "steps": 20000,                 optimiser steps asked for
      "sentence": "...",              what happened, for people: one line of text
      "saved_step": 300,              step of the newest checkpoint, null before the first
      "signal": null,                 number of the signal that interrupted it: 2, 15 or 1
      "fault": {...},                 null, or what was not finite, see below
      "ended": "2026-11-26T15:00:00"  local time; of the beginning while the state is "running"
    }

========================  ===============================================================================
state                     meaning
========================  ===============================================================================
``running``               the session goes on (``read_ending`` gives ``killed`` if no process holds the lock)
``killed``                never in the file: it says "running", and the process is gone (SIGKILL, power cut)
``finished``              all steps were made
``stopped early``         ``stop_after`` validations without progress; the model is the best one
``time limit``            ``minutes`` were over; ``--resume`` goes on
``interrupted``           a signal: Ctrl-C, the stop button, SIGTERM or SIGHUP; ``--resume`` goes on
``not finite``            NaN or infinity in the data, the loss, the gradient, the weights or the validation
``error``                 anything else; ``sentence`` is the message
========================  ===============================================================================

``fault`` of the state ``not finite``::

    {
      "what": "loss",                 "training data", "validation data", "loss", "gradient", "weights", "validation"
      "step": 313,                    the step that failed, counted from 1
      "file": null,                   path of the recording, where the data are the cause and it is known
      "sample": null,                 index of the first sample that is not finite, counted from 0, where known
      "value": "nan",                 "nan", "inf" or "-inf"
      "learning_rate": 0.001,         at that step; null before the first
      "precision": "32-true"
    }

A run that was made before this file existed, or by hand, has none. Further keys may be added.

Notebook: 05_training
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..files import write_whole

__all__ = ["FILE", "STATES", "Ending", "claim_ending", "read_ending", "write_ending"]

FILE = "ended.json"
STATES = (
    "running",
    "killed",
    "finished",
    "stopped early",
    "time limit",
    "interrupted",
    "not finite",
    "error",
)


@dataclass(frozen=True)
class Ending:
    """The content of ``ended.json``; the module's text explains each field."""

    state: str
    step: int
    steps: int
    sentence: str
    saved_step: int | None = None
    signal: int | None = None
    fault: dict[str, Any] | None = None
    ended: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%S"))


def write_ending(run: str | os.PathLike, ending: Ending) -> None:
    """Write ``ended.json`` atomically into the run's folder."""
    text = json.dumps({"version": 1, **asdict(ending)}, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(Path(run) / FILE, f"{text}\n".encode())


def claim_ending(run: str | os.PathLike, ending: Ending) -> bool:
    """Write the ending unless another process of the run has written one since the session began.

    Returns:
        Whether it was written: True for one process, the first that fails, which then tells the user.
    """
    run = Path(run)
    if not run.is_dir():
        return True  # the folder was removed: there is nothing to ask
    with FileLock(run / ".ended.lock", timeout=10) as lock:
        present = _read(run)
        first = present is None or present.state == "running"
        if first:
            write_ending(run, ending)
        Path(lock.lock_file).unlink(missing_ok=True)
    return first


def read_ending(run: str | os.PathLike) -> Ending | None:
    """How the last session of a run ended, with the state ``killed`` if it ended without saying so.

    Args:
        run: the run's folder.

    Returns:
        None if the folder has no such file, or one that can't be read.
    """
    found = _read(Path(run))
    if found is not None and found.state == "running" and not _in_use(Path(run)):
        after = f"after step {found.saved_step}" if found.saved_step else "before its first checkpoint"
        return Ending(
            **asdict(found)
            | {
                "state": "killed",
                "sentence": f"the process ended without a word, {after} (killed, or a power cut)",
            }
        )
    return found


def _read(run: Path) -> Ending | None:
    try:
        content = json.loads((run / FILE).read_text(encoding="utf-8"))
        known = {name: content[name] for name in Ending.__dataclass_fields__ if name in content}
        ending = Ending(**known)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    whole = [ending.step, ending.steps] + ([] if ending.saved_step is None else [ending.saved_step])
    if ending.state not in STATES or not isinstance(ending.sentence, str):
        return None
    return ending if all(isinstance(number, int) for number in whole) else None


def _in_use(run: Path) -> bool:
    """Whether a process holds the lock of the folder (see :func:`dprnn_lab.files.locked`)."""
    file = run / ".lock"
    if not file.is_file():
        return False
    try:
        FileLock(file, timeout=0).acquire().lock.release()
    except Timeout:
        return True
    except OSError:  # a folder that can't be written to
        return False
    return False
