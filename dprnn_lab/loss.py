"""Separation losses and permutation-invariant training (PIT).

The losses come in three forms, named as in Asteroid. For estimates and targets of shape

* ``[B, S, T]``, ``pairwise_neg_sisdr`` gives ``[B, S, S]``: entry ``[b, i, j]`` is the loss of estimate i
  measured against target j;
* ``[B, T]``, ``singlesrc_neg_sisdr`` gives ``[B]``;
* ``[B, S, T]``, ``multisrc_neg_sisdr`` gives ``[B]``: the mean over sources in the order given.

SI-SDR, SD-SDR and SNR follow Le Roux et al., "SDR - half-baked or well done?" (arXiv 1811.02508). All are in
dB, and the losses are their negatives: lower is better. Targets and estimates have their means removed.

Silence: with EPS = 1e-8 inside the ratio and the logarithm, a zero estimate or a zero target scores exactly
-80 dB (a loss of +80), and every gradient is finite. The SNR of a zero estimate is 0 dB: its error is the target.

Notebook: 03_loss_and_pit
"""

import itertools
from collections.abc import Callable

import torch
from torch import nn

__all__ = [
    "si_sdr",
    "sd_sdr",
    "snr",
    "pairwise_neg_sisdr",
    "pairwise_neg_sdsdr",
    "pairwise_neg_snr",
    "pairwise_mse",
    "singlesrc_neg_sisdr",
    "singlesrc_neg_sdsdr",
    "singlesrc_neg_snr",
    "singlesrc_mse",
    "multisrc_neg_sisdr",
    "multisrc_neg_sdsdr",
    "multisrc_neg_snr",
    "multisrc_mse",
    "PITLossWrapper",
]

EPS = 1e-8
_HUNGARIAN_ABOVE = 3  # sources; 3! = 6 permutations are still cheaper to list than to hand to scipy


def _ratio_db(estimate: torch.Tensor, target: torch.Tensor, kind: str) -> torch.Tensor:
    """SDR of one kind along the last axis, in dB; the leading axes broadcast."""
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

    From inner products, which one matrix product gives for all pairs; no waveform is made for any pair. The
    error's energy is then a small difference of large numbers, hence float64 (which Apple's GPUs do not have).
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
    return _ratio_db(estimate, target, "si_sdr")


