"""How well a network separates sets of fixed mixtures."""

import numpy as np
import torch

from .stepping import best_losses

BATCH = 64


@torch.no_grad()
def improvements(model, fixed: dict, device: torch.device | str) -> dict[str, float]:
    """Mean SI-SDR improvement in dB, by ``NAME/KIND`` and ``NAME/all``.

    Args:
        fixed: name to (mixture ``[M, T]``, sources ``[M, 2, T]``, kinds), int16 arrays.
    """
    scores = {}
    for name, (mixture, sources, kinds) in fixed.items():
        gains = []
        for at in range(0, len(mixture), BATCH):
            mixed = torch.from_numpy(mixture[at : at + BATCH]).to(device).float() / 32768
            target = (
                torch.from_numpy(np.ascontiguousarray(sources[at : at + BATCH])).to(device).float() / 32768
            )
            before = best_losses(mixed.unsqueeze(1).expand_as(target), target)
            gains.append(before - best_losses(model(mixed), target))
        gains = torch.cat(gains).cpu().numpy()
        kinds = np.array(kinds)
        for kind in sorted(set(kinds.tolist())):
            scores[f"{name}/{kind}"] = float(gains[kinds == kind].mean())
        scores[f"{name}/all"] = float(gains.mean())
    return scores
