"""``dprnn_lab.training.muon.MuonAdam`` for a GPU: all matrices of one shape take their step together.

Muon one matrix at a time is some twenty small kernels for each of them, which takes as long as the way back through
a block. Here it is as many for each *shape*. The arithmetic is that of ``torch.optim.Muon`` with
``adjust_lr_fn="match_rms_adamw"`` and that of ``torch.optim.Adam``, but that a step whose gradient is not finite is
left out, and counted, without asking the device.
"""

import math
from collections import defaultdict

import torch

MOMENTUM = 0.95
COEFFICIENTS = 3.4445, -4.7750, 2.0315
ITERATIONS = 5
BETAS, EPS = (0.9, 0.999), 1e-8


class BatchedMuonAdam:
    """Muon on the two-dimensional parameters, Adam on the rest, gradients clipped before.

    Args:
        model: whose parameters to train.
        clip: largest norm of the whole gradient.

    Attributes:
        skipped: int64 scalar on the device, steps that were left out.
    """

    def __init__(self, model: torch.nn.Module, clip: float = 5.0):
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.parameters = [p for _, p in named]
        self.clip, self.updates = clip, 0
        # One tensor for all gradients: a norm, a factor and a zero are one kernel each.
        self.gradient = torch.zeros(sum(p.numel() for p in self.parameters), device=self.parameters[0].device)
        self.views = self._split(self.gradient)
        shapes = defaultdict(list)
        for i, p in enumerate(self.parameters):
            if p.dim() == 2:
                shapes[tuple(p.shape)].append(i)
        self.shapes = dict(shapes)
        self.others = [i for i, p in enumerate(self.parameters) if p.dim() != 2]
        self.momentum = {shape: torch.stack([self.views[i] for i in at]) for shape, at in self.shapes.items()}
        self.first = [torch.zeros_like(self.parameters[i]) for i in self.others]
        self.second = [torch.zeros_like(self.parameters[i]) for i in self.others]
        self.skipped = torch.zeros((), dtype=torch.long, device=self.gradient.device)

    def _split(self, flat: torch.Tensor) -> list[torch.Tensor]:
        sizes = [p.numel() for p in self.parameters]
        return [v.view_as(p) for v, p in zip(flat.split(sizes), self.parameters, strict=True)]

    def zero_grad(self) -> None:
        """Forget the gradient, and have the next one written where it is looked for."""
        self.gradient.zero_()
        for p, view in zip(self.parameters, self.views, strict=True):
            p.grad = view

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step at a rate."""
        norm = torch.linalg.vector_norm(self.gradient)
        finite = norm.isfinite()
        factor = (self.clip / (norm + 1e-6)).clamp(max=1.0)
        torch.where(finite, self.gradient * factor, self.gradient.new_zeros(()), out=self.gradient)
        self.skipped += ~finite
        self.updates += 1
        for shape, at in self.shapes.items():
            gradient = torch.stack([self.views[i] for i in at])
            momentum = self.momentum[shape]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            update = orthogonal(gradient.lerp(momentum, MOMENTUM))
            update = update.float() * finite  # a gradient of zeros would still go where the momentum points
            rate = lr * 0.2 * math.sqrt(max(shape))
            torch._foreach_add_([self.parameters[i] for i in at], list(update.unbind(0)), alpha=-rate)
        gradients = [self.views[i] for i in self.others]
        torch._foreach_lerp_(self.first, gradients, 1 - BETAS[0])
        torch._foreach_mul_(self.second, BETAS[1])
        torch._foreach_addcmul_(self.second, gradients, gradients, 1 - BETAS[1])
        scale = torch._foreach_sqrt(self.second)
        torch._foreach_div_(scale, math.sqrt(1 - BETAS[1] ** self.updates))
        torch._foreach_add_(scale, EPS)
        rate = -lr / (1 - BETAS[0] ** self.updates)
        torch._foreach_addcdiv_([self.parameters[i] for i in self.others], self.first, scale, rate)

    def state(self) -> dict[str, torch.Tensor]:
        """Name of a parameter to what is remembered of it: ``NAME.momentum``, ``NAME.first``, ``NAME.second``."""
        state = {}
        for shape, at in self.shapes.items():
            for i, momentum in zip(at, self.momentum[shape], strict=True):
                state[f"{self.names[i]}.momentum"] = momentum
        for i, first, second in zip(self.others, self.first, self.second, strict=True):
            state[f"{self.names[i]}.first"], state[f"{self.names[i]}.second"] = first, second
        return state

    @torch.no_grad()
    def load(self, state: dict[str, torch.Tensor], updates: int) -> None:
        """Restore what :meth:`state` returned."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
        self.updates = updates


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """bfloat16 ``[M, rows, columns]``: the singular values of each brought near one (Newton and Schulz's iteration)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16()
    x = x.mT if tall else x
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
