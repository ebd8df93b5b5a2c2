"""Look at a training without changing it: copies of models, and all random state and gradients put back.

Notebook: 05_training
"""

import copy
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["copied", "unchanged"]


def copied(module: nn.Module) -> nn.Module:
    """A deep copy without gradients, of compiled and wrapped modules too; parameters on the same device.

    Tensors that a module keeps from its last pass belong to a graph, and such tensors cannot be copied (as the weight
    that ``weight_norm`` computes): the copy gets their values.
    """
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        module = module.module
    module = getattr(module, "_orig_mod", module)  # of torch.compile
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    result = copy.deepcopy(module, memo)
    for parameter in result.parameters():
        parameter.grad = None
    return result


@contextmanager
def unchanged(module: nn.Module, *generators: torch.Generator) -> Iterator[None]:
    """Gradients are computed in float precision while it lasts; afterwards everything is as it was, errors or not.

    What is put back: the random state of Python, NumPy and PyTorch (all devices, and the generators given), gradients
    and buffers of ``module`` (a loss may hold the user's model).
    """
    python, numpy = random.getstate(), np.random.get_state()
    states = [generator.get_state() for generator in generators]
    gradients = [(parameter, parameter.grad) for parameter in module.parameters()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    modes = [(part, part.training) for part in module.modules()]
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(torch.random.fork_rng(devices))
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            for parameter, _ in gradients:
                parameter.grad = None
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
        for parameter, gradient in gradients:
            parameter.grad = gradient
        with torch.no_grad():
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)
        for part, mode in modes:
            part.training = mode
