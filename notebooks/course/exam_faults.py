"""The faults of the exam: each breaks a network or a recording, and can be repaired with what a student has.

A student has the network, an earlier checkpoint of the same run, and the recording. A fault changes no name, shape or
number of tensors and no length of the recording, so the files of all faults look alike.
"""

import random
from collections.abc import Callable
from typing import NamedTuple

import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.audio import resample
from dprnn_lab.diagnosis import CATALOGUE, rebuild

__all__ = ["CHOICES", "FAULTS", "Fault", "Material"]

RATE = 8000  # Hz, of the networks, and what the header of every recording says
# What a student chooses from: the failures of weights, settings and recordings.
CHOICES = {
    entry.id: entry.title for entry in CATALOGUE.values() if entry.group in "ABC" and not entry.symptom
}


class Material(NamedTuple):
    """Two networks, a recording ``[T]`` and the sources ``[2, T']`` in it at the networks' rate."""

    network: DPRNNTasNet
    earlier: DPRNNTasNet
    recording: torch.Tensor
    sources: torch.Tensor


class Fault(NamedTuple):
    """One way to break the material.

    ``id`` is that of the catalogue. ``break_`` gets a generator for its details. ``repair`` is a right answer:
    ``(network, earlier, recording)`` to ``(network, recording)``.
    """

    id: str
    break_: Callable[[Material, random.Random], Material]
    repair: Callable[..., tuple[DPRNNTasNet, torch.Tensor]]


def _weights(prefixes: list[str], value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable:
    """Change the tensors with these prefixes; ``value`` gets the tensor, and that of a new network."""

    def break_(material: Material, rng: random.Random) -> Material:
        with torch.random.fork_rng():
            torch.manual_seed(rng.randrange(2**31))
            fresh = DPRNNTasNet(**material.network.config).state_dict()
        broken = rebuild(material.network)
        state = broken.state_dict()
        for name, tensor in state.items():
            if any(name.startswith(prefix) for prefix in prefixes):
                state[name] = value(tensor, fresh[name])
        broken.load_state_dict(state)
        return material._replace(network=broken.eval())

    return break_


def _with_nan(material: Material, rng: random.Random) -> Material:
    broken = rebuild(material.network)
    name = rng.choice([name for name, tensor in broken.named_parameters() if tensor.dim() > 1])
    with torch.no_grad():
        broken.get_parameter(name).flatten()[: rng.randrange(1, 60)] = float("nan")
    return material._replace(network=broken)


def _take_earlier(network, earlier, recording):
    return earlier, recording


def _settings(**settings: object) -> Fault:
    """Both files name settings with which the network was not trained; the repair names the right ones."""

    def values(config: dict) -> dict:
        return {k: v(config["kernel_size"]) if callable(v) else v for k, v in settings.items()}

    def break_(material: Material, rng: random.Random) -> Material:
        changed = values(material.network.config)
        both = [rebuild(model, **changed) for model in (material.network, material.earlier)]
        return material._replace(network=both[0], earlier=both[1])

    def repair(network, earlier, recording):
        right = {name: HEALTHY[name] for name in settings}
        right = {k: v(network.config["kernel_size"]) if callable(v) else v for k, v in right.items()}
        return rebuild(network, **right), recording

    return Fault("config-silent", break_, repair)


# The settings that the bundled network was trained with; the stride is half a kernel.
HEALTHY = {
    "mask_act": "sigmoid",
    "norm_type": "gLN",
    "encoder_activation": None,
    "stride": lambda kernel: kernel // 2,
}


def _recording(id: str, change: Callable, undo: Callable) -> Fault:
    def break_(material: Material, rng: random.Random) -> Material:
        return material._replace(recording=change(material.recording, rng))

    def repair(network, earlier, recording):
        return network, undo(recording)

    return Fault(id, break_, repair)


def _other_rate(rate: int) -> Fault:
    """The samples are at another rate than the header says; as many as of any recording."""

    def break_(material: Material, rng: random.Random) -> Material:
        samples = len(material.recording)
        used = samples * RATE // rate
        fast = resample(material.recording, RATE, rate)[:samples]
        return material._replace(recording=fast, sources=material.sources[:, :used])

    def repair(network, earlier, recording):
        return network, resample(recording, rate, RATE)

    return Fault("rate-mismatch", break_, repair)


def _with_offset(x: torch.Tensor, rng: random.Random) -> torch.Tensor:
    return x + rng.choice([-1, 1]) * rng.uniform(0.1, 0.3)


def _with_bad_samples(value: float) -> Callable:
    def change(x: torch.Tensor, rng: random.Random) -> torch.Tensor:
        broken = x.clone()
        for _ in range(rng.randrange(1, 6)):
            start = rng.randrange(len(x) - 40)
            broken[start : start + rng.randrange(1, 40)] = value
        return broken

    return change


def _finite(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x.isfinite(), x, 0.0)


def _fresh(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return new


def _zero(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(old)


def _partial(prefixes: list[str], value: Callable) -> Fault:
    return Fault("weights-partial", _weights(prefixes, value), _take_earlier)


FAULTS: dict[str, Fault] = {
    **{f"random-block-{i}": _partial([f"separator.blocks.{i}."], _fresh) for i in range(3)},
    "random-ends": _partial(["decoder.", "separator.mask."], _fresh),
    "random-outputs": _partial(["separator.output_", "separator.source_split."], _fresh),
    "zero-tanh": _partial(["separator.output_tanh.weight"], _zero),
    "zero-gate": _partial(["separator.output_gate.weight"], _zero),
    "zero-mask": _partial(["separator.mask.weight"], _zero),
    "all-random": Fault("weights-unmatched", _weights([""], _fresh), _take_earlier),
    "nan-weights": Fault("weights-corrupt", _with_nan, _take_earlier),
    "mask-relu": _settings(mask_act="relu"),
    "mask-tanh": _settings(mask_act="tanh"),
    "mask-linear": _settings(mask_act="linear"),
    "norm-cln": _settings(norm_type="cLN"),
    "encoder-relu": _settings(encoder_activation="relu"),
    "stride-doubled": _settings(stride=lambda kernel: kernel),
    "stride-halved": _settings(stride=lambda kernel: kernel // 4),
    "rate-11025": _other_rate(11025),
    "rate-16000": _other_rate(16000),
    "rate-22050": _other_rate(22050),
    "inverted": _recording("polarity", lambda x, rng: -x, lambda x: -x),
    "offset": _recording("level", _with_offset, lambda x: x - x.mean()),
    "nan-samples": _recording("not-finite", _with_bad_samples(float("nan")), _finite),
    "infinite-samples": _recording("not-finite", _with_bad_samples(float("inf")), _finite),
}
