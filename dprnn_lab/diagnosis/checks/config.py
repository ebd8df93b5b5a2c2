"""Group B: do the network's settings match its training?

Notebook: 06_failures_at_inference
"""

import tempfile
from pathlib import Path
from typing import Any

import torch

from ...checkpoint import CheckpointError, save_model
from ...model import DPRNNTasNet
from ..evidence import Evidence
from ..finding import Finding
from ..recovery import recover_config, usual_candidates
from ..remix_consistency import REMIX_OK_DB
from .verdict import check, fail, fine, number, undecided, warn

__all__ = ["config_shape", "config_silent", "rebuild"]

CLEAR_GAIN_DB = 1.5  # of the remix-consistency score, by another setting
# A recording that suits the model, and bundled mixtures that suit it so much less: the settings may be nearly right.
APART_DB = 3.0
PIECES = 3  # of the mixture; fewer decide nothing (:func:`recover_config`)


def rebuild(model: DPRNNTasNet, **config: Any) -> DPRNNTasNet:
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
def config_shape(e: Evidence) -> Finding:
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
            "the arguments must describe a valid model",
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
            "the shapes of the tensors decide",
            f"model = load_model(checkpoint, {fits})",
        )
    return fine("the arguments agree with all shapes")


@check("config-silent")
def config_silent(e: Evidence) -> Finding:
    """Find settings that no shape reveals, by remix consistency."""
    if e.own_network is None or e.broken_weights or e.cause("dead-output"):
        return undecided("no model with known settings", "the checkpoint, or a DPRNNTasNet")
    if e.live and e.file is not None and e.file.report is not None:
        config = e.own_network.config
        differs = {
            name: setting.value
            for name, setting in e.file.report.settings.items()
            if setting.source.startswith("file") and name != "dropout" and config[name] != setting.value
        }
        if differs:
            wrong = {n: config[n] for n in differs}
            return fail(
                "the model has "
                + ", ".join(f"{n}={wrong[n]!r}, the file says {v!r}" for n, v in differs.items()),
                {"model": wrong, "file": differs},
                "equal: the training wrote the file",
                "model = load_model(checkpoint)",
            )
    own, on = e.score_on_mixture, "the mixture"
    if (own is None or own.score < REMIX_OK_DB) and e.control is not None:
        own, on = e.control.remix, "bundled mixtures"
    if own is None:
        return undecided(
            "no mixture to score the model on", "a mixture of as many people as the model has outputs"
        )
    facts = {"score_db": number(own.score), "on": on}
    apart = e.control is not None and e.control.remix.score < min(REMIX_OK_DB, own.score - APART_DB)
    if own.score >= REMIX_OK_DB and not apart:
        return fine(f"remix consistency is {own.score:.1f} dB", facts, f"{REMIX_OK_DB:g} dB")
    assumed = dict(e.file.report.assumed) if e.file is not None and e.file.report is not None else {}
    return _search(e, e.own_network, facts, assumed)


def _search(e: Evidence, model: DPRNNTasNet, facts: dict, assumed: dict) -> Finding:
    """Rank candidates for every setting, on bundled mixtures and the user's."""
    pieces = [p for p in (e.control.mixtures if e.control else None, e.pieces) if p is not None]
    length = min(p.shape[-1] for p in pieces)
    if e.control is not None and e.pieces is not None and e.pieces.shape[-1] < length:
        pieces, length = pieces[:1], pieces[0].shape[-1]
    batch = torch.cat([p[:, :length] for p in pieces])[:5]
    config = model.config
    listed = usual_candidates(config, fewer=True)
    chunks = {"chunk_size": listed.pop("chunk_size")}
    with tempfile.TemporaryDirectory() as folder:
        path = save_model(model, Path(folder) / "model.safetensors")
        try:
            found = recover_config(path, batch, listed, rounds=2)
            if found.config == config:  # the chunk size last: it costs most and matters least
                found.tables |= recover_config(path, batch, chunks, rounds=1).tables
        except (CheckpointError, ValueError) as error:
            return undecided(f"the settings can't be ranked: {error}", "a longer mixture of several people")
    better = {}
    for name, trials in found.tables.items():
        current = next((t for t in trials if t.value == config[name]), None)
        if trials[0].value != config[name] and current is not None:
            better[name] = number(trials[0].score - current.score)
    better = {name: gain for name, gain in better.items() if gain >= CLEAR_GAIN_DB}
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
        # Nothing to compare with, and few pieces: another rate or unknown voices may look like another setting.
        answer = warn if e.control is None and len(batch) < PIECES else fail
        return answer(
            "with "
            + ", ".join(f"{n}={v!r} in place of {config[n]!r}" for n, v in best.items())
            + f" remix consistency is {gain:.1f} dB higher",
            facts | {"better": best, "margin_db": gain},
            f"{CLEAR_GAIN_DB:g} dB, five times the margin that decides between two candidates",
            f"model = rebuild(model, {values})" if e.live else f"model = load_model(checkpoint, {values})",
        )
    if assumed:
        return undecided(
            f"{', '.join(assumed)} are not in the file, and remix consistency does not decide between their values",
            "the values of the training: load_model(checkpoint, chunk_size=..., ...)",
            facts,
        )
    return fine("no other setting scores higher", facts, f"{CLEAR_GAIN_DB:g} dB")
