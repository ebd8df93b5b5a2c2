"""NaN and infinity end a run at once: in the data, the loss, the gradient, the weights or the validation.

A run that goes on after its first NaN computes NaN to its end. It is stopped *before* the optimiser applies the step,
so the last checkpoint and its averaged model stay good.

Notebook: 07_failures_in_training
"""

import math
import re
from typing import Any

import torch
from torch import nn

__all__ = ["NotFiniteError", "check_scores", "check_step", "check_weights", "from_data"]


class NotFiniteError(ValueError):
    """Something in a training is not finite; ``fault`` is the record in ``ended.json``."""

    def __init__(self, message: str, fault: dict[str, Any] | None = None):
        super().__init__(message)
        self.fault = fault or {}


def check_step(
    module: Any, batch: tuple[torch.Tensor, torch.Tensor], loss: torch.Tensor, norm: torch.Tensor
) -> None:
    """Raise NotFiniteError if the loss or the norm of the gradient is not finite, in any process of the run.

    Args:
        module: the LightningModule, attached to its trainer.
        batch: mixture ``[B, T]`` and sources ``[B, S, T]`` of the step.
        loss: a scalar; ``norm``: the gradient's, a scalar.
    """
    here = not bool(torch.isfinite(loss) & torch.isfinite(norm))
    if module._trainer is None or not module.trainer.strategy.reduce_boolean_decision(here, all=False):
        return
    error = _what_is_not_finite(module, batch, loss, norm)
    if module.trainer.world_size > 1:  # all processes stop, and tell what the one with the cause knows
        found: list = [None] * module.trainer.world_size
        torch.distributed.all_gather_object(found, (str(error), error.fault))
        causes = [cause for cause in found if cause[1]["what"] == "training data"] or found
        error = NotFiniteError(*causes[0])
    raise error


def _what_is_not_finite(
    module: Any, batch: tuple[torch.Tensor, torch.Tensor], loss: torch.Tensor, norm: torch.Tensor
) -> NotFiniteError:
    step = module.trainer.global_step + 1
    for name, values in zip(("mixture", "sources"), batch, strict=True):
        place = _first(values)
        if place is not None:
            item, sample = place[0], place[-1]
            which = (
                f"mixture {item + 1} of the batch" if name == "mixture" else f"a source of mixture {item + 1}"
            )
            return _error(
                module, "training data", step, float(values[place]), f"{which} in the training data, sample {sample},",
                "repair or leave out the recording that it comes from", sample=sample,
            )  # fmt: skip
    what, value = ("loss", float(loss)) if not math.isfinite(float(loss)) else ("gradient", float(norm))
    return _error(module, what, step, value, f"the {what}", _remedy(module))


def check_weights(module: Any) -> None:
    """Raise NotFiniteError if a step has made a weight infinite or NaN."""
    step = module.trainer.global_step
    weights = [p.detach() for p in module.model.parameters() if p.requires_grad]
    largest = nn.utils.get_total_norm(weights, norm_type=math.inf)
    if not bool(torch.isfinite(largest)):
        name, value = next(
            (name, float(p[_first(p)])) for name, p in module.model.named_parameters() if _first(p) is not None
        )  # fmt: skip
        raise _error(module, "weights", step, value, f"a weight of {name}", _remedy(module))


def check_scores(module: Any) -> None:
    """Raise NotFiniteError if a validation mixture has a score that is not finite."""
    for row in module.scores:
        if not math.isfinite(row["si_sdr"]):
            step = module.trainer.global_step
            raise _error(
                module, "validation", step, row["si_sdr"],
                f"SI-SDR of the validation mixture {row['id']!r}", _remedy(module),
            )  # fmt: skip


def from_data(error: Exception, module: Any, validating: bool) -> NotFiniteError | None:
    """The error of a reader that found a sample which is not finite, with the step; None for other errors."""
    text = str(error)
    told = re.search(r"\bnot finite|\bnon-finite|\bnan\b|\binfinit|\binf\b", text, re.IGNORECASE)
    if told is None or "silent or not finite" in text:
        return None
    value = re.search(r"(?<!\w)(-?inf|nan)\b", text)
    step = module.trainer.global_step + (0 if validating else 1)
    sample = getattr(error, "sample", None)
    if sample is None and (found := re.search(r"\bsample (\d+)", text)):
        sample = int(found[1])
    file = getattr(error, "file", None) or getattr(error, "path", None)
    if file is None and (found := re.match(r"(.+?\.\w{2,5}): ", text)):
        file = found[1]
    fault = _fault(
        module,
        "validation data" if validating else "training data",
        step,
        float(value[1]) if value else math.nan,
    )
    fault |= {"file": None if file is None else str(file), "sample": sample}
    when = f"validation after step {step}" if validating else f"step {step}"
    return NotFiniteError(f"{when}: {text}", fault)


def _error(
    module: Any, what: str, step: int, value: float, where: str, remedy: str, sample: int | None = None
) -> NotFiniteError:
    rate = _rate(module)
    rate_text = "" if rate is None else f" (learning rate {rate:g}, precision {module.trainer.precision})"
    when = f"validation after step {step}" if what == "validation" else f"step {step}"
    fault = _fault(module, what, step, value) | {"sample": sample}
    return NotFiniteError(f"{when}: {where} is {_text(value)}{rate_text}: {remedy}", fault)


def _fault(module: Any, what: str, step: int, value: float) -> dict[str, Any]:
    return {
        "what": what, "step": step, "file": None, "sample": None, "value": _text(value),
        "learning_rate": _rate(module), "precision": str(module.trainer.precision),
    }  # fmt: skip


def _text(value: float) -> str:
    """``nan``, ``inf`` or ``-inf``; a norm that overflowed is ``inf``."""
    return "nan" if math.isnan(float(value)) else "inf" if float(value) > 0 else "-inf"


def _rate(module: Any) -> float | None:
    optimizers = module.trainer.optimizers
    rate = float(optimizers[0].param_groups[0]["lr"]) if optimizers else math.nan
    return rate if math.isfinite(rate) else None


def _remedy(module: Any) -> str:
    """What to try, most likely first."""
    tries = ["a lower learning rate (lr=...)"]
    if not module.trainer.gradient_clip_val:
        tries.append("clipping (clip=5)")
    if module.trainer.precision != "32-true":
        tries.append("precision 32-true")
    return f"try {', or '.join(tries)}"


def _first(values: torch.Tensor) -> tuple[int, ...] | None:
    """The index of the first value that is not finite."""
    if bool(torch.isfinite(values).all()):
        return None
    return tuple(int(i) for i in (~torch.isfinite(values)).nonzero()[0])
