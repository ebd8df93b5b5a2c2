"""Recognise what a file holds: packages, checkpoints of training programs, bare state dicts.

Notebook: 06_failures_at_inference
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .errors import CheckpointError, short
from .facts import plain
from .find_weights import Weights, check_tensors, describe, find_weights
from .names import choose, equal

__all__ = ["Contents", "sort_out"]

_STATE_KEYS = ("state_dict", "model_state_dict", "model")  # where most training scripts put the weights
_FACTS = ("epoch", "global_step", "step", "iteration", "infos")
# Lightning's WeightAveraging saves the average, which validation used, as the model, and the raw weights beside it.
_RAW = "current_model_state"
# Two of these among somebody's settings are taken for the arguments of a DPRNN-TasNet.
_TYPICAL_ARGUMENTS = {"n_src", "bn_chan", "hid_size", "chunk_size", "n_repeats", "mask_act"}


@dataclass
class Contents:
    """The content of a file."""

    format: str
    tensors: dict[
        str, torch.Tensor
    ]  # by the file's own names; of several models behind the names of their places
    arguments: object = None  # the model's arguments as the file gives them, None if it gives none
    arguments_from: str = "file"
    facts: dict = field(default_factory=dict)  # about the training; JSON values only
    arguments_among_others: bool = False  # mixed with settings of the training
    others: list[str] = field(default_factory=list)  # other models in the file, for prefix=


def sort_out(path: Path, content: object, prefix: str | None = None) -> Contents:
    """The weights in what a file holds, and what the dictionaries around them tell.

    Args:
        prefix: the place of one of several models, or the beginning of its parameters' names.

    Raises:
        CheckpointError: no weights; a package of another model.
    """
    if isinstance(content, Mapping) and "model_args" in content and "state_dict" in content:
        _check_name(path, content)
    groups = find_weights(content)
    models = [w for w in groups if w.whole]
    if not models:
        partial = [w for w in groups if w.known]
        models = _usual(partial) or sorted(partial, key=lambda w: w.known, reverse=True)[:1]
    if not models:
        largest = max(groups, key=lambda w: len(w.tensors), default=None)
        if largest is None or not largest.place:
            return Contents("bare state_dict", _state_dict(path, content))
        return _as_contents(path, largest)
    at = _chosen(path, models, prefix) if prefix is not None else None
    if at is not None:
        found = _as_contents(path, at, named=bool(at.place))
        found.others = [w.name for w in models if w is not at]
        return found
    if prefix is None:
        average = [w for w in models if w.place == ("state_dict",)]
        if average and any(w.place == (_RAW,) for w in models) and _has(content, "averaging_state"):
            models = [w for w in models if w.place != (_RAW,)]
            if len(models) == 1:
                found = _as_contents(path, models[0])
                found.others = [_RAW]
                return found
        if len(models) > 1 and equal([tensors for w in models for tensors in w.models.values()]):
            first = (_usual(models) or models)[0]
            found = _as_contents(path, first)
            found.others = [w.name for w in models if w is not first]
            return found
    if len(models) == 1:
        return _as_contents(path, models[0])
    # Several: their names begin with their places, so that the choice is one of prefixes.
    together = {
        f"{w.name}.{key}" if w.place else key: value
        for w in models
        for key, value in check_tensors(path, w.tensors).items()
    }
    return Contents(f"{len(models)} models in one file", together, facts=_facts(content))


def _chosen(path: Path, models: list[Weights], prefix: str) -> Weights | None:
    """The dictionary that the user means; None if the choice is one of prefixes within the only dictionary."""
    asked = prefix.strip(".")
    at = [w for w in models if w.place and asked in (w.name, w.place[-1])]
    if len(at) == 1:
        return at[0]
    if len(models) < 2:
        return None
    names = {f"{w.name}.{inner}" if w.place else inner: w for w in models for inner in w.models}
    return names[choose(path, prefix, list(names))]


def _usual(models: list[Weights]) -> list[Weights]:
    """The models under the usual keys, the most usual first."""
    by_name = {w.name: w for w in models}
    return [by_name[key] for key in _STATE_KEYS if key in by_name]


def _has(content: object, key: str) -> bool:
    return isinstance(content, Mapping) and key in content


def _check_name(path: Path, package: Mapping) -> None:
    name = package.get("model_name", "DPRNNTasNet")
    if not isinstance(name, str) or name != "DPRNNTasNet":
        kind = f"a {short(name)}" if isinstance(name, str) else f"named by {describe(name)}"
        raise CheckpointError(f"{path}: is {kind}; only DPRNNTasNet can be loaded here")


def _as_contents(path: Path, weights: Weights, named: bool = False) -> Contents:
    """One model of the file. ``named`` puts its place before the names of its tensors."""
    tensors = check_tensors(path, weights.tensors)
    if named:
        tensors = {f"{weights.name}.{key}": value for key, value in tensors.items()}
    if not weights.place:
        return Contents("bare state_dict", tensors)
    holder = weights.around[-1] if weights.around else {}
    if "model_args" in holder and weights.place[-1] == "state_dict":
        _check_name(path, holder)
        facts = plain(
            {k: v for k, v in holder.items() if k not in ("model_args", "state_dict", "model_name")}
        )
        where = f" (under {short('.'.join(weights.place[:-1]))!r})" if len(weights.place) > 1 else ""
        return Contents(f"Asteroid package{where}", tensors, holder["model_args"], "file (model_args)", facts)
    outer = weights.around[0] if weights.around else {}
    return _training_checkpoint(outer, weights, tensors)


def _facts(content: object) -> dict:
    if not isinstance(content, Mapping):
        return {}
    return plain({key: content[key] for key in _FACTS if key in content})


def _training_checkpoint(content: Mapping, weights: Weights, tensors: dict[str, torch.Tensor]) -> Contents:
    """Weights together with the state of a training run: Lightning's ``.ckpt``, or somebody's own format."""
    facts = _facts(content)
    lightning = "pytorch-lightning_version" in content
    if lightning:
        facts["lightning"] = plain(content["pytorch-lightning_version"])
    if "averaging_state" in content and weights.place == ("state_dict",):
        facts["weights"] = "the average over steps (WeightAveraging) that validation used"
    callbacks = content.get("callbacks")
    for name, state in callbacks.items() if isinstance(callbacks, Mapping) else ():
        if isinstance(state, Mapping) and state.get("best_model_score") is not None:
            facts["best_score"] = plain(state["best_model_score"])
            facts["best_score_of"] = plain(state.get("monitor", name))
    plainly = lightning and weights.place == ("state_dict",)
    found = Contents(
        "Lightning checkpoint" if plainly else f"training checkpoint (weights under {short(weights.name)!r})",
        tensors,
        facts=facts,
    )
    # Our training stores the model's configuration with the weights, Asteroid's recipes store theirs in parts.
    if isinstance(content.get("model_config"), Mapping):
        found.arguments, found.arguments_from = content["model_config"], "file (model_config)"
    recipe = content.get("training_config")
    if isinstance(recipe, Mapping):
        facts["training_config"] = plain(recipe)
        sections = [recipe.get("filterbank"), recipe.get("masknet")]
        merged = {k: v for s in sections if isinstance(s, Mapping) for k, v in s.items()}
        data = recipe.get("data")
        rate = plain(data.get("sample_rate")) if isinstance(data, Mapping) else None
        if merged and rate:
            merged["sample_rate"] = rate
        if merged:
            found.arguments, found.arguments_from = merged, "file (training_config)"
            found.arguments_among_others = True
    # A Lightning module may have called save_hyperparameters() with the model's arguments among others.
    hyper = content.get("hyper_parameters")
    if isinstance(hyper, Mapping) and hyper and not isinstance(recipe, Mapping):
        facts["hyper_parameters"] = plain(hyper)
        if found.arguments is None and len(_TYPICAL_ARGUMENTS & hyper.keys()) > 1:
            found.arguments, found.arguments_from = hyper, "file (hyper_parameters)"
            found.arguments_among_others = True
    return found


def _state_dict(path: Path, state: object) -> dict[str, torch.Tensor]:
    """A file without the weights of a DPRNN-TasNet as a state dict, or the error that says what it is."""
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"{path}: holds {describe(state)}, not a dictionary of weights. Save model.state_dict()"
        )
    for key in _STATE_KEYS:
        if isinstance(inner := state.get(key), Mapping):
            state = inner
            break
    if not state:
        raise CheckpointError(f"{path}: holds {describe(state)} where the weights should be")
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            keys = ", ".join(short(key, 40) for key in list(state)[:5])
            raise CheckpointError(
                f"{path}: a dictionary of {keys}{', ...' if len(state) > 5 else ''}, but {short(repr(name))} is "
                f"{describe(value)} and no tensor. Give the file of a model's state_dict()"
            )
    return check_tensors(path, {str(key): value for key, value in state.items()})
