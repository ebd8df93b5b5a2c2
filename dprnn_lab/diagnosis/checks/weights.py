"""Group A: does the network hold the trained weights?

Notebook: 06_failures_at_inference
"""

import re
from pathlib import Path

import torch
from torch import nn

from ...audio import correlation
from ...checkpoint.asteroid import from_asteroid
from ...loss import si_sdr
from ...model import DPRNNTasNet
from ..checkpoint_file import CheckpointFile
from ..evidence import Evidence, best_order
from ..finding import Finding
from .verdict import check, fail, fine, number, undecided, warn

__all__ = ["weights_corrupt", "weights_partial", "weights_unmatched", "weights_unsafe"]

RANDOM_SHARE = 0.9  # of the parameters with initial values: nothing was loaded
NO_MODEL = "there is no model"
RANDOM_LIMIT = (
    f"{RANDOM_SHARE:.0%}: a layer counts as random if no value exceeds PyTorch's initial bound and the mean square is "
    "that of the initial distribution; training leaves no such layer"
)
RELOAD = "model = load_model(checkpoint)"
AUTHOR = 'save_model(model, "model.safetensors")  # by its author, where it was made'
# Advice for files from elsewhere, and the names of other checkpoints, which the remedy gives.
_DOWNLOAD = re.compile(
    r"[\s.]*(Take another checkpoint beside it \([^)]*\), or |Save it again, or )?"
    r"\b(download|get)\b [^.]*again[^.]*\.?",
    re.IGNORECASE,
)
_AVERAGED = re.compile(r"ema|averag|swa|teacher", re.IGNORECASE)
BRING_MODEL = "the checkpoint's path, or the model"


@check("weights-unsafe")
def weights_unsafe(e: Evidence) -> Finding:
    """Names of functions and classes in the pickle."""
    if e.file is None:
        return fine("there is no checkpoint file") if e.live else undecided(NO_MODEL, BRING_MODEL)
    if e.file.foreign:
        return fail(
            _objects(e.file),
            {
                "names": e.file.foreign[:20],
                "places": dict(list(e.file.places.items())[:10]),
                "file": e.file.path.name,
            },
            "none allowed: a pickle can call what it names",
            AUTHOR,
        )
    if e.file.refused:
        return fail(
            "the safe reader refuses the file's pickle",
            {"error": e.file.read_error},
            "only what torch.load accepts with weights_only=True",
            AUTHOR,
        )
    return fine("the file was read without running any code")


def _objects(file: CheckpointFile) -> str:
    """What the file holds beside or in place of weights."""
    shown = ", ".join(file.foreign[:4])
    if not file.places:
        return f"the file names {shown}, which weights do not need; torch.load may run them"
    key, name = next(iter(file.places.items()))
    if key in ("", "model", "net", "network"):
        at = f" at {key!r}" if key else ""
        return f"the file holds a whole object of {name}{at}, not its weights; torch.load may run its code"
    more = f" and {len(file.places) - 1} more" if len(file.places) > 1 else ""
    return f"beside its weights the file holds an object at {key!r} ({name}){more}; torch.load may run code to make it"


@check("weights-corrupt")
def weights_corrupt(e: Evidence) -> Finding:
    """A file that is not a checkpoint, or weights that are not finite."""
    if e.file is None and not e.live:
        return undecided(NO_MODEL, BRING_MODEL)
    if e.file is not None and e.file.read_error and e.cause("weights-unsafe") is None:
        if e.file.stores:
            return fine("the file is whole, and its weights are in a place where load_model does not look")
        return _unreadable(e.file)
    bad: dict[str, int] = {}
    if e.live and e.network is not None:
        state = e.network.state_dict()
        bad = {n: c for n, t in state.items() if (c := int((~torch.isfinite(t)).sum()))}
    elif e.file is not None and e.file.report is not None:
        bad = e.file.report.nonfinite
    if bad:
        return fail(
            f"{sum(bad.values())} weights in {len(bad)} tensors are NaN or infinite (first {next(iter(bad))})",
            {"tensors": dict(list(bad.items())[:10]), "numbers": sum(bad.values())},
            "none allowed: one NaN makes every output NaN",
            "model = load_model(checkpoint)  # an earlier checkpoint, before the training diverged",
        )
    return fine("all weights are finite")


