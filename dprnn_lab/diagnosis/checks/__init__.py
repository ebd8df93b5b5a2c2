"""The checks, one for each failure of the catalogue: ``CHECKS[id](evidence)`` returns a finding.

Notebooks: 06_failures_at_inference, 07_failures_in_training
"""

from . import (
    alignment,
    audio,
    config,
    curves,
    data,
    length,
    losses,
    model_in_training,
    nan_run,
    outputs,
    plateau,
    recording,
    references,
    seams,
    speakers,
    weights,
    what_if,
)

__all__ = ["CHECKS"]

_MODULES = (
    weights, config, recording, audio, length, references, what_if, alignment, speakers, outputs, seams, losses, data,
    model_in_training, nan_run,
    curves, plateau,
)  # fmt: skip
CHECKS = {
    function.failure: function
    for module in _MODULES
    for function in (getattr(module, name) for name in module.__all__)
    if hasattr(function, "failure")
}
