"""Exercises of notebook 04: mixing at a level, segments with speech in them, noise, a split without leakage.

Notebook: 04_data
"""

from collections.abc import Callable

import torch

from .exercise import Exercise, Mistake
from .judging import need_numbers, need_shape, need_tensor, recognise, same

__all__ = ["mix_at", "heard", "add_noise", "split"]


def _noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _rms(x: torch.Tensor) -> torch.Tensor:
    return x.square().mean().sqrt()


# ---------------------------------------------------------------- 04.1


def _mixed(first, second, level_db, *, factor=20.0, sign=1.0, measure=_rms, match=True):
    """Mixture and sources with one thing done wrong, as the arguments say."""
    gain = 10 ** (sign * level_db / factor)
    matched = measure(second) / measure(first) if match else 1.0
    sources = torch.stack((first * matched * gain, second))
    return sources.sum(0), sources


_MIX_SLIPS = {
    "levels not matched first": (
        {"match": False},
        "you raise the first voice by the level, but the two were not equally loud before. Bring them to the same RMS "
        "first.",
    ),
    "10 instead of 20": (
        {"factor": 10.0},
        "the level comes out twice as large. RMS is an amplitude: the gain is $10^{d/20}$, not $10^{d/10}$.",
    ),
    "the other way round": ({"sign": -1.0}, "the *second* voice is the louder one in your mixture."),
    "peaks compared": (
        {"measure": lambda x: x.abs().max()},
        "you compared the peaks. One click decides a peak; the level of a voice is its RMS.",
    ),
    "energies compared": (
        {"measure": lambda x: x.square().mean()},
        "you compared mean squares. Take the square root before you divide: gains multiply amplitudes.",
    ),
    "standard deviations compared": (
        {"measure": lambda x: x.std()},
        "you compared standard deviations, which ignore an offset. RMS is the root of the mean of the squares.",
    ),
}


def _judge_mix(function: Callable) -> None:
    # An offset in the first, a click in the second, and different levels: every measure gives another number.
    first = 3 * _noise(701, seed=1) + 2
    second = 0.2 * _noise(701, seed=2)
    second[100] = 5.0
    level_db = 4.0
    before = first.clone(), second.clone()
    answer = function(first, second, level_db)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Mistake("not two results", "return two tensors: the mixture `[T]` and the sources `[2, T]`.")
    mixture, sources = (need_tensor(x, "the mixture `[T]` and the sources `[2, T]`") for x in answer)
    if not (torch.equal(first, before[0]) and torch.equal(second, before[1])):
        raise Mistake(
            "input changed", "your function changes the waveforms that it was given: avoid `*=` on them."
        )
    wanted_mixture, wanted = _mixed(first, second, level_db)
    need_shape(sources, wanted, "two sources, time last")
    need_shape(mixture, wanted_mixture, "one signal, time last")
    ratio = float(20 * torch.log10(_rms(sources[0]) / _rms(sources[1])))
    if abs(ratio - level_db) > 1e-3:
        for name, (change, hint) in _MIX_SLIPS.items():
            slip = _mixed(first, second, level_db, **change)[1]
            if abs(ratio - float(20 * torch.log10(_rms(slip[0]) / _rms(slip[1])))) < 1e-3:
                raise Mistake(name, hint)
        raise Mistake(
            "other level",
            f"asked for {level_db} dB, the first source lies {ratio:.2f} dB over the second (RMS).",
        )
    if not same(mixture, sources.sum(0)):
        raise Mistake(
            "sources do not sum to the mixture",
            "the level is right, but the mixture is not the sum of the sources that you return: scale first, add last.",
        )
    shape = torch.stack((first, second))
    if not torch.allclose(torch.cosine_similarity(sources, shape), torch.ones(2, dtype=torch.float64)):
        raise Mistake(
            "sources changed", "a source is no longer a multiple of the waveform given, or the order changed."
        )


mix_at = Exercise(
    id="04.1",
    title="Mix at a level",
    task="Write `my_mix(first, second, level_db)` for two waveforms `[T]`. Return the mixture `[T]` and the sources "
    "`[2, T]` as they are in it. The RMS of the first source must lie `level_db` dB over that of the second. Any "
    "common gain will do.",
    done_when="the level is right for voices of any loudness, and the returned sources sum to the returned mixture.",
    judge=_judge_mix,
    hints=(
        "RMS is `x.square().mean().sqrt()`. What gain makes the first voice as loud as the second?",
        "A difference of $d$ dB is a factor of $10^{d/20}$ on the amplitude.",
        "Build the sources first, `torch.stack((gain * first, second))`, then `sources.sum(0)`.",
    ),
    solution="""```python
def my_mix(first, second, level_db):
    rms = lambda x: x.square().mean().sqrt()
    gain = rms(second) / rms(first) * 10 ** (level_db / 20)
    sources = torch.stack((gain * first, second))
    return sources.sum(0), sources
```""",
    minutes=8,
)

# ---------------------------------------------------------------- 04.2


