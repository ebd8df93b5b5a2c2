"""Networks of many shapes and files of many forms, all in order.

Networks that can be made equal to a good one of another shape are brought with a mixture. Of the others only the file
or the weights are brought: nothing is wrong with them that could be seen there.
"""

from collections import OrderedDict

import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.checkpoint.asteroid import to_asteroid
from dprnn_lab.model.growing import at_sample_rate, widen

from .case import World, healthy
from .networks import asteroid_package, lightning_checkpoint, moved, tiny
from .voices import RATE, wideband


@healthy
def asteroid_package_of_a_good_network(world: World):
    """`best_model.pth` and a mixture."""
    good = world.voices.separated(501)
    package = asteroid_package(good.model, world.folder / "best_model.pth")
    return {"model": package, "mixture": good.mixture, "sample_rate": RATE, "references": good.sources}


@healthy
def lightning_checkpoint_with_flat_hyper_parameters(world: World):
    """Asteroid's `System` keeps the recipe's settings as `masknet_n_src`; the user passes what no shape tells."""
    good = world.voices.separated(511)
    config = good.model.config
    hyper = {
        "data_sample_rate": RATE, "data_n_src": 2, "filterbank_kernel_size": config["kernel_size"],
        "filterbank_stride": config["stride"], "masknet_hid_size": config["hid_size"], "training_batch_size": 24,
    }  # fmt: skip
    path = lightning_checkpoint(to_asteroid(good.model.state_dict()), world.folder / "epoch=19.ckpt", hyper)
    given = {name: config[name] for name in ("stride", "chunk_size", "hop_size", "norm_type", "mask_act")}
    return {"model": path, "config": given, "mixture": good.mixture, "sample_rate": RATE}


@healthy
def weights_of_a_distributed_training(world: World):
    """`module.` before each name, settings passed beside the path."""
    good = world.voices.separated(521)
    path = world.folder / "weights.pt"
    torch.save(OrderedDict((f"module.{k}", v) for k, v in good.model.state_dict().items()), path)
    given = {
        name: good.model.config[name]
        for name in ("stride", "chunk_size", "hop_size", "norm_type", "mask_act")
    }
    return {"model": path, "config": given}


@healthy
def folder_saved_for_the_hub(world: World):
    """A folder with `model.safetensors` and `config.json`."""
    good = world.voices.separated(531)
    good.model.save_pretrained(world.folder / "hub")
    return {"model": world.folder / "hub", "mixture": good.mixture, "sample_rate": RATE}


@healthy
def wider_network_with_equal_output(world: World):
    """80 hidden units in place of 64."""
    good = world.voices.separated(541)
    torch.manual_seed(world.seed)
    return {"model": widen(good.model, good.model.config["hid_size"] + 16).eval(), "mixture": good.mixture}


@healthy
def good_network_at_sixteen_kilohertz(world: World):
    """Filters resampled to 16 kHz, and talk of 16 kHz."""
    # First the talk had nothing above 4 kHz; the catalogue rightly calls such talk upsampled.
    good = world.voices.separated(551)
    sources = wideband(good.sources, world.seed)
    return {
        "model": at_sample_rate(good.model, 16000).eval(), "sample_rate": 16000,
        "mixture": sources.sum(0), "references": sources,
    }  # fmt: skip


@healthy
def longer_kernels_with_equal_output(world: World):
    """Filters of 40 samples: those of the good network, each with a short tail of near zeros."""
    good = world.voices.separated(561)
    state = dict(good.model.state_dict())
    size = good.model.config["kernel_size"]
    for name in ("encoder.filters", "decoder.filters"):
        tail = 1e-6 * world.noise(*state[name].shape[:-1], 8)
        state[name] = torch.cat((state[name], tail), dim=-1)
    model = DPRNNTasNet(**{**good.model.config, "kernel_size": size + 8})
    model.load_state_dict(state)
    return {"model": model.eval(), "mixture": good.mixture, "sample_rate": RATE}


@healthy
def good_network_in_double_precision(world: World):
    """`model.double()` for a comparison of gradients; the mixture is float32 as read."""
    good = world.voices.separated(571)
    model = DPRNNTasNet(**good.model.config).double()
    model.load_state_dict(good.model.state_dict())
    return {"model": model.eval(), "mixture": good.mixture, "sample_rate": RATE}


@healthy
def training_mode_without_anything_random(world: World):
    """A network in training mode that has neither dropout nor batch norm: its outputs are the same."""
    good = world.voices.separated(581)
    model = DPRNNTasNet(**good.model.config)
    model.load_state_dict(good.model.state_dict())
    return {"model": model.train(), "mixture": good.mixture, "sample_rate": RATE}


@healthy
def large_network_on_two_seconds(world: World):
    """Six blocks of 128 units."""
    good = world.voices.separated(591, 2.0, large=True)
    return {"model": good.model, "mixture": good.mixture, "sample_rate": RATE}


@healthy
def gru_of_three_sources_from_asteroid(world: World):
    """A package: GRU, cLN, three sources."""
    model = moved(tiny(n_src=3, rnn_type="GRU", norm_type="cLN"), world.seed)
    return {"model": asteroid_package(model, world.folder / "best_model.pth")}


@healthy
def batch_norm_and_four_sources(world: World):
    """A live network with batch norm and four sources, in evaluation mode."""
    return {"model": moved(tiny(n_src=4, norm_type="bN"), world.seed)}


@healthy
def enhancement_with_one_output(world: World):
    """A package with one source, ReLU masks and a ReLU after the encoder."""
    model = moved(tiny(n_src=1, mask_act="relu", encoder_activation="relu"), world.seed)
    return {"checkpoint": asteroid_package(model, world.folder / "pytorch_model.bin")}


@healthy
def kernel_of_two_samples_at_sixteen_kilohertz(world: World):
    """The paper's smallest kernel and chunks of 250 frames, three sources."""
    model = moved(tiny(n_src=3, kernel_size=2, stride=1, chunk_size=250, sample_rate=16000), world.seed)
    return {"checkpoint": asteroid_package(model, world.folder / "best_model.pth")}


@healthy
def multiply_and_concatenate_for_three(world: World):
    """MulCat blocks, three sources, a state_dict with its settings in `config`."""
    model = moved(tiny(n_src=3, use_mulcat=True, kernel_size=8, stride=4), world.seed)
    path = world.folder / "weights.pth"
    torch.save(to_asteroid(model.state_dict()), path)
    return {
        "model": path,
        "config": {"stride": 4, "chunk_size": 100, "mask_act": "sigmoid", "norm_type": "gLN"},
    }


@healthy
def two_gru_layers_with_dropout_in_evaluation(world: World):
    """Dropout of 0.2 between two layers, switched off as it should be; four sources."""
    return {"model": moved(tiny(n_src=4, num_layers=2, dropout=0.2, rnn_type="GRU"), world.seed).eval()}


@healthy
def chunks_of_sixteen_frames(world: World):
    """Settings for a sweep: chunks much shorter than sqrt(2 L). Slower, not broken: sweeps show no loss by it."""
    return {"config": {"n_filters": 64, "kernel_size": 16, "stride": 8, "chunk_size": 16, "n_src": 2}}


@healthy
def chunks_of_a_thousand_frames(world: World):
    """The same with much longer chunks and a hop of half of one."""
    return {"config": {"kernel_size": 2, "stride": 1, "chunk_size": 1000, "hop_size": 500, "n_src": 3}}
