"""The picture of the folding, and the network on one page."""

import matplotlib.pyplot as plt
import pytest
import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.explorers.chunk_plan import frame_indices
from dprnn_lab.model.dual_path import chunk_count
from dprnn_lab.model.filterbank import frame_count
from dprnn_lab.plots.network import folding, network_page


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_folding_shows_each_frame_in_every_cell_that_holds_it():
    cells = frame_indices(12, 4, 2)
    above, below = folding(cells).axes
    numbers = [t.get_text() for t in below.texts if t.get_text()]
    assert sorted(map(int, numbers)) == sorted(int(v) for v in cells.flat if v >= 0)
    row = [t.get_text() for t in above.texts]
    assert row[:12] == [str(frame) for frame in range(12)]
    assert row[12:] == [f"chunk {c}" for c in range(len(cells))]
    # A chunk's bar stands under its frames: chunk 2 holds frames 0 to 3.
    bar = above.patches[12 + 2]
    assert (bar.get_x(), bar.get_x() + bar.get_width()) == pytest.approx((-0.35, 3.35))
    assert below.get_title().startswith("folded: K = 4 and C = 9")


def test_the_page_has_the_shapes_of_the_network_itself():
    config = dict(
        n_src=2, n_filters=6, kernel_size=4, stride=2, bn_chan=5, hid_size=3, chunk_size=8, n_repeats=2,
        norm_type="cLN", mask_act="relu",
    )  # fmt: skip
    model = DPRNNTasNet(**config).eval()
    frames = frame_count(100, 4, 2)
    chunks = chunk_count(frames, 8, 4)
    seen = {}
    model.separator.blocks[0].register_forward_hook(lambda _, __, out: seen.update(block=list(out.shape)))
    with torch.inference_mode():
        encoded = model.encode(torch.randn(1, 100))
        masks = model.separator(encoded)
    texts = [t.get_text() for t in network_page(model.config, 100, frames, chunks).axes[0].texts]
    assert f"[N, L] = {list(encoded.shape[1:])}" in texts
    assert f"[C, K, F] = {seen['block'][1:]}" in texts
    assert f"[S, N, L] = {list(masks.shape[1:])}" in texts
    assert "projection (linear 6 to 5)" in texts and "masks: linear F to N, relu" in texts
    assert texts.count("cLN") == 2 and "2 dual-path blocks" in texts
