"""Trainings whose curve tells what went wrong."""

import numpy as np
import torch

from dprnn_lab.checkpoint.asteroid import to_asteroid

from .case import World, fault
from .curves import lightning_csv, table, towards
from .networks import lightning_checkpoint, moved, tiny


@fault("nan-run", "silent-target")
def loss_is_nan_from_one_step_on(world: World):
    """A folder of Lightning's CSVLogger: well for 4 000 steps, then `nan` in every row."""
    rows = table(towards(-12, 3000), 6000, world.seed)
    rows[["train_loss", "grad_norm"]] = rows[["train_loss", "grad_norm"]].where(rows["step"] < 4100)
    rows.loc[rows["step"] > 4100, "valid_loss"] = np.nan
    path = lightning_csv(rows, world.folder / "version_0" / "metrics.csv")
    lines = path.read_text().splitlines()
    header = lines[0].split(",")
    fields = [line.split(",") for line in lines[1:]]
    for row in fields:  # Lightning writes "nan" for a loss that is NaN, and nothing for what was not logged
        if float(row[1]) >= 4100 and not row[header.index("si_sdri_all")]:
            row[header.index("train_loss")] = row[header.index("grad_norm")] = "nan"
    path.write_text("\n".join(",".join(row) for row in [header, *fields]) + "\n")
    return {"run": path}


@fault("no-clipping")
def gradients_explode_and_the_loss_stays_up(world: World):
    """The loss falls to -8 dB, jumps to +1 in one step and never comes back. Nobody clipped the gradient."""
    rows = table(towards(-11, 2500), 12_000, world.seed)
    after = rows["step"] > 7000
    random = np.random.default_rng(world.seed)
    rows.loc[after, "train_loss"] = 1.2 + random.normal(0, 0.3, int(after.sum()))
    rows.loc[after & rows["valid_loss"].notna(), "valid_loss"] = 1.5
    rows.loc[(rows["step"] > 6900) & (rows["step"] <= 7100), "grad_norm"] = [310.0, 9.4e4, 2.1e5, 8.0e3]
    return {"run": rows}


@fault("dead-output", "silent-target")
def eighty_decibels_for_the_rest_of_the_run(world: World):
    """At epoch 60 the loss goes from -14 to exactly 80 and stays there, in training and validation."""
    rows = table(towards(-15.5, 4000), 30_000, world.seed, every=250)
    after = rows["step"] > 21_000
    rows.loc[after, "train_loss"] = 80.0
    rows.loc[after & rows["valid_loss"].notna(), "valid_loss"] = 80.0
    rows.loc[after, "grad_norm"] = 0.0
    return {"run": rows}


@fault("learning-rate")
def learning_rate_of_one_millionth(world: World):
    """`lr: 1e-6` for `1e-3`: after 3 000 steps the loss has come from 34 to 31 dB."""
    folder = world.folder / "exp"
    rows = table(lambda s: 34 - 0.001 * s, 3000, world.seed, every=25, norm=900.0)
    lightning_csv(rows, folder / "metrics.csv")
    (folder / "checkpoints").mkdir()
    path = folder / "checkpoints" / "last.ckpt"
    lightning_checkpoint(to_asteroid(moved(tiny(), world.seed).state_dict()), path, step=3000)
    content = torch.load(path, weights_only=True)
    content["optimizer_states"][0]["param_groups"][0]["lr"] = 1e-6
    torch.save(content, path)
    return {"run": folder}


@fault("learning-rate", "unhealthy-curve", "no-clipping")
def learning_rate_too_high_from_the_start(world: World):
    """`lr: 0.1`: the loss dances between 0 and 4 dB for 2 000 steps, with gradients of every size."""
    rows = table(lambda s: 1.6 + 0 * s, 2000, world.seed, every=20, jitter=1.3)
    random = np.random.default_rng(world.seed)
    rows["grad_norm"] = np.exp(random.normal(2.5, 2.2, len(rows)))
    return {"run": rows}


@fault("overfit")
def learnt_two_hundred_mixtures_by_heart(world: World):
    """A list of 200 mixtures made once: -19 dB in training, validation turned round at -5."""
    rows = table(
        towards(-22, 3000), 20_000, world.seed, every=100,
        valid=lambda s: -6.5 * s / (s + 1200) + 4.5 * np.clip(s - 5000, 0, None) / 15_000,
    )  # fmt: skip
    return {"run": lightning_csv(rows, world.folder / "metrics.csv")}


@fault("resume", "no-clipping")
def resumed_from_the_weights_alone(world: World):
    """Training was stopped at -9 dB; the next day it starts at -2 dB: weights were kept, Adam's state was not."""
    first = table(towards(-12, 2500), 8000, world.seed)
    second = table(lambda s: -9.3 - 2 * s / (s + 6000) + 7.0 * np.exp(-s / 500), 6000, world.seed + 1)
    second["step"] += 8000
    second["grad_norm"] = second["grad_norm"].clip(upper=9.0)
    for version, rows in enumerate((first, second)):
        rows.to_csv(
            _made(world.folder / "run" / "curves" / f"version_{version}") / "metrics.csv", index=False
        )
    return {"run": world.folder / "run"}


@fault("no-pit", "unhealthy-curve", "learning-rate")
def fourteen_epochs_at_zero_decibels(world: World):
    """The loss creeps from 0.1 to -0.3 dB in 14 epochs and 14 000 steps."""
    rows = table(towards(-0.35, 6000, start=2.0), 14_000, world.seed, every=100, jitter=0.06, gap=0.02)
    return {"run": lightning_csv(rows, world.folder / "metrics.csv", epoch_steps=1000)}


@fault("plateau-reading")
def minus_ten_is_the_mean_of_two_clusters(world: World):
    """The mean is 10 dB and stays there: 15 dB for pairs of a woman and a man, 2 dB for two women."""
    random = np.random.default_rng(world.seed)
    return {"scores": {"f-m": random.normal(15, 1.6, 48), "f-f": random.normal(2.2, 1.4, 30)}}


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder
