"""Exercises of notebook 07: a loss by kind of pair, sums that hold, silent targets, the gradient's norm, leaked audio.

Each judge feeds inputs on which the usual wrong ideas all give different answers, and tells a student which idea
the answer stems from.

Notebook: 07_failures_in_training
"""

from collections.abc import Callable, Mapping, Sequence

import torch

from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, reorder, si_sdr

from .exercise import Exercise, Mistake
from .judging import need_shape, need_tensor, recognise, same

__all__ = ["audible", "by_kind", "clipped", "consistent", "leaked"]

Slips = Mapping[str, tuple[Callable, str]]  # name: (the wrong answer, its hint)


def _noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _slipped(answer: torch.Tensor, slips: Slips, *inputs) -> None:
    """Raise the named slip that gives the same as a wrong answer."""
    recognise(answer, {name: (torch.as_tensor(slip(*inputs)), hint) for name, (slip, hint) in slips.items()})


# ---------------------------------------------------------------- 07.1


def _improvements(mixtures, estimates, sources) -> torch.Tensor:
    losses, _ = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates, sources)
    return -losses - si_sdr(mixtures.unsqueeze(1), sources).mean(1)


def _means(values: torch.Tensor, kinds: Sequence[str], reduce: Callable = torch.mean) -> torch.Tensor:
    """``[kinds]``, in alphabetical order."""
    return torch.stack([reduce(values[[k == kind for k in kinds]].double()) for kind in sorted(set(kinds))])


def _in_order(mixtures, estimates, sources) -> torch.Tensor:
    return (si_sdr(estimates, sources) - si_sdr(mixtures.unsqueeze(1), sources)).mean(1)


def _one_order(mixtures, estimates, sources) -> torch.Tensor:
    swapped = _in_order(mixtures, estimates.flip(1), sources)
    straight = _in_order(mixtures, estimates, sources)
    return straight if straight.mean() > swapped.mean() else swapped


_KIND_SLIPS: Slips = {
    "SI-SDR, not its improvement": (
        lambda m, e, s, k: _means(_improvements(m, e, s) + si_sdr(m.unsqueeze(1), s).mean(1), k),
        "that is the SI-SDR. The improvement is over the mixture: take off what the mixture itself scores against "
        "the sources. Here there is noise in it, and so that is far from 0 dB.",
    ),
    "no permutation": (
        lambda m, e, s, k: _means(_in_order(m, e, s), k),
        "you compare estimate i with source i. The network answers in any order: find the best one of each example.",
    ),
    "one order for the batch": (
        lambda m, e, s, k: _means(_one_order(m, e, s), k),
        "you choose one order for the whole batch. Each example has an order of its own.",
    ),
    "the loss": (
        lambda m, e, s, k: -_means(_improvements(m, e, s), k),
        "right size, wrong sign: an improvement counts upwards, a loss downwards.",
    ),
    "median": (
        lambda m, e, s, k: _means(_improvements(m, e, s), k, torch.median),
        "that is the median of each kind. The mean was asked for.",
    ),
    "one mean for all": (
        lambda m, e, s, k: _improvements(m, e, s).mean().double().repeat(len(set(k))),
        "every kind has the same number: you took the mean over all examples. Take it over those of the kind.",
    ),
}


def _kind_input():
    """Six noisy mixtures of two kinds, of unlike quality, half of them with the estimates turned round."""
    sources = _noise(6, 2, 2000, seed=1)
    mixtures = sources.sum(1) + 1.5 * _noise(6, 2000, seed=2)
    leaks = torch.tensor([0.1, 0.2, 0.15, 1.1, 0.9, 0.5], dtype=torch.float64)[:, None, None]
    estimates = sources + leaks * sources.flip(1) + 0.2 * _noise(6, 2, 2000, seed=3)
    order = torch.tensor([[0, 1], [1, 0], [1, 0], [0, 1], [0, 1], [1, 0]])
    return (
        mixtures,
        reorder(estimates, order),
        sources,
        ["man-woman", "man-woman", "man-woman", "woman-woman", "woman-woman", "man-woman"],
    )


