"""Exercises of notebook 03: SI-SDR, reordering, the PIT loss, the improvement, reading a mean.

Each judge feeds one input on which the usual wrong ideas all give different numbers, and tells a student
which idea the answer stems from.

Notebook: 03_loss_and_pit
"""

import itertools
import numbers
from collections.abc import Callable, Mapping

import torch

from dprnn_lab.loss import EPS, PITLossWrapper, pairwise_neg_sisdr, reorder
from dprnn_lab.loss import si_sdr as reference_si_sdr

from .exercise import Exercise, Mistake
from .judging import need_shape

__all__ = ["pit_loss", "reorder_estimates", "share_failed", "si_sdr", "si_sdri"]

Slips = Mapping[str, tuple[Callable, str]]  # name: (the wrong answer, its hint)


def _number(answer) -> torch.Tensor:
    """An answer as a float64 tensor without its gradient; a plain number counts as a scalar."""
    if isinstance(answer, torch.Tensor):
        return answer.detach().double()
    if isinstance(answer, numbers.Real) and not isinstance(answer, bool):
        return torch.tensor(float(answer), dtype=torch.float64)
    raise Mistake("not a number", f"your answer is {type(answer).__name__}; return a tensor or a number.")


def _same(answer: torch.Tensor, wanted: torch.Tensor, tolerance: float = 0.01) -> bool:
    return answer.shape == wanted.shape and torch.allclose(answer, wanted.double(), rtol=0, atol=tolerance)


def _judge_numbers(
    answer: torch.Tensor, wanted: torch.Tensor, slips: Slips, inputs: tuple, otherwise: str
) -> None:
    """Of a wrong answer, raise the named slip that gives the same; "other numbers" when none does."""
    if _same(answer, wanted):
        return
    for name, (slip, hint) in slips.items():
        if _same(answer, slip(*inputs)):
            raise Mistake(name, hint)
    raise Mistake("other numbers", otherwise)


def _noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---------------------------------------------------------------- 03.1


def _projection(
    estimate, target, centred=True, scale_by="target", error_from="projection", factor=10.0, dim=-1
):
    """SI-SDR with one thing done wrong, as the arguments say."""
    if centred:
        estimate = estimate - estimate.mean(-1, keepdim=True)
        target = target - target.mean(-1, keepdim=True)

    def total(x):
        return x.sum() if dim is None else x.sum(dim, keepdim=True)

    dot = total(estimate * target)
    scale = {"target": lambda: dot / total(target**2), "estimate": lambda: dot / total(estimate**2)}
    reference = target if scale_by is None else scale[scale_by]() * target
    error = estimate - (reference if error_from == "projection" else target)
    ratio = factor * torch.log10(total(reference**2) / total(error**2))
    return ratio if dim is None else ratio.squeeze(dim)


_SI_SDR_SLIPS: Slips = {
    "sign": (
        lambda e, t: -_projection(e, t),
        "right size, wrong sign: that is the *loss*. SI-SDR itself is higher for a better estimate.",
    ),
    "mean not removed": (
        lambda e, t: _projection(e, t, centred=False),
        "a constant offset changes your result. Take the mean along time off the estimate *and* the target "
        "first.",
    ),
    "only the estimate's mean removed": (
        lambda e, t: _projection(e - e.mean(-1, keepdim=True), t, centred=False),
        "you took the mean off the estimate and left the target's. Both need it.",
    ),
    "20 log10": (
        lambda e, t: _projection(e, t, factor=20.0),
        "exactly twice too large. $20\\log_{10}$ belongs to a ratio of *amplitudes*; yours is a ratio of "
        "energies.",
    ),
    "no factor of ten": (
        lambda e, t: _projection(e, t, factor=1.0),
        "ten times too small: a *deci*bel is a tenth of a bel.",
    ),
    "natural logarithm": (
        lambda e, t: _projection(e, t, factor=10.0) * torch.log(torch.tensor(10.0)),
        "you took the natural logarithm: use `torch.log10`.",
    ),
    "scaled by the estimate's energy": (
        lambda e, t: _projection(e, t, scale_by="estimate"),
        "you divide the dot product by the energy of the *estimate*. The projection is onto the target: "
        "$\\alpha = \\langle e,t\\rangle / \\langle t,t\\rangle$.",
    ),
    "no projection": (
        lambda e, t: _projection(e, t, scale_by=None),
        "that is the SNR: it changes with the gain of the estimate. Scale the target by $\\alpha$ first.",
    ),
    "error from the unscaled target": (
        lambda e, t: _projection(e, t, error_from="target"),
        "that is SD-SDR: your error is $e - t$. For SI-SDR it is $e - \\alpha t$.",
    ),
}


def _judge_si_sdr(function: Callable) -> None:
    # Three examples of two sources that differ in level, with offsets; odd length; not contiguous in memory.
    target = (_noise(3, 1001, 2, seed=1) * torch.tensor([1.0, 0.2]) + 0.5).transpose(1, 2)
    error = _noise(3, 2, 1001, seed=2) * torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64)[:, None, None]
    estimate = 0.4 * target + error + 0.3
    wanted = reference_si_sdr(estimate, target)
    answer = _number(function(estimate, target))
    if _same(answer, _projection(estimate, target, dim=None)) or answer.shape == ():
        raise Mistake(
            "summed over the batch",
            f"you return one number for input of shape {list(target.shape)}. A sum without `dim` adds up "
            "all examples; "
            "sum along the last axis only: `.sum(-1)`.",
        )
    need_shape(answer, wanted, "one value for each signal, the time axis gone")
    _judge_numbers(
        answer, wanted, _SI_SDR_SLIPS, (estimate, target),
        "the shape is right, the numbers are not. Work through the four lines: means, $\\alpha$, "
        "projection and "
        "error, ratio of their energies.",
    )  # fmt: skip
    silence = torch.zeros(2, 1001, dtype=torch.float64)
    quiet = torch.stack([_number(function(silence, target[0])), _number(function(target[0], silence))])
    if not torch.isfinite(quiet).all():
        raise Mistake(
            "silence",
            "right for speech, but a silent estimate or target gives "
            f"{quiet[~torch.isfinite(quiet)][0].item()}. Add a small `EPS` inside the divisions and the "
            "logarithm.",
        )


si_sdr = Exercise(
    id="03.1",
    title="SI-SDR by hand",
    task="Write `my_si_sdr(estimate, target)` for tensors `[..., T]`: remove the means along time, "
    "project, and return "
    "the SI-SDR in dB, `[...]`. Use torch's basic operations, not `si_sdr`.",
    done_when="it agrees with `si_sdr` on a batch with offsets and different levels, and silence gives a "
    "finite number.",
    judge=_judge_si_sdr,
    hints=(
        "Four steps: take off the means; $\\alpha$; the projection $\\alpha t$ and the error $e - \\alpha "
        "t$; "
        "ten times the logarithm of the ratio of their energies.",
        "`(estimate * target).sum(-1, keepdim=True)` is $\\langle e,t\\rangle$ for every signal of the "
        "batch; "
        "`keepdim=True` lets you multiply it back onto `[..., T]`.",
        "Put `EPS = 1e-8` in both denominators and once inside the logarithm.",
    ),
    solution=f"""```python
def my_si_sdr(estimate, target):
    estimate = estimate - estimate.mean(-1, keepdim=True)
    target = target - target.mean(-1, keepdim=True)
    dot = (estimate * target).sum(-1, keepdim=True)
    projection = dot * target / (target.square().sum(-1, keepdim=True) + {EPS})
    error = estimate - projection
    ratio = projection.square().sum(-1) / (error.square().sum(-1) + {EPS})
    return 10 * torch.log10(ratio + {EPS})
```""",
    minutes=10,
    difficulty=2,
)

# ---------------------------------------------------------------- 03.2


_REORDER_SLIPS: Slips = {
    "inverse permutation": (
        lambda e, o: reorder(e, o.argsort(-1)),
        "you applied the *inverse* permutation: estimate j went to row `order[j]`. Row j must hold estimate "
        "`order[j]`. With two sources both are the same; with three they are not.",
    ),
    "one order for all": (
        lambda e, o: e[:, o[0]],
        "you used the order of the first example for the whole batch. Each example has its own.",
    ),
    "nothing done": (
        lambda e, o: e,
        "the estimates came back as they were.",
    ),
}


