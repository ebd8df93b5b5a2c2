"""The arguments of DPRNN-TasNet as a typed, checked record: one name for each choice, one error for each mistake.

Notebook: 02_dual_path
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from .dual_path import RNN_TYPES
from .norms import NORMS
from .parametric import FILTERBANKS, bank_sizes
from .separator import ACTIVATIONS

__all__ = ["ModelConfig", "canonical"]

# Asteroid also accepts the names of its classes, and its files contain them.
_OTHER_NAMES = {
    "fb_name": {
        "FreeFB": "free",
        "STFTFB": "stft",
        "AnalyticFreeFB": "analytic_free",
        "ParamSincFB": "param_sinc",
    },
    "norm_type": {"GlobLN": "gLN", "ChanLN": "cLN", "FeatsGlobLN": "fgLN", "BatchNorm": "bN"},
    "mask_act": {"Swish": "swish"},
    "encoder_activation": {"Swish": "swish"},
    "rnn_type": {name.lower(): name for name in RNN_TYPES},
}
_CHOICES: dict[str, list[str | None]] = {
    "fb_name": [*FILTERBANKS],
    "norm_type": [*NORMS],
    "mask_act": [*ACTIVATIONS],
    "encoder_activation": [None, *ACTIVATIONS],
    "rnn_type": [*RNN_TYPES],
}
_REASONS = {  # why some names that Asteroid knows are no choice here
    "cgLN": " (it normalises frames and not chunks: no DPRNN runs with it, in Asteroid either)",
    "torch_stft": " (the same filters as 'stft' with other gains)",
}
_REASONS |= {"CumLN": _REASONS["cgLN"], "TorchSTFTFB": _REASONS["torch_stft"]}
# The largest values that are accepted, checked before anything is allocated: a file from elsewhere can ask for any.
_LARGEST = {
    "n_src": 100,
    "chunk_size": 100_000,
    "n_repeats": 1000,
    "num_layers": 100,
    "kernel_size": 1_000_000,
    "sample_rate": 1_000_000,
}
_LARGEST_OVERLAP = 100  # chunks that contain one frame
_LARGEST_NETWORK = 500_000_000  # parameters; the papers' networks have 2.6 million
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_INTEGERS = "n_src bn_chan hid_size chunk_size hop_size n_repeats num_layers n_filters kernel_size stride"


def canonical(name: str, value: Any) -> Any:
    """The value of an argument under the one name used here; a NumPy number as a Python number.

    >>> canonical("norm_type", "GlobLN"), canonical("rnn_type", "lstm"), canonical("n_src", np.int64(2))
    ('gLN', 'LSTM', 2)
    """
    if isinstance(value, np.generic):
        return value.item()
    return _OTHER_NAMES.get(name, {}).get(value, value) if isinstance(value, str) else value


@dataclass
class ModelConfig:
    """The arguments of :class:`dprnn_lab.DPRNNTasNet`, which documents them, checked and complete.

    After construction every value has its canonical name, NumPy numbers are Python numbers, and ``hop_size`` and
    ``stride`` are never None.

    Raises:
        ValueError: an argument out of range; the message names the argument, the value and what is allowed.

    >>> config = ModelConfig(chunk_size=100, norm_type="GlobLN")
    >>> config.hop_size, config.norm_type
    (50, 'gLN')
    """

    n_src: int = 2
    bn_chan: int = 128
    hid_size: int = 128
    chunk_size: int = 100
    hop_size: int | None = None
    n_repeats: int = 6
    norm_type: str = "gLN"
    mask_act: str = "sigmoid"
    bidirectional: bool = True
    rnn_type: str = "LSTM"
    num_layers: int = 1
    dropout: float = 0
    n_filters: int = 64
    kernel_size: int = 16
    stride: int | None = 8
    encoder_activation: str | None = None
    use_mulcat: bool = False
    sample_rate: float = 8000
    fb_name: str = "free"
    in_chan: int | None = None
    out_chan: int | None = None
    min_low_hz: float = 50
    min_band_hz: float = 50

    def __post_init__(self) -> None:
        for field in fields(self):
            setattr(self, field.name, canonical(field.name, getattr(self, field.name)))
        if self.hop_size is None:
            self.hop_size = _half(self.chunk_size)
        if self.stride is None:
            self.stride = _half(self.kernel_size)
        self._check_types()
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout!r}: it must be at least 0 and below 1")
        if not 0 < self.sample_rate < math.inf:
            raise ValueError(f"sample_rate is {self.sample_rate!r}: it must be above 0 Hz")
        if self.hop_size > self.chunk_size:
            raise ValueError(
                f"hop_size is {self.hop_size}, larger than chunk_size {self.chunk_size}: frames between "
                "the chunks would be lost; use half the chunk size"
            )
        if self.chunk_size > _LARGEST_OVERLAP * self.hop_size:
            raise ValueError(
                f"hop_size is {self.hop_size} and chunk_size {self.chunk_size}: every frame would be computed "
                f"{self.chunk_size // self.hop_size} times; {_LARGEST_OVERLAP} is the most, use half the chunk size"
            )
        self._resolve_filterbank(self.stride)
        self._check_size()

    def parameters(self) -> int:
        """How many weights the network has, computed without building it; exact for the filterbank "free"."""
        features, hidden, layers = self.bn_chan, self.hid_size, self.num_layers
        bank = bank_sizes(self.fb_name, self.n_filters, self.kernel_size)[2]

        def path(directions: int) -> int:
            gates, width = _GATES[self.rnn_type] * hidden, directions * hidden
            inputs = features + (layers - 1) * width  # of all layers
            rnn = directions * gates * (inputs + layers * (hidden + 2))
            joined = width + (features if self.use_mulcat else 0)
            return rnn * (2 if self.use_mulcat else 1) + (joined + 1) * features + 2 * features

        block = path(2) + path(2 if self.bidirectional else 1)
        ends = 2 * bank + (bank + 1) * features + 1 + (features + 1) * self.n_src * features
        ends += 2 * (features + 1) * features + features * (self.out_chan or bank)
        return (
            self.n_repeats * block + ends + 2 * self.n_filters * self.kernel_size + (self.mask_act == "prelu")
        )

    def _check_size(self) -> None:
        """Bounds on what would be allocated, before it is."""
        count = self.parameters()
        size = f"{count:.2g} parameters ({4 * count / 2**30:.2g} GiB)"
        for name, largest in _LARGEST.items():
            value = getattr(self, name)
            if value > largest:
                made = f": the network would have {size}" if name in ("n_repeats", "num_layers") else ""
                raise ValueError(f"{name} is {value}{made}; give {largest} or less")
        if count > _LARGEST_NETWORK:
            sizes = ("n_repeats", "n_filters", "bn_chan", "hid_size", "num_layers", "kernel_size")
            usual = {f.name: f.default for f in fields(self) if f.name in sizes}
            name = max(sizes, key=lambda name: getattr(self, name) / usual[name])
            raise ValueError(
                f"{name} is {getattr(self, name)}: the network would have {size}, and {_LARGEST_NETWORK:,} is the most "
                f"that is accepted; make it smaller (the default is {usual[name]})"
            )

    def to_dict(self) -> dict[str, Any]:
        """The arguments that build the same model; without ``in_chan``, which the filterbank determines."""
        values = asdict(self)
        del values["in_chan"]
        return values

    def _check_types(self) -> None:
        for name in _INTEGERS.split():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} is {value!r}: it must be a whole number of 1 or more")
            if value > 10**12:
                raise ValueError(f"{name} is far too large: it must be a size that fits into memory")
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                reason = _REASONS.get(value, "") if isinstance(value, str) else ""
                raise ValueError(f"{name} is {value!r}{reason}: choose one of {', '.join(map(str, allowed))}")
        for name in ("bidirectional", "use_mulcat"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ValueError(f"{name} is {value!r}: it must be True or False")
        for name in ("dropout", "sample_rate", "min_low_hz", "min_band_hz"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)):
                raise ValueError(f"{name} is {value!r}: it must be a number")

    def _resolve_filterbank(self, stride: int) -> None:
        """Round the sizes to those that the filterbank supports, and check what depends on them."""
        bank, filters, kernel = self.fb_name, self.n_filters, self.kernel_size
        if bank == "stft" and (filters % 2 or filters < kernel):
            raise ValueError(
                f"n_filters is {filters} with fb_name 'stft': it must be even and not less than kernel_size {kernel}"
            )
        if bank in ("analytic_free", "param_sinc") and filters < 2:
            raise ValueError(
                f"n_filters is {filters} with fb_name {bank!r}: its filters come in pairs, give 2 or more"
            )
        for name in ("min_low_hz", "min_band_hz"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)!r}: it must be at least 0 Hz")
        if bank == "param_sinc" and self.sample_rate / 2 - self.min_low_hz - self.min_band_hz < 30:
            raise ValueError(
                f"min_low_hz is {self.min_low_hz!r} and min_band_hz {self.min_band_hz!r}: they leave no "
                f"room for filters below half of sample_rate {self.sample_rate!r}"
            )
        self.n_filters, self.kernel_size, features = bank_sizes(bank, filters, kernel)
        if stride > self.kernel_size:
            raise ValueError(
                f"stride is {stride}, larger than kernel_size {self.kernel_size}: samples between "
                "the frames would be lost; use half the kernel size"
            )
        if self.in_chan not in (None, features):
            raise ValueError(
                f"in_chan is {self.in_chan!r}: the filterbank gives {features} features; leave it out"
            )
        if self.out_chan not in (None, features, 1):
            raise ValueError(
                f"out_chan is {self.out_chan!r}: it must be {features}, a mask for each feature of the filterbank (or "
                "leave it out), or 1, one mask for all of them"
            )
        self.in_chan = None
        self.out_chan = None if self.out_chan == features else self.out_chan


def _half(size: int) -> int:
    """Half a size, at least 1; what is not an integer passes through and is rejected by the type check."""
    return max(1, size // 2) if isinstance(size, int) else size