def _judge_by_kind(function: Callable) -> None:
    mixtures, estimates, sources, kinds = _kind_input()
    answer = function(mixtures.clone(), estimates.clone(), sources.clone(), list(kinds))
    if not isinstance(answer, Mapping):
        raise Mistake(
            "not a dictionary",
            f"your function returned {type(answer).__name__}; it should return {{kind: mean}}.",
        )
    if set(answer) != set(kinds):
        raise Mistake(
            "other kinds", f"your keys are {sorted(map(str, answer))}, expected {sorted(set(kinds))}."
        )
    found = torch.tensor([float(answer[kind]) for kind in sorted(set(kinds))], dtype=torch.float64)
    wanted = _means(_improvements(mixtures, estimates, sources), kinds)
    if torch.allclose(found, wanted, atol=1e-2):
        return
    _slipped(found, _KIND_SLIPS, mixtures, estimates, sources, kinds)
    raise Mistake(
        "other numbers",
        f"expected {[round(v, 2) for v in wanted.tolist()]} dB, found {[round(v, 2) for v in found.tolist()]}. Print "
        "the scores of single examples, before and after.",
    )


by_kind = Exercise(
    id="07.1",
    title="What a loss of -10 is made of",
    task="Write `my_by_kind(mixtures, estimates, sources, kinds)` for `[B, T]`, `[B, S, T]`, `[B, S, T]` and a list of "
    "B kinds: a dictionary from each kind to the mean SI-SDRi (dB) of its examples. You may use `si_sdr`, "
    "`pairwise_neg_sisdr` and `PITLossWrapper`.",
    done_when="noisy mixtures of two kinds, with estimates in any order, have the right mean for each kind.",
    judge=_judge_by_kind,
    hints=(
        "`PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates, sources)` returns the loss of every example, "
        "`[B]`, before any mean.",
        "What the mixtures score: `si_sdr(mixtures.unsqueeze(1), sources).mean(1)`, also `[B]`.",
    ),
    solution="""```python
def my_by_kind(mixtures, estimates, sources, kinds):
    losses, _ = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates, sources)
    gains = -losses - si_sdr(mixtures.unsqueeze(1), sources).mean(1)
    return {kind: float(gains[[k == kind for k in kinds]].mean()) for kind in set(kinds)}
```""",
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- 07.2


def _ceiling(mixtures, sources, factor: float = 10.0) -> torch.Tensor:
    rest = mixtures - sources.sum(1)
    return factor * torch.log10(mixtures.square().sum(-1) / (rest.square().sum(-1) + 1e-20))


_SUM_SLIPS: Slips = {
    "exact equality": (
        lambda m, s: (m == s.sum(1)).all(-1),
        "you ask for equality to the last bit. Sums of floating-point numbers are rounded, and files are: leave "
        "room of 40 dB.",
    ),
    "an absolute tolerance": (
        lambda m, s: (m - s.sum(1)).abs().amax(-1) < 1e-3,
        "your tolerance is a fixed number. What is nothing in a loud mixture is all there is in a quiet one: "
        "compare the energy of the difference with that of the mixture.",
    ),
    "allclose by itself": (
        lambda m, s: torch.tensor([torch.allclose(a, b.sum(0)) for a, b in zip(m, s, strict=True)]),
        "`allclose` compares sample with sample, to a hundred-thousandth of each. A rounding to 16 bits is far more "
        "than that and harms nobody: compare energies.",
    ),
    "amplitudes for energies": (
        lambda m, s: _ceiling(m, s, 20.0) > 40,
        "you take 20 log10 of a ratio of energies. 20 goes with amplitudes, 10 with energies.",
    ),
    "turned round": (
        lambda m, s: _ceiling(m, s) <= 40,
        "True and False are the wrong way round: True is for sources that do sum to the mixture.",
    ),
    "the largest sample for the energy": (
        lambda m, s: 20 * torch.log10(m.abs().amax(-1) / ((m - s.sum(1)).abs().amax(-1) + 1e-20)) > 40,
        "you compare the largest samples. One clipped peak is a small part of the energy: sum the squares.",
    ),
}


def _sum_input() -> tuple[torch.Tensor, torch.Tensor]:
    """Right: exact, rounded to 16 bits and to float32, a little noise, a peak cut. Wrong: noise, a sign, clipping."""
    sources = 0.1 * _noise(9, 2, 4000, seed=5)
    sources[5] *= 1e-4
    sources[2] *= 30
    mixtures = sources.sum(1)
    rest = _noise(9, 4000, seed=6) * mixtures.square().mean(-1, keepdim=True).sqrt()
    mixtures[1] = (mixtures[1] * 32768).round() / 32768
    mixtures[2] += 10 ** (-50 / 20) * rest[2]
    mixtures[3, mixtures[3].abs().argmax()] *= 0.9
    mixtures[4] += 10 ** (-30 / 20) * rest[4]
    mixtures[5] += 10 ** (-15 / 20) * rest[5]  # under a thousandth, and yet a good part of it
    mixtures[6] = sources[6, 0] - sources[6, 1]
    mixtures[7] = mixtures[7].clamp(-0.15, 0.15)
    mixtures[8] = mixtures[8].float().double()
    return mixtures, sources


def _judge_consistent(function: Callable) -> None:
    mixtures, sources = _sum_input()
    wanted = _ceiling(mixtures, sources) > 40
    answer = function(mixtures.clone(), sources.clone())
    if isinstance(answer, bool) or (isinstance(answer, torch.Tensor) and answer.dim() == 0):
        raise Mistake(
            "one answer for the batch",
            "you return one answer. A batch has good and bad examples: return B of them.",
        )
    answer = need_tensor(answer, "a tensor of B times True or False")
    need_shape(answer, wanted, "one answer for each example")
    if same(answer.bool(), wanted):
        return
    _slipped(answer.bool(), _SUM_SLIPS, mixtures, sources)
    raise Mistake(
        "other answers",
        f"expected {wanted.tolist()}, found {answer.bool().tolist()}. The differences lie "
        f"{[round(v) for v in _ceiling(mixtures, sources).clamp(max=999).tolist()]} dB under the mixtures.",
    )


consistent = Exercise(
    id="07.2",
    title="Do the sources sum to the mixture?",
    task="Write `my_consistent(mixtures, sources)` for `[B, T]` and `[B, S, T]`: B times True or False. True when the "
    "energy of `mixture - sum of the sources` lies more than 40 dB under the energy of the mixture.",
    done_when="exact and rounded sums pass; noise, clipping and a wrong sign are found, at every level.",
    judge=_judge_consistent,
    hints=(
        "The sum goes over the axis of the sources: `sources.sum(1)` is `[B, T]`.",
        "40 dB of energy are a factor of 10 000: no logarithm is needed, and no division by zero can happen.",
    ),
    solution="""```python
def my_consistent(mixtures, sources):
    rest = mixtures - sources.sum(1)
    return rest.square().sum(-1) * 10_000 < mixtures.square().sum(-1)
```""",
    minutes=6,
    difficulty=1,
)

# ---------------------------------------------------------------- 07.3


def _audible(sources, floor_db: float = -50.0, factor: float = 10.0, loudest: Callable = torch.amax):
    energy = sources.square().mean(-1)
    return (factor * torch.log10((energy + 1e-30) / loudest(energy)) >= floor_db).all(-1)


_AUDIBLE_SLIPS: Slips = {
    "one audible source is enough": (
        lambda s: (_levels(s) >= -50).any(-1),
        "you keep an example when *any* of its targets has sound in it. One silent target already costs +80 dB: all "
        "must have.",
    ),
    "turned round": (
        lambda s: ~_audible(s),
        "True and False are the wrong way round: True is for examples to keep.",
    ),
    "exact zeros only": (
        lambda s: (s.abs().amax(-1) > 0).all(-1),
        "you find targets of zeros. A target 60 dB under the others is silence too: compare energies in dB.",
    ),
    "amplitudes for energies": (
        lambda s: _audible(s, factor=20.0),
        "you take 20 log10 of a ratio of energies. 20 goes with amplitudes, 10 with energies.",
    ),
    "each example by itself": (
        lambda s: ((lambda e: 10 * torch.log10((e + 1e-30) / (e.amax(-1, keepdim=True) + 1e-30)))(
            s.square().mean(-1)
        ) >= -50).all(-1),
        "you compare each target with the loudest of its own example. When all of an example is silent nothing is "
        "found: compare with the loudest of the batch.",
    ),
    "a fixed level": (
        lambda s: (10 * torch.log10(s.square().mean(-1) + 1e-30) >= -50).all(-1),
        "you compare with a fixed level of -50 dBFS. This batch is recorded softly: compare with the loudest target "
        "of the batch.",
    ),
    "NaN kept": (
        lambda s: _audible(s.nan_to_num(0.0)),
        "an example with NaN in it must go too: every comparison with NaN is False, unless you replace it first.",
    ),
}  # fmt: skip


def _levels(sources: torch.Tensor) -> torch.Tensor:
    """Energy of each target under the loudest of the batch, dB ``[B, S]``."""
    energy = sources.square().mean(-1).nan_to_num(0.0)
    return 10 * torch.log10((energy + 1e-30) / energy.amax())


def _audible_input() -> tuple[torch.Tensor, torch.Tensor]:
    """Targets ``[7, 2, 1000]`` of a soft batch, and which examples to keep."""
    gains = torch.tensor(
        [[1.0, 0.5], [0.3, 0.0], [0.01, 0.008], [1.0, 1e-3], [0.0, 0.0], [0.2, 1.0], [1.0, 0.018]],
        dtype=torch.float64,
    )  # fmt: skip
    sources = _noise(7, 2, 1000, seed=8) * gains[..., None] * 1e-3
    return sources, torch.tensor([True, False, True, False, False, True, True])


def _judge_audible(function: Callable) -> None:
    sources, wanted = _audible_input()
    answer = need_tensor(function(sources.clone()), "a tensor of B times True or False")
    need_shape(answer, wanted, "one answer for each example")
    if not same(answer.bool(), wanted):
        _slipped(answer.bool(), _AUDIBLE_SLIPS, sources)
        raise Mistake(
            "other answers",
            f"expected {wanted.tolist()}, found {answer.bool().tolist()}. The targets lie at "
            f"{[[round(v) for v in row] for row in _levels(sources).clamp(min=-99).tolist()]} dB of the loudest.",
        )
    broken = sources.clone()
    broken[0, 1, 17] = float("nan")
    wanted[0] = False
    found = function(broken.clone()).bool()
    if not same(found, wanted):
        if bool(found[0]):
            raise Mistake("NaN kept", _AUDIBLE_SLIPS["NaN kept"][1])
        raise Mistake(
            "NaN spoils the rest",
            "one NaN in one example makes you throw out others: the loudest energy of the batch is NaN then. Take "
            "the maximum of the finite ones (`nan_to_num(0.0)`).",
        )


audible = Exercise(
    id="07.3",
    title="Which examples have two voices in them?",
    task="Write `my_audible(sources)` for `[B, S, T]`: B times True or False. True when the energy of *every* target "
    "of the example is at most 50 dB under that of the loudest target of the batch. NaN in an example makes it False.",
    done_when="silent, faint and NaN targets are found, in a batch of any level, and the others stay.",
    judge=_judge_audible,
    hints=(
        "`energy = sources.square().mean(-1)` is `[B, S]`; an energy of NaN becomes zero by `.nan_to_num(0.0)`.",
        "50 dB of energy are a factor of 100 000. `.all(-1)` asks all targets of an example.",
    ),
    solution="""```python
def my_audible(sources):
    energy = sources.square().mean(-1).nan_to_num(0.0)
    return (energy * 100_000 >= energy.amax()).all(-1)
```""",
    minutes=6,
    difficulty=2,
)

# ---------------------------------------------------------------- 07.4


def _flat(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat([t.flatten() for t in tensors])


def _scaled(gradients, factor) -> torch.Tensor:
    return _flat([g * factor for g in gradients])


def _norm(gradients) -> torch.Tensor:
    return _flat(gradients).norm()


_CLIP_SLIPS: Slips = {
    "each tensor by itself": (
        lambda g, most: _flat([t * min(1.0, most / float(t.norm())) for t in g]),
        "you clip every tensor to the norm by itself. That changes the *direction* of the step: one factor for all.",
    ),
    "each number by itself": (
        lambda g, most: _flat([t.clamp(-most, most) for t in g]),
        "you clamp every number. That is clipping by value, and it changes the direction of the step: scale all by "
        "one factor.",
    ),
    "small ones blown up": (
        lambda g, most: _scaled(g, most / _norm(g)),
        "you bring *every* gradient to that norm. One below it stays as it is: the factor is at most 1.",
    ),
    "norms added": (
        lambda g, most: _scaled(g, min(1.0, most / sum(float(t.norm()) for t in g))),
        "you add the norms of the tensors. Norms add as sides of a right angle: the root of the sum of their squares.",
    ),
    "root forgotten": (
        lambda g, most: _scaled(g, min(1.0, most / float(_norm(g) ** 2))),
        "you divide by the *squared* norm. Take the root.",
    ),
    "the largest tensor only": (
        lambda g, most: _scaled(g, min(1.0, most / max(float(t.norm()) for t in g))),
        "you take the norm of the largest tensor. The global norm is that of all numbers together.",
    ),
    "left as they are": (lambda g, most: _flat(g), "nothing was scaled, and their norm is over the limit."),
}


def _judge_clipped(function: Callable) -> None:
    large = [_noise(40, 30, seed=1), 0.5 * _noise(60, seed=2), 3 * _noise(2, 3, 4, seed=3)]
    small = [0.01 * g for g in large]
    for gradients in (large, small):
        given = [g.clone() for g in gradients]
        answer = function(given, 5.0)
        if answer is None:  # in place, as PyTorch's own does
            answer = given
        if not isinstance(answer, Sequence) or len(answer) != len(gradients):
            raise Mistake(
                "not a list of tensors",
                f"your function returned {type(answer).__name__}; return as many tensors as it was given.",
            )
        for mine, theirs in zip(answer, gradients, strict=True):
            need_shape(need_tensor(mine), theirs, "as it was given")
        found, wanted = _flat(answer), _scaled(gradients, min(1.0, 5.0 / float(_norm(gradients))))
        if torch.allclose(found, wanted, rtol=1e-4, atol=1e-8):
            continue
        _slipped(found, _CLIP_SLIPS, gradients, 5.0)
        raise Mistake(
            "other numbers",
            f"the gradients had a norm of {float(_norm(gradients)):.3g}, yours have {float(found.norm()):.3g}; "
            f"expected {float(wanted.norm()):.3g} in the same direction.",
        )


clipped = Exercise(
    id="07.4",
    title="Clip by the global norm",
    task="Write `my_clipped(gradients, most)` for a list of tensors of any shapes: the list, scaled by **one** factor "
    "so that the norm of all numbers together is at most `most`. Gradients below the limit stay as they are. Do it "
    "without `torch.nn.utils`.",
    done_when="large gradients keep their direction and get the norm asked for, and small ones are left alone.",
    judge=_judge_clipped,
    hints=(
        "The norm of all: the root of the sum of the squared norms of the tensors.",
        "`factor = min(1, most / norm)`.",
    ),
    solution="""```python
def my_clipped(gradients, most):
    norm = torch.stack([g.norm() for g in gradients]).norm()
    factor = min(1.0, float(most / norm))
    return [g * factor for g in gradients]
```""",
    minutes=5,
    difficulty=1,
)

# ---------------------------------------------------------------- 07.5

_LEAKED = {"1", "4", "6"}


def _leak_input() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Training and test material by name: copies under new names and at new levels, and a namesake that is none."""
    train = {str(i): 0.2 * _noise(3000, seed=20 + i).float() for i in range(5)}
    test = {str(i): 0.2 * _noise(3000, seed=40 + i).float() for i in range(7)}
    test["1"] = train["3"].clone()
    test["4"] = 0.5 * train["0"]
    test["6"] = 0.37 * train["2"]  # no power of two: the numbers are rounded anew
    test["2"] = train["4"].flip(0)  # the same numbers in another order: another sound
    return train, test


def _exact(train, test) -> set[str]:
    known = {t.numpy().tobytes() for t in train.values()}
    return {name for name, t in test.items() if t.numpy().tobytes() in known}


def _bits(train, test) -> set[str]:
    known = {(t / t.abs().max()).numpy().tobytes() for t in train.values()}
    return {name for name, t in test.items() if (t / t.abs().max()).numpy().tobytes() in known}


_LEAK_SLIPS: Mapping[str, tuple[Callable, str]] = {
    "by name": (
        lambda train, test: set(train) & set(test),
        "you compare names. A copy has another name, and a namesake may be another recording: compare the samples.",
    ),
    "names of the training list": (
        lambda train, test: {"3", "0", "2"},
        "those are the names in the *training* list. Which *test* examples are compromised?",
    ),
    "level counts": (
        _exact,
        "you find exact copies only. The same recording at another level is the same recording: divide by the largest "
        "sample first.",
    ),
    "last bit counts": (
        _bits,
        "you divide by the largest sample, and still compare to the last bit. A gain rounds every number anew: round "
        "to a coarser grid, such as 1000 steps, before you hash.",
    ),
    "order does not count": (
        lambda train, test: _LEAKED | {"2"},
        "one of them holds the same numbers in *another order*: another sound. A hash of the samples in their order "
        "tells them apart; a sum, a maximum or a sorted list does not.",
    ),
    "nothing": (
        lambda train, test: set(),
        "you find none, and there are some. `hash(tensor)` is of the object, not of its samples.",
    ),
}  # fmt: skip


def _judge_leaked(function: Callable) -> None:
    train, test = _leak_input()
    answer = function(dict(train), dict(test))
    if isinstance(answer, (str, bytes)) or not isinstance(answer, (set, frozenset, Sequence, Mapping)):
        raise Mistake(
            "not a set of names",
            f"your function returned {type(answer).__name__}; return the names of the test examples, as a set.",
        )
    found = {str(name) for name in answer}
    if found == _LEAKED:
        return
    for name, (slip, hint) in _LEAK_SLIPS.items():
        if found == slip(train, test):
            raise Mistake(name, hint)
    raise Mistake(
        "other names",
        f"expected {sorted(_LEAKED)}, found {sorted(found)}. Copies at another level count, too.",
    )


leaked = Exercise(
    id="07.5",
    title="Find what leaked",
    task="Write `my_leaked(train, test)` for two dictionaries from name to samples `[T]`: the set of names in `test` "
    "whose recording is in `train` as well, under any name and at any level. Use a hash, so that thousands of hours "
    "are no trouble: never compare each with each.",
    done_when="copies, louder and softer copies are found, and no namesake and no reversed recording is.",
    judge=_judge_leaked,
    hints=(
        "Bring each recording to one level first: divide by its largest sample.",
        "Then round to a grid that survives a gain, `(1000 * x).round().short()`, and take "
        "`hashlib.sha1(x.numpy().tobytes()).hexdigest()`.",
    ),
    solution="""```python
import hashlib

def my_leaked(train, test):
    def digest(x):
        grid = (1000 * x / x.abs().max()).round().short()
        return hashlib.sha1(grid.numpy().tobytes()).hexdigest()

    known = {digest(x) for x in train.values()}
    return {name for name, x in test.items() if digest(x) in known}
```""",
    minutes=8,
    difficulty=2,
)
