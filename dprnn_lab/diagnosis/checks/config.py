"""Group B: is the network put together as it was trained?

Notebook: 06_failures_at_inference
"""

import tempfile
from pathlib import Path

import torch

from ...checkpoint import CheckpointError, save_model
from ...model import DPRNNTasNet
from ..evidence import Evidence
from ..recovery import recover_config
from .verdict import check, fail, fine, number, undecided

__all__ = ["SOUND", "config_shape", "config_silent", "rebuild"]

# dB of the remix score: a model over it runs as trained, and no search is needed. At 27 000 steps the bundled model
# reached 8.7 on six mixtures, with another stride, mask, norm or encoder activation 2.9 at the most.
SOUND = 7.0
CLEAR = 1.5  # dB that another setting must gain


def rebuild(model: DPRNNTasNet, **config) -> DPRNNTasNet:
    """The same weights in a model with other settings, in evaluation mode.

    Raises:
        ValueError: settings that these weights do not fit.

    >>> rebuild(DPRNNTasNet(n_repeats=1, hid_size=4), stride=16).config["stride"]
    16
    """
    if "chunk_size" in config and "hop_size" not in config:
        config["hop_size"] = None
    other = DPRNNTasNet(**{**model.config, **config})
    try:
        other.load_state_dict(model.state_dict())
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit {config}: {str(error).splitlines()[-1].strip()}") from error
    return other.eval()


@check("config-shape")
def config_shape(e: Evidence):
    """Arguments that contradict the shapes of the weights."""
    if e.file is None:
        return (
            fine("a live model has the shapes of its own arguments")
            if e.live
            else undecided("there is no model", "the checkpoint's path, or the model")
        )
    if e.file.build_error:
        return fail(
            e.file.build_error.removeprefix(f"{e.file.path}: "),
            {"config": {k: str(v) for k, v in e.config.items()}},
            "the arguments must build a model",
            "model = load_model(checkpoint)  # without the argument that the message names",
        )
    report = e.file.report
    if report is None:
        return undecided("the file has no readable weights", "a checkpoint that can be read")
    if report.conflicts:
        fits = ", ".join(f"{c.argument}={c.fits!r}" for c in report.conflicts)
        return fail(
            "; ".join(map(str, report.conflicts)),
            {c.argument: {"value": c.value, "fits": c.fits, "shape": c.evidence} for c in report.conflicts},
            "shapes are facts, arguments are claims",
            f"model = load_model(checkpoint, {fits})",
        )
    return fine("the arguments agree with all shapes")


@check("config-silent")
def config_silent(e: Evidence):
    """Settings without a shape, by listening."""
    if e.ours is None or e.broken_weights or e.cause("dead-output"):
        return undecided("no model whose settings are known", "the checkpoint, or a DPRNNTasNet")
    if e.live and e.file is not None and e.file.report is not None:
        said = e.file.report.settings
        differs = {
            name: setting.value
            for name, setting in said.items()
            if setting.source.startswith("file")
            and name != "dropout"
            and e.ours.config[name] != setting.value
        }
        if differs:
            wrong = {n: e.ours.config[n] for n in differs}
            return fail(
                "the model has "
                + ", ".join(f"{n}={wrong[n]!r}, the file says {v!r}" for n, v in differs.items()),
                {"model": wrong, "file": differs},
                "equal: the file was written by the training",
                "model = load_model(checkpoint)",
            )
    if e.heard is not None and e.heard.score >= SOUND:
        own, on = e.heard, "the mixture"
    elif e.control is not None:
        own, on = e.control.remix, "bundled mixtures"
    else:
        own, on = e.heard, "the mixture"
    if own is None:
        return undecided("nothing to listen to", "a mixture of as many people as the model has outputs")
    facts = {"score_db": number(own.score), "on": on}
    if own.score >= SOUND:
        return fine(f"the model finds its own estimates again ({own.score:.1f} dB)", facts, f"{SOUND:g} dB")
    assumed = dict(e.file.report.assumed) if e.file is not None and e.file.report is not None else {}
    return _search(e, facts, assumed)


def _search(e: Evidence, facts: dict, assumed: dict):
    """Rank candidates for every setting on what is there to listen to."""
    pieces = [p for p in (e.control.mixtures if e.control else None, e.pieces) if p is not None]
    length = min(p.shape[-1] for p in pieces)
    if e.control is not None and e.pieces is not None and e.pieces.shape[-1] < length:
        pieces, length = pieces[:1], pieces[0].shape[-1]
    batch = torch.cat([p[:, :length] for p in pieces])[:5]
    listed = _candidates(e.ours.config)
    chunks = {"chunk_size": listed.pop("chunk_size")}
    with tempfile.TemporaryDirectory() as folder:
        path = save_model(e.ours, Path(folder) / "model.safetensors")
        try:
            found = recover_config(path, batch, listed, rounds=2)
            if found.config == e.ours.config:  # the chunk last: it costs most and matters least
                found.tables |= recover_config(path, batch, chunks, rounds=1).tables
        except (CheckpointError, ValueError) as error:
            return undecided(f"the settings can't be ranked: {error}", "a longer mixture of several people")
    config = e.ours.config
    better = {}
    for name, trials in found.tables.items():
        current = next((t for t in trials if t.value == config[name]), None)
        if trials[0].value != config[name] and current is not None:
            better[name] = number(trials[0].score - current.score)
    better = {name: gain for name, gain in better.items() if gain >= CLEAR}
    facts = facts | {
        "ranking": {
            name: {str(t.value): number(t.score) for t in trials} for name, trials in found.tables.items()
        },
        "not_decided": found.undecided,
    }
    gain = max(better.values(), default=0.0)
    best = {name: found.tables[name][0].value for name in better}
    if better:
        values = ", ".join(f"{n}={v!r}" for n, v in best.items())
        load = (
            f"model = load_model(checkpoint, {values})" if not e.live else f"model = rebuild(model, {values})"
        )
        return fail(
            "with "
            + ", ".join(f"{n}={v!r} in place of {config[n]!r}" for n, v in best.items())
            + f" the model finds its estimates again {gain:.1f} dB better",
            facts | {"better": best, "margin_db": gain},
            f"{CLEAR:g} dB, five times what decides between two candidates",
            load,
        )
    if assumed:
        return undecided(
            f"{', '.join(assumed)} are not in the file, and listening does not decide between their values",
            "the values of the training: load_model(checkpoint, chunk_size=..., ...)",
            facts,
        )
    return fine("no other setting separates better", facts, f"{CLEAR:g} dB")


def _candidates(config: dict) -> dict[str, list]:
    """The usual values of every setting, the present one first; PReLU has weights and is no question."""
    kernel = config["kernel_size"]
    usual = {
        "encoder_activation": [None, "relu"],
        "mask_act": ["sigmoid", "relu", "tanh", "softmax", "linear"],
        "norm_type": ["gLN", "cLN"],
        "stride": [s for s in (kernel // 4, kernel // 2, kernel) if s],
        "chunk_size": [50, 100, 200],
    }
    listed = {name: list(dict.fromkeys([config[name], *values])) for name, values in usual.items()}
    return {n: v for n, v in listed.items() if len(v) > 1 and config[n] not in ("prelu", "bN")}
