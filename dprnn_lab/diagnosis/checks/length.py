"""Group C: the mixture's duration, against the model's chunk and against memory.

Notebook: 06_failures_at_inference
"""

from collections.abc import Mapping
from typing import Any

from ...model.dual_path import chunk_count
from ...model.filterbank import frame_count
from ...separation.windows import WINDOW_SECONDS
from ..evidence import Evidence
from ..finding import Finding
from .verdict import check, fail, fine, note, number, on_samples, undecided, warn

__all__ = ["length", "pass_memory"]

MEMORY_GB = 4.0
LONG_SECONDS = 60.0  # more in one pass is far from the mixtures of training
# Floats held at the peak of an RNN path, per cell of the [C, K] plane: factors of the hidden units and of the features.
# Fitted to the allocations of one pass on a CPU (evaluation.forward_cost), within 15 % for 24 shapes.
PATH_FLOATS = {"LSTM": (6.2, 4.7), "GRU": (9.0, 4.0), "RNN": (7.0, 4.0)}
MULCAT_FLOATS = (7.0, 7.5)
FURTHER_LAYER = 5.0  # times the hidden units, when there is more than one layer


@check("length")
def length(e: Evidence) -> Finding:
    """Duration against the model's chunk, and against the memory of a window and of one pass."""
    config = e.settings
    if e.recording is None or config is None:
        return undecided("no mixture, or no model with known settings", "both")
    config = config | {"stride": config["stride"] or max(1, config["kernel_size"] // 2)}
    config["hop_size"] = config["hop_size"] or max(1, config["chunk_size"] // 2)
    rate = config["sample_rate"]
    seconds = e.recording.samples.shape[-1] / e.recording.rate
    samples = round(seconds * rate)
    frames = frame_count(samples, config["kernel_size"], config["stride"])
    chunk = (config["chunk_size"] - 1) * config["stride"] + config["kernel_size"]
    whole, window = (
        pass_memory(config, samples),
        pass_memory(config, min(samples, round(WINDOW_SECONDS * rate))),
    )
    facts = {
        "samples": samples,
        "seconds": number(seconds),
        "frames": frames,
        "chunk_samples": chunk,
        "lost_at_the_end": max(0, samples - config["kernel_size"]) % config["stride"],
        "memory_gb": number(whole, 3),
        "memory_of_a_window_gb": number(window, 3),
    }
    if samples < 2 * chunk and seconds < 0.5:
        pad = "mixture = torch.nn.functional.pad(mixture, (0, sample_rate - mixture.shape[-1] % sample_rate))"
        return fail(
            f"{samples} samples ({seconds * 1000:.0f} ms) are shorter than two chunks of {chunk} samples",
            facts,
            "two chunks and half a second: the inter-chunk RNN sees hardly a sequence",
            f"{on_samples(e, pad)}  # better: a longer recording",
        )
    if window > MEMORY_GB:
        smaller = max(1.0, round(WINDOW_SECONDS * MEMORY_GB / window))
        return warn(
            f"a window of {min(seconds, WINDOW_SECONDS):.0f} s needs about {window:.1f} GB with this model",
            facts,
            f"{MEMORY_GB:g} GB, what a laptop can spare",
            f"estimates = separate(model, mixture, sample_rate, window={smaller:g})",
        )
    if seconds > LONG_SECONDS:
        return note(
            f"{seconds:.0f} s: separate works in windows of {WINDOW_SECONDS:g} s (about {_size(window)}); the network "
            f"called on the whole file needs about {_size(whole)}, and was trained on a few seconds",
            facts,
            f"{LONG_SECONDS:g} s in one pass",
            "estimates = separate(model, mixture, sample_rate)  # in overlapping windows, so that memory is bounded",
        )
    return fine(f"{seconds:.1f} s, {frames} frames, about {_size(whole)} in one pass", facts)


def _size(gigabytes: float) -> str:
    return f"{gigabytes:.1f} GB" if gigabytes >= 1 else f"{gigabytes * 1000:.0f} MB"


def pass_memory(config: Mapping[str, Any], samples: int) -> float:
    """GB that the tensors of one pass without gradients hold at their peak, weights and input not counted.

    The peak lies in an RNN path, or, with many filters, where the masks are applied.

    Args:
        config: every argument of the model, ``stride`` and ``hop_size`` as numbers.
        samples: T.
    """
    frames = frame_count(samples, config["kernel_size"], config["stride"])
    cells = chunk_count(frames, config["chunk_size"], config["hop_size"]) * config["chunk_size"]
    hidden, features, sources = config["hid_size"], config["bn_chan"], config["n_src"]
    by_hidden, by_features = MULCAT_FLOATS if config.get("use_mulcat") else PATH_FLOATS[config["rnn_type"]]
    if config.get("num_layers", 1) > 1:
        by_hidden += FURTHER_LAYER
    path = cells * (by_hidden * hidden + by_features * features)
    masks = frames * ((3 * sources + 1) * config["n_filters"] + 2 * sources * features)
    return 4 * max(path, masks) / 1e9
