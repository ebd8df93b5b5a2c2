"""A preflight of the run that settings describe: the same model, data and optimiser as ``train_run`` makes.

Notebook: 05_training
"""

import torch

from ...training.data_sources import make_data
from ...training.module import freeze
from ...training.run import make_model
from ...training.settings import Settings
from .engine import check_budget, preflight
from .report import PreflightReport

__all__ = ["preflight_settings"]


def preflight_settings(settings: Settings, budget_s: float = 60.0) -> PreflightReport:
    """Preflight of :func:`dprnn_lab.training.train_run` with these settings; nothing is written.

    With several processes it looks at one of them. The rate is that after the warm-up.

    Raises:
        ValueError, TypeError, FileNotFoundError: settings that do not fit each other or the data.
    """
    check_budget(budget_s)  # before the data are opened
    if settings.accelerator not in ("cpu", "gpu"):
        raise ValueError(f"accelerator is {settings.accelerator!r}: choose cpu or gpu")
    if settings.accelerator == "gpu" and not torch.cuda.is_available():
        raise ValueError("accelerator is 'gpu', and PyTorch sees no GPU here: choose cpu")
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = make_model(settings)
    if settings.freeze:
        freeze(model, settings.freeze)
    data = make_data(settings, model.sample_rate)
    seconds = settings.seconds if isinstance(settings.seconds, float) else max(settings.seconds)
    return preflight(
        model.train().to("cuda" if settings.accelerator == "gpu" else "cpu"),
        data=data, optimizer=settings.optimizer, lr=settings.lr, seed=settings.seed, budget_s=budget_s,
        clip=settings.clip, batch_size=settings.batch, seconds=seconds, steps=settings.steps,
        minutes=settings.minutes, frozen=settings.freeze,
    )  # fmt: skip
