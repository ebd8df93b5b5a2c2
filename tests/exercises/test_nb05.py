"""Notebook 05's exercises: the named mistakes, each with its own hint, and answers that are right another way."""

import inspect
import itertools
import json
import math
import operator
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from exercises import CANT_CHECK, RIGHT, nb05
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.trainer.states import TrainerFn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import BatchSampler, DistributedSampler

from dprnn_lab.model import DPRNNTasNet
from dprnn_lab.training import SeparationModule
from dprnn_lab.training.callbacks import moving_average

ALL = [getattr(nb05, name) for name in nb05.__all__]


# 05.1


@pytest.mark.parametrize("mistake", nb05._RATE_SLIPS)
def test_rate_slips(mistake, fails_with):
    slip, hint = nb05._RATE_SLIPS[mistake]
    fails_with(nb05.rate, mistake, lambda *question: slip(*question), hint)


def unguarded(step, lr, warmup, cooldown, max_steps, rise=None):
    rise = (step + 1) / warmup if rise is None else rise
    return lr * max(0.0, min(1.0, rise, (max_steps - step) / cooldown))


def from_the_first_step(step, lr, warmup, cooldown, max_steps):
    """Zero at step 0, in the form in which it is most often written."""
    if step < warmup:
        return lr * step / warmup
    left = max(0, max_steps - step)
    return lr * left / cooldown if cooldown and left < cooldown else lr


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("zero at step 0", from_the_first_step),
        ("division by zero", unguarded),
        ("division by zero", lambda s, lr, w, c, m: unguarded(s, lr, w, c, m, rise=(s + 1) / max(1, w))),
        ("not a number", lambda s, lr, w, c, m: nb05._rate(s, lr, w, c, m) if s < w else None),
        ("not a number", lambda s, lr, w, c, m: "fast"),
        ("not a number", lambda s, lr, w, c, m: math.nan),
        ("other numbers", lambda s, lr, w, c, m: lr),
        ("other numbers", lambda s, lr, w, c, m: nb05._rate(s, lr, w, c, m, rise=(s + 1) / (w + 1))),
        # wrong only without a warm-up, only without a cooldown, only without both
        ("other numbers", lambda s, lr, w, c, m: nb05._rate(s, lr, w, c, m) * (1 if w or not c else 0.5)),
        ("other numbers", lambda s, lr, w, c, m: nb05._rate(s, lr, w, c, m) * (1 if c or not w else 0.5)),
        ("other numbers", lambda s, lr, w, c, m: nb05._rate(s, lr, w, c, m) * (1 if w or c else 0.5)),
        # a warm-up longer than the run is squeezed into it
        ("other numbers", lambda s, lr, w, c, m: nb05._rate(s, lr, min(w, m), c, m)),
    ],
)
def test_other_rates(mistake, answer, fails_with):
    fails_with(nb05.rate, mistake, answer)


def test_a_division_by_zero_that_no_zero_argument_explains_is_an_error_of_the_answer():
    nb05.rate.check(lambda step, lr, warmup, cooldown, max_steps: lr / step)
    assert nb05.rate.outcome == CANT_CHECK


def by_cases(step, lr, warmup, cooldown, max_steps):
    value = lr
    if step < warmup:
        value = min(value, lr * (step + 1) / warmup)
    if step >= max_steps - cooldown:
        value = min(value, lr * max(0, max_steps - step) / max(1, cooldown)) if cooldown else value
    return torch.tensor(value)


def package(step, lr, warmup, cooldown, max_steps):
    model = DPRNNTasNet(
        n_filters=4, kernel_size=4, stride=2, bn_chan=4, hid_size=4, chunk_size=4, n_repeats=1
    )
    module = SeparationModule(model, lr, warmup, cooldown, max_steps)
    return lr * module.learning_rate_factor(step)


@pytest.mark.parametrize("answer", [by_cases, package, lambda *question: np.float32(nb05._rate(*question))])
def test_rates_that_are_right_another_way(answer):
    nb05.rate.check(answer)
    assert nb05.rate.outcome == RIGHT


# 05.2


def averages(mean=None, counter=lambda a, c, d: c.clone()):
    """An answer with the mean of the weights and the treatment of counters given."""
    mean = mean or (lambda a, c, d: d * a + (1 - d) * c)
    return lambda averaged, current, decay: {
        k: (mean if c.is_floating_point() else counter)(averaged[k], c, decay) for k, c in current.items()
    }


@pytest.mark.parametrize("mistake", nb05._AVERAGE_SLIPS)
def test_average_slips(mistake, fails_with):
    slip, hint = nb05._AVERAGE_SLIPS[mistake]
    fails_with(nb05.average, mistake, averages(slip), hint)


