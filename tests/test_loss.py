import itertools
import math

import pytest
import torch

from dprnn_lab import loss as losses
from dprnn_lab.loss import PITLossWrapper, pairwise_mse, pairwise_neg_sisdr, sd_sdr, si_sdr, snr

TONE = torch.sin(2 * math.pi * 5 * torch.arange(800) / 800)
ORTHOGONAL = torch.cos(2 * math.pi * 5 * torch.arange(800) / 800)  # of the same energy, and mean zero
NAMES = ["neg_sisdr", "neg_sdsdr", "neg_snr", "mse"]
MEASURES = {"neg_sisdr": si_sdr, "neg_sdsdr": sd_sdr, "neg_snr": snr}


def get(form, name):
    return getattr(losses, f"{form}_{name}")


def brute_force(matrix):
    """Best mean loss of one example, and the estimate for each target, by trying all orders."""
    targets = range(len(matrix))
    orders = itertools.permutations(targets)
    scores = {order: sum(matrix[order[j], j] for j in targets) / len(matrix) for order in orders}
    best = min(scores, key=scores.get)
    return float(scores[best]), list(best)


# Known answers


@pytest.mark.parametrize("measure", [si_sdr, sd_sdr, snr])
@pytest.mark.parametrize("ratio_db", [-20.0, -3.0, 0.0, 6.5, 20.0, 40.0])
def test_orthogonal_noise_of_known_ratio_gives_that_ratio(measure, ratio_db):
    estimate = TONE + 10 ** (-ratio_db / 20) * ORTHOGONAL
    assert measure(estimate, TONE).item() == pytest.approx(ratio_db, abs=1e-3)


@pytest.mark.parametrize("gain", [0.001, 0.5, -1.0, 30.0])
def test_si_sdr_ignores_the_gain_of_the_estimate(gain):
    estimate = TONE + 0.3 * ORTHOGONAL
    assert si_sdr(gain * estimate, TONE).item() == pytest.approx(si_sdr(estimate, TONE).item(), abs=0.01)


def test_snr_and_sd_sdr_count_a_wrong_gain():
    assert snr(0.5 * TONE, TONE).item() == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert sd_sdr(0.5 * TONE, TONE).item() == pytest.approx(0, abs=1e-3)
    assert sd_sdr(2 * TONE, TONE).item() == pytest.approx(20 * math.log10(2), abs=1e-3)


@pytest.mark.parametrize("measure", [si_sdr, sd_sdr, snr])
def test_a_constant_offset_does_not_count(measure):
    estimate = TONE + 0.3 * ORTHOGONAL
    assert measure(estimate + 0.7, TONE - 0.2).item() == pytest.approx(
        measure(estimate, TONE).item(), abs=1e-3
    )


@pytest.mark.parametrize("measure", [si_sdr, sd_sdr])
def test_a_zero_estimate_scores_exactly_minus_80(measure):
    assert measure(torch.zeros(800), TONE).item() == -80.0


@pytest.mark.parametrize("measure", [si_sdr, sd_sdr, snr])
def test_a_zero_target_scores_exactly_minus_80(measure):
    assert measure(TONE, torch.zeros(800)).item() == -80.0
    assert measure(torch.zeros(800), torch.zeros(800)).item() == -80.0


def test_the_snr_of_a_zero_estimate_is_zero():
    assert snr(torch.zeros(800), TONE).item() == pytest.approx(0, abs=1e-6)


def test_the_measures_broadcast():
    assert si_sdr(torch.randn(4, 1, 800), torch.randn(3, 800)).shape == (4, 3)


def test_a_perfect_estimate_is_finite_and_high():
    assert 80 < si_sdr(TONE, TONE).item() < 200


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("estimate", "target"), [(0, 1), (1, 0), (0, 0), (1, 1)])
def test_gradients_are_finite_on_silence_and_on_perfection(name, estimate, target):
    estimates = (estimate * TONE).repeat(2, 2, 1).requires_grad_()
    targets = (target * TONE).repeat(2, 2, 1)
    for form in ("pairwise", "multisrc"):
        estimates.grad = None
        get(form, name)(estimates, targets).sum().backward()
        assert estimates.grad.isfinite().all()


# The three forms