def _unreadable(file: CheckpointFile) -> Finding:
    """A file that can't be read: the advice depends on where it comes from."""
    facts: dict[str, object] = {"file": file.path.name, "bytes": file.path.stat().st_size}
    limit = "the whole file must be readable as a checkpoint"
    if not file.damaged:
        return fail(
            file.reason, facts, limit, "model = load_model(checkpoint)  # of a file as the message says"
        )
    if file.of_own_run:
        says = _DOWNLOAD.sub("", file.reason).rstrip(" .")
        facts["others"] = [str(p) for p in file.others[:5]]
        remedy = (
            f"model = load_model({str(file.others[0])!r})  # another checkpoint of this run"
            if file.others
            else ""
        )
        return fail(
            f"{says}; a run that was killed, or a full disk, leaves such a file",
            facts,
            limit,
            remedy or "model = load_model(checkpoint)  # of another run: this one has no other checkpoint",
        )
    return fail(
        file.reason,
        facts,
        limit,
        "model = load_model(checkpoint)  # of a new copy; compare its size with the original's",
    )


@check("weights-unmatched")
def weights_unmatched(e: Evidence) -> Finding:
    """A network that is (nearly) all random: nothing was loaded."""
    if e.file is not None and e.file.stores:
        return _elsewhere(e.file)
    if e.file is not None and e.file.name_error:
        if len(e.file.prefixes) > 1:
            return _several(e.file)
        return fail(
            e.file.name_error.removeprefix(f"{e.file.path}: ")
            if e.file.prefixes
            else f"none of the file's {len(e.file.keys)} tensors has the name of a DPRNN-TasNet's parameter",
            {"keys": e.file.keys[:5]},
            "a strict load needs every name",
            "model = load_model(checkpoint)  # of a training that used DPRNNTasNet",
        )
    if e.network is None:
        return undecided("no model could be loaded", BRING_MODEL)
    known = [layer for layer in e.layers if layer.finite]
    total = sum(layer.numbers for layer in known)
    fresh = sum(layer.numbers for layer in known if layer.fresh)
    prefix = e.file.report.prefix if e.file is not None and e.file.report is not None else ""
    facts = {"share_random": number(fresh / max(1, total), 3), "layers": len(known), "prefix": prefix}
    if total and fresh / total >= RANDOM_SHARE:
        if not e.live:
            return fail(
                f"{fresh / total:.0%} of the parameters in the file have their random initial values: it was saved "
                "before the training, or by a run that trained nothing",
                facts,
                RANDOM_LIMIT,
                "model = load_model(checkpoint)  # of a later checkpoint of the same training",
            )
        because = f"; the keys of the file begin with {prefix!r}, so no name matched" if prefix else ""
        return fail(
            f"{fresh / total:.0%} of the parameters have their random initial values{because}",
            facts,
            RANDOM_LIMIT,
            RELOAD,
        )
    return _unlike_the_file(e, prefix, facts)


def _elsewhere(file: CheckpointFile) -> Finding:
    """Weights under a key that the loader does not know."""
    key = next(iter(file.stores))
    path = "".join(f"[{part!r}]" for part in key.split(".")) if "[" not in key else None
    line = (
        f'torch.save(torch.load(checkpoint, weights_only=True){path}, "weights.pth"); model = load_model("weights.pth")'
        if path
        else 'torch.save(model.state_dict(), "weights.pth")  # where the file was made'
    )
    names = ", ".join(repr(k) for k in file.stores)
    return fail(
        f"the file is whole, and the {file.stores[key]} tensors of a DPRNN-TasNet lie under {names}, where load_model "
        "does not look",
        {"stores": file.stores},
        "weights at the top, or under state_dict, model_state_dict or model",
        line,
    )


def _several(file: CheckpointFile) -> Finding:
    """Two models, such as the raw and the averaged one."""
    names = ", ".join(repr(p) for p in file.prefixes)
    averaged = [p for p in file.prefixes if _AVERAGED.search(p)]
    chosen = (averaged or file.prefixes)[0]
    which = (
        f"; {chosen!r} is called like the average over steps, which validation usually scores"
        if averaged
        else ""
    )
    return fail(
        f"the file holds {len(file.prefixes)} models, under {names}: say which one{which}",
        {"prefixes": file.prefixes, "tensors": len(file.keys)},
        "one model, or a prefix that chooses one",
        f"model = load_model(checkpoint, prefix={chosen!r})",
    )


