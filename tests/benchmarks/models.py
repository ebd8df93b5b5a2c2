"""The models that are compared: Asteroid's and ours with the same weights, on the same real speech."""

import torch
from asteroid.models import DPRNNTasNet as AsteroidDPRNNTasNet

from dprnn_lab import DPRNNTasNet
from dprnn_lab.checkpoint.asteroid import from_asteroid
from dprnn_lab.datasets.mixing import FixedMixtures

__all__ = ["SIZES", "RATE", "check_equal", "pair", "speech"]

RATE = 8000
SIZES = {
    "small": {"bn_chan": 64, "hid_size": 64, "n_repeats": 3},
    "small, K = 64": {"bn_chan": 64, "hid_size": 64, "n_repeats": 3, "chunk_size": 64},
    "default": {},
    "kernel 2": {"kernel_size": 2, "stride": 1, "chunk_size": 250},
}


def pair(options: dict) -> tuple[torch.nn.Module, DPRNNTasNet]:
    """Asteroid's model and ours, with the same random weights, in evaluation mode."""
    torch.manual_seed(0)
    theirs = AsteroidDPRNNTasNet(n_src=2, **options).eval()
    ours = DPRNNTasNet(n_src=2, **options).eval()
    ours.load_state_dict(from_asteroid(theirs.state_dict()))
    return theirs, ours


def speech(seconds: float) -> torch.Tensor:
    """Bundled test mixtures end to end, ``[1, T]``; repeated when they do not suffice."""
    samples, mixtures = round(seconds * RATE), FixedMixtures("test")
    pieces, have, index = [], 0, 0
    while have < samples:
        pieces.append(mixtures[index % len(mixtures)][0])
        have += len(pieces[-1])
        index += 1
    return torch.cat(pieces)[None, :samples]


def check_equal(expected: torch.Tensor, got: torch.Tensor) -> str:
    """Speed counts only for the same numbers. The largest difference, relative to the peak, as text."""
    difference = float((got - expected).abs().max() / expected.abs().max())
    if not difference < 1e-5:
        raise RuntimeError(f"the outputs differ by {difference:.1e} of the peak: there is nothing to compare")
    return f"outputs differ by {difference:.0e} of the peak"