def _judge_reorder(function: Callable) -> None:
    order = torch.tensor(
        [[1, 2, 0], [0, 2, 1], [2, 0, 1], [0, 1, 2]]
    )  # two of them are not their own inverse
    estimates = _noise(4, 7, 3, seed=7).transpose(1, 2)
    answer = _number(function(estimates, order))
    wanted = reorder(estimates, order)
    need_shape(answer, wanted, "the estimates, in another order")
    _judge_numbers(
        answer, wanted, _REORDER_SLIPS, (estimates, order),
        "row j of example b must be estimate `order[b, j]` of the same example, all T samples of it.",
    )  # fmt: skip


reorder_estimates = Exercise(
    id="03.2",
    title="Put the estimates in order",
    task="Write `my_reorder(estimates, order)` for `[B, S, T]` and the order `[B, S]` of "
    "`best_permutation`: row j of "
    "example b of the result is estimate `order[b, j]` of that example.",
    done_when="each of four examples with three sources is put in its own order.",
    judge=_judge_reorder,
    hints=(
        "A loop over the batch is fine: `estimates[b, order[b]]` is `[S, T]`.",
        "`torch.stack` joins the examples again. Without a loop: `estimates[torch.arange(B)[:, None], "
        "order]`.",
    ),
    solution="""```python
def my_reorder(estimates, order):
    return torch.stack([e[o] for e, o in zip(estimates, order)])
```""",
    minutes=6,
    difficulty=2,
)

# ---------------------------------------------------------------- 03.3


def _by_permutation(matrix: torch.Tensor) -> torch.Tensor:
    """``[B, S, S]`` to ``[B, S!, S]``: the losses of each permutation, target by target."""
    n_src = matrix.shape[-1]
    orders = torch.tensor(list(itertools.permutations(range(n_src))))
    return matrix[:, orders, torch.arange(n_src)]


def _right_pit(matrix: torch.Tensor) -> torch.Tensor:
    return _by_permutation(matrix).mean(-1).min(1).values.mean()


_PIT_SLIPS: Slips = {
    "minimum of each row": (
        lambda m: m.min(2).values.mean(),
        "you let every estimate choose its own best target. Two estimates may then take the same target, and "
        "one target has none. A permutation uses each target once.",
    ),
    "minimum of each column": (
        lambda m: m.min(1).values.mean(),
        "you let every target choose its own best estimate. One estimate may then serve two targets, and "
        "another is never trained. A permutation uses each estimate once.",
    ),
    "minimum after the batch mean": (
        lambda m: _by_permutation(m).mean(-1).mean(0).min(),
        "you averaged over the batch before you chose. That is one order for the whole batch; each example "
        "must "
        "choose its own. First `min` over permutations, then `mean` over the batch.",
    ),
    "the largest": (
        lambda m: _by_permutation(m).mean(-1).max(1).values.mean(),
        "you take the *worst* permutation. Lower loss is better: `min`.",
    ),
    "fixed order": (
        lambda m: m.diagonal(dim1=1, dim2=2).mean(),
        "that is the diagonal: estimate i against target i, the loss without PIT. Try the other orders as "
        "well.",
    ),
    "mean of all orders": (
        lambda m: m.mean(),
        "you average over all orders. PIT takes the best one of each example.",
    ),
    "sum over sources": (
        lambda m: _by_permutation(m).sum(-1).min(1).values.mean(),
        "the right order, but the losses of its sources are added. Take their mean, so that the number is "
        "in dB "
        "per source.",
    ),
    "two orders only": (
        lambda m: torch.stack(
            [m.diagonal(dim1=1, dim2=2).mean(-1), m.flip(1).diagonal(dim1=1, dim2=2).mean(-1)]
        ).min(0).values.mean(),
        "you compare the given order with the reversed one. That is all there is for S = 2; for S = 3 "
        "there are "
        "six: `itertools.permutations(range(S))`.",
    ),
}  # fmt: skip