def _starts(
    voice, samples, hop, floor_db, *, factor=10.0, level=lambda x: x.square().mean(), last=1, every=None
):
    floor = level(voice) * 10 ** (floor_db / factor)
    starts = range(0, len(voice) - samples + last, every or hop)
    return torch.tensor([s for s in starts if level(voice[s : s + samples]) >= floor])


_HEARD_SLIPS = {
    "20 instead of 10": (
        {"factor": 20.0},
        "a mean *square* is an energy: a floor of $d$ dB is a factor of $10^{d/10}$ there.",
    ),
    "last place forgotten": (
        {"last": 0},
        "the last segment that fits ends with the last sample: starts run to `len(voice) - samples`, inclusive.",
    ),
    "beyond the end": (
        {"last": 10_000},
        "some of your segments reach beyond the end of the voice and are shorter than the others.",
    ),
    "peaks compared": (
        {"level": lambda x: x.abs().max() ** 2},
        "you compared peaks: a click in a pause is not speech. Compare the mean squares.",
    ),
}


def _judge_heard(function: Callable) -> None:
    voice = _noise(900, seed=7)
    voice[200:420] *= 0.3  # softer, and yet speech
    voice[500:800] *= 0.001  # a pause ...
    voice[650] = 6.0  # ... with a click in it
    arguments = voice, 100, 50, -15.0
    answer = function(*arguments)
    if isinstance(answer, (list, tuple)) and all(isinstance(x, int) for x in answer):
        answer = torch.tensor(answer, dtype=torch.long)
    answer = need_tensor(answer, "the start samples, as a list of int or a tensor")
    wanted = _starts(*arguments)
    if answer.shape == wanted.shape and torch.equal(answer.long(), wanted):
        return
    for name, (change, hint) in _HEARD_SLIPS.items():
        slip = _starts(*arguments, **change)
        if answer.shape == slip.shape and torch.equal(answer.long(), slip):
            raise Mistake(name, hint)
    if answer.dim() == 1 and len(answer) == 17:
        raise Mistake("pauses kept", "you return every start, pauses included.")
    raise Mistake(
        "other starts",
        f"expected {len(wanted)} starts, the first are {wanted[:4].tolist()}; yours: {answer.tolist()[:8]}.",
    )


heard = Exercise(
    id="04.2",
    title="Segments with speech in them",
    task="Write `my_starts(voice, samples, hop, floor_db)` for a voice `[T]`: the starts 0, hop, 2 hop, ... of all "
    "segments of `samples` samples that fit, and whose mean square is at least `floor_db` dB relative to the mean "
    "square of the whole voice (`floor_db` is negative: -15 means up to 15 dB under it).",
    done_when="pauses are left out, soft speech is kept, and every segment fits.",
    judge=_judge_heard,
    hints=(
        "`range(0, len(voice) - samples + 1, hop)` are all starts that fit.",
        "The floor is `voice.square().mean() * 10 ** (floor_db / 10)`.",
    ),
    solution="""```python
def my_starts(voice, samples, hop, floor_db):
    floor = voice.square().mean() * 10 ** (floor_db / 10)
    starts = range(0, len(voice) - samples + 1, hop)
    return [start for start in starts if voice[start : start + samples].square().mean() >= floor]
```""",
    minutes=8,
    difficulty=2,
)

# ---------------------------------------------------------------- 04.3


def _noisy(sources, noise, snr_db, *, factor=20.0, sign=-1.0, against="louder", match=True):
    levels = {
        "louder": lambda: sources.square().mean(-1).max().sqrt(),
        "mixture": lambda: _rms(sources.sum(0)),
        "weaker": lambda: sources.square().mean(-1).min().sqrt(),
        "all": lambda: _rms(sources),
    }
    gain = 10 ** (sign * snr_db / factor) * levels[against]()
    return sources.sum(0) + noise * (gain / _rms(noise) if match else gain)


_NOISE_SLIPS = {
    "noise over the voice": (
        {"sign": 1.0},
        "your noise lies *over* the voice by the SNR. A higher SNR must mean less noise.",
    ),
    "10 instead of 20": ({"factor": 10.0}, "the SNR in dB comes out doubled: the gain is $10^{-d/20}$."),
    "measured against the mixture": (
        {"against": "mixture"},
        "you measured the level of the mixture. WHAM! sets the noise under the *louder source*.",
    ),
    "measured against the weaker source": (
        {"against": "weaker"},
        "you measured against the weaker source; take the louder one.",
    ),
    "measured over all sources": (
        {"against": "all"},
        "you averaged over both sources: take the RMS of each along time, `mean(-1)`, and then the larger one.",
    ),
    "the noise's own level left": (
        {"match": False},
        "the result depends on how loud the noise was before. Divide it by its own RMS first.",
    ),
}


