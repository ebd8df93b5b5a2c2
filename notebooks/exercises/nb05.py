"""Exercises of notebook 05: the learning rate, the average of the weights, when to stop, the shares of the ranks.

Each judge feeds inputs on which the usual wrong ideas give different answers, and tells a student which idea
the answer stems from.

Notebook: 05_training
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from .exercise import Exercise, Mistake
from .judging import need_shape, need_tensor, same

__all__ = ["average", "rate", "share", "stop"]

Slips = Mapping[str, tuple[Callable, str]]  # name: (the wrong answer, its hint)

# ---------------------------------------------------------------- 05.1

# lr, warmup, cooldown, max_steps: the plain case; without the one, the other, both; a cooldown that begins within
# the warm-up; a warm-up that is longer than the run.
_RUNS = (
    (0.003, 4, 5, 20),
    (0.002, 0, 5, 12),
    (0.002, 4, 0, 12),
    (0.001, 0, 0, 5),
    (0.001, 6, 8, 10),
    (0.004, 12, 4, 8),
)


def _rise(step, warmup) -> float:
    return (step + 1) / warmup if warmup else 1.0


def _fall(step, cooldown, max_steps) -> float:
    return (max_steps - step) / cooldown if cooldown else 1.0


def _rate(step, lr, warmup, cooldown, max_steps, rise=None, fall=None) -> float:
    rise = _rise(step, warmup) if rise is None else rise
    fall = _fall(step, cooldown, max_steps) if fall is None else fall
    return lr * max(0.0, min(1.0, rise, fall))


def _upside_down(step, lr, warmup, cooldown, max_steps) -> float:
    since = step - (max_steps - cooldown)
    fall = since / cooldown if cooldown and since >= 0 else 1.0
    return _rate(step, lr, warmup, cooldown, max_steps, fall=fall)


def _in_turn(step, lr, warmup, cooldown, max_steps, warmup_first: bool) -> float:
    """By cases, as an if and an elif do it, without a look at the other."""
    rises, falls = step < warmup, step >= max_steps - cooldown
    if rises and (warmup_first or not falls):
        return lr * _rise(step, warmup)
    return lr * max(0.0, _fall(step, cooldown, max_steps)) if falls else lr


_RATE_SLIPS: Slips = {
    "share, not rate": (
        lambda s, lr, w, c, m: _rate(s, 1.0, w, c, m),
        "that is the share of the rate, between 0 and 1, which PyTorch's `LambdaLR` asks for. Here the rate itself is "
        "asked for: times `lr`.",
    ),
    "zero at step 0": (
        lambda s, lr, w, c, m: _rate(s, lr, w, c, m, rise=_rise(s - 1, w)),
        "your rate is zero at step 0: that step computes a gradient and throws it away, and the warm-up takes one step "
        "more. Count from one: step 0 has `lr / warmup`.",
    ),
    "zero at the last step": (
        lambda s, lr, w, c, m: _rate(s, lr, w, c, m, fall=_fall(s + 1, c, m)),
        "the last step of the run is `max_steps - 1`, and yours learns nothing. Zero is reached at step `max_steps`, "
        "which is no longer made.",
    ),
    "cooldown after the warm-up": (
        lambda s, lr, w, c, m: _rate(s, lr, w, c, m, fall=_fall(s, c, w + c)),
        "your cooldown begins where the warm-up ends, and most of the run has a rate of zero. It takes the *last* "
        "steps: count from the end, `max_steps - step`.",
    ),
    "cooldown upside down": (
        _upside_down,
        "over the last steps your rate jumps down and climbs. What falls is the number of steps that are *left*: "
        "`max_steps - step`.",
    ),
    "falls all the way": (
        lambda s, lr, w, c, m: _rate(s, lr, w, c, m, fall=_fall(s, max(1, m - w), m)),
        "your rate falls from the end of the warm-up on. It should stay at `lr`, and fall over the last `cooldown` "
        "steps only.",
    ),
    "no cooldown": (
        lambda s, lr, w, c, m: _rate(s, lr, w, c, m, fall=1.0),
        "the warm-up is right; the last `cooldown` steps do not fall.",
    ),
    "no warm-up": (
        lambda s, lr, w, c, m: _rate(s, lr, w, c, m, rise=1.0),
        "the cooldown is right; the first `warmup` steps do not rise.",
    ),
    "below zero": (
        lambda s, lr, w, c, m: lr * min(1.0, _rise(s, w), _fall(s, c, m)),
        "right up to the end; beyond it your rate is negative, and a step would climb the loss. A schedule may be "
        "asked for a step too many: never below zero.",
    ),
    "up again after the end": (
        lambda s, lr, w, c, m: _rate(s, lr, w, c, m, fall=1.0 if s >= m else None),
        "right up to the end; beyond it your rate is back at `lr`, since no case of yours catches it. It stays zero.",
    ),
    "above lr": (
        lambda s, lr, w, c, m: lr * max(0.0, min(_rise(s, w), _fall(s, c, m) if c else math.inf)),
        "your rate goes on rising when the warm-up is over. `lr` is the most: take the smallest of 1, rise and fall.",
    ),
    "multiplied": (
        lambda s, lr, w, c, m: lr * min(1.0, _rise(s, w)) * max(0.0, min(1.0, _fall(s, c, m))),
        "right, until warm-up and cooldown overlap: there you multiply the two. Take the smaller one.",
    ),
    "warm-up goes first": (
        lambda *question: _in_turn(*question, warmup_first=True),
        "right, until warm-up and cooldown overlap: you ask for the warm-up first, and the rate goes on rising within "
        "the cooldown, then jumps. Take the smaller one of the two.",
    ),
    "cooldown goes first": (
        lambda *question: _in_turn(*question, warmup_first=False),
        "right, until warm-up and cooldown overlap: you ask for the cooldown first, and the rate jumps up where it "
        "begins. Take the smaller one of the two.",
    ),
}


def _curve(function: Callable, run: tuple) -> list[float]:
    """The rate at every step; beyond the end only where a cooldown says what it is there."""
    lr, warmup, cooldown, max_steps = run
    steps = range(max_steps + 3 if cooldown else max_steps)
    return [_as_rate(function, step, lr, warmup, cooldown, max_steps) for step in steps]


def _as_rate(function: Callable, step, lr, warmup, cooldown, max_steps) -> float:
    try:
        answer = function(step, lr, warmup, cooldown, max_steps)
    except ZeroDivisionError:
        if warmup and cooldown:
            raise
        raise Mistake(
            "division by zero",
            f"with warmup={warmup} and cooldown={cooldown} you divide by zero. Zero steps are allowed and mean: "
            "without it.",
        ) from None
    try:
        found = float(answer)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise Mistake(
            "not a number", f"at step {step} of {max_steps} you return {answer!r}; return a number."
        )
    return found


def _close(answer: Sequence[float], wanted: Sequence[float]) -> bool:
    return np.allclose(answer, wanted, rtol=1e-5, atol=1e-9)


def _name_the_slip(answer, slips: Slips, result: Callable[[Callable], object], alike=operator.eq) -> None:
    """Raise the first slip whose ``result`` is that of the answer."""
    for name, (slip, hint) in slips.items():
        if alike(answer, result(slip)):
            raise Mistake(name, hint)


def _judge_rate(function: Callable) -> None:
    for run in _RUNS:
        answer, wanted = _curve(function, run), _curve(_rate, run)
        if _close(answer, wanted):
            continue
        _name_the_slip(answer, _RATE_SLIPS, lambda slip, run=run: _curve(slip, run), _close)
        step = next(i for i, pair in enumerate(zip(answer, wanted, strict=True)) if not _close(*pair))
        raise Mistake(
            "other numbers",
            "with lr={}, warmup={}, cooldown={}, max_steps={}: ".format(*run)
            + f"at step {step} you say {answer[step]:.6f}, it is {wanted[step]:.6f}. Plot your curve.",
        )


rate = Exercise(
    id="05.1",
    title="Warm up, hold, cool down",
    task="Write `my_rate(step, lr, warmup, cooldown, max_steps)`: the learning rate at `step`, counted from 0. It "
    "rises in a straight line over the first `warmup` steps (step 0 has `lr / warmup`, step `warmup - 1` has `lr`), "
    "stays, and falls in a straight line over the last `cooldown` steps: `lr` at step `max_steps - cooldown`, zero at "
    "step `max_steps` and beyond. Where the two overlap, the smaller one counts. Zero steps of warm-up or of cooldown "
    "mean: without it.",
    done_when="every step of six runs is right: with and without warm-up and cooldown, overlapping, beyond the end.",
    judge=_judge_rate,
    hints=(
        "Two straight lines: `(step + 1) / warmup` rises, and the steps that are left over `cooldown` fall. Which of "
        "them counts at a given step?",
        "The smallest of 1, rise and fall, never below zero, times `lr`. A line that is to be left out is 1.",
    ),
    solution="""```python
def my_rate(step, lr, warmup, cooldown, max_steps):
    rise = (step + 1) / warmup if warmup else 1.0
    fall = (max_steps - step) / cooldown if cooldown else 1.0
    return lr * max(0.0, min(1.0, rise, fall))
```""",
    minutes=5,
    difficulty=1,
)

# ---------------------------------------------------------------- 05.2

Weights = dict[str, torch.Tensor]

_AVERAGE_SLIPS: Slips = {
    "weights swapped": (
        lambda a, c, d: (1 - d) * a + d * c,
        "you keep `1 - decay` of the average and take `decay` of the current weights: the average forgets nearly all "
        "at every step. Turn the two round.",
    ),
    "current only": (
        lambda a, c, d: c.clone(),
        "those are the current weights: nothing is averaged.",
    ),
    "average only": (
        lambda a, c, d: a.clone(),
        "the average stays as it was: nothing of the current weights gets in.",
    ),
    "plain mean": (
        lambda a, c, d: (a + c) / 2,
        "that is the mean of the two, whatever `decay` says.",
    ),
    "decay not used": (
        lambda a, c, d: 0.999 * a + 0.001 * c,
        "you average with a decay of 0.999, whatever `decay` says: use the argument.",
    ),
    "does not sum to one": (
        lambda a, c, d: a + (1 - d) * c,
        "you add a share of the current weights and keep the average whole: it grows at every step. The two shares sum "
        "to one.",
    ),
    "decay left out of the current": (
        lambda a, c, d: d * a + c,
        "you add the current weights whole: the average becomes many times as large as they are. The two shares sum to "
        "one.",
    ),
}


def _averaged(averaged: Weights, current: Weights, decay: float, mean=None) -> Weights:
    mean = mean or (lambda a, c, d: d * a + (1 - d) * c)
    return {
        k: mean(averaged[k], c, decay) if c.is_floating_point() else c.clone() for k, c in current.items()
    }


def _weights(counters: bool) -> tuple[Weights, Weights]:
    """An average and current weights, in two precisions; with or without what can't be averaged."""
    generator = torch.Generator().manual_seed(6)

    def draw() -> Weights:
        return {
            "encoder.weight": torch.randn(4, 3, generator=generator),
            "norm.gain": torch.randn(5, generator=generator, dtype=torch.float64),
            "scale": torch.randn((), generator=generator),
        }

    averaged, current = draw(), draw()
    if counters:
        averaged |= {"steps": torch.tensor(100), "mask": torch.tensor([True, False, True])}
        current |= {"steps": torch.tensor(117), "mask": torch.tensor([False, True, True])}
    return averaged, current