@pytest.mark.parametrize("name", NAMES)
def test_the_three_forms_agree(name):
    estimates, targets = torch.randn(2, 4, 3, 200, dtype=torch.float64)
    matrix = get("pairwise", name)(estimates, targets)
    assert matrix.shape == (4, 3, 3)
    for i, j in itertools.product(range(3), range(3)):
        torch.testing.assert_close(matrix[:, i, j], get("singlesrc", name)(estimates[:, i], targets[:, j]))
    diagonal = matrix.diagonal(dim1=1, dim2=2).mean(1)
    torch.testing.assert_close(get("multisrc", name)(estimates, targets), diagonal)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("noise", [10.0, 0.1, 1e-3, 1e-5])
def test_the_pairwise_form_is_exact_from_bad_to_nearly_perfect(name, noise):
    # In float32, as training has it; the energies of a pair are up to ten decimal places apart.
    targets = torch.randn(2, 3, 4000)
    estimates = 5 * targets + noise * torch.randn_like(targets)
    matrix = get("pairwise", name)(estimates, targets)
    exact = get("pairwise", name)(estimates.double(), targets.double())
    assert matrix.dtype == torch.float32
    torch.testing.assert_close(matrix.double(), exact, atol=5e-3, rtol=1e-6)
    for j in range(3):
        single = get("singlesrc", name)(estimates[:, j], targets[:, j])
        torch.testing.assert_close(matrix[:, j, j], single, atol=0.05, rtol=0)


def test_rounding_makes_no_negative_energy():
    # Samples in the range of int16, estimates that are scaled targets: the error's energy is all rounding.
    targets = 1e4 * torch.randn(50, 4, 300)
    matrix = pairwise_neg_sisdr(torch.tensor(0.3) * targets, targets)
    assert (matrix.diagonal(dim1=1, dim2=2) < -100).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_pairwise_forms_gradient_is_that_of_single_pairs(name):
    targets = torch.randn(2, 3, 200)
    estimates = (targets.flip(1) + 0.1 * torch.randn(2, 3, 200)).requires_grad_()
    weights = torch.randn(2, 3, 3)
    (got,) = torch.autograd.grad((weights * get("pairwise", name)(estimates, targets)).sum(), estimates)
    pairs = [
        weights[:, i, j] * get("singlesrc", name)(estimates[:, i], targets[:, j])
        for i, j in itertools.product(range(3), range(3))
    ]
    (expected,) = torch.autograd.grad(torch.stack(pairs).sum(), estimates)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", MEASURES)
def test_a_loss_is_the_negative_of_its_measure(name):
    estimates, targets = torch.randn(4, 200), torch.randn(4, 200)
    assert torch.equal(get("singlesrc", name)(estimates, targets), -MEASURES[name](estimates, targets))


def test_mse_is_the_mean_of_squares():
    assert losses.singlesrc_mse(torch.full((2, 8), 3.0), torch.full((2, 8), 1.0)).tolist() == [4.0, 4.0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["pairwise", "singlesrc", "multisrc"])
def test_shapes_that_do_not_fit_are_an_error_that_names_them(form, name):
    right = (4, 200) if form == "singlesrc" else (4, 2, 200)
    for wrong in [(4, 2, 199), (200,), (3, 200), (4, 3, 200)]:
        with pytest.raises(ValueError) as error:
            get(form, name)(torch.zeros(right), torch.zeros(wrong))
        assert str(list(right)) in str(error.value)
        assert str(list(wrong)) in str(error.value)
        assert f"{form}_{name}" in str(error.value)


@pytest.mark.parametrize("form", ["pairwise", "singlesrc", "multisrc"])
def test_equal_shapes_of_the_wrong_number_of_axes_are_an_error(form):
    wrong = torch.zeros(2, 3, 200) if form == "singlesrc" else torch.zeros(2, 200)
    with pytest.raises(ValueError, match="expected two equal shapes"):
        get(form, "neg_sisdr")(wrong, wrong)


# Permutation-invariant training


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_constant_sources_are_found_in_every_order(order):
    targets = torch.tensor([1.0, 2.0, 4.0])[:, None].expand(3, 50)[None]
    value, ordered = PITLossWrapper(pairwise_mse)(targets[:, list(order)], targets, return_est=True)
    assert value.item() == 0
    assert torch.equal(ordered, targets)


