"""Losses as people write them, with the slip in them. `loss` alone is brought, as the documentation says."""

import torch

from dprnn_lab.loss import pairwise_neg_sisdr

from .case import World, fault
from .losses_by_hand import batch, orders, si_snr, snr


@fault("sign-of-loss")
def the_minus_was_forgotten(world: World):
    """Training makes it worse: the loss falls and the outputs are noise. SI-SNR itself is minimised."""

    def loss(estimates, sources):
        each = [si_snr(estimates[:, p], sources).mean(1) for p in orders(estimates)]
        return torch.stack(each).max(0).values.mean()

    return {"loss": loss}


@fault("sign-of-loss")
def negated_mean_squared_error(world: World):
    """`-mse`, taken over from the code for SI-SNR: the outputs grow without limit. Three sources."""

    def loss(estimates, sources):
        each = [(estimates[:, p] - sources).pow(2).mean((1, 2)) for p in orders(estimates)]
        return -torch.stack(each).min(0).values.mean()

    return {"loss": loss, "batch": batch(world, 3)}


@fault("detached-loss")
def computed_in_numpy(world: World):
    """`element 0 of tensors does not require grad`, so the user set `requires_grad_()` on the result."""

    def loss(estimates, sources):
        fixed = estimates.detach()
        each = [si_snr(fixed[:, p], sources).mean(1) for p in orders(fixed)]
        value = -torch.stack(each).max(0).values.mean()
        return torch.tensor(float(value), requires_grad=True)

    return {"loss": loss}


@fault("detached-loss")
def estimates_copied_by_data(world: World):
    """`estimates.data` in a helper that reorders them: the weights never change, the loss is that of the start."""

    def loss(estimates, sources):
        each = torch.stack([-snr(estimates.data[:, p], sources).mean(1) for p in orders(estimates)])
        return each.min(0).values.mean()

    return {"loss": loss}


@fault("detached-loss")
def sources_compared_with_themselves(world: World):
    """A slip in a name: the loss is a constant -80 dB from the first step on."""

    def loss(estimates, sources):
        each = torch.stack([-si_snr(sources[:, p], sources).mean(1) for p in orders(sources)])
        return each.min(0).values.mean() + 0 * estimates.sum()

    return {"loss": loss}


@fault("pit-wrong-axis", "no-pit")
def worst_order_in_place_of_the_best(world: World):
    """`max` over permutations of a loss: the worst order is trained, and the loss stays at 0 dB."""

    def loss(estimates, sources):
        each = torch.stack([-si_snr(estimates[:, p], sources).mean(1) for p in orders(estimates)])
        return each.max(0).values.mean()

    return {"loss": loss}


@fault("pit-wrong-axis", "no-pit")
def one_order_for_the_whole_batch(world: World):
    """The mean over the batch comes before the minimum: each batch has one order; four sources."""

    def loss(estimates, sources):
        each = torch.stack([-snr(estimates[:, p], sources).mean() for p in orders(estimates)])
        return each.min()

    return {"loss": loss, "batch": batch(world, 4, size=3)}


@fault("no-pit", "pit-wrong-axis")
def fixed_order_of_three_sources(world: World):
    """`-snr(estimates, sources).mean()`: all three outputs become the mixture."""

    def loss(estimates, sources):
        return -snr(estimates, sources).mean()

    return {"loss": loss, "batch": batch(world, 3)}


@fault("no-pit", "pit-wrong-axis")
def rotations_in_place_of_permutations(world: World):
    """Four sources, and only the four rotations are tried of 24 orders: some orders are never right."""

    def loss(estimates, sources):
        count = estimates.shape[1]
        each = [-si_snr(estimates.roll(k, dims=1), sources).mean(1) for k in range(count)]
        return torch.stack(each).min(0).values.mean()

    # Of two sources the rotations are all orders: only the batch tells that there are four.
    return {"loss": loss, "batch": batch(world, 4)}


@fault("pit-wrong-axis")
def each_estimate_takes_the_target_it_likes(world: World):
    """The minimum over each row of the pairwise matrix: both outputs may hold the same voice."""

    def loss(estimates, sources):
        return pairwise_neg_sisdr(estimates, sources).min(dim=2).values.mean()

    return {"loss": loss}


@fault("pit-wrong-axis")
def decibels_over_sources_and_time_together(world: World):
    """`[B, S, T]` was flattened to `[B, S * T]` for a loss of one signal, once per batch and order of the batch."""

    def single(estimates, sources):
        return -si_snr(estimates.transpose(0, 1).flatten(), sources.transpose(0, 1).flatten())

    def loss(estimates, sources):
        return torch.stack([single(estimates[:, p], sources) for p in orders(estimates)]).min()

    return {"loss": loss}