def sd_sdr(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Scale-dependent SDR in dB: as :func:`si_sdr`, but a wrong level counts as distortion."""
    return _ratio_db(estimate, target, "sd_sdr")


def snr(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Signal-to-noise ratio in dB, the noise being ``estimate - target``."""
    return _ratio_db(estimate, target, "snr")


def _mse(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (estimate - target).square().mean(-1)


def _check(estimates: torch.Tensor, targets: torch.Tensor, dims: int, name: str) -> None:
    if estimates.shape != targets.shape or estimates.dim() != dims:
        wanted = {2: "[batch, time]", 3: "[batch, source, time]"}[dims]
        raise ValueError(
            f"{name}: estimates have shape {list(estimates.shape)} and targets {list(targets.shape)}, "
            f"expected two equal shapes {wanted}"
        )


def _make_losses(
    name: str, loss: Callable, pairwise_loss: Callable, symbol: str
) -> tuple[Callable, Callable, Callable]:
    """The pairwise, single-source and multi-source form of ``loss(estimate, target) -> [...]``."""

    def pairwise(estimates: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        _check(estimates, targets, 3, f"pairwise_{name}")
        return pairwise_loss(estimates, targets)

    def singlesrc(estimates: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        _check(estimates, targets, 2, f"singlesrc_{name}")
        return loss(estimates, targets)

    def multisrc(estimates: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        _check(estimates, targets, 3, f"multisrc_{name}")
        return loss(estimates, targets).mean(-1)

    pairwise.__doc__ = f"{symbol} of every estimate against every target: two ``[B, S, T]`` to ``[B, S, S]``."
    singlesrc.__doc__ = f"{symbol} of one source: two ``[B, T]`` to ``[B]``."
    multisrc.__doc__ = f"Mean {symbol} over sources in the order given: two ``[B, S, T]`` to ``[B]``."
    for form, function in zip(
        ("pairwise", "singlesrc", "multisrc"), (pairwise, singlesrc, multisrc), strict=True
    ):
        function.__name__ = function.__qualname__ = f"{form}_{name}"
    return pairwise, singlesrc, multisrc


def _make_neg_ratios(kind: str, symbol: str) -> tuple[Callable, Callable, Callable]:
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
    "mse", _mse, lambda e, t: _mse(e.unsqueeze(2), t.unsqueeze(1)), "Mean squared error"
)


class PITLossWrapper(nn.Module):
    """Permutation-invariant loss: each example is scored under the order of sources that suits it best.

    The minimum is taken *per example*, before the mean over the batch; the network may answer in any order.
    (Yu, Kolbaek, Tan and Jensen, arXiv 1607.00325; Kolbaek et al., arXiv 1703.06284.)

    Args:
        loss_func: what to minimise; its form depends on ``pit_from``.
        pit_from: where the losses to choose from come from:

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

    >>> targets = torch.randn(4, 2, 800)
    >>> loss = PITLossWrapper(pairwise_neg_sisdr)
    >>> value, ordered = loss(targets.flip(1), targets, return_est=True)
    >>> torch.equal(ordered, targets)
    True
    """

    def __init__(
        self,
        loss_func: Callable,
        pit_from: str = "pw_mtx",
        perm_reduce: Callable | None = None,
    ):
        super().__init__()
        if pit_from not in ("pw_mtx", "pw_pt", "perm_avg"):
            raise ValueError(f"pit_from is {pit_from!r}: choose 'pw_mtx', 'pw_pt' or 'perm_avg'")
        if pit_from == "perm_avg" and perm_reduce is not None:
            raise ValueError("perm_reduce has no effect with pit_from='perm_avg': leave it out")
        self.loss_func, self.pit_from, self.perm_reduce = loss_func, pit_from, perm_reduce

    def forward(
        self,
        est_targets: torch.Tensor,
        targets: torch.Tensor,
        return_est: bool = False,
        reduce_kwargs: dict | None = None,
        **kwargs,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Mean over the batch of the best permutation's loss.

        Args:
            est_targets, targets: ``[B, S, T]``.
            return_est: also return the estimates, ``[B, S, T]``, in the order of the targets.
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
        **kwargs,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss per example ``[B]`` and order ``[B, S]``: target j is matched by estimate ``order[b, j]``."""
        _check(est_targets, targets, 3, "PITLossWrapper")
        batch, n_src, _ = targets.shape
        if self.pit_from == "perm_avg":
            orders = _permutations(n_src, targets.device)
            losses = [self.loss_func(est_targets[:, order], targets, **kwargs) for order in orders]
            if losses[0].shape != (batch,):
                raise ValueError(
                    f"loss_func returned shape {list(losses[0].shape)} for one order, expected [{batch}]: "
                    "pit_from='perm_avg' needs one loss per example, averaged over sources only"
                )
            best, index = torch.stack(losses, dim=1).min(dim=1)
            return best, orders[index]
        if self.pit_from == "pw_mtx":
            matrix = self.loss_func(est_targets, targets, **kwargs)
        else:
            rows = [
                torch.stack(
                    [self.loss_func(est_targets[:, i], targets[:, j], **kwargs) for j in range(n_src)],
                    -1,
                )
                for i in range(n_src)
            ]
            matrix = torch.stack(rows, dim=1)
        if matrix.shape != (batch, n_src, n_src):
            raise ValueError(
                f"the pairwise losses have shape {list(matrix.shape)}, expected {[batch, n_src, n_src]}: "
                f"loss_func does not fit pit_from={self.pit_from!r}"
            )
        return self._best_of_matrix(matrix, reduce_kwargs or {})

    def _best_of_matrix(self, matrix: torch.Tensor, reduce_kwargs: dict):
        n_src = matrix.shape[-1]
        if n_src > _HUNGARIAN_ABOVE and self.perm_reduce is None:
            # NaN has no order; give it the worst place so that the other examples keep their answer.
            costs = matrix.detach().nan_to_num(nan=1e9, posinf=1e9, neginf=-1e9).cpu().numpy()
            # Rows of the transposed matrix are targets: the assignment names an estimate for each.
            from scipy.optimize import linear_sum_assignment  # a quarter of a second, for those who need it

            order = torch.tensor([linear_sum_assignment(c.T)[1].tolist() for c in costs])
            order = order.to(matrix.device)
            return matrix.gather(1, order.unsqueeze(1)).squeeze(1).mean(-1), order
        orders = _permutations(n_src, matrix.device)
        # losses[b, p, j]: target j against the estimate that permutation p gives it.
        losses = matrix[:, orders, torch.arange(n_src, device=matrix.device)]
        reduced = losses.mean(-1) if self.perm_reduce is None else self.perm_reduce(losses, **reduce_kwargs)
        if reduced.shape != losses.shape[:2]:
            raise ValueError(
                f"perm_reduce returned shape {list(reduced.shape)}, expected {list(losses.shape[:2])}: "
                "it must reduce the last axis only"
            )
        best, index = reduced.min(dim=1)
        return best, orders[index]


def _permutations(n_src: int, device: torch.device) -> torch.Tensor:
    return torch.tensor(list(itertools.permutations(range(n_src))), device=device)


def reorder(estimates: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Put estimates ``[B, S, T]`` in the order ``[B, S]`` that :meth:`PITLossWrapper.best_permutation` gave."""
    return estimates.gather(1, order.unsqueeze(-1).expand_as(estimates))