def in_place(averaged, current, decay):
    for name, x in averaged.items():
        x.mul_(decay).add_(current[name], alpha=1 - decay)


def into_the_same_dictionary(averaged, current, decay):
    for name, x in current.items():
        averaged[name] = decay * averaged[name] + (1 - decay) * x
    return averaged


def spoils_the_current(averaged, current, decay):
    return {name: x.mul_(1 - decay).add_(averaged[name] * decay) for name, x in current.items()}


def drops_a_name(averaged, current, decay):
    result = averages()(averaged, current, decay)
    averaged.pop("scale")
    return result


def weights_only(averaged, current, decay):
    result = averages()(averaged, current, decay)
    return {name: x for name, x in result.items() if x.is_floating_point()}


def everything(a, c, d):
    return d * a + (1 - d) * c


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("in place", in_place),
        ("in place", into_the_same_dictionary),
        ("in place", spoils_the_current),
        ("in place", drops_a_name),
        ("not a dictionary", lambda a, c, d: list(averages()(a, c, d).values())),
        ("other names", weights_only),
        ("other names", lambda a, c, d: averages()(a, c, d) | {"decay": torch.tensor(d)}),
        ("not a tensor", averages(lambda a, c, d: (d * a + (1 - d) * c).tolist())),
        ("wrong shape", averages(lambda a, c, d: (d * a + (1 - d) * c).flatten())),
        ("other numbers", averages(lambda a, c, d: 0.9 * a + 0.1 * c)),  # right for the first decay
        ("other numbers", averages(lambda a, c, d: torch.zeros_like(a))),
        ("counter averaged", averages(counter=everything)),
        ("counter averaged", averages(counter=lambda a, c, d: everything(a, c, d).to(c.dtype))),
        ("counter averaged", averages(counter=lambda a, c, d: everything(a, c, d).round().to(c.dtype))),
        ("counter averaged", averages(counter=lambda a, c, d: a.lerp(c, 1 - d))),  # PyTorch refuses
        ("counter left behind", averages(counter=lambda a, c, d: a.clone())),
        ("counter left behind", averages(counter=lambda a, c, d: a)),
        ("dtype changed", averages(lambda a, c, d: (d * a + (1 - d) * c).float())),
        ("dtype changed", averages(counter=lambda a, c, d: c.double())),
        ("same memory", averages(counter=lambda a, c, d: c)),
        ("same memory", averages(counter=lambda a, c, d: c.view(c.shape))),
    ],
)
def test_other_averages(mistake, answer, fails_with):
    fails_with(nb05.average, mistake, answer)


def test_only_a_refused_counter_is_taken_for_an_averaged_counter():
    nb05.average.check(averages(lambda a, c, d: a.view(-1, 1000)))
    assert nb05.average.outcome == CANT_CHECK


def through_copies(averaged, current, decay):
    result = {name: x.clone() for name, x in averaged.items()}
    for name, x in result.items():
        x.lerp_(current[name], 1 - decay) if x.is_floating_point() else x.copy_(current[name])
    return result


@pytest.mark.parametrize(
    "answer",
    [
        averages(lambda a, c, d: a.lerp(c, 1 - d)),
        averages(lambda a, c, d: a - (1 - d) * (a - c)),
        through_copies,
    ],
)
def test_averages_that_are_right_another_way(answer):
    nb05.average.check(answer)
    assert nb05.average.outcome == RIGHT


def test_the_packages_average_of_a_long_run_is_the_same():
    averaged, current = nb05._weights(counters=False)
    for decay in (0.9, 0.75):
        mean = moving_average(decay)
        wanted = nb05._averaged(averaged, current, decay)
        for name, x in current.items():
            torch.testing.assert_close(mean(averaged[name], x, torch.tensor(10_000)), wanted[name])


def test_pytorch_too_copies_counters():
    def network(start):
        network = torch.nn.BatchNorm1d(3)
        network.num_batches_tracked.fill_(start)
        torch.nn.init.constant_(network.weight, float(start))
        return network

    kept = AveragedModel(network(100), avg_fn=lambda a, c, n: 0.9 * a + 0.1 * c)
    kept.update_parameters(network(100))
    kept.update_parameters(network(117))
    averaged = nb05._averaged(network(100).state_dict(), network(117).state_dict(), 0.9)
    for name, x in kept.module.state_dict().items():
        torch.testing.assert_close(x, averaged[name])


# 05.3


@pytest.mark.parametrize("mistake", nb05._STOP_SLIPS)
def test_stop_slips(mistake, fails_with):
    slip, hint = nb05._STOP_SLIPS[mistake]
    fails_with(nb05.stop, mistake, lambda losses, patience: slip(losses, patience), hint)


