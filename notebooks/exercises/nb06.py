"""Exercises of notebook 06: a prefix taken off, a load measured, an upsampled recording found out, levels given back.

Each judge feeds inputs on which the usual wrong ideas give different answers, and tells a student which idea
the answer stems from.

Notebook: 06_failures_at_inference
"""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real

import torch

from .exercise import Exercise, Mistake
from .judging import need_numbers, need_shape, need_tensor, on_strided, recognise

__all__ = ["fit", "matched_share", "strip_prefix", "true_rate"]


def _name_slip(answers: list, inputs: Sequence[tuple], slips: Mapping[str, tuple[Callable, str]]) -> None:
    """Raise the slip that gives the same answers."""
    for name, (slip, hint) in slips.items():
        if answers == [slip(*given) for given in inputs]:
            raise Mistake(name, hint)


# ---------------------------------------------------------------- 06.1


def _state(*keys: str) -> dict[str, torch.Tensor]:
    return {key: torch.full((2,), float(i)) for i, key in enumerate(keys)}


# All keys have it; the prefix comes again inside a name; only some have it, not the first, not the last; a key
# that begins with the same letters; another prefix; nothing at all.
_STATES = (
    (("model.encoder.filters", "model.decoder.filters"), "model."),
    (("model.mask.weight", "model.blocks.model.bias"), "model."),
    (("model.mask.weight", "loss.weight"), "model."),
    (("loss.weight", "model.mask.weight", "model.mask.bias"), "model."),
    (("modelling.weight", "modelling.bias"), "model."),
    (("module.mask.weight", "module.mask.bias"), "module."),
    ((), "model."),
)


def _strip(keys: Sequence[str], prefix: str) -> list[str]:
    return [k.removeprefix(prefix) for k in keys] if all(k.startswith(prefix) for k in keys) else list(keys)


_STRIP_SLIPS: Mapping[str, tuple[Callable, str]] = {
    "some are enough": (
        lambda keys, prefix: [k.removeprefix(prefix) for k in keys],
        "you take the prefix off each key that has it. In a file in which only *some* keys have it, it is part of a "
        "name (the model beside a loss with weights, say), and what you return mixes two worlds. All, or none.",
    ),
    "first key decides": (
        lambda keys, prefix: (
            [k.removeprefix(prefix) for k in keys] if keys and keys[0].startswith(prefix) else list(keys)
        ),
        "you ask the first key only. Ask them `all`.",
    ),
    "letters eaten": (
        lambda keys, prefix: (
            [k.lstrip(prefix) for k in keys] if _strip(keys, prefix) != list(keys) else list(keys)
        ),
        "`lstrip` takes a *set of letters*, not a word: of `model.encoder` it also eats the `e`. `removeprefix` takes "
        "a word.",
    ),
    "replaced everywhere": (
        lambda keys, prefix: (
            [k.replace(prefix, "") for k in keys] if _strip(keys, prefix) != list(keys) else list(keys)
        ),
        "`replace` finds the prefix in the middle of a name too, and one key is not what it was. Only the beginning "
        "counts.",
    ),
    "others dropped": (
        lambda keys, prefix: [k.removeprefix(prefix) for k in keys if k.startswith(prefix)],
        "keys without the prefix are gone from your result. What is dropped here is missing in the network, and with "
        "`strict=False` nobody hears of it.",
    ),
    "nothing done": (
        lambda keys, prefix: list(keys),
        "the keys come back as they were, although all of them have the prefix.",
    ),
}


def _judge_strip(function: Callable) -> None:
    answers = []
    for keys, prefix in _STATES:
        given = _state(*keys)
        kept = dict(given)
        answer = function(given, prefix)
        if not isinstance(answer, Mapping):
            raise Mistake(
                "not a dict", f"your function returned {type(answer).__name__}; return a dict of tensors."
            )
        if list(given) != list(kept):
            raise Mistake(
                "input changed",
                "the dict that was given has other keys afterwards. Build a new one: whoever called you may still need "
                "the old one.",
            )
        answers.append(list(answer))
        if answers[-1] == _strip(keys, prefix) and any(
            a is not b for a, b in zip(answer.values(), kept.values(), strict=True)
        ):
            raise Mistake(
                "other tensors", "the names are right; the tensors are not those that stood under them."
            )
    if answers == [_strip(*given) for given in _STATES]:
        return
    _name_slip(answers, _STATES, _STRIP_SLIPS)
    given, found = next((g, a) for g, a in zip(_STATES, answers, strict=True) if a != _strip(*g))
    raise Mistake(
        "other names",
        f"of {list(given[0])} with the prefix {given[1]!r} you make {found}, expected {_strip(*given)}.",
    )