@pytest.mark.parametrize("n_src", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["neg_sisdr", "mse"])
def test_the_three_sources_of_losses_agree(n_src, name):
    estimates, targets = torch.randn(4, n_src, 100), torch.randn(4, n_src, 100)
    forms = {"pw_mtx": "pairwise", "pw_pt": "singlesrc", "perm_avg": "multisrc"}
    answers = [
        PITLossWrapper(get(form, name), pit_from)(estimates, targets, return_est=True)
        for pit_from, form in forms.items()
    ]
    for value, ordered in answers[1:]:
        torch.testing.assert_close(value, answers[0][0])
        assert torch.equal(ordered, answers[0][1])


@pytest.mark.parametrize("n_src", [1, 2, 3, 4, 5])
def test_the_best_of_all_orders_is_found(n_src):
    estimates, targets = torch.randn(6, n_src, 60), torch.randn(6, n_src, 60)
    values, order = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates, targets)
    expected = [brute_force(matrix) for matrix in pairwise_neg_sisdr(estimates, targets)]
    assert values.tolist() == pytest.approx([value for value, _ in expected], abs=1e-4)
    assert order.tolist() == [best for _, best in expected]


def test_the_order_returned_is_that_of_the_targets():
    # [1, 2, 0] is not its own inverse: an inverse order would be noticed.
    targets = torch.randn(1, 3, 400)
    value, ordered = PITLossWrapper(pairwise_neg_sisdr)(targets[:, [1, 2, 0]], targets, return_est=True)
    assert torch.equal(ordered, targets)
    assert value < -60


def test_the_hungarian_order_is_that_of_the_targets():
    targets = torch.randn(2, 5, 400)
    shuffled = torch.stack((targets[0, [1, 2, 3, 4, 0]], targets[1, [2, 4, 0, 1, 3]]))
    _, ordered = PITLossWrapper(pairwise_neg_sisdr)(shuffled, targets, return_est=True)
    assert torch.equal(ordered, targets)


def test_each_example_chooses_its_own_order():
    targets = torch.randn(2, 2, 400)
    estimates = torch.stack((targets[0], targets[1].flip(0)))
    for pit_from, form in [("pw_mtx", "pairwise"), ("pw_pt", "singlesrc"), ("perm_avg", "multisrc")]:
        value, ordered = PITLossWrapper(get(form, "neg_sisdr"), pit_from)(estimates, targets, return_est=True)
        assert value < -60  # one order for the whole batch could not be good for both
        assert torch.equal(ordered, targets)


def test_the_mixture_copied_to_both_outputs_scores_zero_on_equal_orthogonal_sources():
    targets = torch.stack((TONE, ORTHOGONAL))[None]
    copies = targets.sum(1, keepdim=True).expand(1, 2, 800)
    assert PITLossWrapper(pairwise_neg_sisdr)(copies, targets).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("n_src", [2, 3, 4])
def test_the_gradient_is_that_of_the_chosen_order(n_src):
    estimates = torch.randn(3, n_src, 100, requires_grad=True)
    targets = torch.randn(3, n_src, 100)
    wrapper = PITLossWrapper(pairwise_neg_sisdr)
    (got,) = torch.autograd.grad(wrapper(estimates, targets), estimates)
    _, order = wrapper.best_permutation(estimates, targets)
    chosen = torch.stack([estimates[b, order[b]] for b in range(3)])
    (expected,) = torch.autograd.grad(losses.multisrc_neg_sisdr(chosen, targets).mean(), estimates)
    assert expected.abs().sum() > 0
    torch.testing.assert_close(got, expected)


def test_gradients_are_finite_when_an_output_and_a_target_are_silent():
    estimates, targets = torch.randn(2, 2, 100), torch.randn(2, 2, 100)
    estimates[0, 1] = targets[1, 0] = 0
    estimates.requires_grad_()
    value = PITLossWrapper(pairwise_neg_sisdr)(estimates, targets)
    value.backward()
    assert value.isfinite()
    assert estimates.grad.isfinite().all()


def smooth_maximum(per_source, sharpness):
    """A smooth maximum over the sources of one order: the worst loss dominates."""
    return torch.logsumexp(sharpness * per_source, -1) / sharpness