def with_end(change):
    return lambda losses, patience: change(losses, *nb05._stop(losses, patience))


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not a pair", lambda losses, patience: 3),
        ("not a pair", lambda losses, patience: (1, 2, 3)),
        ("not a pair", lambda losses, patience: ("first", None)),
        ("other answers", lambda losses, patience: (0, None)),
        ("other answers", lambda losses, patience: (math.nan, None)),
        ("other answers", lambda losses, patience: (2.5, math.inf)),
        ("other answers", with_end(lambda x, best, end: (best, end or len(x)))),
        ("other answers", with_end(lambda x, best, end: (best or 0, end))),
        # wrong only when the first was the best, when the run goes on, in pauses without NaN,
        # after a NaN at the front
        ("other answers", with_end(lambda x, best, end: (best or None, end))),
        (
            "other answers",
            with_end(lambda x, best, end: (best if end else nb05._best_of(x, operator.le), end)),
        ),
        ("other answers", lambda x, p: nb05._stop(x, p, reset=p != 2 or math.isnan(x[1]))),
        ("other answers", lambda x, p: (nb05._begins_with_the_first if x[-1] < 0 else nb05._stop)(x, p)),
        # index() in the whole list finds what the run has not seen, or the NaN at the front
        ("looks past the end", with_end(lambda x, best, end: (best and x.index(np.nanmin(x)), end))),
    ],
)
def test_other_ends(mistake, answer, fails_with):
    fails_with(nb05.stop, mistake, answer)


def test_an_answer_that_no_slip_explains_is_shown_the_simplest_run(fails_with):
    hint = "for the losses [-1.0, -3.0, -5.0, -7.0] and a patience of 2 you say (0, None), it is (3, None)."
    fails_with(nb05.stop, "other answers", lambda losses, patience: (0, None), hint)


def by_distance(losses, patience):
    """Without counting: how far the best one lies back."""
    for end in range(1, len(losses) + 1):
        seen = [math.inf if math.isnan(loss) else loss for loss in losses[:end]]
        best = seen.index(min(seen)) if min(seen) < math.inf else None
        if end - 1 - (-1 if best is None else best) >= patience:
            return [best, end]
    return np.int64(best), None


def test_ends_found_another_way_are_right():
    nb05.stop.check(by_distance)
    assert nb05.stop.outcome == RIGHT


def lightning(losses, patience, check_finite=False):
    """Where Lightning's EarlyStopping ends a run."""
    callback = EarlyStopping("loss", patience=patience, check_finite=check_finite, verbose=False)
    callback._check_on_train_epoch_end = False
    trainer = SimpleNamespace(
        state=SimpleNamespace(fn=TrainerFn.FITTING), sanity_checking=False, fast_dev_run=False,
        should_stop=False, current_epoch=0,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
    )  # fmt: skip
    for i, loss in enumerate(losses):
        trainer.callback_metrics = {"loss": torch.tensor(loss)}
        callback.on_validation_end(trainer, None)
        if trainer.should_stop:
            return i + 1
    return None


def test_lightning_ends_the_runs_where_the_exercise_does():
    for losses, patience in nb05._HISTORIES:
        assert lightning(losses, patience) == nb05._stop(losses, patience)[1]
        assert lightning(losses, patience, check_finite=True) == nb05._ends_at_nan(losses, patience)[1]


# All


def test_the_slips_differ_from_each_other_and_the_right_answer_where_they_are_first_wrong():
    """The judges look at the first question that is answered wrongly: no two slips may be alike there."""

    def look(slips, right, questions, result, alike):
        wanted = [result(right, question) for question in questions]
        first = {}
        for name, (slip, _) in slips.items():
            answers = [result(slip, question) for question in questions]
            first[name] = next(
                (i, answers[i]) for i in range(len(answers)) if not alike(answers[i], wanted[i])
            )
        for (a, (i, x)), (b, (j, y)) in itertools.combinations(first.items(), 2):
            assert i != j or not alike(x, y), (a, b)

    def equal(x, y):
        return x == y

    look(nb05._RATE_SLIPS, nb05._rate, nb05._RUNS, nb05._curve, nb05._close)
    look(nb05._SHARE_SLIPS, nb05._share, nb05._EPOCHS, nb05._shares, equal)
    look(nb05._STOP_SLIPS, nb05._stop, [None], lambda function, _: nb05._ends(function), equal)


def test_every_mistake_has_a_hint_of_its_own():
    tables = (nb05._RATE_SLIPS, nb05._AVERAGE_SLIPS, nb05._SHARE_SLIPS, nb05._STOP_SLIPS)
    hints = [hint for slips in tables for _, hint in slips.values()]
    assert len(set(hints)) == len(hints)


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_an_answer_with_the_wrong_arguments_cannot_be_checked(exercise):
    exercise.check(lambda x: x + 1)
    assert exercise.outcome == CANT_CHECK


