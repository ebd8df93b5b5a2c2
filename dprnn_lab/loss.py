"""Separation losses and permutation-invariant training (PIT).

The losses come in three forms, named as in Asteroid. For estimates and targets of shape

* ``[B, S, T]``, ``pairwise_neg_sisdr`` gives ``[B, S, S]``: entry ``[b, i, j]`` is the loss of estimate i
  measured against target j;
* ``[B, T]``, ``singlesrc_neg_sisdr`` gives ``[B]``;
* ``[B, S, T]``, ``multisrc_neg_sisdr`` gives ``[B]``: the mean over sources in the order given.

SI-SDR, SD-SDR and SNR follow Le Roux et al., "SDR - half-baked or well done?" (arXiv 1811.02508). All are in
dB, and the losses are their negatives: lower is better. Targets and estimates have their means removed. The mean
squared errors have the same three forms, with any number of axes in place of T.

Silence: with EPS = 1e-8 inside the ratio and the logarithm, a zero estimate or a zero target scores exactly
-80 dB (a loss of +80), and every gradient is finite. The loss of an example is the mean over its sources: one silent
target of two, beside one at -10 dB, makes it +35. The SNR of a zero estimate is 0 dB: its error is the target.

Notebook: 03_loss_and_pit
"""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .loss_checks import check_function, check_matrix, check_order, check_pair, check_signals

__all__ = [
    "si_sdr", "sd_sdr", "snr",
    "pairwise_neg_sisdr", "pairwise_neg_sdsdr", "pairwise_neg_snr", "pairwise_mse",
    "singlesrc_neg_sisdr", "singlesrc_neg_sdsdr", "singlesrc_neg_snr", "singlesrc_mse",
    "multisrc_neg_sisdr", "multisrc_neg_sdsdr", "multisrc_neg_snr", "multisrc_mse",
    "PITLossWrapper", "reorder",
]  # fmt: skip

Loss = Callable[..., torch.Tensor]
Best = tuple[torch.Tensor, torch.Tensor]  # the loss of the best permutation, and that permutation

EPS = 1e-8
_HUNGARIAN_ABOVE = 3  # sources; the 3! = 6 permutations are evaluated faster than scipy's solver is called


def _ratio_db(estimate: torch.Tensor, target: torch.Tensor, kind: str) -> torch.Tensor:
    """SDR of one kind ("si_sdr", "sd_sdr" or "snr") along the last axis, in dB; the leading axes broadcast."""
    estimate = estimate - estimate.mean(-1, keepdim=True)
    target = target - target.mean(-1, keepdim=True)
    if kind == "snr":
        reference = target
    else:
        # The target scaled to lie closest to the estimate: the projection <e, t> t / <t, t>.
        scale = (estimate * target).sum(-1, keepdim=True)
        reference = scale * target / (target.square().sum(-1, keepdim=True) + EPS)
    # SI-SDR measures the error from the scaled target; SD-SDR and SNR from the target as it is.
    error = estimate - (reference if kind == "si_sdr" else target)
    return _db(reference.square().sum(-1), error.square().sum(-1))


def _pairwise_ratio_db(estimates: torch.Tensor, targets: torch.Tensor, kind: str) -> torch.Tensor:
    """The same for every estimate against every target: two ``[B, S, T]`` to ``[B, S, S]``.

    Computed from inner products, one matrix product for all pairs, without a waveform per pair. The error's energy
    is then a small difference of large numbers, hence float64 (float32 on Apple's GPUs, which have no float64).
    """
    precise = torch.float32 if estimates.device.type == "mps" else torch.float64
    given = torch.result_type(estimates, targets)
    estimates = (estimates - estimates.mean(-1, keepdim=True)).to(precise)
    targets = (targets - targets.mean(-1, keepdim=True)).to(precise)
    e_e = torch.linalg.vector_norm(estimates, dim=-1).square().unsqueeze(2)
    t_t = torch.linalg.vector_norm(targets, dim=-1).square().unsqueeze(1)
    e_t = estimates @ targets.mT
    scale = torch.ones_like(e_t) if kind == "snr" else e_t / (t_t + EPS)
    subtracted = scale if kind == "si_sdr" else 1
    error = e_e - 2 * subtracted * e_t + subtracted**2 * t_t  # |e - a t|^2
    return _db(scale.square() * t_t, error.clamp(min=0)).to(given)


