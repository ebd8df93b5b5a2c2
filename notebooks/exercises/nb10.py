"""Exercises of notebook 10: one change at a time, a difference against the luck of the seed, the best of ten.

Notebook: 10_experiments
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import stats

from .exercise import Exercise, Mistake

__all__ = ["best_of", "difference", "one_change"]

# ---------------------------------------------------------------- 10.1

# Two sizes, two rates, two seeds; one combination failed and is not there, one run was made twice.
_RUNS = (
    {"hid_size": 32, "lr": 1e-3, "seed": 0},
    {"hid_size": 64, "lr": 1e-3, "seed": 0},
    {"hid_size": 32, "lr": 2e-3, "seed": 0},
    {"hid_size": 64, "lr": 2e-3, "seed": 0},
    {"hid_size": 64, "lr": 1e-3, "seed": 1},
    {"hid_size": 32, "lr": 2e-3, "seed": 1},
    {"hid_size": 64, "lr": 2e-3, "seed": 1},
    {"hid_size": 32, "lr": 1e-3, "seed": 0},
)


def _changed(first: Mapping, second: Mapping) -> set[str]:
    return {name for name in first if first[name] != second[name]}


def _pairs(runs, right: Callable[[set[str]], bool]) -> set[tuple[int, int]]:
    return {(i, j) for j in range(len(runs)) for i in range(j) if right(_changed(runs[i], runs[j]))}


_PAIR_SLIPS = {
    "everything that differs there": (
        lambda p: lambda changed: p in changed,
        "your pairs differ in the parameter, and some of them elsewhere as well: which of the two changes made the "
        "difference? Everything else must be equal.",
    ),
    "another seed": (
        lambda p: lambda changed: p in changed and changed <= {p, "seed"},
        "you let the seed differ. Then the pair shows the parameter *and* the luck of seeds. Compare within a seed.",
    ),
    "nothing differs": (
        lambda p: lambda changed: changed <= {p},
        "you count a pair in which nothing differs at all: a run that was made twice. It must differ in the parameter.",
    ),
    "any one change": (
        lambda p: lambda changed: len(changed) == 1,
        "each of your pairs has one change, but not always the one that was asked about.",
    ),
    "seeds compared": (
        lambda p: lambda changed: changed == {"seed"},
        "you compare the same setting with another seed. That tells how large luck is, and nothing of the parameter.",
    ),
}


def _judge_one_change(function: Callable) -> None:
    for parameter in ("hid_size", "lr"):
        answer = function([dict(run) for run in _RUNS], parameter)
        try:
            listed = [(int(i), int(j)) for i, j in answer]
        except (TypeError, ValueError):
            raise Mistake(
                "no pairs",
                f"your answer is {type(answer).__name__}; return a list of pairs of places (i, j).",
            ) from None
        found, wanted = set(listed), _pairs(_RUNS, lambda changed, p=parameter: changed == {p})
        if any(i >= j for i, j in listed):
            raise Mistake(
                "both orders",
                "a pair (i, j) and its reverse are the same comparison, and a run has none with itself: only i < j.",
            )
        if len(listed) != len(found):
            raise Mistake(
                "a pair twice", "a pair stands in your list twice: it would count as two comparisons."
            )
        if found == wanted:
            continue
        for name, (rule, hint) in _PAIR_SLIPS.items():
            if found == _pairs(_RUNS, rule(parameter)):
                raise Mistake(name, hint)
        i, j = sorted(found ^ wanted)[0]
        says = "is missing" if (i, j) in wanted else "should not be there"
        raise Mistake(
            "other pairs", f"the pair {(i, j)} {says}: {_RUNS[i]} and {_RUNS[j]}, asked about {parameter}."
        )


one_change = Exercise(
    id="10.1",
    title="One change",
    task="Write `my_pairs(runs, parameter)` for a list of runs, each a dictionary of its parameters, all with the same "
    "names and with `seed` among them: the list of all pairs `(i, j)`, `i < j`, of places in `runs` whose comparison "
    'answers the question "what does `parameter` do?".',
    done_when="the pairs are right for two parameters, in a sweep with a hole and with a run that was made twice.",
    judge=_judge_one_change,
    hints=(
        "Which names differ between two runs? `{name for name in a if a[name] != b[name]}`.",
        "The pair is right when that set is exactly `{parameter}`: the seed is one of the names that must not differ.",
    ),
    solution="""```python
def my_pairs(runs, parameter):
    pairs = []
    for j, second in enumerate(runs):
        for i, first in enumerate(runs[:j]):
            if {name for name in first if first[name] != second[name]} == {parameter}:
                pairs.append((i, j))
    return pairs
```""",
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- 10.2

# Seed to SI-SDRi of two settings: the seeds in another order, and one that only the first has.
_FIRST = {0: 3.1, 1: 4.4, 2: 2.6, 3: 3.9, 4: 5.0, 5: 3.3}
_SECOND = {3: 4.1, 0: 3.6, 4: 5.2, 2: 3.4, 1: 4.5}


def _paired(first: Mapping, second: Mapping) -> np.ndarray:
    return np.array([second[seed] - first[seed] for seed in sorted(first.keys() & second.keys())])


def _around(values: np.ndarray, factor: float, error: float | None = None) -> tuple[float, float, float]:
    error = values.std(ddof=1) / len(values) ** 0.5 if error is None else error
    return values.mean(), values.mean() - factor * error, values.mean() + factor * error


def _student(values: np.ndarray, upper: float = 0.975, lost: int = 1) -> float:
    return float(stats.t.ppf(upper, len(values) - lost))


def _in_given_order(first: Mapping, second: Mapping) -> tuple[float, float, float]:
    values = np.array([b - a for a, b in zip(first.values(), second.values(), strict=False)])
    return _around(values, _student(values))


def _unpaired(first: Mapping, second: Mapping) -> tuple[float, float, float]:
    a, b = (np.array(list(scores.values())) for scores in (first, second))
    error = (a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) ** 0.5
    middle = b.mean() - a.mean()
    factor = float(stats.t.ppf(0.975, len(a) + len(b) - 2))
    return middle, middle - factor * error, middle + factor * error


def _of(make: Callable[[np.ndarray], tuple]) -> Callable:
    return lambda first, second: make(_paired(first, second))


_DIFFERENCE_SLIPS = {
    "seeds not matched": (
        _in_given_order,
        "you subtract in the order in which the seeds happen to stand. Match them: `second[seed] - first[seed]`.",
    ),
    "unpaired": (
        _unpaired,
        "you compare two means as if the settings had nothing in common. Take the difference within each seed that "
        "both have, and then the mean and the spread of *differences*.",
    ),
    "sign": (_of(lambda d: _around(-d, _student(d))), "the right size with the wrong sign: second minus first."),
    "factor of the normal distribution": (
        _of(lambda d: _around(d, 1.96)),
        "the factor 1.96 holds where the spread is known. Here it is estimated from five values: Student's factor for "
        "four degrees of freedom is 2.78.",
    ),
    "one-sided factor": (
        _of(lambda d: _around(d, _student(d, 0.95))),
        "you take the 95 % point of Student's distribution: that leaves 5 % at *each* end. For 95 % in the middle take "
        "the 97.5 % point.",
    ),
    "degrees of freedom": (
        _of(lambda d: _around(d, _student(d, lost=0))),
        "one degree of freedom goes into the mean: `len(d) - 1`.",
    ),
    "spread of the values": (
        _of(lambda d: _around(d, _student(d), d.std(ddof=1))),
        "that interval tells where *single* differences lie. The mean of n of them is surer by the root of n.",
    ),
    "divided by n": (
        _of(lambda d: _around(d, _student(d), d.std(ddof=1) / len(d))),
        "the standard error is the standard deviation over the *root* of n.",
    ),
    "standard deviation over n": (
        _of(lambda d: _around(d, _student(d), d.std() / len(d) ** 0.5)),
        "NumPy's `std()` divides by n and comes out too small for few values: use `std(ddof=1)`.",
    ),
}  # fmt: skip


def _judge_difference(function: Callable) -> None:
    answer = function(dict(_FIRST), dict(_SECOND))
    try:
        found = np.array([float(value) for value in answer])
    except (TypeError, ValueError):
        raise Mistake("not numbers", "return three numbers: mean, low, high.") from None
    if len(found) != 3:
        raise Mistake("wrong count", f"you return {len(found)} numbers; return three: mean, low, high.")
    values = _paired(_FIRST, _SECOND)
    wanted = np.array(_around(values, _student(values)))
    if np.allclose(found, wanted, atol=2e-3):
        return
    if np.allclose(found, wanted[[0, 2, 1]], atol=2e-3):
        raise Mistake("ends swapped", "right numbers; the low end comes before the high one.")
    for name, (slip, hint) in _DIFFERENCE_SLIPS.items():
        wrong = np.array(slip(_FIRST, _SECOND))
        if np.allclose(found, wrong, atol=2e-3) or np.allclose(found, wrong[[0, 2, 1]], atol=2e-3):
            raise Mistake(name, hint)
    raise Mistake("other numbers", f"expected {wanted.round(2).tolist()}, got {found.round(2).tolist()}.")


difference = Exercise(
    id="10.2",
    title="More than the luck of the seed?",
    task="Write `my_difference(first, second)` for two dictionaries from seed to SI-SDRi: return `(mean, low, high)`, "
    "the mean of second minus first over the seeds that *both* have, and its 95 % Student interval. Do not call "
    "`compare_runs` or `student_mean`; `scipy.stats.t.ppf(0.975, n - 1)` is Student's factor.",
    done_when="mean and both ends are right where the seeds stand in another order and one has failed.",
    judge=_judge_difference,
    hints=(
        "The seeds of both are `first.keys() & second.keys()`; make the array `d` of their differences first.",
        "The half width is `t.ppf(0.975, n - 1) * d.std(ddof=1) / n ** 0.5`.",
    ),
    solution="""```python
import numpy as np
from scipy.stats import t

def my_difference(first, second):
    d = np.array([second[seed] - first[seed] for seed in first.keys() & second.keys()])
    half = t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / len(d) ** 0.5
    return d.mean(), d.mean() - half, d.mean() + half
```""",
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- 10.3

_CALLS = 5
_SPREADS = ((0.4, 10), (1.5, 3))  # dB, seeds


def _expected(statistic: Callable[[np.ndarray], np.ndarray], seeds: int) -> float:
    draws = np.random.default_rng(2).normal(size=(100_000, seeds))
    return float(statistic(draws).mean())


_BEST_SLIPS = {
    "mean of the seeds": (
        lambda n: 0.0,
        "you report the *mean* of the seeds, which gains nothing: that is why it is the honest number. What does the "
        "best one gain?",
    ),
    "best minus worst": (
        lambda n: _expected(lambda x: x.max(1) - x.min(1), n),
        "that is how far the best seed lies over the *worst*. The question is how far over the mean.",
    ),
    "worst of the seeds": (
        lambda n: _expected(lambda x: x.min(1), n),
        "you take the lowest of the seeds: the gain must be over zero.",
    ),
    "largest deviation": (
        lambda n: _expected(lambda x: abs(x).max(1), n),
        "you take the seed that lies farthest from the mean, to either side. Nobody would report the worst one.",
    ),
    "best of all draws": (
        lambda n: _expected(lambda x: x[:1000].max(keepdims=True), n),
        "that is the best of *all* your draws. Each trial has its own best: take the maximum along the seeds, then the "
        "mean over the trials.",
    ),
    "one over root n": (
        lambda n: n**-0.5,
        "spread over the root of n is how far the *mean* of n seeds strays. The best of them strays much farther.",
    ),
    "spread alone": (lambda n: 1.0, "you return the spread itself: the number of seeds matters, too."),
}


def _judge_best_of(function: Callable) -> None:
    for spread, seeds in _SPREADS:
        answers = []
        for call in range(_CALLS):
            answer = function(spread, seeds, np.random.default_rng(call))
            try:
                answers.append(float(answer) / spread)
            except (TypeError, ValueError):
                raise Mistake("not a number", "return one number, in dB.") from None
        wanted, found, strays = _expected(lambda x: x.max(1), seeds), np.mean(answers), np.std(answers)
        if strays < 0.06 and abs(found - wanted) < 0.06:
            continue
        for name, (wrong, hint) in _BEST_SLIPS.items():
            # The best of all draws depends on how many there are.
            near = 0.8 if name == "best of all draws" else 0.06
            if abs(found - wrong(seeds)) < near and (strays < 0.06 or near == 0.8):
                raise Mistake(name, hint)
        if abs(found - wanted) < 0.5 and strays >= 0.06:
            raise Mistake(
                "too few trials",
                f"from one call to the next your answer moves by {strays * spread:.2f} dB: use 2000 trials or more.",
            )
        raise Mistake(
            "other numbers",
            f"for a spread of {spread} dB and {seeds} seeds expected about {wanted * spread:.2f} dB, got "
            f"{found * spread:.2f} dB.",
        )


best_of = Exercise(
    id="10.3",
    title="The best of ten seeds",
    task="Somebody trains `seeds` times, changes *nothing* but the seed, and reports the best run. Write "
    "`my_gain(spread, seeds, rng)`: how many dB over the true mean will that be on average, if runs are normal with "
    "the standard deviation `spread` (dB)? Draw 2000 such trials or more with the NumPy generator `rng`.",
    done_when="the gain is right for ten seeds and for three.",
    judge=_judge_best_of,
    hints=(
        "`rng.normal(0, spread, size=(5000, seeds))`: a row is one trial, and its true mean is 0.",
        "The best of each trial is `.max(axis=1)`; how large is it on average?",
    ),
    solution="""```python
def my_gain(spread, seeds, rng):
    trials = rng.normal(0, spread, size=(5000, seeds))
    return trials.max(axis=1).mean()
```""",
    minutes=6,
    difficulty=1,
)