def _judge_noise(function: Callable) -> None:
    sources = torch.stack((0.4 * _noise(501, seed=3), _noise(501, seed=4)))
    noise, snr_db = 7 * _noise(501, seed=5), 6.0
    before = sources.clone()
    answer = need_tensor(function(sources, noise, snr_db), "the noisy mixture `[T]`")
    if not torch.equal(sources, before):
        raise Mistake(
            "noise in the targets",
            "your function changed `sources`. They are the targets, and the targets stay clean.",
        )
    wanted = _noisy(sources, noise, snr_db)
    need_shape(answer, wanted, "one mixture; the sources are summed over their first axis")
    recognise(
        answer, {k: (_noisy(sources, noise, snr_db, **change), h) for k, (change, h) in _NOISE_SLIPS.items()}
    )
    need_numbers(answer, wanted, "Mixture = sum of the sources + scaled noise.")


add_noise = Exercise(
    id="04.3",
    title="Noise at an SNR",
    task="Write `my_noisy_mixture(sources, noise, snr_db)` for sources `[2, T]` and noise `[T]` of any loudness. "
    "Return the noisy mixture `[T]`: the sum of the sources, and noise whose RMS lies `snr_db` dB under that of the "
    "**louder** source.",
    done_when="the SNR is right whatever the loudness of the noise, and the sources are untouched.",
    judge=_judge_noise,
    hints=(
        "Level of each source: `sources.square().mean(-1).sqrt()`, of shape `[2]`; the louder one is its `max()`.",
        "Scale the noise to RMS 1, then to the level of the louder source, then down by $10^{-d/20}$.",
    ),
    solution="""```python
def my_noisy_mixture(sources, noise, snr_db):
    louder = sources.square().mean(-1).sqrt().max()
    gain = louder / noise.square().mean().sqrt() * 10 ** (-snr_db / 20)
    return sources.sum(0) + gain * noise
```""",
    minutes=6,
)

# ---------------------------------------------------------------- 04.4


def _judge_split(function: Callable) -> None:
    # Ten recordings cut into three pieces each; "ada-3-1" is the second piece of ada's recording 3.
    pieces = [f"{name}-{take}-{piece}" for name in ("ada", "bob") for take in range(5) for piece in range(3)]
    shuffled = [pieces[i] for i in torch.randperm(30, generator=torch.Generator().manual_seed(6)).tolist()]
    answer = function(shuffled, 0.2)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Mistake("not two lists", "return two lists of names: training and validation.")
    train, valid = (list(part) for part in answer)
    if set(train) & set(valid):
        raise Mistake("overlap", f"{sorted(set(train) & set(valid))[0]} is in both lists.")
    if sorted(train + valid) != sorted(pieces):
        raise Mistake("pieces lost", "not every piece is in exactly one of your lists.")
    takes = [{piece.rpartition("-")[0] for piece in part} for part in (train, valid)]
    if takes[0] & takes[1]:
        raise Mistake(
            "a recording on both sides",
            f"pieces of the recording {sorted(takes[0] & takes[1])[0]} are in both lists. The network then knows the "
            "room, the microphone and the sentence of a validation mixture: divide *recordings*, not pieces.",
        )
    speakers = [{take.partition("-")[0] for take in part} for part in takes]
    if speakers[0] != speakers[1]:
        raise Mistake(
            "a speaker on one side",
            "one speaker is missing on one side. That is a split by *speaker*, a harder test; here both speakers "
            "should be validated, each with a fifth of the recordings.",
        )
    if not len(valid) == 6:
        raise Mistake(
            "another share",
            f"{len(valid)} of 30 pieces are for validation, expected 6: one recording of each speaker.",
        )
    again = function(list(reversed(shuffled)), 0.2)
    if [sorted(part) for part in again] != [sorted(train), sorted(valid)]:
        raise Mistake(
            "depends on the order",
            "the same pieces in another order give another split. A folder may be listed in any order: sort the names, "
            "or decide by their hash.",
        )


split = Exercise(
    id="04.4",
    title="A split without leakage",
    task='Write `my_split(pieces, share)`. The pieces are names `"speaker-recording-piece"`, in any order: long '
    "recordings were cut up. Return two lists, training and validation. `share` of every speaker's recordings go to "
    "validation, with all of their pieces, and the split does not depend on the order of the names.",
    done_when="no recording is on both sides, both sides hold all speakers, and the order does not matter.",
    judge=_judge_split,
    hints=(
        'The recording of a piece is `piece.rpartition("-")[0]`, its speaker `piece.partition("-")[0]`.',
        "Collect the recordings of each speaker in a sorted list, and take the first "
        "`round(share * len(recordings))` of it for validation.",
    ),
    solution="""```python
def my_split(pieces, share):
    recordings = {}
    for piece in pieces:
        speaker, recording = piece.partition("-")[0], piece.rpartition("-")[0]
        recordings.setdefault(speaker, set()).add(recording)
    chosen = set()
    for names in recordings.values():
        chosen |= set(sorted(names)[: round(share * len(names))])
    train = [piece for piece in pieces if piece.rpartition("-")[0] not in chosen]
    valid = [piece for piece in pieces if piece.rpartition("-")[0] in chosen]
    return train, valid
```""",
    minutes=10,
    difficulty=2,
)
