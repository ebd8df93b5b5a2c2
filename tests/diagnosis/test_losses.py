"""Healthy losses of every kind get no failure; broken ones get the one that is theirs, with the right reason."""

import itertools

import pytest
import torch
from torch import nn

from dprnn_lab import PITLossWrapper, diagnose, pairwise_neg_sisdr
from dprnn_lab.diagnosis.loss_probes import probe
from dprnn_lab.faults import FAULTS
from dprnn_lab.loss import multisrc_neg_sisdr, pairwise_mse, pairwise_neg_snr, singlesrc_neg_sisdr

PIT = PITLossWrapper(pairwise_neg_sisdr)
OF_LOSSES = ("sign-of-loss", "detached-loss", "pit-wrong-axis", "no-pit")


def pairs(measure):
    """A measure of two signals as a pairwise loss."""

    def pairwise(estimates, sources):
        shape = (len(estimates), estimates.shape[1], estimates.shape[1], estimates.shape[-1])
        return measure(estimates[:, :, None].expand(shape), sources[:, None].expand(shape))

    return pairwise


def spectral(estimates, sources):
    """Multi-resolution STFT: spectral convergence and log magnitudes."""
    total = 0
    for size in (256, 1024):
        window = torch.hann_window(size)
        a, b = (
            torch.stft(x.reshape(-1, x.shape[-1]), size, size // 4, window=window, return_complex=True).abs()
            for x in (estimates, sources)
        )
        distance = (a - b).norm(dim=(1, 2)) / b.norm(dim=(1, 2))
        total = total + distance + ((a + 1e-5).log() - (b + 1e-5).log()).abs().mean((1, 2))
    return total.reshape(estimates.shape[:-1])


def thresholded(estimate, source, floor=1e-3):
    error = (estimate - source).square().sum(-1) + floor * source.square().sum(-1)
    return 10 * torch.log10(error + 1e-9) - 10 * torch.log10(source.square().sum(-1) + 1e-9)


def three(estimates, sources):
    m = pairwise_neg_sisdr(estimates, sources)
    orders = itertools.permutations(range(3))
    return torch.stack([(m[:, 0, a] + m[:, 1, b] + m[:, 2, c]) / 3 for a, b, c in orders]).amin(0).mean()


def masked(estimates, sources, source_mask):
    m = pairwise_neg_sisdr(estimates, sources) * source_mask[:, None]
    sums = [m[:, range(m.shape[1]), p].sum(-1) for p in itertools.permutations(range(m.shape[1]))]
    return (torch.stack(sums).amin(0) / source_mask.sum(-1)).mean()


def consistent(estimates, sources, mixture):
    return PIT(estimates, sources) + (estimates.sum(1) - mixture).square().mean()


def with_lengths(est_sources, ref_sources, lengths):
    assert lengths.shape == (len(est_sources),)
    return PIT(est_sources, ref_sources)


def targets_first(targets, predictions):
    return PIT(predictions.detach() * 0 + predictions, targets)


def one_at_a_time(estimates, sources):
    assert estimates.dim() == 2
    return PIT(estimates[None], sources[None])


class WithParameters(nn.Module):
    """Its weight is float64, and learned with the network's."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, estimates, sources):
        self.calls += 1
        return self.weight * PITLossWrapper(pairs(lambda a, b: (a - b).abs().mean(-1)))(estimates, sources)


HEALTHY = {
    "SI-SDR": PIT,
    "SNR": PITLossWrapper(pairwise_neg_snr),
    "MSE": PITLossWrapper(pairwise_mse),
    "log MSE": PITLossWrapper(lambda e, s: 10 * torch.log10(pairwise_mse(e, s) + 1e-8)),
    "L1 with parameters": WithParameters(),
    "thresholded SNR": PITLossWrapper(pairs(thresholded)),
    "multi-resolution STFT": PITLossWrapper(pairs(spectral)),
    "correlation": PITLossWrapper(pairs(lambda a, b: 1 - torch.cosine_similarity(a, b, dim=-1))),
    "clamped": PITLossWrapper(lambda e, s: pairwise_neg_sisdr(e, s).clamp(min=-30)),
    "tiny": lambda e, s: 1e-5 * PIT(e, s),
    "source mask": masked,
    "mixture": consistent,
    "lengths": with_lengths,
    "targets first": targets_first,
    "one at a time": one_at_a_time,
    "per example": lambda e, s: PIT.best_permutation(e, s)[0],
    "tuple": lambda e, s: PIT(e, s, return_est=True),
    "dictionary": lambda e, s: {"sdr": torch.zeros(()), "loss": PIT(e, s)},
    "random parts": lambda e, s: PIT(nn.functional.dropout(e, 0.1), s),
}


def bad(report):
    return [(f.id, f.state, f.says) for f in report.findings if f.bad or f.state == "error"]


@pytest.mark.parametrize("n_src", [None, 3])
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_loss_has_no_finding(name, n_src):
    report = diagnose(loss=HEALTHY[name], config=None if n_src is None else {"n_src": n_src})
    assert bad(report) == []
    assert all(report[failure].state == "ok" for failure in OF_LOSSES)


@pytest.mark.parametrize("n_src", [1, 4])
@pytest.mark.parametrize("name", ["SI-SDR", "SNR", "MSE", "source mask"])
def test_a_healthy_loss_of_one_source_or_four(name, n_src):
    assert bad(diagnose(loss=HEALTHY[name], config={"n_src": n_src})) == []


def test_the_number_of_sources_is_that_of_the_batch_else_the_one_that_the_loss_takes():
    sources = 0.1 * torch.randn(2, 3, 8000)
    assert diagnose(loss=three, batch=(sources.sum(1), sources))["no-pit"].evidence["sources"] == 3
    assert diagnose(loss=three)["no-pit"].evidence["sources"] == 3
    assert probe(PIT).n_src == 2
    assert probe(PIT, 4).n_src == 4
    single = probe(lambda e, s: singlesrc_neg_sisdr(e, s).mean() if e.dim() == 2 else 1 / 0)
    assert (single.n_src, single.error) == (2, "")  # one example at a time reads [S, T] as [B, T]


@pytest.mark.parametrize("n_src", [2, 3])
@pytest.mark.parametrize("variant", FAULTS["sign-of-loss"])
def test_a_turned_sign_is_seen_with_any_number_of_sources(training, variant, n_src):
    loss = FAULTS["sign-of-loss"][variant](training(), None).loss
    report = diagnose(loss=loss, config={"n_src": n_src})
    assert [f.id for f in report.causes] == ["sign-of-loss"]
    assert "rises as estimates get better" in report["sign-of-loss"].says


def test_one_source_with_its_sign_turned():
    assert (
        diagnose(loss=lambda e, s: -multisrc_neg_sisdr(e, s), config={"n_src": 1}).causes[0].id
        == "sign-of-loss"
    )


def test_a_maximum_over_permutations_and_a_constant_have_their_own_reasons(training):
    worst = FAULTS["pit-wrong-axis"]["worst-order"](training(), None).loss
    assert "the worst" in diagnose(loss=worst)["pit-wrong-axis"].says
    for constant in (lambda e, s: torch.tensor(0.0), lambda e, s: 0 * e.sum(), lambda e, s: 3.5):
        report = diagnose(loss=constant)
        assert [f.id for f in report.causes] == ["detached-loss"]
        assert "does not depend on them" in report["detached-loss"].says


def test_the_mean_over_permutations_is_no_pit_loss():
    def mean_of_orders(estimates, sources):
        orders = list(itertools.permutations(range(estimates.shape[1])))
        return sum(multisrc_neg_sisdr(estimates[:, list(o)], sources).mean() for o in orders) / len(orders)

    assert "the mean of all" in diagnose(loss=mean_of_orders)["pit-wrong-axis"].says


def test_a_detached_loss_says_what_it_returned():
    report = diagnose(loss=lambda e, s: PIT(e, s).item())
    assert report.causes[0].id == "detached-loss"
    assert "a float" in report["detached-loss"].says


def test_an_output_without_a_gradient_is_named_by_its_number():
    def second_only(estimates, sources):
        return PIT(torch.cat((estimates[:, :1].detach(), estimates[:, 1:]), 1), sources)

    assert "output 1 of 2" in diagnose(loss=second_only)["detached-loss"].says


@pytest.mark.parametrize("n_src", [3, 4])
def test_every_pair_of_targets_is_compared(n_src):
    """A loss that loses the last target only: its estimate may be that of the first."""

    def loses_the_last(estimates, sources):
        m = pairwise_neg_sisdr(estimates, sources)
        return m[:, :, :-1].min(1).values.mean()

    assert diagnose(loss=loses_the_last, config={"n_src": n_src})["pit-wrong-axis"].state == "fail"


@pytest.mark.parametrize(
    ("orders", "n_src"),
    [
        ("rotations", 3), ("rotations", 4), ("all but the last", 3), ("all but the last", 4), ("half of them", 3),
        ("neighbours", 4),
    ],
)  # fmt: skip
def test_orders_that_are_not_tried_are_missed(orders, n_src):
    given = list(range(n_src))
    every = list(itertools.permutations(given))
    tried = {
        "rotations": [given[k:] + given[:k] for k in given],
        "all but the last": every[:-1],
        "half of them": every[: len(every) // 2],
        "neighbours": [given, [1, 0, *given[2:]], [*given[:-2], n_src - 1, n_src - 2], given[::-1]],
    }[orders]

    def loss(estimates, sources):
        return torch.stack([multisrc_neg_sisdr(estimates[:, p], sources) for p in tried]).amin(0).mean()

    report = diagnose(loss=loss, config={"n_src": n_src})
    assert report.causes[0].id in ("no-pit", "pit-wrong-axis")
    assert report.causes[0].state == "fail"


def test_a_loss_stays_as_it_was():
    loss = WithParameters()
    diagnose(loss=loss)
    assert loss.calls == 0
    assert loss.weight.grad is None
