"""Curves of trainings in order: short, long, of other data, stopped and continued, with warm-up, at a good plateau."""

import numpy as np

from .case import World, healthy
from .curves import lightning_csv, table, towards


@healthy
def paper_size_on_libri2mix(world: World):
    """200 epochs: -14 dB at the end, an epoch of 2 000 steps, as Lightning writes it."""
    rows = table(towards(-15, 30_000), 400_000, world.seed, every=1000, valid_every=2)
    return {"run": lightning_csv(rows, world.folder / "metrics.csv", epoch_steps=2000)}


@healthy
def first_two_thousand_steps(world: World):
    """A short run that has reached -5 dB and goes on falling."""
    return {"run": table(towards(-9, 1500), 2000, world.seed, every=25)}


@healthy
def plateau_at_a_good_value(world: World):
    """-17.5 dB, and nothing moves any more."""
    return {"run": table(towards(-17.6, 900), 60_000, world.seed, every=250, jitter=0.15)}


@healthy
def warm_up_of_four_thousand_steps(world: World):
    """The rate rises slowly: the loss stays high in the first steps and falls afterwards."""

    def loss(step):
        return 6 * np.exp(-step / 300) - 13 * np.clip(step - 400, 0, None) / (
            np.clip(step - 400, 0, None) + 3000
        )

    return {"run": table(loss, 30_000, world.seed, every=100)}


@healthy
def continued_twice_with_all_its_state(world: World):
    """Three sessions in a folder: the loss goes on where it was."""
    rows = table(towards(-12, 2500), 18_000, world.seed, every=100)
    for version, (start, end) in enumerate(((0, 6000), (6000, 12_000), (12_000, 18_000))):
        folder = world.folder / "run" / "curves" / f"version_{version}"
        folder.mkdir(parents=True)
        rows[(rows["step"] > start) & (rows["step"] <= end)].to_csv(folder / "metrics.csv", index=False)
    return {"run": world.folder / "run"}


@healthy
def learning_rate_halved_three_times(world: World):
    """Each halving gives a small step down, as ReduceLROnPlateau does."""

    def loss(step):
        return towards(-10.5, 2000)(step) - 0.9 * sum(
            1 / (1 + np.exp((at - step) / 80)) for at in (20e3, 30e3, 38e3)
        )

    return {"run": table(loss, 45_000, world.seed, every=200)}


@healthy
def noisy_mixtures_end_at_minus_eight(world: World):
    """Noise and rooms: -8 dB is what can be reached there; large batches, smooth curve."""
    return {"run": table(towards(-8.6, 5000), 80_000, world.seed, every=400, jitter=0.08, norm=1.4)}


@healthy
def single_spikes_that_are_clipped(world: World):
    """A few batches with a gradient norm of 60 to 90 before clipping; the loss does not mind."""
    rows = table(towards(-13, 3000), 25_000, world.seed, every=100)
    spots = np.random.default_rng(world.seed).choice(np.arange(30, len(rows)), 4, replace=False)
    rows.loc[spots, "grad_norm"] = [61.0, 72.0, 88.0, 65.0]
    return {"run": rows}


@healthy
def training_worse_than_validation(world: World):
    """Augmented training mixtures are harder than the clean validation list."""
    return {"run": table(towards(-9.5, 3000), 30_000, world.seed, every=150, gap=-2.2)}


@healthy
def training_loss_only(world: World):
    """No validation and no gradient norm in the log."""
    rows = table(towards(-12, 2500), 20_000, world.seed, every=100)
    return {"run": rows[["step", "train_loss"]]}


@healthy
def modest_gap_at_the_end(world: World):
    """-16 dB in training, -13.8 in validation and still falling: a gap as on every finite list of voices."""
    rows = table(
        towards(-17, 4000), 60_000, world.seed, every=300, valid=lambda s: towards(-14.6, 4000)(s) + 0.2
    )
    return {"run": rows}
