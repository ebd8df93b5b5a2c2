"""The class's small network, and the parts of a training that the scripts which compare trainings have in common.

Notebook: 05_training
"""

from collections.abc import Callable, Iterable, Sequence

import torch

from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from dprnn_lab.model import DPRNNTasNet
from dprnn_lab.model.precision import computing_in

PIT = PITLossWrapper(pairwise_neg_sisdr)
SMALL = {"kernel_size": 64, "stride": 32, "chunk_size": 32, "n_repeats": 2, "bn_chan": 32, "hid_size": 64}
LARGEST_NORM = 5.0  # of the gradients


def use_one_core() -> None:
    """Compute on one core, with denormal numbers as zeros: the processor time is then that of the work."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def stacked(drawn: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixtures ``[B, T]`` and their sources ``[B, S, T]``."""
    mixture, sources = (torch.stack(part) for part in zip(*drawn, strict=True))
    return mixture, sources


def batch(items: Sequence, step: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The mixtures and sources of a step, counted from 0: no item comes twice."""
    return stacked(items[step * size + i] for i in range(size))


def learn(
    network: DPRNNTasNet,
    optimizer: torch.optim.Optimizer,
    lr: float,
    mixture: torch.Tensor,
    sources: torch.Tensor,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = PIT,
    precision: str = "float32",
) -> tuple[float, float]:
    """One step at the rate ``lr``: the loss (dB) before it, and the norm of its gradients before they are clipped."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    with computing_in(precision):
        estimates = network(mixture)
    value = loss(estimates.float(), sources)
    value.backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_NORM)
    optimizer.step()
    return value.item(), float(norm)


def learn_for(
    steps: int,
    network: DPRNNTasNet,
    optimizer: torch.optim.Optimizer,
    items: Sequence,
    lr: float,
    size: int = 4,
    warmup: int = 50,
    precision: str = "float32",
) -> float:
    """Steps of ``size`` items at a rate that rises for ``warmup`` steps, and falls to zero in a straight line.

    Returns:
        the mean training loss (dB) of the last tenth.
    """
    losses = []
    for step in range(steps):
        rate = lr * min((step + 1) / warmup, 1 - step / steps)
        losses.append(learn(network, optimizer, rate, *batch(items, step, size), precision=precision)[0])
    last = losses[-max(1, steps // 10) :]
    return sum(last) / len(last)


def validation_mixtures(limit: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The validation mixtures ``[B, T]`` of a man and a woman, the first ``limit`` of them, and their sources."""
    return stacked(
        (mixture, sources) for mixture, sources, _ in FixedMixtures("valid", kind="man-woman", limit=limit)
    )


def validate(network: DPRNNTasNet, mixtures: torch.Tensor, sources: torch.Tensor) -> tuple[float, float]:
    """Loss and SI-SDRi (dB), means over the mixtures. The network is in evaluation mode afterwards."""
    with torch.no_grad():
        losses, _ = PIT.best_permutation(network.eval()(mixtures), sources)
    before = si_sdr(mixtures.unsqueeze(1), sources).mean()
    return float(losses.mean()), float(-losses.mean() - before)
