"""Group E on purpose: losses without correct permutation invariance, and models that do not run as trained.

Notebook: 07_failures_in_training
"""

import itertools
import random

import torch
from torch import nn

from ..diagnosis.checks.config import rebuild
from ..loss import (
    PITLossWrapper,
    multisrc_mse,
    multisrc_neg_sisdr,
    multisrc_neg_snr,
    pairwise_mse,
    pairwise_neg_sisdr,
    singlesrc_neg_sisdr,
)
from ..model import DPRNNTasNet
from .case import Case

__all__ = ["FAULTS"]


def fixed_order(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """Estimate 0 against source 0, estimate 1 against source 1."""
    return multisrc_neg_sisdr(estimates, sources).mean()


def first_only(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """One source after the other, in order, by a loop."""
    return sum(singlesrc_neg_sisdr(estimates[:, i], sources[:, i]).mean() for i in range(2)) / 2


def best_target(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The minimum over targets for each estimate: both may take the same target."""
    return pairwise_neg_sisdr(estimates, sources).min(-1).values.mean()


def best_estimate(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The minimum over estimates for each target: both may take the same estimate."""
    return pairwise_neg_sisdr(estimates, sources).min(1).values.mean()


def mean_first(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The batch averaged, then the minimum over permutations."""
    matrix = pairwise_neg_sisdr(estimates, sources).mean(0)
    return torch.minimum(matrix.diagonal().mean(), matrix.flip(0).diagonal().mean())


def lowest_of_all(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The lowest entry of the matrix, for each example."""
    return pairwise_neg_sisdr(estimates, sources).flatten(1).min(-1).values.mean()


def worst_order(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The maximum over the permutations."""
    matrix = pairwise_neg_sisdr(estimates, sources)
    orders = itertools.permutations(range(matrix.shape[1]))
    return torch.stack([matrix[:, range(len(o)), o].mean(-1) for o in orders]).amax(0).mean()


def transposed(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """Estimates read as [B, T, S]."""
    return pairwise_neg_sisdr(estimates.transpose(1, 2), sources).mean()


_pit = PITLossWrapper(pairwise_neg_sisdr)


def negated(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """A minus too many: the loss is SI-SDR."""
    return -_pit(estimates, sources)


def score_as_loss(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """A score, to be maximised, under PIT, which takes the minimum: the worst order of the worst direction."""
    return PITLossWrapper(lambda e, s: -pairwise_neg_sisdr(e, s))(estimates, sources)


def snr_as_loss(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """SNR in a fixed order, to be maximised."""
    return -multisrc_neg_snr(estimates, sources).mean()


def negative_error(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The mean squared error with a minus."""
    return -PITLossWrapper(pairwise_mse)(estimates, sources)


def one_minus_error(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """Distance turned into likeness, and minimised."""
    return torch.exp(-10 * PITLossWrapper(pairwise_mse)(estimates, sources))


def detached(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The estimates detached, as for a metric."""
    return _pit(estimates.detach(), sources)


def detached_with_zero(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """A detached loss that backward() accepts: zero times the estimates was added."""
    return _pit(estimates.detach(), sources) + 0 * estimates.sum()


def through_numpy(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """Computed in NumPy on the way."""
    error = (estimates.detach().cpu().numpy() - sources.cpu().numpy()) ** 2
    return torch.tensor(error.mean(), requires_grad=True)


def one_output_detached(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The second output takes part in the value, but not in the gradient."""
    return _pit(torch.cat((estimates[:, :1], estimates[:, 1:].detach()), 1), sources)


def of_the_sources(estimates: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """The sources compared with themselves."""
    return _pit(sources, sources)


def _loss(function):
    def fault(case: Case, rng: random.Random) -> Case:
        return case.change(loss=function)

    fault.__doc__ = function.__doc__
    return fault


def _fixed(form):
    return lambda estimates, sources: form(estimates, sources).mean()


@torch.no_grad()
def dead(case: Case, rng: random.Random) -> Case:
    """A model with one silent output: its features are zero, and ReLU masks keep them zero."""
    model = rebuild(case.model, mask_act="relu")
    width = model.config["bn_chan"]
    first = rng.randrange(2) * width
    # The features of this source vanish; only the biases of the gated output remain.
    model.separator.source_split.weight[first : first + width] *= 1e-7
    model.separator.source_split.bias[first : first + width] = 0
    model.separator.output_tanh.bias.zero_()
    return case.change(model=model, checkpoint=None).with_own_estimates()


class _Dropped(nn.Module):
    """A user's own encoder activation, with dropout."""

    def __init__(self, share: float):
        super().__init__()
        self.dropout = nn.Dropout(share)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(x)


def dropout(case: Case, rng: random.Random, strength: float) -> Case:
    """Dropout after the encoder, and ``model.eval()`` forgotten."""
    model = rebuild(case.model)
    model.encoder_act = _Dropped(0.05 + 0.4 * strength)
    return case.change(model=model.train(), checkpoint=None)


def dropout_in_rnn(case: Case, rng: random.Random, strength: float) -> Case:
    """Dropout on the features before the mask, and ``model.eval()`` forgotten."""
    model = rebuild(case.model)
    model.separator.source_act = nn.Sequential(model.separator.source_act, nn.Dropout(0.05 + 0.4 * strength))
    return case.change(model=model.train(), checkpoint=None)


def batch_norm(case: Case, rng: random.Random) -> Case:
    """Batch norm after the encoder, and ``model.eval()`` forgotten: the result depends on the batch."""
    model = rebuild(case.model)
    model.encoder_act = nn.Sequential(nn.BatchNorm1d(model.config["n_filters"], affine=False))
    return case.change(model=model.train(), checkpoint=None)


def _chunk(size: int):
    def fault(case: Case, rng: random.Random) -> Case:
        """A configuration that is about to be trained."""
        config = dict(case.model.config) if isinstance(case.model, DPRNNTasNet) else dict(case.config)
        config |= {"chunk_size": size, "hop_size": None}
        return case.change(model=None, checkpoint=None, config=config, estimates=None)

    return fault


FAULTS = {
    "sign-of-loss": {
        "negated": _loss(negated),
        "score-under-pit": _loss(score_as_loss),
        "snr": _loss(snr_as_loss),
        "negative-error": _loss(negative_error),
        "likeness": _loss(one_minus_error),
    },
    "detached-loss": {
        "detached": _loss(detached),
        "zero-added": _loss(detached_with_zero),
        "numpy": _loss(through_numpy),
        "one-output": _loss(one_output_detached),
        "sources-twice": _loss(of_the_sources),
    },
    "no-pit": {
        "fixed-order": _loss(fixed_order),
        "loop": _loss(first_only),
        "mse": _loss(_fixed(multisrc_mse)),
        "snr": _loss(_fixed(multisrc_neg_snr)),
    },
    "pit-wrong-axis": {
        "worst-order": _loss(worst_order),
        "best-target": _loss(best_target),
        "best-estimate": _loss(best_estimate),
        "mean-first": _loss(mean_first),
        "lowest-of-all": _loss(lowest_of_all),
        "transposed": _loss(transposed),
    },
    "eval-mode": {"dropout": dropout, "dropout-in-separator": dropout_in_rnn, "batch-norm": batch_norm},
    "chunk-size": {"4000": _chunk(4000), "2": _chunk(2), "2000": _chunk(2000), "1": _chunk(1)},
    "dead-output": {"zero-features": dead},
}
