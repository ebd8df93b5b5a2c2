"""What a run will cost: time and memory of a step on the full batch, and the time to read one.

Waiting for data as the first thing to look for: PyTorch's "Performance Tuning Guide".

Notebook: 05_training
"""

import os
import time
from statistics import median

import torch

from .finding import PreflightFinding, State, number
from .material import Material
from .trial import Clock, Skipped, Trial

__all__ = ["check_cost", "check_reading"]

QUICK_SECONDS = 0.03  # to read a batch: less is never a finding
WAITING = 0.8  # time to read a batch, relative to that of a step: warning
MOSTLY_WAITING = 2.0  # failure
BATCHES = 6


def check_cost(
    trial: Trial, clock: Clock, steps: int | None = None, minutes: float | None = None
) -> PreflightFinding:
    """Median time of a step with the full batch, the memory it keeps for ``backward``, and both for the run."""
    name = "cost"
    if trial.facts.get("detached"):
        raise Skipped("no gradient leads from the loss to the model")
    model = trial.copy()
    optimizer = trial.make_optimizer(model)
    batch = (trial.mixtures, trial.sources)
    cuda = trial.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(trial.device)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    times: list[float] = []
    while len(times) < 4 and (not times or clock.left > times[-1]):
        start = time.monotonic()
        if times:
            trial.step(model, optimizer, batch)
        else:
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                trial.step(model, optimizer, batch)
        if cuda:
            torch.cuda.synchronize(trial.device)
        times.append(time.monotonic() - start)
    seconds = median(times[1:] or times)  # the first step allocates
    trial.facts["step_seconds"] = seconds
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    states = sum(
        t.numel() * t.element_size()
        for s in _states(optimizer)
        for t in s.values()
        if isinstance(t, torch.Tensor)
    )
    memory = 2 * weights + states + sum(kept.values())
    if cuda:
        memory = torch.cuda.max_memory_allocated(trial.device)
    facts: dict[str, object] = {
        "seconds_per_step": number(seconds), "mixtures_per_second": number(len(batch[0]) / seconds),
        "memory_mb": number(memory / 1e6), "batch": list(batch[0].shape), "steps": steps,
        "hours": None if steps is None else number(steps * seconds / 3600),
    }  # fmt: skip
    says = f"a step takes {seconds:.2g} s and about {memory / 1e6:.3g} MB"
    says += (
        f"; {steps} steps take {_duration(steps * seconds)}"
        if steps
        else f"; 1000 steps take {_duration(1000 * seconds)}"
    )
    says += ", validations not included"
    cut = "" if len(times) == 4 else f"{len(times)} of 4 steps"
    free = _free_memory(trial.device)
    if free is not None and not cuda and memory > free:
        return PreflightFinding(
            name, "warning", f"{says}; {free / 1e6:.3g} MB are free", facts | {"free_mb": number(free / 1e6)},
            "less than the free memory", "a smaller batch, or shorter examples", cut_short=cut,
        )  # fmt: skip
    if minutes is not None and steps and steps * seconds > 60 * minutes:
        says += f"; in {minutes:g} minutes {int(60 * minutes / seconds)} are made"
        return PreflightFinding(name, "note", says, facts, cut_short=cut)
    return PreflightFinding(name, "ok", says, facts, cut_short=cut)


def _states(optimizer: torch.optim.Optimizer) -> list[dict]:
    parts = [optimizer, *(v for v in vars(optimizer).values() if isinstance(v, torch.optim.Optimizer))]
    return [state for part in parts for state in part.state.values()]


def _duration(seconds: float) -> str:
    """
    >>> _duration(40), _duration(6140), _duration(400_000)
    ('40 s', '100 min', '110 h')
    """
    size, unit = next((pair for pair in ((3600, "h"), (60, "min")) if seconds >= 2 * pair[0]), (1, "s"))
    return f"{float(f'{seconds / size:.2g}'):g} {unit}"


def _free_memory(device: torch.device) -> int | None:
    """Bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def check_reading(trial: Trial, clock: Clock, material: Material) -> PreflightFinding:
    """Mean time of a batch from the loader, after the first, beside the time of a step."""
    name = "reading"
    if material.read is None:
        return PreflightFinding(
            name, "note", "one batch was given: nothing is read", expected="a DataLoader or dataset"
        )
    batches = iter(material.read())
    start = time.monotonic()
    next(batches, None)
    first = time.monotonic() - start
    count, start = 0, time.monotonic()
    while count < BATCHES and not clock.over and next(batches, None) is not None:
        count += 1
    seconds = (time.monotonic() - start) / count if count else first
    del batches  # ends the processes that read ahead
    step = trial.facts.get("step_seconds")
    facts: dict[str, object] = {
        "seconds_per_batch": number(seconds), "first_batch_seconds": number(first),
        "seconds_per_step": None if step is None else number(step),
    }  # fmt: skip
    expected = f"less than {WAITING:g} times a step, or {1000 * QUICK_SECONDS:g} ms"
    cut = "" if count == BATCHES else f"{count} of {BATCHES} batches"
    if step is None:
        return PreflightFinding(
            name,
            "note",
            f"a batch is read in {seconds:.2g} s; a step could not be timed",
            facts,
            expected,
            cut_short=cut,
        )
    says = f"a batch is read in {seconds:.2g} s, a step takes {step:.2g} s"
    if seconds > max(QUICK_SECONDS, WAITING * step):
        state: State = "failure" if seconds > MOSTLY_WAITING * step else "warning"
        return PreflightFinding(
            name, state, f"{says}: the training waits for data", facts, expected,
            "DataLoader(..., num_workers=4)  # or --workers 4; or files that are quicker to read", cut_short=cut,
        )  # fmt: skip
    return PreflightFinding(name, "ok", says, facts, expected, cut_short=cut)