strip_prefix = Exercise(
    id="06.1",
    title="A prefix taken off",
    task="Write `my_strip(state, prefix)` for a dict of names and tensors. If **all** names begin with `prefix`, "
    "return a new dict with the prefix taken off; otherwise one with the names as they are. Keep order and `state`.",
    done_when="it strips only where all keys have it, only at the beginning, and leaves its input alone.",
    judge=_judge_strip,
    hints=(
        "Two steps: a question about all keys, then a dict comprehension.",
        "`key.removeprefix(prefix)` takes a word off the beginning, once. Compare `lstrip` and `replace` on "
        '`"model.blocks.model.bias"`.',
    ),
    solution="""```python
def my_strip(state, prefix):
    if not all(key.startswith(prefix) for key in state):
        return dict(state)
    return {key.removeprefix(prefix): value for key, value in state.items()}
```""",
    minutes=6,
    difficulty=1,
)

# ---------------------------------------------------------------- 06.2

_Shapes = Mapping[str, tuple[int, ...]]
_LOADS: tuple[tuple[_Shapes, _Shapes], ...] = (
    # One fits; one has another size, one is transposed, one is missing; one of the file has no place.
    (
        {"a": (10, 3), "b": (5,), "c": (2, 3), "d": (4, 4)},
        {"a": (10, 3), "b": (6,), "c": (3, 2), "x": (10, 10)},
    ),
    ({"a": (10, 3), "b": (5,)}, {"model.a": (10, 3), "model.b": (5,)}),
    ({"a": (10, 3), "b": (5,)}, {"b": (5,), "a": (10, 3)}),
    ({"a": (7,), "b": (3,)}, {"b": (3,)}),
)


def _numbers(shapes: _Shapes, *names: str) -> int:
    return sum(math.prod(shapes[name]) for name in names or shapes)


def _share(model: _Shapes, file: _Shapes, fits=lambda a, b: a == b) -> float:
    matched = [name for name in model if name in file and fits(model[name], file[name])]
    return _numbers(model, *matched) / _numbers(model) if matched else 0.0


_SHARE_SLIPS: Mapping[str, tuple[Callable, str]] = {
    "tensors counted": (
        lambda m, f: sum(m[n] == f.get(n) for n in m) / len(m),
        "you count tensors. A bias of five numbers then weighs as much as a matrix of a million: a network can have "
        "nine tenths of its tensors and hardly any of its numbers. Add up `tensor.numel()`.",
    ),
    "shape ignored": (
        lambda m, f: _share(m, f, lambda a, b: True),
        "you compare names only. A tensor of another shape can't be loaded.",
    ),
    "size for shape": (
        lambda m, f: _share(m, f, lambda a, b: math.prod(a) == math.prod(b)),
        "you compare numbers of elements. [2, 3] and [3, 2] have six each, and do not fit: compare `.shape`.",
    ),
    "share of the file": (
        lambda m, f: _share(m, f) * _numbers(m) / _numbers(f),
        "you divide by what is in the file. The question is how much of the *network* was loaded; the rest of it is "
        "random, whatever else the file holds.",
    ),
    "per cent": (lambda m, f: 100 * _share(m, f), "right, times a hundred: return a share from 0 to 1."),
    "missing, not matched": (
        lambda m, f: 1 - _share(m, f),
        "that is the share that was *not* loaded.",
    ),
}


def _judge_share(function: Callable) -> None:
    answers = []
    for model, file in _LOADS:
        answer = function(*({n: torch.zeros(s) for n, s in part.items()} for part in (model, file)))
        if isinstance(answer, torch.Tensor) and answer.numel() == 1:
            answer = float(answer)
        if isinstance(answer, bool) or not isinstance(answer, Real) or not math.isfinite(answer):
            raise Mistake("not a number", f"you return {answer!r}; return one number from 0 to 1.")
        answers.append(round(float(answer), 6))
    wanted = [round(_share(*load), 6) for load in _LOADS]
    if answers == wanted:
        return
    _name_slip(
        answers,
        _LOADS,
        {n: (lambda *a, s=s: round(float(s(*a)), 6), h) for n, (s, h) in _SHARE_SLIPS.items()},
    )
    raise Mistake(
        "other numbers",
        f"you say {answers}, expected {wanted}. Print name, shape in the network and shape in the file, row by row.",
    )