def _judge_average(function: Callable) -> None:
    for decay, counters in ((0.9, False), (0.75, True)):
        averaged, current = given = _weights(counters)
        try:
            answer = function(averaged, current, decay)
        except RuntimeError as error:
            if not counters:
                raise
            raise Mistake(
                "counter averaged",
                "right for weights; with an integer and a mask among them PyTorch refuses what you do: "
                f"`{error}`. Ask `x.is_floating_point()`, and copy those that are not.",
            ) from None
        for name, before, after in zip(("averaged", "current"), _weights(counters), given, strict=True):
            if before.keys() != after.keys() or not all(torch.equal(before[k], after[k]) for k in before):
                raise Mistake(
                    "in place",
                    f"`{name}` is another one after your function than before it. Make a new dictionary with new "
                    "tensors, and leave both arguments as they are: methods that end in `_`, and `+=`, change them.",
                )
        if not isinstance(answer, Mapping):
            raise Mistake("not a dictionary", f"you return {type(answer).__name__}; return a dictionary.")
        _compare_weights(answer, averaged, current, decay)
        storages = {x.untyped_storage().data_ptr() for weights in given for x in weights.values()}
        for key, x in answer.items():
            if x.untyped_storage().data_ptr() in storages:
                raise Mistake(
                    "same memory",
                    f"the numbers are right, but `{key}` is not a copy: it is the tensor that you were given, and the "
                    "next step of the training changes it within your average. Use `.clone()`.",
                )


