"""A network on bundled mixtures, whose sources are known: its result on a user's mixture is compared with that.

Notebook: 06_failures_at_inference
"""

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from ..datasets.mixing import FixedMixtures
from ..loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from ..model import DPRNNTasNet
from .remix_consistency import RemixConsistency, remix_consistency

__all__ = ["CONTROL_MIXTURES", "PIECE_SECONDS", "Control", "known_of"]

PIECE_SECONDS = 3.0  # of the excerpts on which a model is judged
CONTROL_MIXTURES = 3


class Control:
    """The model on bundled mixtures of a man and a woman, whose sources are known.

    Args:
        model: mixtures ``[B, T]`` to estimates ``[B, S, T]``.
        known: results of the same model from an earlier diagnosis; what is computed here is added.
    """

    def __init__(self, model: Callable[[torch.Tensor], torch.Tensor], known: dict[str, Any]):
        mixtures = FixedMixtures("valid", kind="man-woman", limit=CONTROL_MIXTURES)
        half = int(PIECE_SECONDS * 4000)
        pairs = [(m[8000:][: 2 * half], s[:, 8000:][:, : 2 * half]) for m, s, _ in mixtures]
        self.model, self.known = model, known
        self.mixtures, self.sources = (torch.stack(part) for part in zip(*pairs, strict=True))
        if "remix" not in known:
            known["remix"] = remix_consistency(model, self.mixtures)
        self.remix: RemixConsistency = known["remix"]

    @property
    def improvement(self) -> float:
        """SI-SDRi, dB."""
        if "improvement" not in self.known:
            pit = PITLossWrapper(pairwise_neg_sisdr)
            with torch.no_grad():
                after = -pit(self.model(self.mixtures), self.sources)
            before = si_sdr(self.mixtures.unsqueeze(1), self.sources).mean()
            self.known["improvement"] = float(after - before)
        return self.known["improvement"]


# Results of the networks diagnosed last, by fingerprint: a class, a bench or the fault lab asks of one network often.
_KNOWN: dict[str, dict[str, Any]] = {}
_KNOWN_NETWORKS = 8


def known_of(network: nn.Module) -> dict[str, Any]:
    """The results kept for a network that computes the same; an empty dictionary for a new one."""
    name = _fingerprint(network)
    if name is None:
        return {}
    known = _KNOWN.pop(name, {})
    _KNOWN[name] = known  # the newest is the last
    while len(_KNOWN) > _KNOWN_NETWORKS:
        _KNOWN.pop(next(iter(_KNOWN)))
    return known


def _fingerprint(network: nn.Module) -> str | None:
    """Equal for networks of this package that compute the same; None for one that this can't be said of."""
    if type(network) is not DPRNNTasNet or parametrize.is_parametrized(network):
        return None
    digest = hashlib.sha256()
    for name, part in network.named_modules():
        hooked = part._forward_hooks or part._forward_pre_hooks
        own = {k: v for k, v in vars(part).items() if not k.startswith("_")}
        if hooked or any(callable(v) for v in own.values()):
            return None  # it may compute anything
        digest.update(repr((name, type(part), sorted((k, repr(v)) for k, v in own.items()))).encode())
    digest.update(repr(sorted(network.config.items())).encode())
    for name, tensor in network.state_dict().items():
        if tensor.is_meta:
            return None
        digest.update(name.encode() + repr((tensor.dtype, tensor.shape, tensor.device)).encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