def _unlike_the_file(e: Evidence, prefix: str, facts: dict) -> Finding:
    """The file is fine: did the user's own code load it?"""
    if prefix and not e.live and e.estimates is not None and e.own is not None:
        length = min(e.estimates.shape[-1], e.own.shape[-1])
        if len(e.own) == len(e.estimates) and length:
            ours, theirs = e.own[:, :length], e.estimates[:, :length]
            near = float(si_sdr(best_order(theirs, ours), ours).mean())
            alike = abs(correlation(theirs))
            if theirs.isfinite().all() and near < 0 and alike > 0.9:
                return fail(
                    f"the file separates this mixture, but your estimates differ from its ({near:.0f} dB): its keys "
                    f"begin with {prefix!r}, so with strict=False no name matches and the network stays random",
                    facts | {"estimates_to_own_db": number(near)},
                    "0 dB between your estimates and the file's: with the same model it is far higher",
                    "model = load_model(checkpoint); estimates = separate(model, mixture, sample_rate)",
                )
    note = f"; the prefix {prefix!r} of its keys was removed" if prefix else ""
    return fine(f"at most {facts['share_random']:.0%} of the parameters look random{note}", facts)


@check("weights-partial")
def weights_partial(e: Evidence) -> Finding:
    """Layers that are random, constant, or not in the file."""
    report = e.file.report if e.file is not None else None
    if report is not None and not report.complete and not report.conflicts:
        names = [*report.missing, *report.reshaped, *report.unexpected]
        return fail(
            "; ".join(report.problems()) or "the file and the model do not fit",
            {
                "matched": len(report.matched),
                "missing": report.missing[:8],
                "unexpected": report.unexpected[:8],
                "of_another_shape": list(report.reshaped)[:8],
            },
            f"every tensor must fit: {names[0]} is the first that does not",
            "model = load_model(checkpoint)  # the whole checkpoint of this architecture",
        )
    if e.network is None:
        return undecided("no model could be loaded", BRING_MODEL)
    cause = e.cause("weights-unmatched")
    if cause:
        return undecided("no weights were loaded", "a model that was loaded")
    random = [layer.name for layer in e.layers if layer.fresh]
    dead = [layer.name for layer in e.layers if layer.dead]
    heavy = [layer.name for layer in e.layers if layer.fresh and layer.kind != "constant"]
    facts = {"layers": len(e.layers), "random": random[:8], "constant": dead[:8]}
    if heavy or dead:
        which = heavy or dead
        return fail(
            f"{len(which)} of {len(e.layers)} layers are "
            f"{'random, as initialised' if heavy else 'of one value throughout'}: {', '.join(which[:3])}",
            facts,
            "none allowed: a trained layer has values over PyTorch's initial bound, and another mean square",
            RELOAD,
        )
    if e.live and e.file is not None and e.file.tensors:
        apart = _apart(e.network, e.file.tensors)
        if apart:
            return warn(
                f"{len(apart)} tensors of the model differ from {Path(e.file.path).name} (first {apart[0]})",
                facts | {"apart": apart[:8]},
                "equal within rounding of float16",
                RELOAD,
            )
    if random:
        return warn(
            f"{len(random)} norms or activations have their initial values ({random[0]}): not loaded or not trained",
            facts,
            "none allowed: training changes every gain",
            RELOAD,
        )
    return fine("every layer looks trained", facts)


def _apart(network: nn.Module, tensors: dict[str, torch.Tensor]) -> list[str]:
    """Parameters of the live network that differ from the file."""
    state = {n: t.detach().cpu() for n, t in network.state_dict().items()}
    try:
        state = state if isinstance(network, DPRNNTasNet) else from_asteroid(state)
    except KeyError:
        return []  # another network: no names in common
    return [
        name
        for name, tensor in tensors.items()
        if name not in state
        or state[name].shape != tensor.shape
        or not torch.allclose(state[name].float(), tensor.float(), rtol=1e-2, atol=1e-4)
    ]
