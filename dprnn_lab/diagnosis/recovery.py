"""Find the settings that no tensor shape reveals: with which configuration do these weights separate best?

There are no references to compare with. Each candidate is scored by
:mod:`dprnn_lab.diagnosis.remix_consistency`; the one with the highest score is the best guess.

Notebook: 06_failures_at_inference
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from ..checkpoint.errors import CheckpointError
from ..checkpoint.hub import locate
from ..checkpoint.infer import infer
from ..checkpoint.names import rename
from ..checkpoint.reading import Contents, read_file
from ..checkpoint.settings import resolve
from ..model import DPRNNTasNet
from .remix_consistency import RemixConsistency, remix_consistency

__all__ = ["Recovery", "Trial", "recover_config", "usual_candidates"]

# Ordered by their effect on the output, largest first: values of all, and the fewer that a diagnosis has time for.
USUAL = {
    "encoder_activation": (None, "relu"),
    "mask_act": ("sigmoid", "relu", "tanh", "softmax", "linear"),
    "norm_type": ("gLN", "cLN", "fgLN"),
    "stride": (),  # fractions of the kernel
    "chunk_size": (50, 64, 100, 128, 150, 200, 250),
}
FEWER = {"norm_type": ("gLN", "cLN"), "chunk_size": (50, 100, 200)}
DECISIVE_DB = 0.3  # and twice the standard error: a smaller margin decides nothing
PIECE_SECONDS = 3.0


@dataclass(frozen=True)
class Trial(RemixConsistency):
    """The scores of one candidate value, with the best values found for all other arguments."""

    value: object


@dataclass
class Recovery:
    """The ranking of all candidates; ``str(recovery)`` is a table."""

    config: dict[str, Any]  # every argument: the best candidate, or the first if none is clearly better
    tables: dict[str, list[Trial]]  # by argument, best first

    def margin(self, argument: str) -> float:
        """Mean difference between the scores of the best and the second candidate, dB."""
        return mean(self._differences(argument))

    def decided(self, argument: str) -> bool:
        """Whether the margin, over at least three pieces, exceeds 0.3 dB and twice its standard error."""
        differences = self._differences(argument)
        if len(differences) < 3:
            return False
        error = stdev(differences) / len(differences) ** 0.5
        return self.margin(argument) > max(DECISIVE_DB, 2 * error)

    @property
    def undecided(self) -> list[str]:
        """Arguments for which this audio does not separate the best candidate from the second."""
        return [name for name in self.tables if not self.decided(name)]

    def _differences(self, argument: str) -> list[float]:
        best, second = self.tables[argument][:2]
        return [a - b for a, b in zip(best.scores, second.scores, strict=True)]

    def __str__(self) -> str:
        lines = []
        for name, trials in self.tables.items():
            verdict = repr(trials[0].value) if self.decided(name) else "not decided by this audio"
            pieces = f"margin {self.margin(name):.1f} dB over {len(trials[0].scores)} pieces"
            lines.append(f"{name}: {verdict} ({pieces})")
            lines.append("    value        score dB  again dB  residual dB  correlation  balance dB")
            lines += [
                f"    {t.value!s:12} {t.score:8.2f} {t.again:9.2f} {t.residual:12.1f} {t.correlation:12.2f} "
                f"{t.balance:11.1f}"
                for t in trials
            ]
        return "\n".join(lines)


def recover_config(
    weights: str | os.PathLike | Mapping[str, torch.Tensor],
    mixture: torch.Tensor,
    candidates: Mapping[str, Sequence] | None = None,
    rounds: int = 6,
    prefix: str | None = None,
) -> Recovery:
    """Rank candidate values of the settings that no tensor shape reveals, on real mixtures, without references.

    Starting from the file's own values (or the defaults), every argument is varied alone; the candidate that gains
    most, and clearly, is kept, and the next round begins, until nothing changes. A candidate costs three forward
    passes.

    Accuracy, measured with the model "six-voices/small", its weights without their configuration, on seven sets of
    eight of the fixed test mixtures (2 s each; five sets of a man and a woman, two of two women) by
    ``python data/measure_recovery.py``:

    ====================  ===================  =================  ========
    argument              trained value first  margin, dB         decided
    ====================  ===================  =================  ========
    encoder_activation    7 of 7               12.8 to 14.0       7
    mask_act              7 of 7               10.5 to 13.4       7
    norm_type             7 of 7               11.5 to 13.1       7
    stride                7 of 7               7.6 to 9.8         7
    chunk_size            4 of 7               0.03 to 0.41       1
    ====================  ===================  =================  ========

    Chunks of 50, 64 and 100 frames separate nearly equally well, and audio seldom decides between them; 200 and 250
    lose 2.5 and 3.1 dB of the score. The result is the setting with which the weights separate best, as references
    confirm, which need not be the last one in training: after 50 steps of cLN, weights trained with gLN scored
    3.4 dB higher as gLN, and their SI-SDR was 1.8 dB higher, too.

    Args:
        weights: a checkpoint that :func:`dprnn_lab.load_model` can read, or a state dict.
        mixture: ``[T]``, or several as ``[B, T]``: real speech of as many people as the model separates, at the
            sample rate of the training. It is cut into pieces of three seconds; fewer than three decide nothing,
            eight are better.
        candidates: values by argument, of stride, chunk_size, mask_act, norm_type, encoder_activation; None for
            :func:`usual_candidates`.
        rounds: at most; each changes one argument.
        prefix: which of several models in the checkpoint, as for :func:`dprnn_lab.load_model`.

    Raises:
        CheckpointError: weights that can't be read, or do not make a whole model.
        ValueError: a silent or misshaped mixture, or candidates without a choice.
    """
    tensors, start = _weights(weights, prefix)
    if start["n_src"] < 2:
        raise ValueError("the model has one output: remixing its estimates says nothing about it")
    pieces = _pieces(mixture, round(PIECE_SECONDS * start["sample_rate"]))
    candidates = (
        usual_candidates(start) if candidates is None else {k: list(v) for k, v in candidates.items()}
    )
    wrong = [name for name in candidates if name not in USUAL]
    if wrong or not candidates or min(map(len, candidates.values())) < 2:
        raise ValueError(
            f"candidates are {candidates}: give two or more values for some of {', '.join(USUAL)}"
        )
    config, tried = dict(start), {}
    tables: dict[str, list[Trial]] = {}
    for _ in range(rounds):
        best: tuple[str, Trial] | None = None
        for name, values in candidates.items():
            trials = []
            for value in values:
                changed = _with(config, name, value)
                key = tuple(changed.items())
                if key not in tried:
                    tried[key] = _score(tensors, changed, pieces)
                trials.append(Trial(**vars(tried[key]), value=value))
            trials.sort(key=lambda trial: trial.score, reverse=True)
            tables[name] = trials
            now = [trial for trial in trials if trial.value == config[name]]
            better = not now or trials[0].score > now[0].score + DECISIVE_DB
            if better and (best is None or trials[0].score > best[1].score):
                best = name, trials[0]
        if best is None:
            break
        # One change at a time, the largest first: with a wrong stride, a wrong activation may score slightly
        # higher than the right one, and keeping it would hide the gain of the right stride.
        config = _with(config, best[0], best[1].value)
    return Recovery(config, tables)


def usual_candidates(config: Mapping[str, Any], fewer: bool = False) -> dict[str, list]:
    """The usual values of every setting without a shape, the present value first.

    An argument is left out if there is no choice: PReLU and batch norm have tensors, so their presence is known.

    Args:
        config: every argument of the model.
        fewer: the short lists of the check ``config-silent``, which has seconds and not minutes.
    """
    kernel = config["kernel_size"]
    usual = {
        **USUAL,
        **(FEWER if fewer else {}),
        "stride": [s for s in (kernel // 4, kernel // 2, kernel) if s],
    }
    listed = {name: list(dict.fromkeys([config[name], *values])) for name, values in usual.items()}
    return {n: v for n, v in listed.items() if len(v) > 1 and config[n] not in ("prelu", "bN")}


def _pieces(mixture: torch.Tensor, length: int) -> torch.Tensor:
    """``[T]`` or ``[B, T]`` as pieces ``[pieces, length]`` without silent ones; a shorter signal stays whole."""
    if not isinstance(mixture, torch.Tensor):
        raise ValueError(
            f"the mixture is {type(mixture).__name__}: give a tensor of samples, [T] or [B, T]; read_audio(path)[0] "
            "reads those of a file"
        )
    batch = mixture.unsqueeze(0) if mixture.dim() == 1 else mixture
    if batch.dim() == 2 and batch.is_floating_point() and batch.numel():
        length = min(length, batch.shape[-1])
        pieces = batch.unfold(-1, length, length).flatten(0, 1)
        pieces = pieces[pieces.abs().amax(-1) > 1e-3]
        if len(pieces) and pieces.isfinite().all():
            return pieces
    raise ValueError(
        f"the mixture is {mixture.dtype} {list(mixture.shape)}: give speech as floating point, [T] or "
        "[B, T], finite and not silent"
    )


def _weights(
    source: str | os.PathLike | Mapping[str, torch.Tensor], prefix: str | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors under this package's names, and the configuration to start from."""
    if isinstance(source, Mapping):
        path, contents = Path("the state dict"), Contents("state dict", dict(source))
    else:
        path = locate(source)
        contents = read_file(path, prefix)
    tensors = rename(path, contents.tensors, prefix).tensors
    settings, _ = resolve(path, contents, tensors, {name: w.value for name, w in infer(tensors).items()})
    config = {name: setting.value for name, setting in settings.items()}
    try:
        DPRNNTasNet(**config).load_state_dict(tensors)
    except (RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the weights make no whole model: {error}") from error
    return tensors, config


def _with(config: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The configuration with one value changed; the hop keeps its share of the chunk."""
    changed = {**config, name: value}
    if name == "chunk_size" and value != config["chunk_size"]:
        changed["hop_size"] = max(1, round(value * config["hop_size"] / config["chunk_size"]))
    return changed


def _score(
    tensors: dict[str, torch.Tensor], config: dict[str, Any], pieces: torch.Tensor
) -> RemixConsistency:
    model = DPRNNTasNet(**config).eval()
    model.load_state_dict(tensors)
    return remix_consistency(model, pieces)
