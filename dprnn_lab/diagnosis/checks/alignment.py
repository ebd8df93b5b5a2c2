"""Group D: do the estimates line up with the mixture, sample by sample?

Every score, sum and gain compares sample by sample, so length, rate and delay come before them. The lag of an estimate
is where its correlation with the mixture is largest: the mixture contains every source at its true place, so no
reference is needed.

Notebook: 06_failures_at_inference
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...audio import resample
from ..evidence import Evidence
from ..finding import Finding
from ..mixture import Signals
from .noise_outputs import outputs_of_noise
from .verdict import check, fail, fine, number, undecided

__all__ = ["Positions", "lag_to", "late_estimates", "out_of_place", "positions", "rate_of_references"]

LENGTH_SHARE = 0.95  # a network loses less than a stride; more is missing, or another rate
SAME_LENGTH = 0.02  # between two lengths that differ by a rate
RATES = (
    2.0,
    0.5,
    3.0,
    1 / 3,
    4.0,
    0.25,
    6.0,
    1 / 6,
    44.1 / 8,
    8 / 44.1,
    44.1 / 16,
    16 / 44.1,
    22.05 / 8,
    8 / 22.05,
    11.025 / 8,
    8 / 11.025,
)
MOST_SECONDS = 2.0  # of a lag
ANOTHER_CORRELATION = (
    0.15  # own estimates of unknown voices: 0.69 and more, in place; of another mixture: up to 0.11
)
CLEAR_CORRELATION = 0.2  # at the lag, for it to count
LAG_GAIN = 0.01  # of correlation, by the lag; one sample: 0.03 to 0.35
BRING = "your estimates and the mixture"
EQUAL = "equal: scores, sums and gains compare sample by sample"
CUT = "estimates = separate(model, mixture, sample_rate)  # as long as the mixture, at the model's rate"
# Where one of these was found, estimates and mixture need not have anything in common.
BEFORE = (
    "weights-unsafe", "weights-corrupt", "weights-unmatched", "weights-partial", "config-shape", "config-silent",
    "rate-mismatch", "length", "dead-output", "train-serve-skew",
)  # fmt: skip


def lag_to(signal: torch.Tensor, mixture: torch.Tensor, most: int) -> tuple[int, float, float]:
    """By how many samples ``signal`` [T] is late in ``mixture`` [T] (negative: early), and two correlations.

    Returns the lag of at most ``most`` samples with the largest absolute correlation, that correlation, and the one at
    lag 0; both 0 for a silent signal.
    """
    length = 2 ** (max(len(signal), len(mixture)) + most).bit_length()
    norm = float(signal.norm() * mixture.norm())
    if norm < 1e-9:
        return 0, 0.0, 0.0
    table = torch.fft.irfft(
        torch.fft.rfft(signal.double(), length) * torch.fft.rfft(mixture.double(), length).conj(), length
    ).abs()
    around = torch.cat((table[-most:], table[: most + 1])) / norm
    best = int(around.argmax())
    if around[best] - around[most] < 1e-6:  # as large without a lag
        best = most
    return best - most, float(around[best]), float(around[most])


@check("late-estimates")
def late_estimates(e: Evidence) -> Finding:
    """Length, rate and lag of the estimates against the mixture."""
    given, mixture = e.given_estimates, e.clean
    if given is None or e.estimates is None or e.recording is None:
        return undecided("no estimates of a mixture", BRING)
    if mixture is None:
        return undecided("the mixture is silent", "a mixture with sound in it")
    rate = e.rate or e.recording.rate
    found = _other_rate(e, rate)
    if found is None and e.cause("rate-mismatch"):  # the mixture was resampled since
        return undecided("the mixture's own rate comes first", "estimates made after it is fixed")
    found = found or _other_length(e, mixture, rate)
    if found is not None:
        return found
    if not e.estimates.isfinite().all() or float(e.estimates.abs().max()) == 0:
        return undecided("the estimates are silent or not finite", "estimates that can be compared")
    cause = e.cause(*BEFORE)
    if cause:
        return undecided(
            f"equal in length and rate; {cause} hides a delay", f"estimates made after {cause} is fixed"
        )
    return _late(e, mixture, rate)


def rate_of_references(e: Evidence) -> Finding | None:
    """A failure when the references are not at the mixture's rate, by their files' headers or by their number.

    Corpora such as LibriMix come at several rates, one folder each. None if nothing speaks for another rate.
    """
    given, mixture = e.given_references, e.clean
    if given is None or e.references is None or e.recording is None or mixture is None:
        return None
    rate, as_given = e.rate or e.recording.rate, e.recording.samples.shape[-1]
    if all(abs(n / as_given - 1) < SAME_LENGTH for n in given.lengths):
        return None  # sample by sample they may agree: then the mixture's rate is the question
    facts = {
        "reference_samples": list(given.lengths),
        "reference_rates": [None if r is None else number(r) for r in given.rates],
        "mixture_samples": as_given,
        "mixture_rate": number(e.recording.rate),
    }
    known = [r for r in given.rates if r is not None]
    other = [r for r in known if r not in (rate, e.recording.rate)]
    if other:
        one = [i for i, r in enumerate(given.rates, 1) if r == other[0]]
        which = "the references are" if len(one) == len(given.rates) else f"reference {one[0]} is"
        says = f"{which} at {other[0]:g} Hz, the mixture is at {e.recording.rate:g} Hz"
        return fail(says, facts, EQUAL, _at_rate("references", given, other[0], rate))
    fits = None if known else _fits_at(e.references, given.lengths, mixture, rate)
    if fits is None:
        return None
    says = (
        f"the references have {given.lengths[0]} samples, the mixture has {len(mixture)}: they fit it at "
        f"{fits[0]:g} Hz, not at {rate:g} Hz"
    )
    facts |= {"fits_at_hz": fits[0], "correlation": number(fits[1])}
    return fail(says, facts, EQUAL, _at_rate("references", given, fits[0], rate))


def _at_rate(name: str, given: Signals, wrong: float, rate: float) -> str:
    """The line that resamples signals, whether they are files or arrays."""
    if all(r is not None for r in given.rates):
        return f"{name} = torch.stack([resample(*read_audio(path), {rate:g})[0] for path in {name}])"
    return f"{name} = resample({name}, {wrong:g}, {rate:g})"


def _facts(e: Evidence, mixture: torch.Tensor | None) -> dict:
    given = e.given_estimates
    assert given is not None and e.recording is not None
    return {
        "estimate_samples": list(given.lengths),
        "mixture_samples": e.recording.samples.shape[-1] if mixture is None else len(mixture),
        "estimate_rates": [None if r is None else number(r) for r in given.rates],
        "mixture_rate": number(e.recording.rate),
    }


def _other_rate(e: Evidence, rate: float) -> Finding | None:
    """Files whose rate is neither the model's nor the mixture's."""
    assert e.given_estimates is not None and e.recording is not None
    known = [r for r in e.given_estimates.rates if r is not None]
    other = [r for r in known if r not in (rate, e.recording.rate)]
    if not other and len(set(known)) < 2:
        return None
    wrong = other[0] if other else max(known)
    return fail(
        f"the estimates are at {' and '.join(f'{r:g}' for r in dict.fromkeys(known))} Hz, the mixture is at "
        f"{e.recording.rate:g} Hz",
        _facts(e, None),
        EQUAL,
        _at_rate("estimates", e.given_estimates, wrong, rate),
    )


def _fits_at(
    signals: torch.Tensor, lengths: Sequence[int], mixture: torch.Tensor, rate: float
) -> tuple[int, float] | None:
    """The rate (Hz) at which signals ``[S, T]`` fit the mixture ``[T]``, and their largest correlation with it then."""
    finite = signals.nan_to_num(0.0, 0.0, 0.0)
    for ratio in RATES:
        if len(set(lengths)) == 1 and abs(lengths[0] / (ratio * len(mixture)) - 1) < SAME_LENGTH:
            true = round(ratio * rate)
            best = max(lag_to(resample(x, true, int(rate)), mixture, int(0.01 * rate))[1] for x in finite)
            if best > CLEAR_CORRELATION:
                return true, best
    return None


def _other_length(e: Evidence, mixture: torch.Tensor, rate: float) -> Finding | None:
    """Estimates far shorter or longer than the mixture: at another rate, if they fit it then; else cut or padded."""
    assert e.given_estimates is not None and e.estimates is not None
    lengths = [
        round(n * e.estimates.shape[-1] / min(e.given_estimates.lengths)) for n in e.given_estimates.lengths
    ]
    shortest, longest = min(lengths), max(lengths)
    facts = _facts(e, mixture)
    fits = LENGTH_SHARE * len(mixture) <= shortest and longest <= len(mixture) / LENGTH_SHARE
    if fits:
        return None
    at = _fits_at(e.estimates, lengths, mixture, rate)
    if at is not None:
        return fail(
            f"the estimates have {shortest} samples, the mixture has {len(mixture)}: they fit it at "
            f"{at[0]:g} Hz, not at {rate:g} Hz",
            facts | {"fits_at_hz": at[0], "correlation": number(at[1])},
            EQUAL,
            f"estimates = resample(estimates, {at[0]:g}, {rate:g})",
        )
    share = (shortest if shortest < len(mixture) else longest) / len(mixture)
    what = "half as long" if abs(share - 0.5) < 0.01 else f"{share:.0%} of its length"
    if shortest != longest:
        says = f"the estimates have {' and '.join(map(str, lengths))} samples, the mixture has {len(mixture)}"
    else:
        says = f"the estimates have {shortest} samples, the mixture has {len(mixture)}: {what}"
    return fail(says, facts, f"{LENGTH_SHARE:.0%} of the mixture's length", CUT)


@dataclass(frozen=True)
class Positions:
    """Where signals lie in a mixture.

    Attributes:
        lags: the lag (samples, positive: late) at which each correlates most with the mixture.
        at_lag, as_given: absolute correlations there, and without a lag.
        late: the lag of each that is certainly out of place, 0 for the others.
        strange: which are in the mixture at no lag.
    """

    lags: list[int]
    at_lag: list[float]
    as_given: list[float]
    late: list[int]
    strange: list[int]


def positions(signals: torch.Tensor, mixture: torch.Tensor, rate: float) -> Positions:
    """Lags of single samples to two seconds of signals ``[S, T]`` in a mixture ``[T]``."""
    most = min(int(MOST_SECONDS * rate), len(mixture) // 2)
    found = [lag_to(x, mixture, most) for x in signals]
    loud = [float(x.norm()) > 0.01 * float(signals.norm()) for x in signals]
    # A faint voice correlates little too, but in place.
    strange = [i for i, (lag, best, _) in enumerate(found) if lag and best < CLEAR_CORRELATION and loud[i]]
    late = [lag if best > CLEAR_CORRELATION and best - here > LAG_GAIN else 0 for lag, best, here in found]
    lags, at_lag, as_given = zip(*found, strict=True)
    return Positions(
        list(lags), [number(v, 3) for v in at_lag], [number(v, 3) for v in as_given], late, strange
    )


def _late(e: Evidence, mixture: torch.Tensor, rate: float) -> Finding:
    """Lags of single samples to seconds; and estimates that do not occur in the mixture at any."""
    assert e.estimates is not None
    found = positions(e.estimates, mixture, rate)
    facts = _facts(e, mixture) | {
        "lags": found.lags,
        "correlation_at_lag": found.at_lag,
        "correlation_as_given": found.as_given,
    }
    why = (
        f"a lag counts from one sample on, if the correlation with the mixture is over {CLEAR_CORRELATION:g} there and "
        f"{LAG_GAIN:g} higher than without it; under that at every lag, an estimate is not of this mixture"
    )
    # Neither is an output of noise from another mixture: the check one-speaker names it.
    noise = outputs_of_noise(e.estimates, mixture, rate)
    strange = [i for i in found.strange if i not in noise]
    if strange:
        which = "the estimates have" if len(strange) == len(e.estimates) else f"estimate {strange[0] + 1} has"
        return fail(
            f"{which} nothing in common with this mixture (correlation {found.at_lag[strange[0]]:.2f} at the best "
            "lag): of another one",
            facts,
            why,
            "estimates = separate(model, mixture, sample_rate)  # of this mixture",
        )
    late = found.late
    if not any(late):
        return fine("length, rate and position agree with the mixture", facts, why)
    says, line = out_of_place("estimate", late, rate)
    return fail(says, facts, why, line)


def out_of_place(name: str, late: Sequence[int], rate: float) -> tuple[str, str]:
    """In words where signals of that name lie, and the line of code that moves them back; ``late`` in samples."""
    if len(set(late)) == 1:
        return f"the {name}s are {_in_words(late[0], rate)}", _move(f"{name}s", late[0])
    parts = [f"{name} {i} is {_in_words(lag, rate)}" for i, lag in enumerate(late, 1)]
    pad = "torch.nn.functional.pad(x[max(n, 0) : len(x) + min(n, 0)], (max(-n, 0), max(n, 0)))"
    return ", ".join(parts), f"{name}s = torch.stack([{pad} for x, n in zip({name}s, {list(late)})])"


def _in_words(lag: int, rate: float) -> str:
    if not lag:
        return "in place"
    size = "1 sample" if abs(lag) == 1 else f"{abs(lag)} samples"
    time = f"{abs(lag) / rate * 1000:.3g} ms" if abs(lag) < rate else f"{abs(lag) / rate:.3g} s"
    return f"{size} ({time}) {'late' if lag > 0 else 'early'}"


def _move(name: str, lag: int) -> str:
    pad = f"{name}[:, {lag}:], (0, {lag})" if lag > 0 else f"{name}[:, :{lag}], ({-lag}, 0)"
    return f"{name} = torch.nn.functional.pad({pad})"
