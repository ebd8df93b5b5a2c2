"""Group E: batches, and lists of training and test material.

Notebook: 07_failures_in_training
"""

import itertools

import torch

from ...audio import Fingerprints
from ..evidence import Evidence
from ..finding import Finding
from ..training_evidence import Example
from .verdict import check, fail, fine, number, undecided

__all__ = ["leakage", "same_speaker", "silent_target", "targets_inconsistent"]

CEILING_DB = 40.0  # SI-SDR that inconsistent targets allow; trained models reach 20 dB less
SILENT_DB = -50.0  # relative to the loudest target of the batch
SAME_CORRELATION = 0.6  # the largest over all shifts; different utterances stay under 0.3
MAX_PAIRS = 600
BATCH = "a batch: (mixtures [B, T], sources [B, S, T])"
LISTS = 'your lists: data={"train": [(sources, speakers), ...], "test": [...]}'


@check("silent-target")
def silent_target(e: Evidence) -> Finding:
    """Energy of every target of a batch."""
    if e.batch is None:
        return undecided("no batch", BATCH)
    mixtures, sources = e.batch
    finite = bool(sources.isfinite().all() and mixtures.isfinite().all())
    energy = sources.nan_to_num(0.0, 0.0, 0.0).square().mean(-1)
    under = 10 * torch.log10((energy + 1e-20) / (energy.amax() + 1e-20))
    bad = int((under < SILENT_DB).sum())
    facts = {"quietest_db": number(under.min(), 1), "targets": under.numel(), "silent": bad}
    if bad or not finite:
        return fail(
            f"{bad} of {under.numel()} targets are silent: such a target costs up to +80 dB and teaches nothing; "
            "beside another at -10 dB it makes the loss of its example +35"
            if bad
            else "the batch holds NaN or infinity: one such sample makes the loss NaN",
            facts,
            f"{-SILENT_DB:g} dB under the loudest target of the batch",
            "mixture, sources = (part[(sources.square().mean(-1) > 1e-7).all(-1)] for part in (mixture, sources))",
        )
    return fine("no target is silent", facts, f"{SILENT_DB:g} dB")


@check("targets-inconsistent")
def targets_inconsistent(e: Evidence) -> Finding:
    """Mixture minus the sum of the sources."""
    if e.batch is None:
        return undecided("no batch", BATCH)
    mixtures, sources = e.batch
    if not (mixtures.isfinite().all() and sources.isfinite().all()):
        return undecided("the batch holds NaN or infinity", "a batch of finite numbers")
    if sources.shape[1] == 1:
        return fine(
            "one target: the rest of the mixture is what the network is to take away",
            {"examples": len(mixtures)},
        )
    rest = mixtures - sources.sum(1)
    ceiling = 10 * torch.log10(mixtures.square().sum(-1) / (rest.square().sum(-1) + 1e-12) + 1e-12)
    facts = {
        "largest_difference": number(rest.abs().max(), 5),
        "ceiling_db": number(ceiling.min(), 1),
        "examples": len(mixtures),
        "inconsistent": int((ceiling < CEILING_DB).sum()),
    }
    if facts["inconsistent"]:
        return fail(
            f"in {facts['inconsistent']} of {len(mixtures)} examples the sources do not sum to the mixture (by up to "
            f"{facts['largest_difference']:.3f}; ceiling {facts['ceiling_db']:.0f} dB)",
            facts,
            f"{CEILING_DB:g} dB, far above the scores of trained models",
            "mixture = sources.sum(1)  # the last step, after levels and clipping",
        )
    return fine(
        f"the sources sum to the mixture to {facts['ceiling_db']:.0f} dB", facts, f"{CEILING_DB:g} dB"
    )


def _largest_correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest normalised correlation of two signals ``[T]`` over all shifts, absolute."""
    size = len(a) + len(b)
    spectrum = torch.fft.rfft(a - a.mean(), size) * torch.fft.rfft(b - b.mean(), size).conj()
    scale = float((a - a.mean()).norm() * (b - b.mean()).norm())
    return float(torch.fft.irfft(spectrum, size).abs().max()) / scale if scale > 1e-9 else 0.0


@check("same-speaker")
def same_speaker(e: Evidence) -> Finding:
    """Names of the speakers, and correlation between the sources."""
    if e.data is None and e.batch is None:
        return undecided("no examples", LISTS)
    pairs = [(x.sources, x.speakers) for x in e.data or []]
    if e.batch is not None:
        pairs += [(s, ()) for s in e.batch[1]]
    named = [names for _, names in pairs if len(names) > 1]
    doubled = [names for names in named if len(set(names)) < len(names)]
    alike = [
        max(_largest_correlation(a, b) for a, b in itertools.combinations(s, 2))
        for s, _ in pairs[:MAX_PAIRS]
        if len(s) > 1 and s.isfinite().all()
    ]
    copies = sum(value > SAME_CORRELATION for value in alike)
    facts = {
        "examples": len(pairs),
        "with_names": len(named),
        "one_speaker": len(doubled),
        "one_utterance": copies,
        "largest_correlation": number(max(alike, default=0.0)),
    }
    if doubled or copies:
        what = (
            f"two sources are {max(doubled[0], key=doubled[0].count)} in {len(doubled)} of {len(named)} examples"
            if doubled
            else f"two sources are one utterance in {copies} of {len(pairs)} examples"
        )
        return fail(
            what,
            facts,
            f"none allowed; equal utterances correlate by over {SAME_CORRELATION:g} at the best shift, others by 0.3",
            "data = {split: [x for x in items if len(set(x[1])) == len(x[1])] for split, items in data.items()}",
        )
    if not named:
        return undecided("no two sources are one utterance; the speakers are not known", LISTS, facts)
    return fine("two speakers in every example", facts)


@check("leakage")
def leakage(e: Evidence) -> Finding:
    """Equal audio in two splits, under any name and at any level, whole or in part."""
    if e.data is None:
        return undecided("no lists", LISTS)
    splits: dict[str, list[Example]] = {}
    for example in e.data:
        splits.setdefault(example.split, []).append(example)
    if len(splits) < 2:
        return undecided("only one list", LISTS)
    train = splits.get("train", next(iter(splits.values())))
    others = [x for x in e.data if x.split != train[0].split]
    seen = Fingerprints(source for x in train for source in x.sources)
    doubles = sum(any(seen.holds(source) for source in x.sources) for x in others)
    parts = 0
    if not doubles:
        first = [s for x in train for s in x.sources]
        second = [s for x in others for s in x.sources]
        tried = [(a, b) for b in second for a in first][:MAX_PAIRS]
        parts = sum(_largest_correlation(a, b) > SAME_CORRELATION for a, b in tried)
    known = {name for x in train for name in x.speakers}
    shared = sorted(known & {name for x in others for name in x.speakers})
    facts = {
        "training": len(train),
        "other": len(others),
        "same_audio": doubles,
        "same_audio_shifted": parts,
        "speakers_in_both": shared[:10],
    }
    if doubles or parts:
        return fail(
            f"{doubles or parts} of {len(others)} test examples contain audio of the training list",
            facts,
            "none allowed, by fingerprint (any level, 16 bit) or by correlation at the best shift",
            'known = Fingerprints(s for x in data["train"] for s in x[0]); data["test"] = [x for x in data["test"] '
            "if not any(known.holds(s) for s in x[0])]",
        )
    says = "no audio is in two lists"
    if shared:
        says += f"; {len(shared)} speakers are, so the test says little about new voices"
    return fine(says, facts)
