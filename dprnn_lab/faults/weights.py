"""Group A on purpose: weights that were not loaded, not all loaded, or are not safe to load.

Notebook: 06_failures_at_inference
"""

import json
import os
import random
import subprocess

import torch
from safetensors.torch import save_file

from ..checkpoint import save_asteroid, save_model
from ..checkpoint.saving import FORMAT
from ..model import DPRNNTasNet
from .case import Case

__all__ = ["FAULTS"]


def _fresh(case: Case, rng: random.Random) -> DPRNNTasNet:
    """A newly initialised model of the case's architecture."""
    with torch.random.fork_rng():
        torch.manual_seed(rng.randrange(2**31))
        return DPRNNTasNet(**case.model.config).eval()


def _prefixed(case: Case, rng: random.Random, prefix: str, name: str, **beside) -> Case:
    """A checkpoint whose keys carry a prefix, loaded with ``strict=False`` into a new model."""
    path = case.file(name)
    state = {prefix + key: value for key, value in case.model.state_dict().items()}
    torch.save({"state_dict": state, "model_config": dict(case.model.config), **beside}, path)
    model = _fresh(case, rng)
    model.load_state_dict(state, strict=False)  # no name matches, and there is no error
    return case.change(model=model, checkpoint=path).with_own_estimates()


def lightning(case: Case, rng: random.Random) -> Case:
    """Keys with ``model.`` from a Lightning checkpoint, and ``strict=False``."""
    version = {"pytorch-lightning_version": "2.5.0", "epoch": 3, "global_step": 1000}
    return _prefixed(case, rng, "model.", "epoch=3.ckpt", **version)


def parallel(case: Case, rng: random.Random) -> Case:
    """Keys with ``module.`` from DistributedDataParallel, and ``strict=False``."""
    return _prefixed(case, rng, "module.", "ddp.pth")


def no_file(case: Case, rng: random.Random) -> Case:
    """A live model without its file; its weights were never loaded."""
    return case.change(model=_fresh(case, rng), checkpoint=None).with_own_estimates()


def renamed(case: Case, rng: random.Random) -> Case:
    """A file with another code's parameter names."""
    path = case.file("renamed.pth")
    torch.save({f"net.{i}": value for i, value in enumerate(case.model.state_dict().values())}, path)
    return case.change(model=None, checkpoint=path, estimates=None)


def only_outputs(case: Case, rng: random.Random) -> Case:
    """The file, and the estimates of the user's own loading code."""
    broken = lightning(case, rng)
    return broken.change(model=None)


def missing_block(case: Case, rng: random.Random, strength: float) -> Case:
    """A file without some dual-path blocks; the last is there, so that their number is known."""
    path = case.file("partial.safetensors")
    gone = range(max(1, round(strength * (case.model.config["n_repeats"] - 1))))
    kept = {
        k: v.contiguous()
        for k, v in case.model.state_dict().items()
        if not any(k.startswith(f"separator.blocks.{i}.") for i in gone)
    }
    save_file(kept, path, _metadata(case.model))
    return case.change(model=None, checkpoint=path, estimates=None)


def _metadata(model: DPRNNTasNet) -> dict[str, str]:
    return {"format": FORMAT, "config": json.dumps(model.config), "training": "{}"}


def reshaped(case: Case, rng: random.Random) -> Case:
    """A file with one tensor of another shape."""
    path = case.file("reshaped.safetensors")
    state = {k: v.contiguous() for k, v in case.model.state_dict().items()}
    name = rng.choice(
        ["separator.output_tanh.weight", "separator.mask.weight", "separator.source_split.bias"]
    )
    state[name] = torch.cat((state[name], state[name][:3])).contiguous()
    save_file(state, path, _metadata(case.model))
    return case.change(model=None, checkpoint=path, estimates=None)


def _partly(case: Case, rng: random.Random, prefixes: list[str]) -> Case:
    """A live model in which these parts are random."""
    model = _fresh(case, rng)
    trained = {k: v for k, v in case.model.state_dict().items() if not any(k.startswith(p) for p in prefixes)}
    model.load_state_dict(trained, strict=False)
    return case.change(model=model, checkpoint=None).with_own_estimates()


def random_block(case: Case, rng: random.Random) -> Case:
    """A live model with one block not loaded."""
    block = rng.randrange(case.model.config["n_repeats"])
    return _partly(case, rng, [f"separator.blocks.{block}."])


