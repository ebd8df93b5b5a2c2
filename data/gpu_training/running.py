"""A training from the first second of a call to its last."""

import copy
import csv
import dataclasses
import gc
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from .clock import Clock
from .evaluating import improvements
from .keeping import read_last, restore, save
from .mixing import Mixer
from .sharing import Team
from .stepping import Trainer

LENGTHS = 2  # stream of random numbers: which length a step has


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What a run does, and when.

    Attributes:
        minutes: of all calls together, loading and the last evaluation included; the rate is zero at the end.
        stop_after: minutes after which this call ends, wherever the rate is; None to go on to the end.
        batch: mixtures a step, if they are of 4 s; of shorter ones there are more.
        seconds: lengths of a step's mixtures, of which each step draws one.
        lr: largest learning rate.
        warmup: seconds.
        cooldown: minutes of the straight fall to zero at the end.
        every: seconds between evaluations; each writes all files.
        log_every: steps.
    """

    minutes: float
    stop_after: float | None = None
    batch: int = 96
    seconds: Sequence[float] = (1, 2, 4, 4, 4, 8)
    lr: float = 3e-3
    warmup: float = 5.0
    cooldown: float | None = None
    every: float = 60.0
    log_every: int = 50
    seed: int = 0


class Log:
    """Lines to the screen and to a file, at once."""

    def __init__(self, file: Path):
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)

    def __call__(self, text: str) -> None:
        print(text, flush=True)
        with open(self.file, "a", encoding="utf-8") as file:
            print(text, file=file)


def run(
    make_trainer: Callable[[torch.nn.Module, bool], Trainer],
    model: torch.nn.Module,
    mixer: Mixer,
    fixed: dict,
    out: Path,
    name: str,
    options: RunOptions,
    resume: bool = False,
    began: float | None = None,
    facts: dict | None = None,
    team: Team | None = None,
) -> Trainer:
    """Train until the time is over; returns the trainer.

    Args:
        make_trainer: of a model, and whether the quick norms are used.
        model: to begin with, where there is nothing to resume.
        began: ``time.monotonic()`` when the call began.
        team: other processes that share each step; closed at the end.
    """
    team = team or Team()
    began = time.monotonic() if began is None else began
    say = Log(out / f"{name}-log.txt")
    last = read_last(out, name) if resume else None
    if resume and last is None:
        say("there is nothing to resume: this is a first call")
    model = model if last is None else last[0].train()
    trainer = make_trainer(model, quick_norms(make_trainer, model, mixer, say))
    trainer.share = team.average
    mixtures, before = 0, 0.0
    if last is not None:
        restore(trainer, *last)
        mixtures, before = last[1]["mixtures"], last[1]["seconds"]
        say(f"goes on at step {trainer.steps}, after {before:.0f} s")
    cooldown = 0.8 * options.minutes if options.cooldown is None else options.cooldown
    clock = Clock(options.minutes * 60, options.warmup, cooldown * 60, before, began)
    this_call = options.stop_after * 60 if options.stop_after else float("inf")
    stop = StopSignal()
    curve = out / f"{name}-curve.csv"
    batch = options.batch
    loss, rate = float("nan"), 0.0

    def evaluate() -> None:
        start = time.monotonic()
        scores = improvements(trainer.average, fixed, trainer.device)
        took = time.monotonic() - start
        row = {
            "step": trainer.steps, "seconds": round(clock.seconds(), 1), "mixtures": mixtures,
            "lr": f"{rate:.3g}", "train_loss": f"{loss:.3f}",
        } | {key: f"{score:.3f}" for key, score in scores.items()}  # fmt: skip
        _add_row(curve, row, fresh=trainer.steps == 0)
        save(trainer, out, name, clock.seconds(), mixtures, facts or {})
        took_all = time.monotonic() - start
        clock.reserve = 1.3 * took_all + 0.5
        say(f"{row}  ({took:.1f} s to evaluate, {took_all - took:.1f} s to save)")

    if last is None:
        trainer.steps = 0
        for file in (curve, out / f"{name}-last.ckpt"):
            file.unlink(missing_ok=True)
    evaluate()
    clock.start()
    evaluated = clock.seconds()
    marks: list = []
    losses, logged, counted = [], clock.seconds(), trainer.steps
    while clock.left() > 0 and time.monotonic() - began < this_call - clock.reserve and not stop.asked:
        rate = options.lr * clock.factor()
        length = step_length(options.seconds, options.seed, trainer.steps)
        count = max(1, round(batch * 4 / length / team.size))  # of each process
        samples = int(length * 8000)
        try:
            team.begin(trainer.model, trainer.steps, count, samples)
            trainer.step(*mixer.draw(trainer.steps, count, samples), rate)
            fits = True
        except torch.OutOfMemoryError:
            fits = False
        if not fits:  # here nothing holds the failed step's tensors any more
            batch = max(1, batch * 3 // 4)
            say(f"step {trainer.steps} does not fit the memory: {batch} mixtures a step from here on")
            gc.collect()
            torch.cuda.empty_cache()
            continue
        mixtures += count * team.size
        _keep_close(marks, trainer.device)
        if trainer.steps % options.log_every == 0:
            losses.append(trainer.mean_loss())
            now = clock.seconds()
            each = (now - logged) / (trainer.steps - counted)
            say(
                f"step {trainer.steps}  {now:.0f} s  loss {losses[-1]:.2f}  lr {rate:.2e}  {1000 * each:.0f} ms a step"
                f"  {int(trainer.optimizer.skipped)} left out"
            )
            if not np.isfinite(losses[-1]):
                raise RuntimeError("the loss is not finite")
            logged, counted = now, trainer.steps
        if clock.seconds() - evaluated >= options.every and clock.left() > clock.reserve:
            loss = float(np.mean(losses)) if losses else trainer.mean_loss()
            losses = []
            evaluate()
            evaluated = logged = clock.seconds()
            counted = trainer.steps
    if trainer.device.type == "cuda":
        torch.cuda.synchronize()
        say(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    if stop.asked:
        say("asked to stop")
        save(trainer, out, name, clock.seconds(), mixtures, facts or {})
    else:
        loss = float(np.mean(losses)) if losses else trainer.mean_loss()
        rate = options.lr * clock.factor()
        evaluate()
    stop.close()
    team.close()
    say(f"the end: step {trainer.steps}, {mixtures} mixtures, {time.monotonic() - began:.1f} s in this call")
    return trainer


def step_length(seconds: Sequence[float], seed: int, step: int) -> float:
    """Which of the lengths a step has; it depends on (seed, step) alone."""
    return seconds[np.random.default_rng((seed, step, LENGTHS)).integers(len(seconds))]


def quick_norms(make_trainer, model, mixer: Mixer, say: Callable[[str], None]) -> bool:
    """Whether a step with the quick norms works here and gives what one without gives; on copies of the model."""
    found = []
    for quick in (False, True):
        try:
            trainer = make_trainer(copy.deepcopy(model), quick)
            trainer.step(*mixer.draw(0, 8, 8000), 1e-4)
            trainer.step(*mixer.draw(0, 8, 8000), 1e-4)
            found.append((trainer.mean_loss(), float(trainer.optimizer.gradient.norm())))
        except Exception as error:
            if not quick:
                raise
            say(f"without the quick norms: {type(error).__name__}: {error}")
            return False
    (loss, gradient), (quick_loss, quick_gradient) = found
    same = abs(loss - quick_loss) < 0.05 and abs(gradient - quick_gradient) < 0.1 * gradient + 1e-3
    say(f"norms: loss {loss:.4f} and {quick_loss:.4f}, gradient {gradient:.4f} and {quick_gradient:.4f}")
    if not same:
        say("without the quick norms: they differ")
    return same


class StopSignal:
    """Remembers that the process was asked to end (SIGTERM, SIGINT), until it is closed."""

    def __init__(self):
        self.asked = False
        self.before = {n: signal.signal(n, self._ask) for n in (signal.SIGTERM, signal.SIGINT)}

    def close(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, *_) -> None:
        self.asked = True


def _keep_close(marks: list, device: torch.device) -> None:
    """Wait for the step before the last one: the device stays busy, and the clock is right to a step."""
    if device.type == "cuda":
        mark = torch.cuda.Event()
        mark.record()
        marks.append(mark)
        if len(marks) > 1:
            marks.pop(0).synchronize()


def _add_row(file: Path, row: dict, fresh: bool) -> None:
    fresh = fresh or not file.is_file()
    with open(file, "w" if fresh else "a", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(row), lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow(row)