# Whole numbers. In each, every idea above gives another result (tests/exercises/test_nb03.py checks that).
_PIT_TWO = torch.tensor([[[-12, -9], [-8, 2]], [[5, -14], [-3, 4]], [[-7, 6], [-1, -3]]], dtype=torch.float64)
_PIT_THREE = torch.tensor(
    [
        [[3, -11, -2], [4, -6, -13], [-9, -5, 1]],
        [[-8, -10, 7], [-4, 5, -12], [0, -9, 2]],
    ],
    dtype=torch.float64,
)


def _judge_pit(function: Callable) -> None:
    for matrix in (_PIT_TWO, _PIT_THREE, _noise(5, 4, 4, seed=3) * 10):
        wanted = _right_pit(matrix)
        answer = _number(function(matrix.clone()))
        if answer.shape == (len(matrix),) and _same(answer.mean(), wanted):
            raise Mistake(
                "no batch mean",
                "the best loss of each example is right. A loss is one number: take the mean over the "
                "batch last.",
            )
        need_shape(answer, wanted, "one number for the whole batch")
        _judge_numbers(
            answer, wanted, _PIT_SLIPS, (matrix,),
            f"for S = {matrix.shape[-1]} the result is {float(answer):.3f}, expected {float(wanted):.3f}. "
            f"The matrix of the first example is {matrix[0].round(decimals=1).tolist()}: do it by hand.",
        )  # fmt: skip


pit_loss = Exercise(
    id="03.3",
    title="The PIT loss from a pairwise matrix",
    task="Write `my_pit_loss(matrix)`: from pairwise losses `[B, S, S]` (estimate i in row i, target j in "
    "column j) to "
    "the PIT loss, one number. It must work for any number of sources S.",
    done_when="it gives the best order of each example, averaged over sources and batch, for S = 2, 3 and 4.",
    judge=_judge_pit,
    hints=(
        "`itertools.permutations(range(S))` lists the orders. For the order `p`, target j is matched by "
        "estimate `p[j]`.",
        "The loss of the order `p` is `matrix[:, p, range(S)].mean(-1)` (with `p` as a list): shape `[B]`.",
        "Stack the losses of all orders to `[S!, B]`; `min` over the orders; `mean` over the batch, in "
        "this sequence.",
    ),
    solution="""```python
import itertools

def my_pit_loss(matrix):
    n_src = matrix.shape[-1]
    losses = [
        matrix[:, list(order), list(range(n_src))].mean(-1)   # [B]
        for order in itertools.permutations(range(n_src))
    ]
    return torch.stack(losses).min(0).values.mean()
```""",
    minutes=12,
    difficulty=3,
)

# ---------------------------------------------------------------- 03.4


def _improvement(mixture, estimates, sources, pit=True, baseline=True):
    if pit:
        loss = PITLossWrapper(pairwise_neg_sisdr)
        estimates = loss(estimates[None], sources[None], return_est=True)[1][0]
    before = (
        reference_si_sdr(mixture, sources) if baseline else torch.zeros(len(sources), dtype=sources.dtype)
    )
    return reference_si_sdr(estimates, sources) - before


_SI_SDRI_SLIPS: Slips = {
    "no PIT": (
        lambda m, e, s: _improvement(m, e, s, pit=False).mean(),
        "you compare estimate i with source i as they come. The network is free in the order: find it first.",
    ),
    "baseline forgotten": (
        lambda m, e, s: _improvement(m, e, s, baseline=False).mean(),
        "that is the SI-SDR of the estimates. The improvement is over the *mixture*: take its SI-SDR off.",
    ),
    "sign": (
        lambda m, e, s: -_improvement(m, e, s).mean(),
        "right size, wrong sign: after minus before.",
    ),
    "measured against the estimates": (
        lambda m, e, s: -PITLossWrapper(pairwise_neg_sisdr)(e[None], s[None]) - reference_si_sdr(m, e).mean(),
        "your baseline compares the mixture with the *estimates*. Compare it with the true sources.",
    ),
    "sum over sources": (
        lambda m, e, s: _improvement(m, e, s).sum(),
        "you add up the sources. SI-SDRi is their mean.",
    ),
    "one source only": (
        lambda m, e, s: _improvement(m, e, s)[0],
        "you return the improvement of the first source. Average over all of them.",
    ),
}


