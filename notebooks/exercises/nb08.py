"""Exercises of notebook 08: improvement per voice, a leak of known size, the bootstrap, pairs, the sign test.

Each judge feeds inputs on which the usual wrong ideas all give different numbers, and tells a student which
idea the answer stems from.

Notebook: 08_evaluation
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pandas as pd
import torch
from scipy import stats

from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, reorder, si_sdr

from .exercise import Exercise, Mistake

__all__ = ["improvement", "interval", "leak", "paired", "sign_test"]

Slips = Mapping[str, tuple[Callable, str]]  # name: (the wrong answer, its hint)


def _numbers(answer, count: int, what: str) -> np.ndarray:
    """An answer as ``count`` float64 numbers; tensors, arrays, sequences and single numbers count."""
    try:
        if isinstance(answer, torch.Tensor):
            answer = answer.detach().cpu().numpy()
        found = np.atleast_1d(np.array([float(v) for v in np.atleast_1d(answer)]))
    except (TypeError, ValueError):
        raise Mistake("not numbers", f"your answer is {type(answer).__name__}; return {what}.") from None
    if len(found) != count:
        raise Mistake("wrong count", f"you return {len(found)} numbers; return {what}.")
    return found


def _near(answer: np.ndarray, wanted, tolerance: float = 1e-3) -> bool:
    return np.allclose(answer, np.asarray(wanted, dtype=float), rtol=0, atol=tolerance)


def _recognise(answer: np.ndarray, wanted, slips: Slips, inputs: tuple, otherwise: str) -> None:
    """Of a wrong answer, raise the named slip that gives the same; "other numbers" when none does."""
    if _near(answer, wanted):
        return
    for name, (slip, hint) in slips.items():
        if _near(answer, slip(*inputs)):
            raise Mistake(name, hint)
    raise Mistake("other numbers", otherwise)


# ---------------------------------------------------------------- 08.1


def _improvement(mixture, estimates, sources, before=lambda scores, order: scores) -> np.ndarray:
    order = _order(estimates, sources)
    after = si_sdr(reorder(estimates[None], order[None])[0], sources)
    return (after - before(si_sdr(mixture, sources), order)).numpy()


def _order(estimates, sources) -> torch.Tensor:
    return PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates[None], sources[None])[1][0]


_IMPROVEMENT_SLIPS: Slips = {
    "no permutation": (
        lambda m, e, s: (si_sdr(e, s) - si_sdr(m, s)).numpy(),
        "you compare estimate i with source i as they come. Find the order first, with all sources together.",
    ),
    "each source takes its best": (
        lambda m, e, s: (-pairwise_neg_sisdr(e[None], s[None])[0].min(0).values - si_sdr(m, s)).numpy(),
        "you let every source choose its best estimate. Two sources may then choose the same one, and an output "
        "that holds nothing goes unnoticed. A permutation uses each estimate once.",
    ),
    "in the order of the estimates": (
        lambda m, e, s: _improvement(m, e, s)[_order(e, s).argsort().numpy()],
        "the right numbers, but in the order of the *estimates*. Entry j belongs to source j.",
    ),
    "baseline of another source": (
        lambda m, e, s: _improvement(m, e, s, before=lambda scores, order: scores[order]),
        "you moved the mixture's scores about with the estimates. What the mixture scores against source j does "
        "not depend on the order of the estimates.",
    ),
    "baseline averaged": (
        lambda m, e, s: _improvement(m, e, s, before=lambda scores, order: scores.mean()),
        "you take the *mean* score of the mixture off each voice. The mean over the voices comes out right, but a "
        "quiet voice starts far lower than a loud one: take off the mixture's score against the same source.",
    ),
    "baseline forgotten": (
        lambda m, e, s: _improvement(m, e, s, before=lambda scores, order: 0),
        "that is the SI-SDR of the estimates. The improvement is over the mixture: take its SI-SDR off.",
    ),
    "sign": (
        lambda m, e, s: -_improvement(m, e, s),
        "right size, wrong sign: after minus before.",
    ),
}


def _improvement_input() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Three voices at three levels; one output is poor, and another voice's output scores higher for it."""
    sources = torch.randn(3, 2001, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    sources = sources * torch.tensor([[1.0], [0.5], [0.25]], dtype=torch.float64)
    first, second, third = sources
    estimates = torch.stack((first + 2.4 * third, second + 0.05 * first, third + 1.2 * second))
    return sources.sum(0), estimates[[2, 0, 1]], sources


def _judge_improvement(function: Callable) -> None:
    inputs = _improvement_input()
    wanted = _improvement(*inputs)
    what = "one number for each source"
    answer = function(*(x.clone() for x in inputs))
    if np.size(answer) == 1 and _near(_numbers(answer, 1, what), wanted.mean()):
        raise Mistake(
            "averaged over the voices",
            "right as a mean. Here each voice has its own number: leave the mean out.",
        )
    _recognise(
        _numbers(answer, 3, what), wanted, _IMPROVEMENT_SLIPS, inputs,
        f"expected {np.round(wanted, 2).tolist()} dB. Print the scores of the ordered estimates and of the "
        "mixture apart.",
    )  # fmt: skip


improvement = Exercise(
    id="08.1",
    title="The improvement of each voice",
    task="Write `my_improvement(mixture, estimates, sources)` for `[T]`, `[S, T]`, `[S, T]`: the SI-SDRi of each "
    "voice in dB, S numbers in the order of the *sources*. You may use `si_sdr`, `pairwise_neg_sisdr` and "
    "`PITLossWrapper`.",
    done_when="three voices of different levels, with estimates in another order, each have their own improvement.",
    judge=_judge_improvement,
    hints=(
        "`PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates[None], sources[None])` returns the loss "
        "and the order, both with a batch axis.",
        "Put the estimates in order once: `estimates[order]`. The baseline needs no order: `si_sdr(mixture, "
        "sources)` is `[S]` already.",
    ),
    solution="""```python
def my_improvement(mixture, estimates, sources):
    _, order = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates[None], sources[None])
    return si_sdr(estimates[order[0]], sources) - si_sdr(mixture, sources)
```""",
    minutes=7,
    difficulty=2,
)

# ---------------------------------------------------------------- 08.2


def _leak(target, other, sir_db, factor=20.0, sign=-1, level=lambda t, o: t.norm() / o.norm()) -> float:
    return float(level(target, other)) * 10 ** (sign * sir_db / factor)


_LEAK_SLIPS: Slips = {
    "energy taken for amplitude": (
        lambda t, o, d: _leak(t, o, d, factor=10.0),
        "you divide the dB by 10: that gives a ratio of *energies*. A gain multiplies amplitudes: divide by 20.",
    ),
    "sign": (
        lambda t, o, d: _leak(t, o, d, sign=1),
        "a higher SIR means *less* of the other voice: the exponent is negative.",
    ),
    "levels ignored": (
        lambda t, o, d: _leak(t, o, d, level=lambda t, o: 1.0),
        "right for two voices of equal level. These differ: bring the other voice to the target's level first.",
    ),
    "levels upside down": (
        lambda t, o, d: _leak(t, o, d, level=lambda t, o: o.norm() / t.norm()),
        "you multiply by the level of the other voice over that of the target. A loud other voice needs a *smaller* "
        "gain.",
    ),
    "ratio of energies": (
        lambda t, o, d: _leak(t, o, d, level=lambda t, o: (t.norm() / o.norm()).square()),
        "the levels enter as a ratio of energies. Take the root: `norm()`, not the sum of squares.",
    ),
}


def _judge_leak(function: Callable) -> None:
    generator = torch.Generator().manual_seed(5)
    target = torch.randn(4001, generator=generator, dtype=torch.float64)
    other = 3 * torch.randn(4001, generator=generator, dtype=torch.float64)
    for sir_db in (14.0, -3.0):
        wanted = _leak(target, other, sir_db)
        (answer,) = _numbers(function(target.clone(), other.clone(), sir_db), 1, "one number, the gain")
        if _near(answer, -wanted):
            continue  # a leak of the other sign is as large
        if answer:
            found = 20 * torch.log10(target.norm() / (answer * other).norm())
            otherwise = f"with your gain the SIR is {found:.1f} dB, {sir_db:.0f} dB were asked for."
        else:
            otherwise = "a gain of zero leaves nothing of the other voice: the SIR is infinite."
        _recognise(answer, wanted, _LEAK_SLIPS, (target, other, sir_db), otherwise)


leak = Exercise(
    id="08.2",
    title="A leak of known size",
    task="Write `my_leak(target, other, sir_db)` for two voices `[T]`: the gain `g` for which `target + g * other` has "
    "a signal-to-interference ratio of `sir_db`, that is, the energy of `target` lies `sir_db` dB over that of "
    "`g * other`. The two voices may have any level.",
    done_when="for voices of unlike levels the leak has the size asked for, at a positive and at a negative SIR.",
    judge=_judge_leak,
    hints=(
        "Start with what you want: $20\\log_{10}\\left(\\lVert t\\rVert / (g \\lVert o\\rVert)\\right) = $ `sir_db`.",
        "Solve for $g$: the ratio of the norms, times a power of ten.",
    ),
    solution="""```python
def my_leak(target, other, sir_db):
    return target.norm() / other.norm() * 10 ** (-sir_db / 20)
```""",
    minutes=5,
    difficulty=1,
)

# ---------------------------------------------------------------- 08.3

_CALLS = 8  # of the answer, each with another rng: their mean is compared, their spread tells too few draws

# 20 improvements, most of them good and some very bad: their mean's distribution leans to one side.
_SKEWED = 12 - 3 * np.random.default_rng(5).lognormal(0.0, 1.2, 20)


def _resampled(statistic: Callable = np.mean, ends=(2.5, 97.5), size: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(1)
    draws = rng.choice(_SKEWED, size=(40_000, size or len(_SKEWED)))
    return np.percentile(statistic(draws, axis=1), ends)


def _around_the_mean(errors: float) -> np.ndarray:
    return _SKEWED.mean() + np.array([-errors, errors]) * _SKEWED.std(ddof=1) / np.sqrt(len(_SKEWED))


@cache
def _intervals() -> dict[str, tuple[np.ndarray, str]]:
    """Name: (the wrong interval, its hint)."""
    return {
        "percentiles of the values": (
            np.percentile(_SKEWED, (2.5, 97.5)),
            "those are the percentiles of the *values*: where single mixtures lie. The question is where the *mean* "
            "lies: draw anew, take the mean of each draw, and then percentiles of the means.",
        ),
        "drawn without replacement": (
            np.full(2, _SKEWED.mean()),
            "every draw has the same mean: you drew all values without putting them back, which only shuffles them. "
            "Draw n of n *with replacement*.",
        ),
        "ends swapped": (_resampled()[::-1], "the low end comes first."),
        "90 percent": (
            _resampled(ends=(5, 95)),
            "you cut 5 % off at each end: that is the 90 % interval. For 95 % cut 2.5 % at each end.",
        ),
        "one standard error": (
            _around_the_mean(1),
            "the mean plus and minus *one* standard error covers about 68 %. And the exercise wants no formula: take "
            "percentiles of the means that you drew.",
        ),
        "formula of the normal distribution": (
            _around_the_mean(1.96),
            "that is the mean plus and minus 1.96 standard errors: right for large samples. These values lean to one "
            "side, and the percentiles of the drawn means show it.",
        ),
        "mirrored": (
            2 * _SKEWED.mean() - _resampled()[::-1],
            "that is the *basic* bootstrap, mirrored at the mean: a method with a name, but another one. Take the "
            "percentiles of the drawn means as they are.",
        ),
        "median": (
            _resampled(np.median),
            "you take the median of each draw. The interval is that of the *mean*.",
        ),
        "draws of half the size": (
            _resampled(size=len(_SKEWED) // 2),
            "each draw must have as many values as the data: half as many give an interval that is too wide.",
        ),
    }


def _judge_interval(function: Callable) -> None:
    answers = [
        _numbers(function(_SKEWED.copy(), np.random.default_rng(seed)), 2, "two numbers, low and high")
        for seed in range(_CALLS)
    ]
    found, spread = np.mean(answers, axis=0), np.std(answers, axis=0)
    error = _SKEWED.std() / np.sqrt(len(_SKEWED))
    near = 0.12 * error  # what chance leaves of eight calls of 1000 draws is a third of this
    if not _near(found, _resampled(), near) or not spread.any():
        for name, (wrong, hint) in _intervals().items():
            if _near(found, wrong, near):
                raise Mistake(name, hint)
        if _near(found, _resampled(), 3 * near) and not spread.any():
            raise Mistake(
                "rng not used",
                "the interval looks right, and is the same for every `rng`: you draw from a generator of your own. "
                "Draw with the `rng` that you are given, so that the caller decides on the seed.",
            )
    if spread.max() > 0.17 * error:
        raise Mistake(
            "too few draws",
            f"from one call to the next the ends move by {spread.max() / error:.0%} of a standard error. Draw 1000 "
            "times or more.",
        )
    if not _near(found, _resampled(), near):
        raise Mistake(
            "other numbers",
            f"expected about {_resampled().round(2).tolist()}, got {found.round(2).tolist()} in the mean of {_CALLS} "
            "calls.",
        )


interval = Exercise(
    id="08.3",
    title="The bootstrap interval",
    task="Write `my_interval(values, rng)`: the 95 % bootstrap interval of the mean of `values` (an array of n "
    "numbers), as `(low, high)`. Draw n of the n values with replacement, 1000 times or more, with the NumPy "
    "generator `rng`, and take percentiles of the means. Do not call `bootstrap_mean`.",
    done_when="both ends agree with many draws on twenty values that lean to one side.",
    judge=_judge_interval,
    hints=(
        "`rng.choice(values, size=(2000, len(values)))` draws with replacement, 2000 times at once.",
        "The means of the draws are `.mean(axis=1)`; `np.percentile(means, (2.5, 97.5))` are the two ends.",
    ),
    solution="""```python
import numpy as np

def my_interval(values, rng):
    draws = rng.choice(values, size=(2000, len(values)))   # with replacement
    return tuple(np.percentile(draws.mean(axis=1), (2.5, 97.5)))
```""",
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- 08.4


def _difference(first: pd.DataFrame, second: pd.DataFrame, on_id: bool = True) -> pd.Series:
    if on_id:
        first, second = first.set_index("id"), second.set_index("id")
    return second["si_sdri"] - first["si_sdri"]


def _with_error(difference: pd.Series) -> tuple[float, float]:
    return difference.mean(), difference.std() / len(difference) ** 0.5


def _unpaired(first: pd.DataFrame, second: pd.DataFrame) -> tuple[float, float]:
    errors = [_with_error(t["si_sdri"])[1] for t in (first, second)]
    return second["si_sdri"].mean() - first["si_sdri"].mean(), float(np.hypot(*errors))


_PAIRED_SLIPS: Slips = {
    "row by row": (
        lambda a, b: _with_error(_difference(a, b, on_id=False)),
        "you subtract row from row, and the rows of the two tables are in different order. The mean survives that, the "
        "standard error does not: join the tables by `id`.",
    ),
    "unpaired": (
        _unpaired,
        "you add up the errors of the two means, as for two different sets of mixtures. Both systems had the *same* "
        "mixtures: take the difference on each, and the standard error of those differences.",
    ),
    "standard deviation": (
        lambda a, b: (_difference(a, b).mean(), _difference(a, b).std()),
        "that is the standard *deviation* of the differences: how far single mixtures spread. The error of their mean "
        "is smaller by the root of their number.",
    ),
    "divided by n": (
        lambda a, b: (_difference(a, b).mean(), _difference(a, b).std() / len(a)),
        "the standard error falls with the *root* of n, not with n.",
    ),
    "first minus second": (
        lambda a, b: (-_difference(a, b).mean(), _with_error(_difference(a, b))[1]),
        "you took the second off the first. A gain of the second system should come out positive.",
    ),
}


def _paired_input() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(8)
    ids = [f"mixture-{i}" for i in range(12)]
    hard = rng.normal(7, 3, 12)  # what the mixtures have in common is large
    first = pd.DataFrame({"id": ids, "si_sdri": hard + rng.normal(0, 0.4, 12)})
    second = pd.DataFrame({"id": ids, "si_sdri": hard + rng.normal(0.6, 0.5, 12)})
    return first, second.iloc[rng.permutation(12)].reset_index(drop=True)


def _judge_paired(function: Callable) -> None:
    first, second = _paired_input()
    answer = _numbers(function(first.copy(), second.copy()), 2, "two numbers, difference and standard error")
    wanted = np.array(_with_error(_difference(first, second)))
    if _near(answer, wanted * (1, (11 / 12) ** 0.5)):
        return  # NumPy's std divides by n, pandas' by n - 1: both are in use
    _recognise(
        answer, wanted, _PAIRED_SLIPS, (first, second),
        f"expected a difference of {wanted[0]:.3f} dB with a standard error of {wanted[1]:.3f} dB, got "
        f"{answer[0]:.3f} and {answer[1]:.3f}.",
    )  # fmt: skip


paired = Exercise(
    id="08.4",
    title="The difference, with its error",
    task="Write `my_difference(first, second)`: two tables with the columns `id` and `si_sdri`, the same mixtures in "
    "different order. Return the mean of second minus first in dB, and the standard error of that mean.",
    done_when="both numbers are right for two systems whose mixtures differ far more than they do.",
    judge=_judge_paired,
    hints=(
        '`first.merge(second, on="id")` brings the two rows of a mixture together, as `si_sdri_x` and `si_sdri_y`.',
        "The standard error of a mean is the standard deviation of what is averaged over $\\sqrt{n}$. What is averaged "
        "here?",
    ),
    solution="""```python
def my_difference(first, second):
    pairs = first.merge(second, on="id")
    difference = pairs["si_sdri_y"] - pairs["si_sdri_x"]
    return difference.mean(), difference.std() / len(difference) ** 0.5
```""",
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- 08.5


def _sign_test(difference: np.ndarray) -> tuple[float, float, float]:
    better, worse = int((difference > 0).sum()), int((difference < 0).sum())
    return better, worse, _p(better, better + worse)


def _p(better: int, trials: int, alternative: str = "two-sided") -> float:
    return float(stats.binomtest(better, trials, alternative=alternative).pvalue) if trials else 1.0


def _with_p(difference: np.ndarray, p: Callable[[int, int], float]) -> tuple[float, float, float]:
    better, worse, _ = _sign_test(difference)
    return better, worse, p(better, worse)


_SIGN_SLIPS: Slips = {
    "ties count as wins": (
        lambda d: (int((d >= 0).sum()), int((d < 0).sum()), _p(int((d >= 0).sum()), len(d))),
        "you count a difference of zero as a win. A tie speaks for neither system.",
    ),
    "ties count as losses": (
        lambda d: (int((d > 0).sum()), int((d <= 0).sum()), _p(int((d > 0).sum()), len(d))),
        "you count a difference of zero as a loss. A tie speaks for neither system.",
    ),
    "ties kept as trials": (
        lambda d: _with_p(d, lambda better, worse: _p(better, len(d))),
        "wins and losses are right, but the test was given the ties as trials. Toss the coin `better + worse` times.",
    ),
    "one-sided": (
        lambda d: _with_p(d, lambda better, worse: _p(better, better + worse, "greater")),
        "your p asks only whether the second is *better*. Before you looked you did not know which one it would be: "
        "ask for both sides.",
    ),
    "one tail doubled": (
        lambda d: _with_p(d, lambda better, worse: 2 * _p(better, better + worse, "greater")),
        "you double the tail above `better`. When the second system is the worse one, that is the wrong tail, and your "
        "p exceeds 1.",
    ),
    "wins and losses swapped": (
        lambda d: (_sign_test(d)[1], _sign_test(d)[0], _sign_test(d)[2]),
        "a difference is second minus first: above zero the second is *better*.",
    ),
}

# Wins, losses and ties in unlike numbers, for each of the two systems ahead.
_SIGN_INPUTS = tuple(
    np.random.default_rng(3).permutation(
        np.repeat((1.0, -1.0, 0.0), counts) * np.random.default_rng(4).uniform(0.1, 3, sum(counts))
    )
    for counts in ((9, 2, 4), (3, 10, 5))
)


def _judge_sign_test(function: Callable) -> None:
    what = "three numbers: better, worse, p"
    for difference in _SIGN_INPUTS:
        wanted = _sign_test(difference)
        answer = _numbers(function(difference.copy()), 3, what)
        _recognise(
            answer, wanted, _SIGN_SLIPS, (difference,),
            f"for the differences {difference.round(1).tolist()} expected better {wanted[0]}, worse {wanted[1]}, "
            f"p {wanted[2]:.4f}; got {answer.round(4).tolist()}.",
        )  # fmt: skip
    try:
        answer = function(np.zeros(5))
    except (ValueError, ZeroDivisionError):
        answer = np.full(3, np.nan)
    if not _near(_numbers(answer, 3, what), (0, 0, 1)):
        raise Mistake(
            "only ties",
            "right, until all differences are zero: then there is nothing to toss. Return `(0, 0, 1.0)`: no sign of "
            "any difference.",
        )


sign_test = Exercise(
    id="08.5",
    title="Wins, losses, and chance",
    task="Write `my_sign_test(difference)` for an array of differences (second minus first): return `(better, worse, "
    "p)`, the mixtures on which the second is above and below the first, and the two-sided p value of the sign "
    "test. Ties count for neither.",
    done_when="counts and p are right with ties, with either system ahead, and with nothing but ties.",
    judge=_judge_sign_test,
    hints=(
        "`(difference > 0).sum()` counts the wins. What is left when you take out wins and losses?",
        "`scipy.stats.binomtest(better, better + worse).pvalue` is two-sided. It can't toss a coin zero times.",
    ),
    solution="""```python
from scipy.stats import binomtest

def my_sign_test(difference):
    better, worse = int((difference > 0).sum()), int((difference < 0).sum())
    p = binomtest(better, better + worse).pvalue if better + worse else 1.0
    return better, worse, p
```""",
    minutes=7,
    difficulty=2,
)
