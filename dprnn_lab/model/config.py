"""The arguments of DPRNN-TasNet: one name for each choice, one error for each mistake.

Notebook: 02_dual_path
"""

import math

from .dual_path import RNN_TYPES
from .norms import NORMS
from .parametric import FILTERBANKS, bank_sizes
from .separator import ACTIVATIONS

__all__ = ["canonical", "settle_options"]

# Asteroid takes its classes' names too, and its files hold them.
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
_CHOICES = {
    "fb_name": FILTERBANKS,
    "norm_type": NORMS,
    "mask_act": ACTIVATIONS,
    "encoder_activation": [None, *ACTIVATIONS],
    "rnn_type": RNN_TYPES,
}
_REASONS = {  # names that Asteroid knows
    "cgLN": " (it norms frames and not chunks: no DPRNN runs with it, in Asteroid either)",
    "torch_stft": " (the same filters as 'stft' with other gains)",
}
_REASONS |= {"CumLN": _REASONS["cgLN"], "TorchSTFTFB": _REASONS["torch_stft"]}
_INTEGERS = "n_src bn_chan hid_size chunk_size hop_size n_repeats num_layers n_filters kernel_size stride"


def canonical(name: str, value: object) -> object:
    """The value of an argument by the one name that we use.

    >>> canonical("norm_type", "GlobLN"), canonical("rnn_type", "lstm"), canonical("n_src", 2)
    ('gLN', 'LSTM', 2)
    """
    return _OTHER_NAMES.get(name, {}).get(value, value) if isinstance(value, str) else value


def settle_options(config: dict[str, object]) -> dict[str, object]:
    """The arguments checked, under canonical names, with every None that means a number made that number.

    ``in_chan`` is left out: it can only repeat what the filterbank gives.

    Raises:
        ValueError: an argument out of range; it names the argument, the value and what would be right.
    """
    config = {name: canonical(name, value) for name, value in config.items()}
    for name, whole in (("hop_size", "chunk_size"), ("stride", "kernel_size")):
        if config[name] is None:
            config[name] = _half(config[whole])
    for name in _INTEGERS.split():
        value = config[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} is {value!r}: it must be a whole number of 1 or more")
    for name, allowed in _CHOICES.items():
        value = config[name]
        if value not in list(allowed):
            reason = _REASONS.get(value, "") if isinstance(value, str) else ""
            raise ValueError(f"{name} is {value!r}{reason}: choose one of {', '.join(map(str, allowed))}")
    for name in ("bidirectional", "use_mulcat"):
        if not isinstance(config[name], bool):
            raise ValueError(f"{name} is {config[name]!r}: it must be True or False")
    for name in ("dropout", "sample_rate", "min_low_hz", "min_band_hz"):
        if not isinstance(config[name], (int, float)):
            raise ValueError(f"{name} is {config[name]!r}: it must be a number")
    if not 0 <= config["dropout"] < 1:
        raise ValueError(f"dropout is {config['dropout']!r}: it must be at least 0 and below 1")
    if not 0 < config["sample_rate"] < math.inf:
        raise ValueError(f"sample_rate is {config['sample_rate']!r}: it must be above 0 Hz")
    if config["hop_size"] > config["chunk_size"]:
        raise ValueError(
            f"hop_size is {config['hop_size']}, larger than chunk_size {config['chunk_size']}: frames between "
            "the chunks would be lost; use half the chunk size"
        )
    _settle_bank(config)
    return config


def _settle_bank(config: dict[str, object]) -> None:
    """Sizes as the filterbank has them, and what depends on them."""
    bank, filters, kernel = config["fb_name"], config["n_filters"], config["kernel_size"]
    if bank == "stft" and (filters % 2 or filters < kernel):
        raise ValueError(
            f"n_filters is {filters} with fb_name 'stft': it must be even and not less than kernel_size {kernel}"
        )
    if bank in ("analytic_free", "param_sinc") and filters < 2:
        raise ValueError(
            f"n_filters is {filters} with fb_name {bank!r}: its filters come in pairs, give 2 or more"
        )
    for name in ("min_low_hz", "min_band_hz"):
        if not 0 <= config[name] < math.inf:
            raise ValueError(f"{name} is {config[name]!r}: it must be at least 0 Hz")
    room = config["sample_rate"] / 2 - config["min_low_hz"] - config["min_band_hz"]
    if bank == "param_sinc" and room < 30:
        raise ValueError(
            f"min_low_hz is {config['min_low_hz']!r} and min_band_hz {config['min_band_hz']!r}: they leave no "
            f"room for filters below half of sample_rate {config['sample_rate']!r}"
        )
    config["n_filters"], config["kernel_size"], features = bank_sizes(bank, filters, kernel)
    if config["stride"] > config["kernel_size"]:
        raise ValueError(
            f"stride is {config['stride']}, larger than kernel_size {config['kernel_size']}: samples between "
            "the frames would be lost; use half the kernel size"
        )
    in_chan, out_chan = config.pop("in_chan"), config["out_chan"]
    if in_chan not in (None, features):
        raise ValueError(f"in_chan is {in_chan!r}: the filterbank gives {features} features; leave it out")
    if out_chan not in (None, features, 1):
        raise ValueError(
            f"out_chan is {out_chan!r}: it must be {features}, a mask for each feature of the filterbank (or leave "
            "it out), or 1, one mask for all of them"
        )
    config["out_chan"] = None if out_chan == features else out_chan


def _half(size: object) -> object:
    """Half a size, one at the least; what is no number is left for the check to name."""
    return max(1, size // 2) if isinstance(size, int) else size