def _db(signal: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Ratio of two energies in dB, finite at silence."""
    return 10 * torch.log10(signal / (noise + EPS) + EPS)


def si_sdr(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Scale-invariant signal-to-distortion ratio in dB along the last axis (higher is better).

    Shape:
        - estimate, target: ``[..., T]``, broadcast against each other
        - output: ``[...]``

    >>> tone = torch.sin(torch.arange(800) * 0.1)
    >>> si_sdr(0.5 * tone, tone) > 60
    tensor(True)
    >>> float(si_sdr(torch.zeros(800), tone))
    -80.0
    """
    check_signals(estimate, target, "si_sdr")
    return _ratio_db(estimate, target, "si_sdr")


def sd_sdr(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Scale-dependent SDR in dB: as :func:`si_sdr`, but a wrong level counts as distortion."""
    check_signals(estimate, target, "sd_sdr")
    return _ratio_db(estimate, target, "sd_sdr")


def snr(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Signal-to-noise ratio in dB, the noise is ``estimate - target``."""
    check_signals(estimate, target, "snr")
    return _ratio_db(estimate, target, "snr")


def _mse(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (estimate - target).square().mean(-1)


def _make_losses(
    name: str, loss: Loss, pairwise_loss: Loss, symbol: str, more: bool = False
) -> tuple[Loss, Loss, Loss]:
    """The pairwise, single-source and multi-source form of ``loss(estimate, target) -> [...]``.

    With ``more``, any number of axes may follow in the place of T; they are flattened to one.
    """

    def pairwise(estimates: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        check_pair(estimates, targets, 3, f"pairwise_{name}", more)
        return pairwise_loss(estimates.flatten(2), targets.flatten(2))

    def singlesrc(estimates: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        check_pair(estimates, targets, 2, f"singlesrc_{name}", more)
        return loss(estimates.flatten(1), targets.flatten(1))

    def multisrc(estimates: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        check_pair(estimates, targets, 3, f"multisrc_{name}", more)
        return loss(estimates.flatten(2), targets.flatten(2)).mean(-1)

    t = "..." if more else "T"
    pairwise.__doc__ = (
        f"{symbol} of every estimate against every target: two ``[B, S, {t}]`` to ``[B, S, S]``."
    )
    singlesrc.__doc__ = f"{symbol} of one source: two ``[B, {t}]`` to ``[B]``."
    multisrc.__doc__ = f"Mean {symbol} over sources in the order given: two ``[B, S, {t}]`` to ``[B]``."
    for form, function in zip(
        ("pairwise", "singlesrc", "multisrc"), (pairwise, singlesrc, multisrc), strict=True
    ):
        function.__name__ = function.__qualname__ = f"{form}_{name}"
    return pairwise, singlesrc, multisrc


def _make_neg_ratios(kind: str, symbol: str) -> tuple[Loss, Loss, Loss]:
    return _make_losses(
        f"neg_{kind.replace('_', '')}",
        lambda e, t: -_ratio_db(e, t, kind),
        lambda e, t: -_pairwise_ratio_db(e, t, kind),
        f"Negative {symbol} in dB",
    )


pairwise_neg_sisdr, singlesrc_neg_sisdr, multisrc_neg_sisdr = _make_neg_ratios("si_sdr", "SI-SDR")
pairwise_neg_sdsdr, singlesrc_neg_sdsdr, multisrc_neg_sdsdr = _make_neg_ratios("sd_sdr", "SD-SDR")
pairwise_neg_snr, singlesrc_neg_snr, multisrc_neg_snr = _make_neg_ratios("snr", "SNR")
pairwise_mse, singlesrc_mse, multisrc_mse = _make_losses(
    "mse", _mse, lambda e, t: _mse(e.unsqueeze(2), t.unsqueeze(1)), "Mean squared error", more=True
)


class PITLossWrapper(nn.Module):
    """Permutation-invariant loss: each example is scored under the permutation of sources with the lowest loss.

    The minimum is taken *per example*, before the mean over the batch; the network may answer in any order.
    (Yu, Kolbaek, Tan and Jensen, arXiv 1607.00325; Kolbaek et al., arXiv 1703.06284.)

    Arguments, methods, shapes and results are those of ``asteroid.losses.PITLossWrapper``.

    Args:
        loss_func: the loss to minimise; its form depends on ``pit_from``.
        pit_from: where the losses of the permutations come from:

            - ``"pw_mtx"``: ``loss_func`` returns the pairwise matrix ``[B, S, S]``
            - ``"pw_pt"``: ``loss_func`` compares one estimate with one target, ``[B, T]`` to ``[B]``
            - ``"perm_avg"``: ``loss_func`` takes ``[B, S, T]`` and returns ``[B]`` for that order

        perm_reduce: how the S losses of one permutation become one number: a function from
            ``[B, S!, S]`` to ``[B, S!]`` (the mean when None). Not with ``"perm_avg"``.

    Above three sources the best permutation of a pairwise matrix is found with the Hungarian algorithm
    (scipy), unless ``perm_reduce`` is given.

    Raises:
        ValueError: unknown ``pit_from``, shapes that do not fit, or a ``loss_func`` whose result does not
            have the shape that ``pit_from`` asks for.
        TypeError: no tensors, or a ``loss_func`` that can't be called.

    >>> targets = torch.randn(4, 2, 800)
    >>> loss = PITLossWrapper(pairwise_neg_sisdr)
    >>> value, ordered = loss(targets.flip(1), targets, return_est=True)
    >>> torch.equal(ordered, targets)
    True
    """

    def __init__(self, loss_func: Loss, pit_from: str = "pw_mtx", perm_reduce: Loss | None = None):
        super().__init__()
        if pit_from not in ("pw_mtx", "pw_pt", "perm_avg"):
            raise ValueError(f"pit_from is {pit_from!r}: choose 'pw_mtx', 'pw_pt' or 'perm_avg'")
        if pit_from == "perm_avg" and perm_reduce is not None:
            raise ValueError("perm_reduce has no effect with pit_from='perm_avg': leave it out")
        check_function(loss_func, "loss_func")
        if perm_reduce is not None:
            check_function(perm_reduce, "perm_reduce")
        self.loss_func, self.pit_from, self.perm_reduce = loss_func, pit_from, perm_reduce

    def forward(
        self,
        est_targets: torch.Tensor,
        targets: torch.Tensor,
        return_est: bool = False,
        reduce_kwargs: dict | None = None,
        **kwargs: Any,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Mean over the batch of the best permutation's loss.

        Args:
            est_targets, targets: ``[B, S, T]``; more axes after S where ``loss_func`` takes them.
            return_est: also return the estimates in the order of the targets.
            reduce_kwargs: passed on to ``perm_reduce``.
            **kwargs: passed on to ``loss_func``.
        """
        losses, order = self.best_permutation(est_targets, targets, reduce_kwargs, **kwargs)
        loss = losses.mean()
        return (loss, reorder(est_targets, order)) if return_est else loss

    def best_permutation(
        self,
        est_targets: torch.Tensor,
        targets: torch.Tensor,
        reduce_kwargs: dict | None = None,
        **kwargs: Any,
    ) -> Best:
        """Loss per example ``[B]`` and order ``[B, S]``: target j is matched by estimate ``order[b, j]``."""
        check_pair(est_targets, targets, 3, "PITLossWrapper", more=True, floating=False)
        if self.pit_from == "perm_avg":
            return self.best_perm_from_perm_avg_loss(self.loss_func, est_targets, targets, **kwargs)
        if self.pit_from == "pw_mtx":
            matrix = self.loss_func(est_targets, targets, **kwargs)
        else:
            matrix = self.get_pw_losses(self.loss_func, est_targets, targets, **kwargs)
        expected = [len(targets), targets.shape[1], targets.shape[1]]
        if _shape(matrix) != expected:
            raise ValueError(
                f"the pairwise losses have shape {_shape(matrix)}, expected {expected}: "
                f"loss_func does not fit pit_from={self.pit_from!r}"
            )
        return self.find_best_perm(matrix, self.perm_reduce, **(reduce_kwargs or {}))

    @staticmethod
    def get_pw_losses(
        loss_func: Loss, est_targets: torch.Tensor, targets: torch.Tensor, **kwargs: Any
    ) -> torch.Tensor:
        """Pairwise losses ``[B, S, S]`` from a loss of one source (``[B, T]`` to ``[B]``), pair by pair."""
        check_pair(est_targets, targets, 3, "get_pw_losses", more=True, floating=False)
        sources = range(targets.shape[1])
        rows = [[loss_func(est_targets[:, i], targets[:, j], **kwargs) for j in sources] for i in sources]
        if _shape(rows[0][0]) != [len(targets)]:
            raise ValueError(
                f"loss_func returned shape {_shape(rows[0][0])} for one pair, expected [{len(targets)}]: "
                "pit_from='pw_pt' needs one loss per example"
            )
        return torch.stack([torch.stack(row, -1) for row in rows], dim=1)

    @staticmethod
    def best_perm_from_perm_avg_loss(
        loss_func: Loss, est_targets: torch.Tensor, targets: torch.Tensor, **kwargs: Any
    ) -> Best:
        """Loss ``[B]`` and order ``[B, S]`` from a loss of all sources in a given order (``[B, S, T]`` to ``[B]``)."""
        check_pair(est_targets, targets, 3, "best_perm_from_perm_avg_loss", more=True, floating=False)
        batch, n_src = targets.shape[:2]
        orders = _permutations(n_src, targets.device)
        losses = [loss_func(est_targets[:, order], targets, **kwargs) for order in orders]
        if _shape(losses[0]) != [batch]:
            raise ValueError(
                f"loss_func returned shape {_shape(losses[0])} for one order, expected [{batch}]: "
                "pit_from='perm_avg' needs one loss per example, averaged over sources only"
            )
        best, index = torch.stack(losses, dim=1).min(dim=1)
        return best, orders[index]

    @staticmethod
    def find_best_perm(
        pair_wise_losses: torch.Tensor, perm_reduce: Loss | None = None, **kwargs: Any
    ) -> Best:
        """Loss ``[B]`` and order ``[B, S]`` of the best permutation, from pairwise losses ``[B, S, S]``.

        Every permutation is tried for up to three sources, or with ``perm_reduce`` (which gets ``**kwargs``);
        otherwise the Hungarian algorithm finds it.
        """
        if perm_reduce is not None or check_matrix(pair_wise_losses) <= _HUNGARIAN_ABOVE:
            return PITLossWrapper.find_best_perm_factorial(pair_wise_losses, perm_reduce, **kwargs)
        return PITLossWrapper.find_best_perm_hungarian(pair_wise_losses)

    @staticmethod
    def find_best_perm_factorial(
        pair_wise_losses: torch.Tensor, perm_reduce: Loss | None = None, **kwargs: Any
    ) -> Best:
        """As :meth:`find_best_perm`, by trying all S! permutations."""
        n_src = check_matrix(pair_wise_losses)
        orders = _permutations(n_src, pair_wise_losses.device)
        # losses[b, p, j]: target j against the estimate that permutation p gives it.
        losses = pair_wise_losses[:, orders, torch.arange(n_src, device=pair_wise_losses.device)]
        reduced = losses.mean(-1) if perm_reduce is None else perm_reduce(losses, **kwargs)
        if _shape(reduced) != list(losses.shape[:2]):
            raise ValueError(
                f"perm_reduce returned shape {_shape(reduced)}, expected {list(losses.shape[:2])}: "
                "it must reduce the last axis only"
            )
        best, index = reduced.min(dim=1)
        return best, orders[index]

    @staticmethod
    def find_best_perm_hungarian(pair_wise_losses: torch.Tensor) -> Best:
        """As :meth:`find_best_perm` for the mean over sources, by the Hungarian algorithm."""
        from scipy.optimize import linear_sum_assignment  # imported here: it takes 0.25 s

        check_matrix(pair_wise_losses)
        # NaN can't be ordered; as the worst value it leaves the other examples their result.
        costs = pair_wise_losses.detach().nan_to_num(nan=1e9, posinf=1e9, neginf=-1e9).cpu().numpy()
        # Rows of the transposed matrix are targets: the assignment names an estimate for each.
        orders = [linear_sum_assignment(c.T)[1].tolist() for c in costs]
        order = torch.tensor(orders, device=pair_wise_losses.device)
        return pair_wise_losses.gather(1, order.unsqueeze(1)).squeeze(1).mean(-1), order

    @staticmethod
    def reorder_source(source: torch.Tensor, batch_indices: torch.Tensor) -> torch.Tensor:
        """Sources ``[B, S, ...]`` in the order ``[B, S]``: place j gets source ``batch_indices[b, j]``."""
        return reorder(source, batch_indices)


def _shape(value: object) -> list[int] | None:
    """The shape of what a user's function returned, None if that is no tensor."""
    return list(value.shape) if isinstance(value, torch.Tensor) else None


def _permutations(n_src: int, device: torch.device) -> torch.Tensor:
    return torch.tensor(list(itertools.permutations(range(n_src))), device=device)


def reorder(estimates: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Put estimates ``[B, S, ...]`` in the order ``[B, S]`` that :meth:`PITLossWrapper.best_permutation` gave."""
    check_order(estimates, order)
    index = order.reshape(*order.shape, *[1] * (estimates.dim() - 2))
    return estimates.gather(1, index.expand_as(estimates))
