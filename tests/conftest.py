"""What many tests share: fixed random numbers, and a model whose forward pass takes milliseconds."""

import pytest
import torch

from dprnn_lab import DPRNNTasNet

TINY = {"bn_chan": 6, "hid_size": 4, "chunk_size": 10, "n_repeats": 2, "n_filters": 5}


@pytest.fixture(autouse=True)
def seed():
    """Every test draws the same numbers, whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def tiny():
    """Maker of small models: ``tiny(n_src=3)``."""

    def make(**options) -> DPRNNTasNet:
        return DPRNNTasNet(**{**TINY, **options}).eval()

    return make