def _compare_weights(answer: Mapping, averaged: Weights, current: Weights, decay: float) -> None:
    if answer.keys() != current.keys():
        raise Mistake(
            "other names",
            f"your dictionary has the names {list(answer)}, expected {list(current)}: a model needs all of them.",
        )
    wanted = _averaged(averaged, current, decay)
    for key, right in wanted.items():
        need_shape(need_tensor(answer[key], "a dictionary of tensors"), right, "a weight keeps its shape")
    floats = [key for key, right in wanted.items() if right.is_floating_point()]

    def alike(found: Mapping, other: Mapping) -> bool:
        return all(same(found[key], other[key]) for key in floats)

    if not alike(answer, wanted):
        _name_the_slip(answer, _AVERAGE_SLIPS, lambda slip: _averaged(averaged, current, decay, slip), alike)
        key = next(key for key in floats if not same(answer[key], wanted[key]))
        raise Mistake(
            "other numbers",
            f"with a decay of {decay}, {key} differs by up to {float((answer[key] - wanted[key]).abs().max()):.3g}. "
            "Try it on paper with single numbers.",
        )
    for key in (key for key in wanted if key not in floats):
        if same(answer[key].double(), averaged[key].double()):
            raise Mistake(
                "counter left behind",
                f"`{key}` is still that of the average. What can't be averaged comes from `current`.",
            )
        if not same(answer[key].double(), current[key].double()):
            raise Mistake(
                "counter averaged",
                f"`{key}` is {current[key].dtype} and you average it as well: {answer[key].tolist()} came of it. An "
                "average of counters or masks means nothing: copy those of `current`.",
            )
    for key, right in wanted.items():
        if answer[key].dtype != right.dtype:
            raise Mistake(
                "dtype changed", f"`{key}` is {right.dtype}, and {answer[key].dtype} in your result."
            )


