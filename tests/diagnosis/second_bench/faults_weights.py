"""Weights that did not arrive: files of other projects, loads that are not strict, damaged and unsafe files."""

from collections import OrderedDict

import torch

from dprnn_lab import DPRNNTasNet
from dprnn_lab.checkpoint.asteroid import to_asteroid

from .case import World, fault
from .networks import HandWritten, asteroid_package, lightning_checkpoint, moved, speechbrain_masknet, tiny
from .voices import RATE


@fault("weights-unmatched")
def asteroid_package_loaded_without_its_prefix(world: World):
    """`load_state_dict(torch.load("best_model.ckpt")["state_dict"], strict=False)`: both outputs are the mixture."""
    good = world.voices.separated(11)
    package = asteroid_package(good.model, world.folder / "best_model.pth")
    torch.manual_seed(world.seed)
    model = DPRNNTasNet(**good.model.config).eval()
    state = torch.load(package, weights_only=True)["state_dict"]
    model.load_state_dict({f"model.{k}": v for k, v in state.items()}, strict=False)
    return {"model": model, "checkpoint": package, "mixture": good.mixture, "sample_rate": RATE}


@fault("weights-unmatched")
def distributed_three_source_gru_stays_random(world: World):
    """Names begin with `module.`, nothing was loaded into a GRU network of three sources; no file is at hand."""
    torch.manual_seed(world.seed)
    model = DPRNNTasNet(
        n_src=3, rnn_type="GRU", norm_type="cLN", bn_chan=64, hid_size=48, n_repeats=3, chunk_size=80
    ).eval()
    return {"model": model, "mixture": world.voices.sources(21, count=3).sum(0), "sample_rate": RATE}


@fault("weights-unmatched", "weights-partial", "config-shape")
def masknet_of_speechbrain_as_the_model(world: World):
    """`masknet.ckpt` of a SpeechBrain run is opened as the whole model."""
    return {"model": speechbrain_masknet(world.folder / "masknet.ckpt", world.seed)}


# weights-corrupt is accepted: it stands for "no checkpoint at all" too, and none of the ids means another network.
@fault("weights-unmatched", "weights-partial", "weights-corrupt", "config-shape")
def conv_tasnet_file_for_a_dprnn(world: World):
    """`JorisCos/ConvTasNet_Libri2Mix` was downloaded in place of the DPRNN."""
    state = OrderedDict()
    state["encoder.filterbank._filters"] = world.noise(64, 1, 16)
    state["masker.bottleneck.1.weight"] = world.noise(32, 64, 1)
    for block in range(4):
        state[f"masker.TCN.{block}.shared_block.0.weight"] = world.noise(64, 32, 1)
        state[f"masker.TCN.{block}.shared_block.3.weight"] = world.noise(64, 1, 3)
        state[f"masker.TCN.{block}.res_conv.weight"] = world.noise(32, 64, 1)
    state["masker.mask_net.1.weight"] = world.noise(128, 32, 1)
    state["decoder.filterbank._filters"] = world.noise(64, 1, 16)
    path = world.folder / "pytorch_model.bin"
    arguments = {
        "n_src": 2,
        "n_filters": 64,
        "kernel_size": 16,
        "stride": 8,
        "n_blocks": 4,
        "sample_rate": RATE,
    }
    torch.save({"model_name": "ConvTasNet", "state_dict": state, "model_args": arguments, "infos": {}}, path)
    return {"model": path}


@fault("weights-partial", "weights-unmatched")
def only_the_filterbank_was_loaded(world: World):
    """SpeechBrain-like loading: `encoder.ckpt` and `decoder.ckpt` were found, `masknet.ckpt` was not."""
    good = world.voices.separated(31)
    torch.manual_seed(world.seed)
    model = DPRNNTasNet(**good.model.config).eval()
    own = model.state_dict()
    own.update(
        {k: v for k, v in good.model.state_dict().items() if k.split(".")[0] in ("encoder", "decoder")}
    )
    model.load_state_dict(own)
    return {"model": model, "mixture": good.mixture, "sample_rate": RATE}


@fault("weights-partial")
def later_blocks_were_skipped(world: World):
    """A list of layers was made with another name after block 0: blocks 1 and 2 keep their random start."""
    good = world.voices.separated(41)
    torch.manual_seed(world.seed)
    model = DPRNNTasNet(**good.model.config).eval()
    own = model.state_dict()
    skipped = ("separator.blocks.1.", "separator.blocks.2.")
    own.update({k: v for k, v in good.model.state_dict().items() if not k.startswith(skipped)})
    model.load_state_dict(own)
    return {"model": model, "mixture": good.mixture, "sample_rate": RATE, "references": good.sources}


@fault("weights-partial", "config-shape")
def package_without_its_mask_layer(world: World):
    """A package written by a script that copies layers by name: the mask layer is not in it."""
    model = world.voices.model()
    path = world.folder / "best_model.pth"
    return {"model": asteroid_package(model, path, keep=lambda name: "mask_net" not in name)}


@fault("weights-corrupt", "not-finite")
def nan_in_one_gate_of_a_lightning_checkpoint(world: World):
    """The last checkpoint of a run of three sources that diverged: NaN in one recurrent matrix."""
    model = moved(tiny(n_src=3, rnn_type="GRU"), world.seed)
    state = to_asteroid(model.state_dict())
    name = next(n for n in state if "weight_hh" in n)
    state[name] = state[name].clone()
    state[name][3, 2] = float("nan")
    return {"model": lightning_checkpoint(state, world.folder / "last.ckpt", {"masknet_n_src": 3})}


@fault("weights-corrupt")
def disk_was_full_while_saving(world: World):
    """`RuntimeError: PytorchStreamReader failed reading zip archive`: 60 % of a Lightning checkpoint."""
    state = to_asteroid(moved(tiny(norm_type="bN"), world.seed).state_dict())
    path = lightning_checkpoint(state, world.folder / "epoch=3-step=8000.ckpt")
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    return {"checkpoint": path}


@fault("weights-corrupt")
def login_page_of_a_file_host(world: World):
    """`_pickle.UnpicklingError: invalid load key, '<'`: the sign-in page of a cloud drive."""
    path = world.folder / "pytorch_model.bin"
    path.write_text("\n<!DOCTYPE html>\n<html lang='en'><head><title>Sign in</title></head></html>\n" * 30)
    return {"model": path, "mixture": world.voices.sources(3).sum(0), "sample_rate": RATE}


@fault("weights-unsafe")
def whole_hand_written_model_pickled(world: World):
    """`torch.save(model, "model.pt")`: opens only where the class can be imported, and runs its code."""
    path = world.folder / "model.pt"
    torch.save(HandWritten(), path)
    return {"model": path}


class _Greeting:
    def __reduce__(self):
        return eval, ("1 + 1",)


@fault("weights-unsafe")
def package_that_calls_eval(world: World):
    """A package from a forum: its `infos` hold an object that calls `eval` when the file is opened."""
    path = asteroid_package(moved(tiny(n_src=4), world.seed), world.folder / "best_model.pth")
    package = torch.load(path, weights_only=True)
    package["infos"]["note"] = _Greeting()
    torch.save(package, path)
    return {"checkpoint": path}


@fault("weights-corrupt", "weights-partial", "weights-unmatched")
def optimiser_saved_in_place_of_the_model(world: World):
    """`torch.save(optimizer.state_dict(), "model_best.pth")`: a slip of the hand."""
    model = tiny()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    model(world.noise(1, 800)).square().mean().backward()
    optimiser.step()
    path = world.folder / "model_best.pth"
    torch.save(optimiser.state_dict(), path)
    return {"model": path}
