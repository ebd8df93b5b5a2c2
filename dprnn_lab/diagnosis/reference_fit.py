"""How well references fit a mixture: what their sum leaves of it, part by part, and where each lies.

Notebook: 06_failures_at_inference
"""

import torch
from torch.nn import functional

from ..separation.in_memory import scale_to_mixture

__all__ = ["foreign_share", "moved", "moved_back", "rest_db", "same_voice", "what_is_left_db"]

WINDOW_SECONDS = 0.5
HEARD = 0.1  # power of the references' sum in a window over that of the mixture, for the window to count
FITS, FOREIGN = 0.5, 0.2  # correlation of their sum with the mixture in a window: of this one, of another one
FEWEST = 0.25  # share of the windows that must fit, for the others to be called foreign


def what_is_left_db(mixture: torch.Tensor, total: torch.Tensor) -> float:
    """Power (dB, of the mixture's) of a mixture ``[T]`` without a sum of voices ``[T]``."""
    rest = (mixture - total).square().sum() / mixture.square().sum().clamp(min=1e-20)
    return float(10 * torch.log10(rest + 1e-12))


def rest_db(references: torch.Tensor, mixture: torch.Tensor) -> float:
    """Power (dB, of the mixture's) that references ``[S, T]``, at the best gains, leave of a mixture ``[T]``."""
    length = min(references.shape[-1], len(mixture))
    mixture = mixture[:length]
    return what_is_left_db(mixture, scale_to_mixture(references[:, :length], mixture).sum(0))


def moved(signal: torch.Tensor, lag: int) -> torch.Tensor:
    """``[..., T]`` later by ``lag`` samples, earlier for a negative one; what enters is silent."""
    pad = functional.pad(signal, (max(lag, 0), max(-lag, 0)))
    return pad[..., : signal.shape[-1]] if lag >= 0 else pad[..., -lag:]


def moved_back(references: torch.Tensor, lags: list[int]) -> torch.Tensor:
    """References ``[S, T]``, each earlier by its lag in samples."""
    return torch.stack([moved(x, -lag) for x, lag in zip(references, lags, strict=True)])


def same_voice(references: torch.Tensor) -> tuple[float, int, int]:
    """The largest absolute correlation between two of the references ``[S, T]``, and which two; 0 for a single one."""
    table = torch.corrcoef(references).nan_to_num().abs() if len(references) > 1 else torch.zeros(1, 1)
    table = table.triu(1)
    at = int(table.argmax())
    return float(table.max()), at // len(table), at % len(table)


def foreign_share(references: torch.Tensor, mixture: torch.Tensor, rate: float) -> tuple[float, float | None]:
    """Share of the windows in which the references have sound that is not in the mixture, and when the first begins.

    Only where at least a quarter of the windows fit: ``(0.0, None)`` otherwise. The time is in seconds.
    """
    length, window = min(references.shape[-1], len(mixture)), int(WINDOW_SECONDS * rate)
    if length < 4 * window:
        return 0.0, None
    mixture = mixture[:length]
    total = scale_to_mixture(references[:, :length], mixture).sum(0)
    a, b = (x.unfold(0, window, window) for x in (total, mixture))
    power = a.square().sum(1), b.square().sum(1)
    counted = (power[0] > HEARD * power[1]) & (power[1] > HEARD * power[1].mean())
    fit = (a * b).sum(1).abs() / (power[0] * power[1]).sqrt().clamp(min=1e-12)
    number = int(counted.sum())
    if not number or int((counted & (fit > FITS)).sum()) < FEWEST * number:
        return 0.0, None
    foreign = counted & (fit < FOREIGN)
    first = foreign.nonzero().flatten()
    return float(foreign.sum()) / number, float(first[0]) * WINDOW_SECONDS if len(first) else None