@pytest.mark.parametrize("n_src", [2, 3, 4])
def test_perm_reduce_decides_and_gets_its_arguments(n_src):
    estimates, targets = torch.randn(5, n_src, 60), torch.randn(5, n_src, 60)
    wrapper = PITLossWrapper(pairwise_neg_sisdr, perm_reduce=smooth_maximum)
    values, order = wrapper.best_permutation(estimates, targets, reduce_kwargs={"sharpness": 2.0})
    for matrix, value, chosen in zip(pairwise_neg_sisdr(estimates, targets), values, order, strict=True):
        options = [list(o) for o in itertools.permutations(range(n_src))]
        scores = [smooth_maximum(matrix[o, range(n_src)], 2.0).item() for o in options]
        assert value.item() == pytest.approx(min(scores), abs=1e-4)
        assert chosen.tolist() == options[scores.index(min(scores))]


def test_perm_reduce_can_choose_another_order_than_the_mean():
    # Order [0, 1] has losses 0 and 10 (mean 5, worst 10), order [1, 0] has 6 and 6 (mean 6, worst 6).
    matrix = torch.tensor([[[0.0, 6.0], [6.0, 10.0]]])
    signals = torch.zeros(1, 2, 8)
    by_mean = PITLossWrapper(lambda e, t: matrix)
    by_worst = PITLossWrapper(lambda e, t: matrix, perm_reduce=lambda per_source: per_source.amax(-1))
    assert by_mean.best_permutation(signals, signals)[1].tolist() == [[0, 1]]
    assert by_worst.best_permutation(signals, signals)[1].tolist() == [[1, 0]]
    assert by_worst(signals, signals, reduce_kwargs=None).item() == 6


def test_further_arguments_reach_the_loss_function():
    def scaled(estimates, targets, factor):
        return factor * pairwise_mse(estimates, targets)

    estimates, targets = torch.randn(2, 2, 50), torch.randn(2, 2, 50)
    plain = PITLossWrapper(pairwise_mse)(estimates, targets)
    torch.testing.assert_close(PITLossWrapper(scaled)(estimates, targets, factor=3.0), 3 * plain)


def test_one_broken_example_of_four_sources_leaves_the_others_their_answer():
    estimates, targets = torch.randn(2, 4, 100), torch.randn(2, 4, 100)
    alone = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates[1:], targets[1:])
    estimates[0] = math.nan
    values, order = PITLossWrapper(pairwise_neg_sisdr).best_permutation(estimates, targets)
    assert values[0].isnan()
    torch.testing.assert_close(values[1:], alone[0])
    assert torch.equal(order[1:], alone[1])


def test_an_unknown_pit_from_is_named():
    with pytest.raises(ValueError, match="pit_from is 'pw_matrix'"):
        PITLossWrapper(pairwise_neg_sisdr, "pw_matrix")


def test_perm_reduce_without_effect_is_refused():
    with pytest.raises(ValueError, match="perm_reduce has no effect"):
        PITLossWrapper(losses.multisrc_neg_sisdr, "perm_avg", perm_reduce=torch.mean)


@pytest.mark.parametrize("shape", [(2, 3, 50), (2, 2, 51), (2, 50)], ids=str)
def test_pit_refuses_targets_of_another_shape(shape):
    with pytest.raises(ValueError, match="PITLossWrapper: estimates have shape"):
        PITLossWrapper(pairwise_neg_sisdr)(torch.zeros(2, 2, 50), torch.zeros(shape))


@pytest.mark.parametrize(
    ("pit_from", "wrong"),
    [
        ("pw_mtx", losses.multisrc_neg_sisdr),
        ("pw_mtx", lambda e, t: (e - t).square().mean()),
        ("pw_pt", lambda e, t: (e - t).square().mean()),
        ("pw_pt", lambda e, t: (e - t).square()),
        ("perm_avg", pairwise_neg_sisdr),
        ("perm_avg", lambda e, t: (e - t).square().mean()),
        ("perm_avg", lambda e, t: (e - t).square().mean(-1)),
    ],
)
def test_a_loss_function_that_does_not_fit_pit_from_is_an_error(pit_from, wrong):
    signals = torch.randn(4, 2, 50)
    with pytest.raises(ValueError, match=f"pit_from='{pit_from}'"):
        PITLossWrapper(wrong, pit_from)(signals, signals)