matched_share = Exercise(
    id="06.2",
    title="How much was loaded",
    task="Write `my_matched_share(network_state, file_state)` for two dicts of names and tensors: the share, 0 to 1, "
    "of the network's *numbers* that the file can fill: the name is in both, with the same shape.",
    done_when="wrong shapes, missing names and a forgotten prefix all lower it, by the numbers they cost.",
    judge=_judge_share,
    hints=(
        "Go through the network's items. When is one of them filled? How many numbers does it hold?",
        "Sum `t.numel()` over those with `name in file_state and file_state[name].shape == t.shape`; divide by the sum "
        "over all of the network.",
    ),
    solution="""```python
def my_matched_share(network_state, file_state):
    matched = sum(
        t.numel()
        for name, t in network_state.items()
        if name in file_state and file_state[name].shape == t.shape
    )
    return matched / sum(t.numel() for t in network_state.values())
```""",
    minutes=6,
    difficulty=1,
)

# ---------------------------------------------------------------- 06.3

_RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000)
# Edge of the band in Hz, rate of the samples, samples, level of a noise floor over the whole band (amplitude).
_BANDS = (
    (3990, 16000, 8001, 0.0),
    (3900, 48000, 9600, 0.004),
    (4300, 44100, 8820, 0.0),
    (7900, 44100, 9001, 1e-4),
    (23900, 48000, 9600, 0.0),
    (3700, 8000, 8000, 0.0),
)


def _recording(edge: float, sample_rate: int, count: int, floor: float) -> torch.Tensor:
    """Noise up to an edge, louder at low frequencies as speech is, and a faint floor above."""
    generator = torch.Generator().manual_seed(count)
    hertz = torch.fft.rfftfreq(count, 1 / sample_rate, dtype=torch.float64)
    size = torch.where(hertz < edge, 1.0 + 2.0 * (hertz < 500).double(), floor)
    phase = 2 * torch.pi * torch.rand(len(hertz), generator=generator, dtype=torch.float64)
    return torch.fft.irfft(torch.polar(size, phase), n=count)


def _rate(samples: torch.Tensor, sample_rate: int, share=0.999, power=2, factor=2, choose=None) -> int:
    size = torch.fft.rfft(samples).abs() ** power
    total = size.cumsum(0) / size.sum()
    edge = float((total < share).sum()) * sample_rate / len(samples)
    if choose is not None:
        return choose(factor * edge)
    return next((r for r in _RATES if r >= factor * edge), _RATES[-1])


_RATE_SLIPS: Mapping[str, tuple[Callable, str]] = {
    "edge for rate": (
        lambda x, r: _rate(x, r, factor=1),
        "you look for a rate as high as the edge. A rate holds frequencies up to *half* of it: double the edge.",
    ),
    "amplitude for energy": (
        lambda x, r: _rate(x, r, power=1),
        "you add up magnitudes. A floor of noise that nobody hears then counts by its width: square them first.",
    ),
    "nearest rate": (
        lambda x, r: _rate(x, r, choose=lambda wanted: min(_RATES, key=lambda rate: abs(rate - wanted))),
        "you take the nearest rate. If it is below twice the edge it could not have held these frequencies: take the "
        "smallest that could.",
    ),
    "everything over zero": (
        lambda x, r: _rate(x, r, share=1 - 1e-12),
        "you look for the last frequency with anything at all in it. Resamplers and microphones leave a faint floor: "
        "ask for 99.9 % of the energy.",
    ),
    "the loudest frequency": (
        lambda x, r: next(
            (s for s in _RATES if s >= 2 * float(torch.fft.rfft(x).abs().argmax()) * r / len(x)), _RATES[-1]
        ),
        "you take the loudest frequency. Speech is loudest at the bottom: where does its energy *end*?",
    ),
    "believed": (
        lambda x, r: r,
        "you return the rate that the samples came with: the claim that is to be checked.",
    ),
}


def _judge_rate(function: Callable) -> None:
    inputs = [(_recording(*band), band[1]) for band in _BANDS]
    answers = []
    for samples, rate in inputs:
        answer = function(samples.float(), rate)
        if isinstance(answer, bool) or not isinstance(answer, Real) or answer not in _RATES:
            raise Mistake(
                "no usual rate", f"you return {answer!r}; return one of {', '.join(map(str, _RATES))}."
            )
        answers.append(int(answer))
    wanted = [_rate(*given) for given in inputs]
    if answers == wanted:
        return
    _name_slip(answers, inputs, _RATE_SLIPS)
    band, found, right = next(x for x in zip(_BANDS, answers, wanted, strict=True) if x[1] != x[2])
    raise Mistake(
        "other rate",
        f"{band[2]} samples at {band[1]} Hz whose energy ends at {band[0]} Hz: you say {found}, it fits into {right}. "
        "Bin k of `torch.fft.rfft` lies at k * sample_rate / T Hz.",
    )


