"""Settings that contradict the weights, with an error or without one."""

from torch import nn

from dprnn_lab import DPRNNTasNet
from dprnn_lab.checkpoint.asteroid import to_asteroid

from .case import World, fault
from .networks import asteroid_package, lightning_checkpoint, moved, tiny
from .voices import RATE, resampled


def _with(good_model: DPRNNTasNet, **options: object) -> DPRNNTasNet:
    """The same weights under other settings."""
    model = DPRNNTasNet(**{**good_model.config, **options})
    model.load_state_dict(good_model.state_dict())
    return model.eval()


@fault("config-shape")
def filters_of_the_paper_for_a_smaller_file(world: World):
    """`size mismatch for encoder.filterbank._filters`: the recipe's 512 filters, the file has 32."""
    model = moved(tiny(n_filters=32), world.seed)
    return {"model": asteroid_package(model, world.folder / "best_model.pth"), "config": {"n_filters": 512}}


@fault("config-shape")
def sixteen_kilohertz_file_with_kernel_two(world: World):
    """A 16 kHz network of kernel 2; its package says kernel 16, copied from another recipe."""
    model = moved(tiny(kernel_size=2, stride=1, sample_rate=16000, chunk_size=250), world.seed)
    path = world.folder / "pytorch_model.bin"
    return {"checkpoint": asteroid_package(model, path, kernel_size=16, stride=8)}


@fault("config-shape", "sources-count")
def three_sources_asked_of_a_network_for_two(world: World):
    """`load_model(path, n_src=3)`, because three people speak in the recording."""
    state = to_asteroid(moved(tiny(), world.seed).state_dict())
    path = lightning_checkpoint(state, world.folder / "epoch=19.ckpt", {"masknet_n_src": 2})
    return {"model": path, "config": {"n_src": 3}}


@fault("config-silent")
def another_stride_in_the_package(world: World):
    """No error; the outputs hum. The package says stride 8, the network was trained with 16."""
    good = world.voices.separated(51)
    stride = good.model.config["stride"]
    path = asteroid_package(good.model, world.folder / "best_model.pth", stride=stride // 2)
    return {"model": path, "mixture": good.mixture, "sample_rate": RATE, "references": good.sources}


@fault("config-silent")
def masks_of_another_activation(world: World):
    """No error; both outputs are nearly the mixture. Trained with sigmoid masks, loaded with linear ones."""
    good = world.voices.separated(61)
    model = _with(good.model, mask_act="linear")
    return {"model": model, "mixture": good.mixture, "sample_rate": RATE}


@fault("config-silent")
def encoder_with_an_activation_that_it_never_had(world: World):
    """No error; harsh outputs. A default of the user's code puts a ReLU after the encoder."""
    good = world.voices.separated(71)
    model = _with(good.model, encoder_activation="relu")
    return {"model": model, "mixture": good.mixture, "sample_rate": RATE, "references": good.sources}


@fault("config-silent")
def norm_per_frame_in_place_of_global(world: World):
    """No error; poor separation. Trained with gLN; the shapes of cLN are the same."""
    good = world.voices.separated(81)
    path = asteroid_package(good.model, world.folder / "best_model.pth", norm_type="cLN")
    return {"model": path, "mixture": good.mixture, "sample_rate": RATE}


@fault("config-silent", "rate-mismatch")
def package_says_sixteen_kilohertz(world: World):
    """The 8 kHz network was published as one for 16 kHz; talk of 16 kHz comes out as two copies."""
    good = world.voices.separated(91)
    path = asteroid_package(good.model, world.folder / "pytorch_model.bin", sample_rate=16000)
    return {"model": path, "mixture": resampled(good.mixture, RATE, 16000), "sample_rate": 16000}


@fault("eval-mode")
def dropout_after_the_encoder_left_on(world: World):
    """Two runs on the same recording differ: a dropout that the user put after the encoder, and no `model.eval()`."""
    good = world.voices.separated(101)
    good_model = _with(good.model)
    good_model.encoder_act = nn.Dropout(0.3)
    return {"model": good_model.train(), "mixture": good.mixture, "sample_rate": RATE}


@fault("eval-mode", "train-serve-skew")
def batch_norm_left_in_training_mode(world: World):
    """A file separates differently alone and in a batch: a batch norm after the encoder, and no `model.eval()`."""
    good = world.voices.separated(105)
    model = _with(good.model)
    model.encoder_act = nn.BatchNorm1d(good.model.encoder.filters.shape[0], affine=False, eps=1e-12)
    return {"model": model.train(), "mixture": good.mixture, "sample_rate": RATE}