def test_a_perm_reduce_that_reduces_the_wrong_axis_is_an_error():
    signals = torch.randn(4, 3, 50)
    with pytest.raises(ValueError, match="perm_reduce returned shape"):
        PITLossWrapper(pairwise_neg_sisdr, perm_reduce=lambda x: x.mean(1))(signals, signals)


# Asteroid's methods (compared with Asteroid itself in tests/asteroid)


@pytest.mark.parametrize("n_src", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("method", ["find_best_perm", "find_best_perm_factorial", "find_best_perm_hungarian"])
def test_the_best_permutation_of_a_matrix_by_every_method(n_src, method):
    matrices = torch.randn(6, n_src, n_src)
    values, order = getattr(PITLossWrapper, method)(matrices)
    expected = [brute_force(matrix) for matrix in matrices]
    assert (values.shape, order.shape, order.dtype) == ((6,), (6, n_src), torch.int64)
    assert values.tolist() == pytest.approx([value for value, _ in expected], abs=1e-6)
    assert order.tolist() == [best for _, best in expected]


@pytest.mark.parametrize("method", ["find_best_perm", "find_best_perm_factorial"])
def test_the_methods_pass_further_arguments_on_to_perm_reduce(method):
    matrices = torch.randn(6, 4, 4)
    values, order = getattr(PITLossWrapper, method)(matrices, perm_reduce=smooth_maximum, sharpness=2.0)
    for matrix, value, chosen in zip(matrices, values, order, strict=True):
        scores = {
            o: smooth_maximum(matrix[list(o), range(4)], 2.0).item() for o in itertools.permutations(range(4))
        }
        assert value.item() == pytest.approx(min(scores.values()), abs=1e-6)
        assert tuple(chosen.tolist()) == min(scores, key=scores.get)


def test_a_matrix_that_is_not_square_is_an_error():
    for method in ("find_best_perm", "find_best_perm_factorial", "find_best_perm_hungarian"):
        for shape in [(2, 4, 3), (4, 4)]:
            with pytest.raises(
                ValueError, match=r"pair_wise_losses have shape .*, expected \[batch, source, source\]"
            ):
                getattr(PITLossWrapper, method)(torch.zeros(shape))


@pytest.mark.parametrize("name", NAMES)
def test_pairwise_losses_from_single_pairs(name):
    estimates, targets = torch.randn(2, 4, 3, 100)
    matrix = PITLossWrapper.get_pw_losses(get("singlesrc", name), estimates, targets)
    torch.testing.assert_close(matrix, get("pairwise", name)(estimates, targets))


def test_the_best_order_of_a_loss_of_all_sources():
    targets = torch.randn(2, 3, 100)
    shuffled = torch.stack((targets[0, [1, 2, 0]], targets[1, [2, 1, 0]]))
    values, order = PITLossWrapper.best_perm_from_perm_avg_loss(losses.multisrc_mse, shuffled, targets)
    assert values.tolist() == [0, 0]
    assert torch.equal(PITLossWrapper.reorder_source(shuffled, order), targets)


@pytest.mark.parametrize("tail", [(50,), (6, 7), (2, 3, 4)], ids=str)
def test_mse_takes_any_number_of_axes(tail):
    estimates, targets = torch.randn(2, 4, 3, *tail)
    square = (estimates - targets).square()
    torch.testing.assert_close(losses.multisrc_mse(estimates, targets), square.flatten(1).mean(1))
    torch.testing.assert_close(losses.singlesrc_mse(estimates, targets), square.flatten(1).mean(1))
    matrix = pairwise_mse(estimates, targets)
    assert matrix.shape == (4, 3, 3)
    torch.testing.assert_close(matrix.diagonal(dim1=1, dim2=2), square.flatten(2).mean(2))
    for pit_from, form in [("pw_mtx", "pairwise"), ("pw_pt", "singlesrc"), ("perm_avg", "multisrc")]:
        value, ordered = PITLossWrapper(get(form, "mse"), pit_from)(targets.flip(1), targets, return_est=True)
        assert value.item() == 0
        assert torch.equal(ordered, targets)


def test_mse_of_too_few_axes_is_an_error():
    with pytest.raises(
        ValueError, match=r"pairwise_mse: .* expected two equal shapes \[batch, source, \.\.\.\]"
    ):
        pairwise_mse(torch.zeros(2, 50), torch.zeros(2, 50))
    with pytest.raises(ValueError, match=r"singlesrc_mse: .* expected two equal shapes \[batch, \.\.\.\]"):
        losses.singlesrc_mse(torch.zeros(50), torch.zeros(50))


# What is no pair of signals


def refused(kind, match, function, *arguments, **options):
    with pytest.raises(kind, match=match):
        function(*arguments, **options)


@pytest.mark.parametrize("method", ["get_pw_losses", "best_perm_from_perm_avg_loss"])
def test_the_methods_check_their_signals_as_forward_does(method):
    function, loss = getattr(PITLossWrapper, method), losses.singlesrc_mse
    signals = torch.randn(4, 2, 50)
    for shape in [(4, 3, 50), (4, 2, 51), (4, 50), (1, 2, 50)]:
        refused(ValueError, f"{method}: estimates have shape", function, loss, signals, torch.zeros(shape))
    refused(TypeError, f"{method}: targets are ndarray", function, loss, signals, signals.numpy())
    refused(ValueError, "which is empty", function, loss, signals[:0], signals[:0])


@pytest.mark.parametrize("wrong", [lambda e, t: (e - t).mean(), lambda e, t: 1.0, lambda e, t: e - t])
def test_a_loss_of_single_pairs_gives_one_number_per_example(wrong):
    signals = torch.randn(4, 2, 50)
    refused(
        ValueError, "expected .4.: pit_from='pw_pt'", PITLossWrapper.get_pw_losses, wrong, signals, signals
    )


@pytest.mark.parametrize("shape", [(0, 2, 50), (3, 0, 50), (3, 2, 0)], ids=str)
def test_empty_signals_are_refused(shape):
    empty = torch.zeros(shape)
    for loss in (
        losses.pairwise_neg_sisdr,
        losses.multisrc_neg_snr,
        losses.pairwise_mse,
        PITLossWrapper(pairwise_mse),
    ):
        refused(ValueError, "which is empty: every axis", loss, empty, empty)
    for measure in (si_sdr, sd_sdr, snr):
        refused(ValueError, "at least 1", measure, torch.zeros(3, 0), torch.zeros(3, 0))


def test_signals_of_other_lengths_and_types_are_refused():
    for measure in (si_sdr, sd_sdr, snr):
        refused(ValueError, r"shape \[1\] and targets \[800\]", measure, TONE[:1], TONE)
        refused(TypeError, "targets are list", measure, TONE, TONE.tolist())
    refused(
        TypeError, "estimates are torch.int16", pairwise_mse, torch.zeros(1, 2, 5, dtype=torch.int16), TONE
    )


@pytest.mark.parametrize("method", ["find_best_perm", "find_best_perm_factorial", "find_best_perm_hungarian"])
def test_a_matrix_without_numbers_is_refused(method):
    function = getattr(PITLossWrapper, method)
    refused(TypeError, "pair_wise_losses are list", function, [[1.0]])
    refused(TypeError, "pair_wise_losses are torch.int64", function, torch.ones(1, 2, 2, dtype=torch.int64))
    for shape in [(0, 2, 2), (2, 0, 0)]:
        refused(ValueError, "none of them 0", function, torch.zeros(shape))


def test_an_order_that_is_none_is_refused():
    sources, order = torch.randn(2, 3, 50), torch.tensor([[0, 1, 2], [2, 1, 0]])
    reorder = PITLossWrapper.reorder_source
    assert torch.equal(reorder(sources, order)[1], sources[1].flip(0))
    refused(TypeError, "order is torch.float32", reorder, sources, order.float())
    refused(TypeError, "Tensor and list", reorder, sources, order.tolist())
    refused(ValueError, "values from 0 to 3", reorder, sources, order.clamp(0, 1) * 3)
    refused(ValueError, "values from -1 to 1", reorder, sources, order - 1)
    for wrong in (order[:1], order[:, :2], order[0], order[..., None]):
        refused(ValueError, "order has shape", reorder, sources, wrong)


@pytest.mark.parametrize("value", [3, None, "pairwise_neg_sisdr", TONE], ids=["3", "None", "name", "tensor"])
def test_a_loss_that_can_not_be_called_is_refused(value):
    refused(TypeError, "loss_func is", PITLossWrapper, value)
    if value is not None:
        refused(TypeError, "perm_reduce is", PITLossWrapper, pairwise_neg_sisdr, perm_reduce=value)