average = Exercise(
    id="05.2",
    title="The average of the weights",
    task="Write `my_average(averaged, current, decay)` for two dictionaries of tensors with the same names, as "
    "`state_dict()` gives them. Return a new dictionary: `decay` of the average and `1 - decay` of the current "
    "weights. What is not floating point (counters, masks) is copied from `current`. Change neither argument, and "
    "share no memory with them.",
    done_when="weights in two precisions are averaged, a counter and a mask are copied, and both arguments stay as "
    "they are.",
    judge=_judge_average,
    hints=(
        "One entry at a time, into a new dictionary: `for name, new in current.items()`.",
        "`new.is_floating_point()` tells weights from counters. A counter that you put in as it is, is the *same* "
        "tensor, not a copy.",
    ),
    solution="""```python
def my_average(averaged, current, decay):
    result = {}
    for name, new in current.items():
        if new.is_floating_point():
            result[name] = decay * averaged[name] + (1 - decay) * new
        else:
            result[name] = new.clone()
    return result
```""",
    minutes=6,
    difficulty=2,
)

# ---------------------------------------------------------------- 05.3

_NAN = math.nan

# Validation losses (dB, lower is better) and patience: always better; over before a late best; equal ones; pauses that
# are never long enough; better than the one before and not than the best; NaN between, first, and nothing but NaN.
_HISTORIES = (
    ((-1.0, -3.0, -5.0, -7.0), 2),
    ((-2.0, -5.0, -4.0, -4.5, -9.0, -9.5), 2),
    ((4.0, -2.0, -2.0, -3.0), 1),
    ((-2.0, -5.0, -5.0, -5.0, -6.0, -6.0), 3),
    ((-1.0, -3.0, -2.0, -4.0, -3.0, -5.0, -4.0), 2),
    ((-5.0, -3.0, -4.0, -4.5, -4.8), 3),
    ((-3.0, _NAN, -4.0, _NAN, -3.5), 2),
    ((_NAN, -2.0, -1.0, -3.0, -2.5), 3),
    ((_NAN, _NAN, _NAN), 2),
)


