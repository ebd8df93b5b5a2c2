"""What the tests of whole runs share: settings of a run that takes a second."""

from types import SimpleNamespace

import pytest
import torch

from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.datasets.mixing import FixedMixtures, mix
from dprnn_lab.training import MixingData, Settings, train

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


@pytest.fixture
def few_validation_mixtures(monkeypatch):
    """Two fixed mixtures of each kind are validated."""
    monkeypatch.setattr(
        "dprnn_lab.training.data_sources.FixedMixtures",
        lambda name, **rate: FixedMixtures(name, limit=2, **rate),
    )


@pytest.fixture
def noise_run(tiny, tmp_path):
    """``noise_run(name, max_steps)``: a tiny model trained on noise in an instant; gives the model and the folder."""
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(9000, generator=generator) for _ in range(7)]
    voices = {"ada": noise[0], "bea": noise[1], "carl": noise[2]}
    valid = [
        (*mix(noise[3][:1000], noise[4][:1000]), SimpleNamespace(id="mw-0", kind="man-woman")),
        (*mix(noise[5][:1000], noise[6][:1000]), SimpleNamespace(id="ww-0", kind="woman-woman")),
    ]
    sexes = {"ada": "f", "bea": "f", "carl": "m"}

    def start(
        name,
        max_steps,
        resume=False,
        wrap=lambda dataset: dataset,
        workers=0,
        model=None,
        valid=valid,
        **options,
    ):
        torch.manual_seed(3)
        data = MixingData(wrap(DynamicMixing(voices, sexes, samples=400, size=6)), valid, 2, workers)
        folder = tmp_path / name
        last = folder / "checkpoints" / "last.ckpt" if resume else None
        options = {"warmup": 2, "ema": 0.5, "callbacks": (), "resume": last, **options}
        return train(model or tiny(n_repeats=1), data, folder, max_steps, **options), folder

    return start
