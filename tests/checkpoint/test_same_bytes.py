"""A file of weights is the same at each writing."""

import torch

from dprnn_lab import DPRNNTasNet, load_model, save_model


def test_the_same_model_gives_the_same_bytes(tmp_path):
    """safetensors writes its metadata in another order at each call."""
    model = DPRNNTasNet(n_filters=4, bn_chan=4, hid_size=4, n_repeats=1, chunk_size=8)
    paths = [save_model(model, tmp_path / f"{i}.safetensors", training={"note": "\u00e4"}) for i in range(8)]
    assert len({path.read_bytes() for path in paths}) == 1
    found = load_model(paths[0])
    assert all(torch.equal(found.state_dict()[name], value) for name, value in model.state_dict().items())