def _stop(losses, patience, better=operator.lt, start=math.inf, reset=True, late=0, counts=lambda loss: True):
    """Index of the best, number of validations; ``better`` takes a loss and the best so far."""
    best, lowest, waited = None, start, 0
    for i, loss in enumerate(losses):
        if better(loss, lowest):
            best, lowest, waited = i, loss, 0 if reset else waited
        elif counts(loss):
            waited += 1
        if waited >= patience + late:
            return best, i + 1
    return best, None


def _best_of(losses: Sequence[float], pick=operator.lt) -> int | None:
    return _stop(losses, math.inf, pick)[0]


def _step_by_step(losses, patience) -> tuple[int | None, int | None]:
    """Each loss held against the one before; the best is right."""
    waited = 0
    for i, loss in enumerate(losses):
        waited = 0 if loss < (losses[i - 1] if i else math.inf) else waited + 1
        if waited >= patience:
            return _best_of(losses[: i + 1]), i + 1
    return _best_of(losses), None


def _begins_with_the_first(losses, patience) -> tuple[int | None, int | None]:
    best, end = _stop(losses[1:], patience, start=losses[0])
    return 0 if best is None else best + 1, end and end + 1


def _ends_at_nan(losses, patience) -> tuple[int | None, int | None]:
    first = next((i for i, loss in enumerate(losses) if math.isnan(loss)), len(losses))
    best, end = _stop(losses[:first], patience)
    return best, first + 1 if end is None and first < len(losses) else end


def _with_end(losses, patience, change: Callable) -> tuple[int | None, int | None]:
    """The right answer, changed: ``change`` takes best and end."""
    return change(*_stop(losses, patience))


