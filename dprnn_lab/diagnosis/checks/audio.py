"""Group C: is the mixture as the model expects it?

Notebook: 06_failures_at_inference
"""

import torch

from ...audio import clipped_share, correlation, rms_db
from ..evidence import Evidence
from ..finding import Finding
from ..mixture import FAINT_PEAK, MAX_PEAK, SILENT_PEAK
from .verdict import check, fail, fine, number, on_samples, undecided, warn

__all__ = ["channels", "level", "not_finite", "silence"]

BRING = "the mixture: a path, or samples"
CLIPPED_SHARE = 1e-3  # of the samples, at the largest value in runs of two and more
PCM_PEAK = 100.0
SILENT_SHARE = 1e-3  # of the peak of a faint mixture: 60 dB under it
OFFSET_SHARE = 0.05  # mean, relative to the peak


@check("not-finite")
def not_finite(e: Evidence) -> Finding:
    """NaN and infinity in mixture, references or estimates."""
    signals = {
        "mixture": e.recording.samples if e.recording else None,
        "references": e.references,
        "estimates": e.estimates,
    }
    if all(s is None for s in signals.values()):
        return undecided("there is no audio", BRING)
    bad = {n: c for n, s in signals.items() if s is not None and (c := int((~torch.isfinite(s)).sum()))}
    if not bad:
        return fine("all samples are finite")
    name = next(iter(bad))
    line = f"{name} = torch.nan_to_num({name}, 0.0, 0.0, 0.0)"
    cause = e.cause("weights-corrupt") if list(bad) == ["estimates"] else None
    return fail(
        f"{bad[name]} samples of the {name} are NaN or infinite",
        bad,
        "none allowed: one makes every output NaN",
        on_samples(e, line) if name == "mixture" else line,
        explained_by=cause,
    )


@check("channels")
def channels(e: Evidence) -> Finding:
    """Number of channels, and their correlation."""
    if e.recording is None:
        return undecided("there is no audio", BRING)
    samples = e.recording.samples.nan_to_num(0.0, 0.0, 0.0)
    count = len(samples)
    if count == 1:
        return fine("one channel")
    alike = correlation(samples, 0.0)
    facts = {"channels": count, "correlation": number(alike)}
    first = "mixture.T" if e.recording.transposed else "mixture"
    if alike < -0.5:
        says = f"the two channels are in opposite phase ({alike:.2f}): their mean cancels"
    elif alike > 0.95:
        says = f"{count} equal channels ({alike:.2f}): the model takes one"
    else:
        says = f"{count} channels that differ ({alike:.2f}): the model takes one"
    if count == 2 and abs(alike) < 0.3:
        says += "; each may be a separate microphone"
    return fail(
        says,
        facts | {"transposed": e.recording.transposed},
        "one: a model reads further rows as further mixtures of a batch. Correlation under -0.5 means opposite phase",
        'estimates = separate(model, mixture, mono="left")'
        if e.recording.rate_from == "file"
        else f'mixture = to_mono({first}, "left")',
    )


@check("silence")
def silence(e: Evidence) -> Finding:
    """Peak of the mixture and the estimates, energy of the references."""
    if e.recording is None and e.references is None:
        return undecided("there is no audio", BRING)
    if e.recording is not None:
        samples = e.recording.samples.nan_to_num(0.0, 0.0, 0.0)
        largest = float((samples - samples.mean(-1, keepdim=True)).abs().max())
        if largest < SILENT_PEAK:
            return fail(
                f"the mixture is silent (peak {largest:.1e})",
                {"peak": largest},
                f"{SILENT_PEAK:g}, below the last bit of 16",
                "mixture, sample_rate = read_audio(path)  # of a recording that is not silent",
            )
    if e.references is not None:
        energy = e.references.nan_to_num(0.0, 0.0, 0.0).square().mean(-1)
        under = 10 * torch.log10((energy + 1e-20) / (energy.max() + 1e-20))
        silent = [i for i, db in enumerate(under.tolist()) if db < -50 or energy.max() < SILENT_PEAK**2]
        if silent:
            return fail(
                f"reference {silent[0] + 1} is silent ({under[silent[0]]:.0f} dB under the loudest): "
                "it can't be scored",
                {"under_loudest_db": [number(v, 1) for v in under]},
                "50 dB under the loudest reference",
                "references = references[references.square().mean(-1) > 1e-5 * references.square().mean(-1).max()]",
            )
    return _silent_estimates(e) or fine("mixture, references and estimates are not silent")


