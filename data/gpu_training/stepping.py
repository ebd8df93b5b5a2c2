"""One step: network, loss, optimiser, moving average; no number is asked of the device."""

import copy
from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint

from dprnn_lab import DPRNNTasNet
from dprnn_lab.loss import pairwise_neg_sisdr
from dprnn_lab.model.growing import deepen, refine, widen

from .graphs import GraphedCalls
from .norm import use_line_norms
from .optimizing import BatchedMuonAdam

PRECISIONS = ("bf16", "tf32", "float32")


def grow(model: DPRNNTasNet, stride: int | None, hidden: int | None, blocks: int | None) -> DPRNNTasNet:
    """A larger network from a trained one; what the model has already is left as it is."""
    if stride not in (None, model.config["stride"]):
        model = refine(model, stride)
    if hidden not in (None, model.config["hid_size"]):
        model = widen(model, hidden)
    if blocks not in (None, model.config["n_repeats"]):
        model = deepen(model, blocks)
    return model


def best_losses(estimates: torch.Tensor, sources: torch.Tensor, most_db: float | None = None) -> torch.Tensor:
    """Negative SI-SDR ``[B]`` of ``[B, 2, T]`` under the better order; no more than ``most_db`` dB is rewarded."""
    losses = pairwise_neg_sisdr(estimates.float(), sources)
    if most_db is not None:
        losses = losses.clamp(min=-most_db)
    straight, crossed = losses[:, 0, 0] + losses[:, 1, 1], losses[:, 0, 1] + losses[:, 1, 0]
    return torch.minimum(straight, crossed) / 2


class Trainer:
    """The network that is trained, its moving average, and what a step does to them.

    Args:
        precision: "bf16" (autocast), "tf32" (float32 with short factors in products) or "float32".
        decay: of the moving average, whose memory grows with the run up to that.
        most_db: SI-SDR over which a mixture teaches nothing more; None for no such limit.
        line_norms: global layer norms in fewer passes (:mod:`.norm`).
        checkpoint_blocks: compute each block once more on the way back, and keep less.
        compiled: ``torch.compile`` for the network; the first step of each length waits for it.
        graphs: forward and backward pass as one CUDA graph (:mod:`.graphs`).
    """

    def __init__(
        self,
        model: DPRNNTasNet,
        device: torch.device | str,
        precision: str = "bf16",
        decay: float = 0.999,
        clip: float = 5.0,
        most_db: float | None = 30.0,
        line_norms: bool = True,
        checkpoint_blocks: bool = False,
        compiled: bool = False,
        graphs: bool = False,
    ):
        self.device, self.precision, self.decay, self.most_db = (
            torch.device(device),
            precision,
            decay,
            most_db,
        )
        if self.device.type == "cuda":
            short = precision != "float32"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = short
        self.model = model.to(self.device).train()
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        for network in (self.model, self.average):
            for module in network.modules():
                if isinstance(module, torch.nn.RNNBase):
                    module.flatten_parameters()
        self.optimizer = BatchedMuonAdam(self.model, clip)
        self.steps = 0
        self.loss = torch.zeros((), device=self.device)  # sum since it was last asked for
        self.since = 0
        use_line_norms(self.model, line_norms)
        if checkpoint_blocks:
            for block in self.model.separator.blocks:
                block.forward = _computed_twice(block.forward)
        if compiled:
            self.model.compile()
        self.gradients = GraphedCalls(self._gradients) if graphs else self._gradients
        self.share: Callable[[torch.Tensor], None] | None = (
            None  # called with the whole gradient of each step
        )

    def step(self, mixture: torch.Tensor, sources: torch.Tensor, lr: float) -> None:
        """Learn from ``[B, T]`` and ``[B, 2, T]``."""
        loss = self.gradients(mixture, sources)
        if self.share is not None:
            self.share(self.optimizer.gradient)
        self.optimizer.step(lr)
        self.loss += loss.nan_to_num(0.0)
        self.since += 1
        self.steps += 1
        with torch.no_grad():
            share = max(1 - self.decay, 9 / (10 + self.steps))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), share)
            for kept, now in zip(self.average.buffers(), self.model.buffers(), strict=True):
                kept.copy_(now)

    def _gradients(self, mixture: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """The loss; its gradients are where the optimiser looks for them."""
        self.optimizer.zero_grad()
        # Without the cache of converted weights, which a graph would keep from its capture.
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.precision == "bf16", cache_enabled=False
        ):
            estimates = self.model(mixture)
        loss = best_losses(estimates, sources, self.most_db).mean()
        loss.backward()
        return loss.detach()

    def mean_loss(self) -> float:
        """Since it was last asked for; waits for the device."""
        mean = float(self.loss) / max(1, self.since)
        self.loss.zero_()
        self.since = 0
        return mean


def _computed_twice(forward):
    def again(chunks: torch.Tensor) -> torch.Tensor:
        return checkpoint(forward, chunks, use_reentrant=False)

    return again