_STOP_SLIPS: Slips = {
    "largest is best": (
        lambda x, p: _stop(x, p, operator.gt, -math.inf),
        "you look for the *largest* loss. The loss is the negative SI-SDR: lower is better, -12 is better than -8.",
    ),
    "patience one short": (
        lambda x, p: _stop(x, p, late=-1),
        "you stop one validation too early: `patience` is how many pass without progress.",
    ),
    "patience one long": (
        lambda x, p: _stop(x, p, late=1),
        "you stop one validation too late: when `patience` of them have passed without progress it is over. `>=` in "
        "place of `>`.",
    ),
    "index for number": (
        lambda x, p: _with_end(x, p, lambda best, end: (best, end and end - 1)),
        "the run ends where it should, but you return the *index* of its last validation. Asked for is how many there "
        "were: one more.",
    ),
    "value for index": (
        lambda x, p: _with_end(x, p, lambda best, end: (x[best] if best is not None else None, end)),
        "you return the lowest loss itself. Asked for is which validation it was: its index.",
    ),
    "turned round": (
        lambda x, p: _stop(x, p)[::-1],
        "both are right, in the wrong order: the best first, then the number of validations.",
    ),
    "equal is progress": (
        lambda x, p: _stop(x, p, operator.le),
        "you take an equal loss for progress: a loss that stands still would keep the run alive for ever. `<` in place "
        "of `<=`.",
    ),
    "last of the best": (
        lambda x, p: _with_end(x, p, lambda best, end: (_best_of(x[:end], operator.le), end)),
        "the run ends where it should; of equal losses you name the last. The first one was the progress, and its "
        "weights were saved.",
    ),
    "all pauses counted": (
        lambda x, p: _stop(x, p, reset=False),
        "you count all validations without progress in the whole run. Patience is about those *in a row*: begin anew "
        "at every progress.",
    ),
    "compared with the one before": (
        _step_by_step,
        "you hold each loss against the one before. A run that got worse and climbs back would count as progress: hold "
        "it against the *best* so far.",
    ),
    "looks past the end": (
        lambda x, p: _with_end(x, p, lambda best, end: (_best_of(x), end)),
        "the run ends where it should, but your best one comes later: it is in the list, and a run that was stopped "
        "would never have seen it.",
    ),
    "NaN taken as best": (
        lambda x, p: _stop(
            x, p, lambda loss, best: loss < best or (math.isnan(loss) and not math.isnan(best))
        ),
        "you take NaN for the best, as `np.argmin` does, and then nothing is below it. NaN means that the run is "
        "broken.",
    ),
    "argmin finds NaN": (
        lambda x, p: _with_end(x, p, lambda best, end: (int(np.argmin(x[:end])), end)),
        "the run ends where it should; your best one is NaN, which `np.argmin` takes for the smallest. "
        "`np.nanargmin` leaves it out, and raises when there is nothing else.",
    ),
    "first taken as best": (
        _begins_with_the_first,
        "you begin with the first loss as the best one. When that is NaN nothing is ever below it, for `x < nan` is "
        "false. Begin with infinity, and with None for the index.",
    ),
    "NaN costs nothing": (
        lambda x, p: _stop(x, p, counts=lambda loss: not math.isnan(loss)),
        "you skip a validation that is NaN. It is one without progress and counts: a run that has become NaN would "
        "never end.",
    ),
    "NaN ends the run": (
        _ends_at_nan,
        "you end the run at the first NaN. That is sensible, and Lightning's `EarlyStopping` does it unless you say "
        "`check_finite=False`; here NaN is one validation without progress.",
    ),
}


def _ends(function: Callable) -> list[tuple]:
    return [_as_pair(function(list(losses), patience)) for losses, patience in _HISTORIES]


def _as_pair(answer) -> tuple:
    try:
        best, end = answer
        return tuple(None if x is None else float(x) for x in (best, end))
    except (TypeError, ValueError):
        raise Mistake(
            "not a pair",
            f"you return {answer!r}; return two: an index or None, and a number of validations or None.",
        ) from None


def _judge_stop(function: Callable) -> None:
    answer, wanted = _ends(function), _ends(_stop)
    if answer == wanted:
        return
    _name_the_slip(answer, _STOP_SLIPS, _ends)
    where = next(i for i, pair in enumerate(zip(answer, wanted, strict=True)) if operator.ne(*pair))
    (losses, patience), (found, right) = _HISTORIES[where], (_plain(answer[where]), _plain(wanted[where]))
    raise Mistake(
        "other answers",
        f"for the losses {list(losses)} and a patience of {patience} you say {found}, it is {right}. Go through them "
        "with a finger.",
    )


