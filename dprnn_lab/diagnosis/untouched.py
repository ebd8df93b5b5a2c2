"""Looking changes nothing: weights, buffers, modes, gradients and random numbers are put back after every check.

The checks run a *copy* of the user's model. Some models can't be copied (a weight that is computed from others, as
``weight_norm`` keeps it); those run themselves. Both are compared with their first state after every check, and what
differs is restored, also when the check raised.

Notebook: 06_failures_at_inference
"""

import copy
import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

__all__ = ["Snapshot", "plain_mode", "working_copy"]


class Snapshot:
    """The state of some modules and of all random number generators; :meth:`restore` puts it back."""

    def __init__(self, modules: Iterable[nn.Module]):
        roots = list(modules)
        parts = {id(m): m for root in roots for m in root.modules()}
        # Attributes (the mode, a counter, a list of hooks) by reference, and the content of those that are dicts.
        self._attributes = [
            (part, dict(vars(part)), {k: dict(v) for k, v in vars(part).items() if isinstance(v, dict)})
            for part in parts.values()
        ]
        tensors = {id(t): t for root in roots for t in [*root.parameters(), *root.buffers()]}
        self._tensors = [
            (t, t.detach().clone(), t.requires_grad, t.grad, None if t.grad is None else t.grad.clone())
            for t in tensors.values()
            if not is_lazy(t)
        ]
        self._torch = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        self._numpy, self._python = np.random.get_state(), random.getstate()

    def restore(self) -> None:
        """Put back whatever differs; what is the same is not written, so that no version counter moves."""
        for part, attributes, contents in self._attributes:
            if _changed(vars(part), attributes):
                vars(part).clear()
                vars(part).update(attributes)
            for name, content in contents.items():
                if _changed(attributes[name], content):
                    attributes[name].clear()
                    attributes[name].update(content)
        for tensor, values, wanted, gradient, gradient_values in self._tensors:
            _write(tensor, values)
            if tensor.is_leaf and tensor.requires_grad != wanted:
                tensor.requires_grad_(wanted)
            if tensor.is_leaf and tensor.grad is not gradient:
                tensor.grad = gradient
            if gradient is not None and gradient_values is not None:
                _write(gradient, gradient_values)
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state_all(self._cuda)
        np.random.set_state(self._numpy)
        random.setstate(self._python)


def _changed(now: dict, before: dict) -> bool:
    """Whether a name is new, gone, or refers to another object."""
    return now.keys() != before.keys() or any(now[name] is not value for name, value in before.items())


def _write(tensor: torch.Tensor, values: torch.Tensor) -> None:
    """Copy the values into a tensor that no longer has them."""
    if tensor.is_meta or (tensor.shape == values.shape and _same(tensor.detach(), values)):
        return
    with torch.inference_mode() if tensor.is_inference() else torch.no_grad():
        if tensor.shape != values.shape:
            tensor.resize_(values.shape)
        tensor.copy_(values)


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal everywhere, NaN in the same places."""
    return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())


def working_copy(model: nn.Module) -> nn.Module:
    """The model to look at: a copy, in float32 when it is of half precision on the CPU; else the model itself."""
    try:
        twin = copy.deepcopy(model)
    except Exception:  # a tensor that is no leaf, a lock, an open file: anything a user's module may hold
        return model
    small = [p for p in twin.parameters() if p.dtype in (torch.float16, torch.bfloat16)]
    # PyTorch's kernels for half precision on the CPU are incomplete, and float32 holds the same weights.
    return twin.float() if small and all(p.device.type == "cpu" for p in small) else twin


@contextmanager
def plain_mode(model: nn.Module | None = None) -> Iterator[None]:
    """Checks compute as if called from a new program: not inside the caller's autocast, inference mode or defaults."""
    kinds = {"cpu"} | ({p.device.type for p in model.parameters()} if model is not None else set())
    default = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.device("cpu"))
        for kind in kinds - {"meta"}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.callback(torch.set_default_dtype, default)
        torch.set_default_dtype(torch.float32)
        yield