def _judge_si_sdri(function: Callable) -> None:
    sources = _noise(3, 2001, seed=4) * torch.tensor([[1.0], [0.4], [0.6]], dtype=torch.float64)
    mixture = sources.sum(0) + 0.5 * _noise(2001, seed=5)  # with noise of its own: its score is not 0 dB
    estimates = (sources + _noise(3, 2001, seed=6) * 0.15)[[1, 2, 0]] * torch.tensor([[2.0], [0.1], [-1.0]])
    answer = _number(function(mixture, estimates, sources))
    wanted = _improvement(mixture, estimates, sources)
    if answer.shape == wanted.shape and _same(answer, wanted):
        raise Mistake("no mean", "one right value for each source. SI-SDRi of a mixture is their mean.")
    need_shape(answer, wanted.mean(), "one number for this mixture")
    _judge_numbers(
        answer, wanted.mean(), _SI_SDRI_SLIPS, (mixture, estimates, sources),
        f"expected {float(wanted.mean()):.2f} dB, got {float(answer):.2f} dB. Print the SI-SDR of the "
        "mixture and of "
        "the estimates apart.",
    )  # fmt: skip


si_sdri = Exercise(
    id="03.4",
    title="Improvement over the mixture",
    task="Write `my_si_sdri(mixture, estimates, sources)` for `[T]`, `[S, T]`, `[S, T]`: the mean SI-SDR "
    "of the "
    "estimates in their best order, minus the mean SI-SDR of the mixture itself. You may use `si_sdr`, "
    "`pairwise_neg_sisdr` and `PITLossWrapper`.",
    done_when="it gives the mean improvement in dB for three sources whose estimates come in another order.",
    judge=_judge_si_sdri,
    hints=(
        "`PITLossWrapper` wants a batch: `estimates[None]` is `[1, S, T]`. Its value is the *negative* "
        "mean SI-SDR.",
        "`si_sdr(mixture, sources)` broadcasts: `[T]` against `[S, T]` gives `[S]`.",
    ),
    solution="""```python
def my_si_sdri(mixture, estimates, sources):
    after = -PITLossWrapper(pairwise_neg_sisdr)(estimates[None], sources[None])
    before = si_sdr(mixture, sources).mean()
    return after - before
```""",
    minutes=6,
    difficulty=2,
)

# ---------------------------------------------------------------- 03.5

_SHARE_SLIPS: Mapping[str, tuple[float, str]] = {
    "the share that succeeded": (
        0.6,
        "that is the share of *well separated* mixtures. The question is about the rest.",
    ),
    "percent": (40.0, "that is percent: give a share between 0 and 1."),
    "sign of the failures": (
        6 / 17,
        "you took the failed mixtures at -1 dB. A loss of -1 is an SI-SDR of *plus* 1 dB.",
    ),
    "half and half": (
        0.5,
        "half and half gives a mean of (-16 - 1) / 2, which is not -10. Solve for the share.",
    ),
}


def _judge_share(answer) -> None:
    value = float(_number(answer))
    for name, (wrong, hint) in _SHARE_SLIPS.items():
        if abs(value - wrong) < 0.005:
            raise Mistake(name, hint)
    if abs(value - 0.4) > 0.005:
        raise Mistake(
            "other number", f"with a share of {value:g} the mean would be {-16 * (1 - value) - value:.2f}."
        )


share_failed = Exercise(
    id="03.5",
    title="Behind a loss of -10",
    task="A validation loss (negative SI-SDR) of -10 is the mean over mixtures of two sorts: those that "
    "were separated "
    "well all have a loss of -16, those that failed all have a loss of -1. Which share of the mixtures "
    "failed? Set "
    "`share` to a number between 0 and 1.",
    done_when="the two sorts, in this share, have a mean loss of -10.",
    judge=_judge_share,
    hints=(
        "Call the share q. The mean is $(1 - q)\\cdot(-16) + q\\cdot(-1)$.",
        "$-16 + 15q = -10$.",
    ),
    solution="""```python
share = (16 - 10) / (16 - 1)   # 0.4: four mixtures in ten, behind a mean that looks good
```""",
    minutes=4,
    difficulty=1,
)