true_rate = Exercise(
    id="06.3",
    title="What rate was it, before",
    task="Write `my_true_rate(samples, sample_rate)` for `[T]`: find the frequency below which 99.9 % of the energy "
    f"lies, and return the smallest of the usual rates ({', '.join(map(str, _RATES))}) that holds it.",
    done_when="six recordings are found out: upsampled ones, one with a noise floor, one that is what it says.",
    judge=_judge_rate,
    hints=(
        "`torch.fft.rfft(samples).abs().square()` is energy by frequency; its `cumsum` divided by its sum goes to 1.",
        "Count the bins where that is under 0.999, times `sample_rate / len(samples)`: the edge in Hz. A rate r holds "
        "frequencies up to r / 2.",
    ),
    solution="""```python
def my_true_rate(samples, sample_rate):
    rates = (8000, 11025, 16000, 22050, 32000, 44100, 48000)
    energy = torch.fft.rfft(samples).abs().square()
    below = energy.cumsum(0) / energy.sum() < 0.999
    edge = float(below.sum()) * sample_rate / len(samples)
    return next((rate for rate in rates if rate >= 2 * edge), rates[-1])
```""",
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- 06.4


def _fit(estimates: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
    gains = torch.linalg.lstsq(estimates.T, mixture[:, None]).solution[:, 0]
    return gains[:, None] * estimates


def _alone(estimates: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
    """Each estimate's own projection."""
    return (estimates @ mixture / estimates.square().sum(-1))[:, None] * estimates


def _one_gain(estimates: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
    total = estimates.sum(0)
    return (total @ mixture / (total @ total)) * estimates


_FIT_SLIPS: Mapping[str, tuple[Callable, str]] = {
    "each by itself": (
        _alone,
        "you fit each estimate to the mixture by itself. That would be right if the estimates were at right angles; "
        "they are not, for each holds a rest of the other. All gains at once: least squares with S unknowns.",
    ),
    "one gain for all": (
        _one_gain,
        "you use one gain for the sum. It keeps the ratio that the network happened to give; here that ratio is wrong.",
    ),
    "peaks": (
        lambda e, x: e / e.abs().amax(-1, keepdim=True),
        "you normalise each to its peak: the failure that this exercise is against.",
    ),
    "peaks of the mixture": (
        lambda e, x: e * (x.abs().max() / e.abs().amax(-1, keepdim=True)),
        "every estimate has the mixture's peak now, the quiet speaker too.",
    ),
    "rest shared out": (
        lambda e, x: e + (x - e.sum(0)) / len(e),
        "you add a share of the difference to each estimate. They do sum to the mixture now; but what you added is "
        "the other voice. Only a *gain* may change.",
    ),
}


def _judge_fit(function: Callable) -> None:
    generator = torch.Generator().manual_seed(3)
    voices = torch.randn(3, 501, generator=generator, dtype=torch.float64)
    mixture = voices.sum(0)
    leak = torch.tensor([[1.0, 0.3, 0.1], [0.2, 1.0, 0.2], [0.1, 0.4, 1.0]], dtype=torch.float64)
    estimates = (leak @ voices) * torch.tensor([[6.0], [0.2], [-1.5]], dtype=torch.float64)
    answer = need_tensor(function(estimates.clone(), mixture.clone()), "`[S, T]`")
    wanted = _fit(estimates, mixture)
    if answer.shape == (3,):
        raise Mistake(
            "gains alone", "you return the gains. Return the estimates times their gains: `[S, T]`."
        )
    need_shape(answer, wanted, "one row of samples for each estimate")
    recognise(answer, {name: (slip(estimates, mixture), hint) for name, (slip, hint) in _FIT_SLIPS.items()})
    need_numbers(
        answer, wanted, "Check that what is left, mixture minus sum, is at right angles to every estimate."
    )
    on_strided(lambda e, x: function(e, x), wanted, estimates, mixture)


fit = Exercise(
    id="06.4",
    title="Levels given back",
    task="Write `my_fit(estimates, mixture)` for `[S, T]` and `[T]`: give each estimate one gain, such that the sum of "
    "all comes as near to the mixture as it can (least squares). Return the estimates with these gains, `[S, T]`.",
    done_when="three estimates that leak into each other, one of them upside down, come back at the mixture's level.",
    judge=_judge_fit,
    hints=(
        "Unknown: S gains g. Wanted: the smallest norm of `estimates.T @ g - mixture`.",
        "`torch.linalg.lstsq(A, b)` wants A as `[T, S]` and b as `[T, 1]`; the gains are in its `.solution`.",
    ),
    solution="""```python
def my_fit(estimates, mixture):
    gains = torch.linalg.lstsq(estimates.T, mixture[:, None]).solution[:, 0]
    return gains[:, None] * estimates
```""",
    minutes=8,
    difficulty=2,
)