@pytest.mark.parametrize("exercise", ALL, ids=lambda e: e.id)
def test_the_card_names_the_arguments_of_the_solution(exercise):
    scope = {}
    exec(exercise.solution.removeprefix("```python\n").removesuffix("```"), scope)  # our own text
    name = next(name for name in scope if name.startswith("my_"))
    assert f"`{name}({', '.join(inspect.signature(scope[name]).parameters)})`" in exercise.card().data


def test_an_answer_that_spoils_the_losses_is_judged_by_what_they_were():
    def spoils(losses, patience):
        answer = nb05._stop(losses, patience)
        losses.clear()
        return answer

    nb05.stop.check(spoils)
    assert nb05.stop.outcome == RIGHT


# 05.4


@pytest.mark.parametrize("mistake", nb05._SHARE_SLIPS)
def test_share_slips(mistake, fails_with):
    slip, hint = nb05._SHARE_SLIPS[mistake]
    fails_with(nb05.share, mistake, lambda *question: slip(*question), hint)


def share_if(wrong, mistake):
    """Right, but for the numbers of ranks that ``wrong`` names."""
    slip, _ = nb05._SHARE_SLIPS[mistake]
    return lambda n, r, w, b, s: (slip if wrong(w) else nb05._share)(n, r, w, b, s)


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ("not indices", lambda n, r, w, b, s: 3),
        ("not indices", lambda n, r, w, b, s: nb05._share(n, r, w, b, s) or None),
        ("not indices", lambda n, r, w, b, s: [i / 1 for i in nb05._share(n, r, w, b, s)]),
        ("other numbers", lambda n, r, w, b, s: [r]),
        ("other numbers", lambda n, r, w, b, s: nb05._share(n, r, w, b, s)[::-1]),
        # wrong only with one process, with two ranks, with three, and with more ranks than mixtures
        ("partial batch kept", share_if(lambda w: w == 1, "partial batch kept")),
        ("one rank goes on alone", share_if(lambda w: w == 2, "one rank goes on alone")),
        ("one rank goes on alone", share_if(lambda w: w == 3, "one rank goes on alone")),
        ("other numbers", lambda n, r, w, b, s: [0] if n == 3 else nb05._share(n, r, w, b, s)),
    ],
)
def test_other_shares(mistake, answer, fails_with):
    fails_with(nb05.share, mistake, answer)


def samplers(items, rank, world_size, batch, step):
    """What PyTorch's own samplers give, with everything dropped that is not whole."""
    ranks = DistributedSampler(range(items), world_size, rank, shuffle=False, drop_last=True)
    batches = list(BatchSampler(ranks, batch, drop_last=True))
    return batches[step] if step < len(batches) else []


@pytest.mark.parametrize(
    "answer",
    [
        samplers,
        lambda n, r, w, b, s: torch.tensor(nb05._share(n, r, w, b, s), dtype=torch.long),
        lambda n, r, w, b, s: np.arange(n // (w * b) * w * b).reshape(-1, b, w)[s : s + 1, :, r].flatten(),
    ],
)
def test_shares_that_are_right_another_way(answer):
    nb05.share.check(answer)
    assert nb05.share.outcome == RIGHT


def test_the_shares_together_are_the_larger_batch_of_one_process():
    for items, world_size, batch in nb05._EPOCHS:
        for step in range(items):
            ranks = [nb05._share(items, rank, world_size, batch, step) for rank in range(world_size)]
            together = [i for indices in ranks for i in indices]
            assert sorted(together) == nb05._share(items, 0, 1, batch * world_size, step)
            assert len({len(indices) for indices in ranks}) == 1


def test_the_sampler_that_pads_is_the_slip_of_that_name():
    for items, world_size, batch in nb05._EPOCHS:
        for rank in range(world_size):
            ranks = DistributedSampler(range(items), world_size, rank, shuffle=False, drop_last=False)
            batches = list(BatchSampler(ranks, batch, drop_last=True))
            found = [nb05._padded(items, rank, world_size, batch, step) for step in range(len(batches) + 1)]
            assert found == [*batches, []]


def test_the_minutes_of_the_cards_are_those_that_the_notebook_states():
    path = Path(__file__).parents[2] / "notebooks" / "05_training.ipynb"
    text = " ".join("".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).split())
    total, reading, exercises = map(
        int, re.search(r"about (\d+) minutes: (\d+) to read, try and wait, (\d+) for the four", text).groups()
    )
    assert exercises == sum(e.minutes for e in ALL)
    assert total == reading + exercises
