"""Group C: is the mixture what the model takes?

Notebook: 06_failures_at_inference
"""

import torch

from ...audio import rms_db
from ...model.filterbank import frame_count
from ..evidence import Evidence
from ..mixture import FULL_SCALE, NOTHING
from .verdict import check, fail, fine, number, on_samples, undecided, warn

__all__ = ["channels", "length", "level", "not_finite", "silence"]

BRING = "the mixture: a path, or samples"
QUIETEST = 1e-3  # peak, -60 dBFS: the model's norms have an EPS that such a level comes near to
CLIPPED = 1e-3  # share of samples at the largest value, in runs of two and more
SIXTEEN_BIT = 100.0  # peak
OFFSET = 0.05  # mean, as a share of the peak
MEMORY = 4.0  # GB


@check("not-finite")
def not_finite(e: Evidence):
    """NaN and infinity in mixture, references or estimates."""
    signals = {
        "mixture": e.sound.samples if e.sound else None,
        "references": e.references,
        "estimates": e.estimates,
    }
    if all(s is None for s in signals.values()):
        return undecided("there is no audio", BRING)
    bad = {n: c for n, s in signals.items() if s is not None and (c := int((~torch.isfinite(s)).sum()))}
    if not bad:
        return fine("all samples are finite")
    name = next(iter(bad))
    cause = e.cause("weights-corrupt") if list(bad) == ["estimates"] else None
    return fail(
        f"{bad[name]} samples of the {name} are NaN or infinite",
        bad,
        "none: one of them makes every output NaN",
        on_samples(e, f"{name} = torch.nan_to_num({name}, 0.0, 0.0, 0.0)")
        if name == "mixture"
        else f"{name} = torch.nan_to_num({name}, 0.0, 0.0, 0.0)",
        explained_by=cause,
    )


@check("channels")
def channels(e: Evidence):
    """More than one channel, and whether they agree."""
    if e.sound is None:
        return undecided("there is no audio", BRING)
    samples = e.sound.samples.nan_to_num(0.0, 0.0, 0.0)
    count = len(samples)
    if count == 1:
        return fine("one channel")
    alike = _correlation(samples[0], samples[1])
    facts = {"channels": count, "correlation": number(alike)}
    first = "mixture.T" if e.sound.transposed else "mixture"
    if alike < -0.5:
        says, mode = f"the two channels are in opposite phase ({alike:.2f}): their mean cancels", "left"
    elif alike > 0.95:
        says, mode = f"{count} equal channels ({alike:.2f}): the model takes one", "left"
    else:
        says, mode = f"{count} channels that differ ({alike:.2f}): the model takes one", "left"
    if count == 2 and alike > -0.5 and alike < 0.95 and _apart(samples):
        says += "; each may be a microphone of its own"
    return fail(
        says,
        facts | {"transposed": e.sound.transposed},
        "one: further rows are read as further mixtures of a batch. Correlation under -0.5 means opposite phase",
        f'estimates = separate(model, mixture, mono="{mode}")'
        if e.sound.rate_from == "file"
        else f'mixture = to_mono({first}, "{mode}")',
    )


def _apart(samples: torch.Tensor) -> bool:
    """Whether the channels are nearly unrelated."""
    return abs(_correlation(samples[0], samples[1])) < 0.3


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-12))


@check("silence")
def silence(e: Evidence):
    """A mixture or a reference with nothing in it."""
    if e.sound is None and e.references is None:
        return undecided("there is no audio", BRING)
    if e.sound is not None:
        samples = e.sound.samples.nan_to_num(0.0, 0.0, 0.0)
        largest = float((samples - samples.mean(-1, keepdim=True)).abs().max())
        if largest < NOTHING:
            return fail(
                f"the mixture is silent (peak {largest:.1e})",
                {"peak": largest},
                f"{NOTHING:g}, under the last bit of 16",
                "mixture, sample_rate = read_audio(path)  # of a recording with sound in it",
            )
    if e.references is not None:
        energy = e.references.nan_to_num(0.0, 0.0, 0.0).square().mean(-1)
        under = 10 * torch.log10((energy + 1e-20) / (energy.max() + 1e-20))
        silent = [i for i, db in enumerate(under.tolist()) if db < -50 or energy.max() < NOTHING**2]
        if silent:
            return fail(
                f"reference {silent[0]} is silent ({under[silent[0]]:.0f} dB under the loudest): it can't be scored",
                {"under_loudest_db": [number(v, 1) for v in under]},
                "50 dB under the loudest reference",
                "references = references[references.square().mean(-1) > 1e-5 * references.square().mean(-1).max()]",
            )
    return fine("there is sound in mixture and references")


