"""A training step: forward, PIT loss, backward, clipping, Adam; 4 mixtures of 2 s. And the PIT loss alone."""

import torch
from asteroid.losses import PITLossWrapper as AsteroidPIT
from asteroid.losses import pairwise_neg_sisdr as asteroid_pairwise
from models import SIZES, pair
from timing import Result, interleave

from dprnn_lab import PITLossWrapper, pairwise_neg_sisdr

BATCH = 4


def bench_steps(turns: int, clock: str, samples: int) -> list[Result]:
    """A row for each of two sizes."""
    torch.manual_seed(0)
    sources = 0.1 * torch.randn(BATCH, 2, samples)
    rows = []
    for size in ("small", "default"):
        theirs, ours = pair(SIZES[size])
        steps = {
            "Asteroid": make_step(theirs, AsteroidPIT(asteroid_pairwise), sources),
            "dprnn-lab": make_step(ours, PITLossWrapper(pairwise_neg_sisdr), sources),
        }
        first, second = (float(step()) for step in steps.values())
        if abs(first - second) > 1e-3:
            raise RuntimeError(f"the losses of the first step are {first} and {second}")
        case = f"{size}, {BATCH} x {samples / 8000:g} s"
        few = max(2, turns // {"small": 3, "default": 6}[size])
        rows.append(interleave("training step", case, steps, few, clock))
    return rows


def make_step(model: torch.nn.Module, loss: torch.nn.Module, sources: torch.Tensor):
    """One step on the same mixtures, again and again."""
    optimizer = torch.optim.Adam(model.train().parameters(), lr=1e-3)
    mixture = sources.sum(1)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(model(mixture), sources)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return value.detach()

    return step


def bench_pit(turns: int, clock: str, samples: int) -> list[Result]:
    """Loss and gradient for 2, 3, 5 and 8 sources."""
    rows = []
    for n_src in (2, 3, 5, 8):
        torch.manual_seed(0)
        estimates = torch.randn(BATCH, n_src, samples, requires_grad=True)
        targets = torch.randn(BATCH, n_src, samples)
        theirs, ours = AsteroidPIT(asteroid_pairwise), PITLossWrapper(pairwise_neg_sisdr)
        torch.testing.assert_close(ours(estimates, targets), theirs(estimates, targets))
        case = f"{n_src} sources, {BATCH} x {samples / 8000:g} s, with gradient"
        contestants = {
            "Asteroid": lambda e=estimates, t=targets, f=theirs: f(e, t).backward(),
            "dprnn-lab": lambda e=estimates, t=targets, f=ours: f(e, t).backward(),
        }
        rows.append(interleave("PIT loss", case, contestants, 3 * turns, clock))
    return rows
