"""The same network at another sample rate: filters of the same length in seconds, resampled.

Only the filterbank of a DPRNN-TasNet counts in samples. A frame of 4 ms every 2 ms is 32 and 16 samples at 8 kHz, 64
and 32 at 16 kHz; the separator sees frames and never learns how many samples one was made of. So a trained network
can move to another rate by resampling its filters, and is a good start for fine-tuning there. Above half of the
old rate it knows nothing until it is trained.

Notebook: 05_training
"""

from .audio import rate_ratio, resample
from .model import DPRNNTasNet

__all__ = ["at_sample_rate"]


def at_sample_rate(model: DPRNNTasNet, sample_rate: float) -> DPRNNTasNet:
    """A copy of the model for audio at ``sample_rate`` Hz, with the frames of the old one.

    Raises:
        ValueError: a filterbank that is not "free" (the others are made from the rate, not learned); or kernel and
            stride that are not whole numbers of samples at the new rate.

    >>> model = at_sample_rate(DPRNNTasNet(kernel_size=32, stride=16, n_repeats=1), 16000)
    >>> model.config["kernel_size"], model.config["stride"], model.sample_rate
    (64, 32, 16000)
    """
    config = dict(model.config)
    if config["fb_name"] != "free":
        raise ValueError(
            f"the filterbank is {config['fb_name']!r}: only learned filters ('free') can be resampled; convert the "
            f"recordings to {config['sample_rate']:g} Hz instead"
        )
    old, new = rate_ratio(config["sample_rate"], sample_rate)
    for name in ("kernel_size", "stride"):
        if config[name] * new % old:
            raise ValueError(
                f"{name} {config[name]} at {config['sample_rate']:g} Hz is {config[name] * new / old:.2f} samples at "
                f"{sample_rate:g} Hz: choose a rate at which kernel and stride are whole, or convert the recordings"
            )
        config[name] = config[name] * new // old
    moved = DPRNNTasNet(**config | {"sample_rate": sample_rate})
    state = dict(model.state_dict())
    for name in ("encoder.filters", "decoder.filters"):
        # As waveforms that are zero outside; what reaches over the end is cut off.
        state[name] = resample(state[name], old, new)[..., : config["kernel_size"]]
    state["encoder.filters"] *= old / new  # at twice the rate it sums over twice as many samples
    moved.load_state_dict(state)
    return moved.train(model.training)