def _plain(pair: tuple) -> tuple:
    """2 in place of 2.0, for a hint."""
    return tuple(int(x) if x is not None and x.is_integer() else x for x in pair)


stop = Exercise(
    id="05.3",
    title="When to stop",
    task="Write `my_stop(losses, patience)` for the losses of all validations of a run, lower is better. The run ends "
    "when `patience` validations in a row were without progress; only a loss *below* all before is progress, an equal "
    "one and NaN are none. Return `(best, end)`: the index of the best validation that the run has seen (None if all "
    "were NaN), and the number of validations after which it ends (None if it goes on).",
    done_when="nine runs end where they should: with pauses, equal losses, a best that comes too late, and NaN.",
    judge=_judge_stop,
    hints=(
        "Go through the losses once and keep three things: the lowest so far, its index, and how many validations have "
        "passed since.",
        "Begin with `lowest = float('inf')` and `best = None`. `loss < lowest` is false for an equal loss, and "
        "for NaN.",
        "On progress the count begins at zero again, else it goes up by one. When it reaches `patience`, return at "
        "once.",
    ),
    solution="""```python
def my_stop(losses, patience):
    best, lowest, waited = None, float("inf"), 0
    for i, loss in enumerate(losses):
        if loss < lowest:
            best, lowest, waited = i, loss, 0
        else:
            waited += 1
        if waited == patience:
            return best, i + 1
    return best, None
```""",
    minutes=5,
    difficulty=2,
)

# ---------------------------------------------------------------- 05.4

# items, world_size, batch: an exact fit; one process; a rest; a rest that fills the batch of one rank and not of the
# other; the same with three ranks; fewer mixtures than ranks.
_EPOCHS = ((24, 2, 3), (10, 1, 3), (30, 2, 4), (7, 2, 4), (23, 3, 2), (3, 4, 2))


def _share(items, rank, world_size, batch, step, base=None, stride=None, steps=None) -> list[int]:
    """A batch; ``base`` is its first index, ``steps`` how many there are."""
    stride = world_size if stride is None else stride
    base = step * batch * world_size + rank if base is None else base
    steps = items // (world_size * batch) if steps is None else steps
    return list(range(base, base + batch * stride, stride)) if step < steps else []


