"""What the tests of whole runs share: settings of a run that takes a second."""

import pytest

from dprnn_lab.training import Settings

TINY = {
    "n_filters": 4,
    "kernel_size": 32,
    "stride": 16,
    "chunk_size": 20,
    "n_repeats": 1,
    "bn_chan": 4,
    "hid_size": 3,
}
QUICK = {"model": TINY, "seconds": 0.1, "epoch_size": 4, "batch": 2, "warmup": 1, "steps": 2}


@pytest.fixture
def quick():
    """``quick(**changes)``: the settings of such a run."""
    return lambda **changes: Settings(**QUICK | changes)