def _silent_estimates(e: Evidence) -> Finding | None:
    """Estimates of zeros, although the mixture has sound: its channels cancelled, or a network gave nothing."""
    if e.estimates is None or not e.estimates.isfinite().all():
        return None
    peaks = e.estimates.abs().amax(-1)
    limit = SILENT_PEAK
    if e.recording is not None:  # the estimates of a faint mixture are faint, and not silent
        limit = min(limit, SILENT_SHARE * float(e.recording.samples.nan_to_num(0.0, 0.0, 0.0).abs().max()))
    silent = [i for i, value in enumerate(peaks.tolist()) if value <= limit]
    if not silent:
        return None
    opposite = len(silent) == len(peaks) and e.recording is not None and _opposite(e.recording.samples)
    says = (
        "all estimates are silent"
        if len(silent) == len(peaks)
        else f"estimate {silent[0] + 1} of {len(peaks)} is silent"
    )
    if opposite:
        says += ": the mixture's channels are in opposite phase, and their mean is zero"
    return fail(
        f"{says} (peak {float(peaks[silent[0]]):.1e})",
        {"peaks": [number(p, 6) for p in peaks]},
        f"a peak of {SILENT_PEAK:g}, below the last bit of 16: a network gives no exact zeros for a mixture with sound",
        'estimates = separate(model, mixture, sample_rate, mono="left")'
        if opposite
        else "estimates = separate(model, mixture, sample_rate)  # the model's own, to compare",
        explained_by="channels"
        if opposite
        else e.broken_weights or ("dead-output" if _gives_silence(e) else None),
    )


def _gives_silence(e: Evidence) -> bool:
    """Whether an output of the network itself is silent for this mixture."""
    return e.own is not None and float(e.own.abs().amax(-1).min()) < SILENT_PEAK


def _opposite(samples: torch.Tensor) -> bool:
    """Whether the mean of the channels ``[channels, T]`` is nearly silent while they are not."""
    samples = samples.nan_to_num(0.0, 0.0, 0.0)
    return len(samples) > 1 and float(samples.mean(0).abs().max()) < 1e-3 * float(samples.abs().max())


@check("level")
def level(e: Evidence) -> Finding:
    """Peak, clipping and DC offset of the mixture."""
    if e.recording is None:
        return undecided("there is no audio", BRING)
    if e.cause("silence"):
        return undecided("the mixture is silent", "a mixture with sound in it")
    samples = e.recording.samples.nan_to_num(0.0, 0.0, 0.0)
    samples = samples[samples.square().sum(-1).argmax()]
    largest, mean = float(samples.abs().max()), float(samples.mean())
    clipped = float(clipped_share(samples))
    facts = {
        "peak": number(largest, 5),
        "rms_dbfs": number(rms_db(samples), 1),
        "clipped_share": number(clipped, 4),
        "mean": number(mean, 5),
    }
    deviation = float(samples.std())
    if largest > PCM_PEAK:
        return fail(
            f"the peak is {largest:.4g}: 16-bit integers converted to floating point without scaling",
            facts,
            f"{PCM_PEAK:g}: no usual gain takes audio in -1 to 1 this far",
            on_samples(e, "mixture = mixture / 32768"),
        )
    if largest > MAX_PEAK and not (0.9 < deviation < 1.1 and abs(mean) < 0.05):  # a standardised mixture
        return warn(
            f"the peak is {largest:.4g}, beyond full scale",
            facts,
            f"{MAX_PEAK:g}: audio is in -1 to 1, and saved files clip beyond",
            on_samples(e, "mixture = mixture * (0.5 / mixture.abs().max())"),
        )
    if largest < FAINT_PEAK:
        return fail(
            f"the peak is {largest:.1e} ({20 * torch.log10(torch.tensor(largest)):.0f} dBFS)",
            facts,
            f"{FAINT_PEAK:g} (-60 dBFS): below, the EPS in the model's norms changes the result",
            on_samples(e, "mixture = mixture * (0.5 / mixture.abs().max())"),
        )
    if abs(mean) > OFFSET_SHARE * largest and abs(mean) > 1e-4:
        return fail(
            f"the mean is {mean:.3f}, {abs(mean) / largest:.0%} of the peak: a DC offset",
            facts,
            f"{OFFSET_SHARE:.0%} of the peak: speech has zero mean, and an offset acts as a loud low tone",
            on_samples(e, "mixture = mixture - mixture.mean()"),
        )
    if clipped > CLIPPED_SHARE:
        return fail(
            f"{clipped:.1%} of the samples are clipped",
            facts,
            f"{CLIPPED_SHARE:.1%} of the samples at the largest value, in runs of two and more",
            "mixture, sample_rate = read_audio(path)  # recorded again with less gain",
        )
    return fine(f"peak {largest:.2f}, {facts['rms_dbfs']:.0f} dBFS", facts)