def _padded(items, rank, world_size, batch, step) -> list[int]:
    steps = -(-items // world_size) // batch
    return [i % items for i in _share(items, rank, world_size, batch, step, steps=steps)]


def _alone(items, rank, world_size, batch, step) -> list[int]:
    found = _share(items, rank, world_size, batch, step, steps=math.inf)
    return found if found[-1] < items else []


_SHARE_SLIPS: Slips = {
    "contiguous blocks": (
        lambda n, r, w, b, s: _share(n, r, w, b, s, n // w * r + s * b, 1, n // w // b),
        "you cut the epoch in one block for each rank. No mixture is read twice, but what the ranks read at one step "
        "is not what one process with the larger batch reads there. Deal the mixtures out like cards: rank r gets r, "
        "r + world_size, ...",
    ),
    "same for all ranks": (
        lambda n, r, w, b, s: _share(n, r, w, b, s, s * b, 1, n // b),
        "all ranks read the same mixtures: several processes, and not a bit more data. `rank` must decide what "
        "is read.",
    ),
    "rank forgotten": (
        lambda n, r, w, b, s: _share(n, r, w, b, s, s * b * w),
        "you read every `world_size`-th mixture, but all ranks begin with the same one: the others are never read. "
        "Begin with `rank`.",
    ),
    "blocks of a batch": (
        lambda n, r, w, b, s: _share(n, r, w, b, s, (s * w + r) * b, 1),
        "together the ranks read the right mixtures, and rank r has a block of them. The sampler deals them out one by "
        "one: r, r + world_size, ...",
    ),
    "steps overlap": (
        lambda n, r, w, b, s: _share(n, r, w, b, s, r + s * b),
        "step 0 is right; the next begins too early, and reads again what step 0 has read. All ranks together move "
        "on by `batch * world_size` in each step.",
    ),
    "step forgotten": (
        lambda n, r, w, b, s: _share(n, r, w, b, s, r),
        "every step reads the mixtures of step 0.",
    ),
    "partial batch kept": (
        lambda n, r, w, b, s: [i for i in _share(n, r, w, b, s, steps=math.inf) if i < n],
        "the last batch of yours is not full. In the mean of that step each of its few mixtures weighs more "
        "than others do: drop it, return an empty list.",
    ),
    "one rank goes on alone": (
        _alone,
        "you drop the batches that are not full, each rank for itself. Then one rank has a step that another lacks, "
        "and waits for ever for its gradient. A step is made by all ranks or by none.",
    ),
    "padded": (
        _padded,
        "you fill up the last batch with mixtures from the beginning, as `DistributedSampler` does with "
        "`drop_last=False`. Those would be read twice: drop the step.",
    ),
    "wrapped round": (
        lambda n, r, w, b, s: [i % n for i in _share(n, r, w, b, s, steps=math.inf)],
        "when the epoch is over you begin again. Return an empty list for a step that it does not have.",
    ),
    "past the end": (
        lambda n, r, w, b, s: _share(n, r, w, b, s, steps=math.inf),
        "you return indices of mixtures that do not exist. Return an empty list for a step that not all ranks have a "
        "full batch for.",
    ),
}


def _shares(function: Callable, epoch: tuple[int, int, int]) -> dict[tuple[int, int], list[int]]:
    """What every rank reads at every step, and at two steps that the epoch does not have, by (step, rank)."""
    items, world_size, batch = epoch
    steps = items // (world_size * batch) + 2
    return {
        (step, rank): _as_indices(function(items, rank, world_size, batch, step))
        for step in range(steps)
        for rank in range(world_size)
    }


def _as_indices(answer) -> list[int]:
    try:
        return [operator.index(i) for i in answer]
    except TypeError:
        raise Mistake("not indices", f"you return {answer!r}; return a list of whole numbers.") from None


def _judge_share(function: Callable) -> None:
    for epoch in _EPOCHS:
        answer, wanted = _shares(function, epoch), _shares(_share, epoch)
        if answer == wanted:
            continue
        _name_the_slip(answer, _SHARE_SLIPS, lambda slip, epoch=epoch: _shares(slip, epoch))
        where = next(key for key in wanted if answer[key] != wanted[key])
        raise Mistake(
            "other numbers",
            "items={}, world_size={}, batch={}: ".format(*epoch)
            + "at step {} rank {} ".format(*where)
            + f"reads {wanted[where]}, you say {answer[where]}.",
        )


share = Exercise(
    id="05.4",
    title="Who reads what",
    task="Several processes share an epoch of `items` mixtures; nothing is shuffled. Of all mixtures rank r reads "
    "r, r + `world_size`, r + 2 `world_size`, ..., in batches of `batch`. Write `my_share(items, rank, world_size, "
    "batch, step)`: the list of indices that `rank` reads at `step`, counted from 0. A step is made by all ranks or by "
    "none: return `[]` where one of them has no full batch.",
    done_when="at every step the ranks read different mixtures, together those of one process with `world_size` times "
    "the batch, and all of them stop at the same step.",
    judge=_judge_share,
    hints=(
        "At one step all ranks together read `batch * world_size` mixtures. Where do those of step `step` begin, and "
        "where do they end?",
        "`range(first, end, world_size)` deals them out, from `first = step * batch * world_size + rank`. The step is "
        "made if the end of *all* ranks' batches lies within `items`.",
    ),
    solution="""```python
def my_share(items, rank, world_size, batch, step):
    together = batch * world_size
    begin, end = step * together, (step + 1) * together
    return list(range(begin + rank, end, world_size)) if end <= items else []
```""",
    minutes=6,
    difficulty=2,
)