@check("level")
def level(e: Evidence):
    """Peak, clipping and offset of the mixture."""
    if e.sound is None:
        return undecided("there is no audio", BRING)
    if e.cause("silence"):
        return undecided("the mixture is silent", "a mixture with sound in it")
    samples = e.sound.samples.nan_to_num(0.0, 0.0, 0.0)
    samples = samples[samples.square().sum(-1).argmax()]
    largest, mean = float(samples.abs().max()), float(samples.mean())
    clipped = _clipped(samples)
    facts = {
        "peak": number(largest, 5),
        "rms_dbfs": number(rms_db(samples), 1),
        "clipped_share": number(clipped, 4),
        "mean": number(mean, 5),
    }
    deviation = float(samples.std())
    if largest > SIXTEEN_BIT:
        return fail(
            f"the peak is {largest:.4g}: 16-bit numbers made floating point",
            facts,
            f"{SIXTEEN_BIT:g}: no gain of a studio makes that of audio in -1 to 1",
            on_samples(e, "mixture = mixture / 32768"),
        )
    if largest > FULL_SCALE and not (0.9 < deviation < 1.1 and abs(mean) < 0.05):  # a standardised mixture
        return warn(
            f"the peak is {largest:.4g}, beyond full scale",
            facts,
            f"{FULL_SCALE:g}: audio is in -1 to 1, saved files clip beyond",
            on_samples(e, "mixture = mixture * (0.5 / mixture.abs().max())"),
        )
    if largest < QUIETEST:
        return fail(
            f"the peak is {largest:.1e} ({20 * torch.log10(torch.tensor(largest)):.0f} dBFS)",
            facts,
            f"{QUIETEST:g} (-60 dBFS): below, the EPS in the model's norms counts",
            on_samples(e, "mixture = mixture * (0.5 / mixture.abs().max())"),
        )
    if abs(mean) > OFFSET * largest and abs(mean) > 1e-4:
        return fail(
            f"the mean is {mean:.3f}, {abs(mean) / largest:.0%} of the peak: a DC offset",
            facts,
            f"{OFFSET:.0%} of the peak: speech has no mean, and the encoder takes it for a loud low tone",
            on_samples(e, "mixture = mixture - mixture.mean()"),
        )
    if clipped > CLIPPED:
        return fail(
            f"{clipped:.1%} of the samples are clipped",
            facts,
            f"{CLIPPED:.1%} of the samples at the largest value, in runs of two and more",
            "mixture, sample_rate = read_audio(path)  # recorded again with less gain",
        )
    return fine(f"peak {largest:.2f}, {facts['rms_dbfs']:.0f} dBFS", facts)


def _clipped(samples: torch.Tensor) -> float:
    """Share of samples at the largest or smallest value, next to another such."""
    share = 0.0
    for edge in (samples.max(), samples.min()):
        at = samples >= edge * 0.9999 if edge > 0 else samples <= edge * 0.9999
        runs = at[1:] & at[:-1]
        share += float(runs.sum()) / len(samples)
    return share


@check("length")
def length(e: Evidence):
    """Samples against a chunk of the model, and against memory."""
    config = e.settings
    if e.sound is None or config is None:
        return undecided("no mixture, or no model whose chunk is known", "both")
    config = config | {"stride": config["stride"] or max(1, config["kernel_size"] // 2)}
    config["hop_size"] = config["hop_size"] or max(1, config["chunk_size"] // 2)
    seconds = e.sound.samples.shape[-1] / e.sound.rate
    samples = round(seconds * config["sample_rate"])
    frames = frame_count(samples, config["kernel_size"], config["stride"])
    chunk = (config["chunk_size"] - 1) * config["stride"] + config["kernel_size"]
    lost = max(0, samples - config["kernel_size"]) % config["stride"]
    memory = _memory(config, frames)
    facts = {
        "samples": samples,
        "seconds": number(seconds),
        "frames": frames,
        "chunk_samples": chunk,
        "lost_at_the_end": lost,
        "memory_gb": number(memory),
    }
    pad = "mixture = torch.nn.functional.pad(mixture, (0, sample_rate - mixture.shape[-1] % sample_rate))"
    if samples < 2 * chunk and seconds < 0.5:
        return fail(
            f"{samples} samples ({seconds * 1000:.0f} ms) are shorter than two chunks of {chunk} samples",
            facts,
            "two chunks and half a second: the inter-chunk RNN has nothing to look along",
            f"{pad}  # better: a longer recording",
        )
    if memory > MEMORY:
        return fail(
            f"{seconds:.0f} s need about {memory:.1f} GB in one pass",
            facts,
            f"{MEMORY:g} GB, what a laptop can spare",
            "mixture = mixture[..., : 30 * sample_rate]  # or overlapping windows: 09_long_audio.ipynb",
        )
    if seconds > 60:
        return warn(
            f"{seconds:.0f} s are far longer than the seconds of training",
            facts,
            "a minute: the inter-chunk RNN was trained on sequences of a few seconds",
            "mixture = mixture[..., : 30 * sample_rate]  # or overlapping windows: 09_long_audio.ipynb",
        )
    return fine(f"{seconds:.1f} s, {frames} frames", facts)


def _memory(config: dict, frames: int) -> float:
    """GB of one pass without gradients: the widest moment, an RNN's gates and output over all chunks."""
    positions = frames * config["chunk_size"] / config["hop_size"]
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[config["rnn_type"]]
    width = 2 * config["hid_size"] * (gates + 2) + 4 * config["bn_chan"]
    return positions * width * 4 / 1e9
