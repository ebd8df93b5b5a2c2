"""Files that the real Asteroid and the real Lightning write, and what Asteroid makes of ours."""

import warnings

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from dprnn_lab import DPRNNTasNet, load_model, save_model, separate
from dprnn_lab.checkpoint import save_asteroid
from dprnn_lab.datasets.mixing import FixedMixtures

pytestmark = pytest.mark.asteroid
models = pytest.importorskip("asteroid.models")

SMALL = {"bn_chan": 16, "hid_size": 12, "n_filters": 20, "n_repeats": 2, "chunk_size": 24}
OPTIONS = [
    {"n_src": 2},
    {"n_src": 3, "mask_act": "relu", "norm_type": "cLN", "encoder_activation": "relu", "sample_rate": 16000},
    {"n_src": 1, "kernel_size": 2, "stride": 1, "chunk_size": 250, "rnn_type": "GRU"},
    {"n_src": 2, "use_mulcat": True, "num_layers": 2, "bidirectional": False, "hop_size": 7},
    {"n_src": 2, "mask_act": "prelu", "encoder_activation": "prelu", "kernel_size": 15, "stride": 4},
    {"n_src": 2, "fb_name": "stft", "norm_type": "bN"},
    {"n_src": 2, "fb_name": "analytic_free", "n_filters": 21, "norm_type": "fgLN"},
    {"n_src": 2, "fb_name": "param_sinc", "out_chan": 1, "min_low_hz": 20},
]


@pytest.fixture(scope="module")
def speech():
    """Half a second of two real mixtures, ``[2, T]``."""
    return torch.stack(
        [mixture[4000:8000] for mixture, _, _ in FixedMixtures("test", kind="man-woman", limit=2)]
    )


def close(ours, theirs):
    return (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_asteroids_package_opens_here(speech, tmp_path, options):
    theirs = models.DPRNNTasNet(**{**SMALL, **options}).eval()
    torch.save(theirs.serialize(), tmp_path / "model.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = load_model(tmp_path / "model.pth")
    with torch.no_grad():
        assert close(ours(speech), theirs(speech))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_our_package_opens_in_asteroid(speech, tmp_path, options):
    ours = DPRNNTasNet(**{**SMALL, **options}).eval()
    for parameter in ours.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    ours.train()(speech)  # moves batch norm's running statistics
    ours.eval()
    path = save_asteroid(ours, tmp_path / "model.pth", infos={"steps": 3})
    theirs = models.DPRNNTasNet.from_pretrained(str(path)).eval()
    assert theirs.sample_rate == ours.sample_rate
    with torch.no_grad():
        assert close(ours(speech), theirs(speech))
    # And from there back to a file of ours, bit by bit.
    torch.save(theirs.serialize(), tmp_path / "again.pth")
    again = load_model(save_model(load_model(tmp_path / "again.pth"), tmp_path / "again.safetensors"))
    assert again.config == ours.config
    assert all(torch.equal(again.state_dict()[name], value) for name, value in ours.state_dict().items())


def test_a_lightning_checkpoint_of_a_real_recipe_opens_and_separates(speech, tmp_path):
    lightning = pytest.importorskip("pytorch_lightning")
    system = pytest.importorskip("asteroid.engine.system")
    losses = pytest.importorskip("asteroid.losses")
    recipe = {
        "filterbank": {"n_filters": 20, "kernel_size": 16, "stride": 8},
        "masknet": {"n_src": 2, "bn_chan": 16, "hid_size": 12, "chunk_size": 24, "n_repeats": 2, "mask_act": "relu",
                    "norm_type": "cLN", "hop_size": None},
        "data": {"sample_rate": 8000, "task": "sep_clean"},
        "optim": {"lr": 1e-3},
        "main_args": {"exp_dir": "exp/tmp", "help": None},
    }  # fmt: skip
    theirs = models.DPRNNTasNet(**recipe["filterbank"], **recipe["masknet"])
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    sources = torch.randn(4, 2, 800)
    loader = DataLoader(TensorDataset(sources.sum(1), sources), batch_size=2)
    run = system.System(
        theirs,
        optimizer,
        losses.PITLossWrapper(losses.pairwise_neg_sisdr),
        loader,
        loader,
        scheduler={"scheduler": plateau, "monitor": "val_loss", "interval": "epoch"},
        config=recipe,
    )
    keep = [
        lightning.callbacks.ModelCheckpoint(tmp_path, monitor="val_loss", save_last=True),
        lightning.callbacks.EarlyStopping(monitor="val_loss"),
    ]
    trainer = lightning.Trainer(
        max_epochs=1,
        callbacks=keep,
        accelerator="cpu",
        logger=lightning.loggers.CSVLogger(tmp_path / "logs"),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(run)
    ours, report = load_model(tmp_path / "last.ckpt", report=True)
    assert (report.format, report.prefix, report.naming) == ("Lightning checkpoint", "model.", "Asteroid")
    assert report.settings["chunk_size"].source == "file (training_config)"
    assert report.assumed == {"encoder_activation": None}
    theirs.eval()
    with torch.no_grad():
        assert close(ours(speech), theirs(speech))
    assert separate(ours, speech[0]).shape == (2, 4000)
    # The bare state dict of the same run tells less, and what it does not tell can be given.
    torch.save({f"module.model.{name}": v for name, v in theirs.state_dict().items()}, tmp_path / "bare.pth")
    bare = load_model(
        tmp_path / "bare.pth",
        stride=8, chunk_size=24, mask_act="relu", norm_type="cLN", encoder_activation=None, sample_rate=8000,
    )  # fmt: skip
    with torch.no_grad():
        assert torch.equal(bare(speech), ours(speech))


def test_an_stft_model_of_an_old_asteroid_has_no_window_in_its_file(speech, tmp_path):
    theirs = models.DPRNNTasNet(**SMALL, n_src=2, fb_name="stft").eval()
    package = theirs.serialize()
    for coder in ("encoder", "decoder"):
        del package["state_dict"][f"{coder}.filterbank.torch_window"]
    models.DPRNNTasNet.from_pretrained(package)  # Asteroid does without, too
    torch.save(package, tmp_path / "model.pth")
    ours = load_model(tmp_path / "model.pth")
    assert ours.config["fb_name"] == "stft"
    with torch.no_grad():
        assert close(ours(speech), theirs(speech))


@pytest.mark.parametrize("bank", ["stft", "analytic_free", "param_sinc"])
def test_the_filterbank_of_a_bare_state_dict_is_seen(speech, tmp_path, bank):
    theirs = models.DPRNNTasNet(**SMALL, n_src=2, fb_name=bank, sample_rate=16000).eval()
    torch.save(theirs.state_dict(), tmp_path / "model.pth")
    ours, report = load_model(tmp_path / "model.pth", chunk_size=24, stride=8, report=True)
    assert report.settings["fb_name"].source == "shapes"
    assert (report.settings["sample_rate"].value == 16000) == (bank == "param_sinc")
    with torch.no_grad():
        assert close(ours(speech), theirs(speech))
