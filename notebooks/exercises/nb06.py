"""Checks of notebook 06's exercises; their texts, solutions and wrong answers are in ``nb06.md``.

Notebook: 06_failures_at_inference
"""

import math
import random
from collections.abc import Mapping

import torch

from .exercise import Mistake, sheet_exercise
from .judging import (
    ask,
    compare_cases,
    compare_tensors,
    generator,
    need_number,
    need_tensor,
    noise,
    on_strided,
    shuffled,
    varied,
)

__all__ = ["fit", "matched_share", "strip_prefix", "true_rate"]

# All keys have the prefix; the prefix is repeated inside a name; only some have it, not the first, not the last; a key
# that begins with the same letters; another prefix; nothing at all.
STATES = (
    (("model.encoder.filters", "model.decoder.filters"), "model."),
    (("model.mask.weight", "model.blocks.model.bias"), "model."),
    (("model.mask.weight", "loss.weight"), "model."),
    (("loss.weight", "model.mask.weight", "model.mask.bias"), "model."),
    (("modelling.weight", "modelling.bias"), "model."),
    (("module.mask.weight", "module.mask.bias"), "module."),
    ((), "model."),
)


def other_states(rng: random.Random) -> tuple:
    a, b, c = rng.sample(["encoder", "decoder", "bottleneck", "norm", "gain", "bias"], 3)
    p = rng.choice(["model.", "net.", "module."])
    return (
        ((f"{p}{a}.x", f"{p}{b}.y", f"{p}{c}"), p), ((f"{p}{a}", f"{p}{b}.{p}{c}"), p), ((f"{p}{a}", b), p),
        ((a, f"{p}{b}", f"{p}{c}"), p), ((f"{p[:-1]}ling.{a}", f"{p[:-1]}ling.{b}"), p), ((a, b), p), ((), p),
    )  # fmt: skip


@sheet_exercise
def strip_prefix(function, exercise):
    def guarded(state, prefix):
        kept = dict(state)
        answer = function(state, prefix)
        if not isinstance(answer, Mapping):
            raise Mistake("not a dict", found=type(answer).__name__)
        if list(state) != list(kept):
            raise Mistake("input changed")
        if list(answer) == list(exercise.right(kept, prefix)) and not all(
            a is b for a, b in zip(answer.values(), kept.values(), strict=True)
        ):
            raise Mistake("other tensors")
        return answer

    cases = [
        ({key: torch.full((2,), float(i)) for i, key in enumerate(keys)}, p)
        for keys, p in varied(STATES, other_states)
    ]
    compare_cases(guarded, exercise, cases, list, otherwise="other names")


# Shapes of a network and of a file. In the first, one fits; one has another size, one is transposed, one is missing;
# one of the file has no place.
LOADS = (
    (
        {"a": (10, 3), "b": (5,), "c": (2, 3), "d": (4, 4)},
        {"a": (10, 3), "b": (6,), "c": (3, 2), "x": (10, 10)},
    ),
    ({"a": (10, 3), "b": (5,)}, {"model.a": (10, 3), "model.b": (5,)}),
    ({"a": (10, 3), "b": (5,)}, {"b": (5,), "a": (10, 3)}),
    ({"a": (7,), "b": (3,)}, {"b": (3,)}),
)


def other_loads(rng: random.Random) -> tuple:
    a, b, c, d = rng.sample(range(2, 12), 4)
    network = {"a": (a, b), "b": (c,), "c": (b, c), "d": (d, d)}
    return (
        (network, {"a": (a, b), "b": (c + 1,), "c": (c, b), "x": (d, a)}),
        (network, {f"model.{name}": shape for name, shape in network.items()}),
        (network, dict(reversed(network.items()))),
        (network, {"d": (d, d)}),
    )


@sheet_exercise
def matched_share(function, exercise):
    loads = varied(LOADS, other_loads)
    cases = [tuple({n: torch.zeros(s) for n, s in part.items()} for part in load) for load in loads]
    compare_cases(
        function, exercise, cases, need_number, lambda one, other: math.isclose(one, other, abs_tol=1e-6)
    )


RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000)
# Edge of the band in Hz, rate of the samples, samples, level of a noise floor over the whole band (amplitude), and for
# the last one the frequency above which it is as faint as speech is there.
BANDS = (
    (3990, 16000, 8001, 0.0), (3900, 48000, 9600, 0.004), (4300, 44100, 8820, 0.0),
    (7900, 44100, 9001, 1e-4), (23900, 48000, 9600, 0.0), (3700, 8000, 8000, 0.0), (7600, 16000, 16000, 0.0, 3500),
)  # fmt: skip


def recording(
    edge: float, sample_rate: int, count: int, floor: float, faint_from: float = torch.inf
) -> torch.Tensor:
    """Noise up to an edge, louder at low frequencies as speech is, and a faint floor above.

    From ``faint_from`` (Hz) on it is 44 dB below the low frequencies, as speech is over 4 kHz.
    """
    hertz = torch.fft.rfftfreq(count, 1 / sample_rate, dtype=torch.float64)
    size = torch.where(hertz < edge, 1.0 + 2.0 * (hertz < 500).double(), floor)
    size = torch.where((hertz >= faint_from) & (hertz < edge), 0.02, size)
    phase = 2 * torch.pi * torch.rand(len(hertz), generator=generator(count), dtype=torch.float64)
    return torch.fft.irfft(torch.polar(size, phase), n=count).float()


@sheet_exercise
def true_rate(function, exercise):
    def usual(answer):
        if isinstance(answer, bool) or answer not in RATES:
            raise Mistake("no usual rate", found=repr(answer), rates=", ".join(map(str, RATES)))
        return int(answer)

    compare_cases(
        function, exercise, [(recording(*b), b[1]) for b in shuffled(BANDS)], usual, otherwise="other rate"
    )


@sheet_exercise
def fit(function, exercise):
    voices = noise(3, 501, seed=3)
    leak = torch.tensor([[1.0, 0.3, 0.1], [0.2, 1.0, 0.2], [0.1, 0.4, 1.0]], dtype=torch.float64)
    estimates = (leak @ voices) * torch.tensor([[6.0], [0.2], [-1.5]], dtype=torch.float64)
    inputs = estimates, voices.sum(0)
    answer, wanted = need_tensor(ask(function, inputs)), exercise.right(*inputs)
    if answer.shape == (3,):
        raise Mistake("gains alone")
    compare_tensors(answer, wanted, exercise, inputs)
    on_strided(function, wanted, inputs)