def random_ends(case: Case, rng: random.Random) -> Case:
    """A live model with decoder and mask layer not loaded."""
    return _partly(case, rng, ["decoder.", "separator.mask."])


def zeroed(case: Case, rng: random.Random) -> Case:
    """A live model with a layer of zeros."""
    model = _copy(case.model)
    name = rng.choice(["output_tanh", "output_gate", "mask"])
    with torch.no_grad():
        getattr(model.separator, name).weight.zero_()
    return case.change(model=model, checkpoint=None).with_own_estimates()


def _copy(model: DPRNNTasNet) -> DPRNNTasNet:
    other = DPRNNTasNet(**model.config)
    other.load_state_dict(model.state_dict())
    return other.eval()


def _file(case: Case, name: str, content: bytes) -> Case:
    path = case.file(name)
    path.write_bytes(content)
    return case.change(model=None, checkpoint=path, estimates=None)


def _package(case: Case) -> bytes:
    return save_asteroid(case.model, case.file("whole.pth")).read_bytes()


def truncated(case: Case, rng: random.Random, strength: float) -> Case:
    """An incomplete download."""
    whole = _package(case)
    return _file(case, "best_model.pth", whole[: int(len(whole) * (0.9 - 0.6 * strength))])


def web_page(case: Case, rng: random.Random) -> Case:
    """A web page saved under the file's name."""
    page = "<!DOCTYPE html><html><head><title>best_model.pth</title></head><body>Download</body></html>\n"
    return _file(case, "best_model.pth", page.encode())


def pointer(case: Case, rng: random.Random) -> Case:
    """A git-lfs pointer in the place of the file."""
    digest = f"{rng.randrange(16**64):064x}"
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 1924628\n"
    return _file(case, "model.safetensors", text.encode())


def flipped_bits(case: Case, rng: random.Random, strength: float) -> Case:
    """A file damaged in the middle."""
    content = bytearray(_package(case))
    for _ in range(1 + int(20 * strength)):
        content[rng.randrange(len(content) // 3, 2 * len(content) // 3)] ^= 0xFF
    return _file(case, "best_model.pth", bytes(content))


def nan_file(case: Case, rng: random.Random, strength: float) -> Case:
    """A checkpoint of a training that ended in NaN."""
    broken = nan_model(case, rng, strength)
    path = save_model(broken.model, case.file("nan.safetensors"))
    return case.change(model=None, checkpoint=path, estimates=None)


def nan_model(case: Case, rng: random.Random, strength: float) -> Case:
    """A live model with NaN in one layer."""
    model = _copy(case.model)
    name = rng.choice([n for n, p in model.named_parameters() if p.dim() > 1])
    with torch.no_grad():
        model.get_parameter(name).flatten()[: 1 + int(100 * strength)] = float("nan")
    return case.change(model=model, checkpoint=None).with_own_estimates()


class _Calls:
    """An object whose pickle calls a function when it is loaded."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def _with_code(function, *arguments, legacy: bool = False):
    def fault(case: Case, rng: random.Random) -> Case:
        path = case.file("model.pth")
        content = {"state_dict": dict(case.model.state_dict()), "extra": _Calls(function, *arguments)}
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        return case.change(model=None, checkpoint=path, estimates=None)

    return fault


def whole_model(case: Case, rng: random.Random) -> Case:
    """``torch.save(model)``: the pickle names the classes of its code."""
    path = case.file("model.pth")
    torch.save(_copy(case.model), path)
    return case.change(model=None, checkpoint=path, estimates=None)


FAULTS = {
    "weights-unmatched": {
        "lightning": lightning,
        "parallel": parallel,
        "no-file": no_file,
        "renamed": renamed,
        "only-outputs": only_outputs,
    },
    "weights-partial": {
        "missing-block": missing_block,
        "random-block": random_block,
        "random-ends": random_ends,
        "zeroed": zeroed,
        "reshaped": reshaped,
    },
    "weights-corrupt": {
        "truncated": truncated,
        "web-page": web_page,
        "pointer": pointer,
        "flipped-bits": flipped_bits,
        "nan-file": nan_file,
        "nan-model": nan_model,
    },
    # None of these functions is ever called: no test and no check opens such a file with an unsafe reader.
    "weights-unsafe": {
        "system": _with_code(os.system, "true"),
        "eval": _with_code(eval, "1"),
        "subprocess": _with_code(subprocess.call, ("true",)),
        "whole-model": whole_model,
        "old-format": _with_code(exec, "pass", legacy=True),
    },
}
