"""Batches, lists and scores in order."""

import numpy as np
import pandas as pd
import soundfile
import torch

from .case import World, healthy
from .losses_by_hand import batch
from .voices import RATE, in_room


@healthy
def batch_of_three_voices(world: World):
    """Three sources, their sum is the mixture."""
    return {"batch": batch(world, 3, size=4)}


@healthy
def batch_in_a_room_with_wet_targets(world: World):
    """The targets are what arrived at the microphone."""
    _, sources = batch(world, 2, size=3)
    wet = torch.stack([in_room(s, 0.3, world.seed + b)[:, 0] for b, s in enumerate(sources)])
    return {"batch": (wet.sum(1), wet)}


@healthy
def batch_of_sixteen_bit_files(world: World):
    """Mixture and sources were written to 16-bit files: they differ by rounding."""
    mixtures, sources = batch(world, 2, size=4)
    return {"batch": ((mixtures * 32768).round() / 32768, (sources * 32768).round() / 32768)}


@healthy
def batch_normalised_as_a_whole(world: World):
    """Each example is divided by the deviation of its mixture, sources with it: peaks over 1."""
    mixtures, sources = batch(world, 2, size=4)
    spread = mixtures.std(-1, keepdim=True)
    return {"batch": (mixtures / spread, sources / spread[:, None])}


@healthy
def quiet_second_voice(world: World):
    """Levels are drawn over a wide range: a voice 25 dB under the other is no silence."""
    _, sources = batch(world, 2, size=4)
    sources = sources * torch.tensor([1.0, 10 ** (-25 / 20)])[None, :, None]
    return {"batch": (sources.sum(1), sources)}


@healthy
def lists_without_a_common_voice(world: World):
    """Training and test share nobody; each pair is two people."""
    names = world.voices.names
    half = len(names) // 2
    lists = {}
    for split, people in (("train", names[:half]), ("test", names[half:])):
        pairs = [(people[i], people[(i + 1) % len(people)]) for i in range(min(4, len(people)))]
        lists[split] = [
            (torch.stack((world.voices.talk(a, 2.0, i), world.voices.talk(b, 2.0, 9 + i))), (a, b))
            for i, (a, b) in enumerate(pairs)
            if a != b
        ]
    return {"data": lists}


@healthy
def folder_in_the_form_of_librimix(world: World):
    """`train/s1`, `train/s2`, `test/s1`, `test/s2` with files of equal names, split by voice."""
    names = world.voices.names
    for split, people in (("train", names[::2]), ("test", names[1::2])):
        for i in range(3):
            a, b = people[i % len(people)], people[(i + 1) % len(people)]
            for part, name in (("s1", a), ("s2", b)):
                folder = world.folder / "mix" / split / part
                folder.mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / f"{i:04}.wav", world.voices.talk(name, 2.0, 4 * i).numpy(), RATE)
    return {"data": world.folder / "mix"}


@healthy
def scores_in_one_cluster(world: World):
    """A table as `evaluate` writes it: 12 dB with a spread of 2.5, equal for all kinds."""
    random = np.random.default_rng(world.seed)
    kinds = np.array(["man-woman", "woman-woman", "man-man"])[np.arange(90) % 3]
    improvement = random.normal(12, 2.5, 90)
    table = pd.DataFrame(
        {"system": "mine", "kind": kinds, "si_sdri": improvement, "si_sdr": improvement + 0.1}
    )
    return {"scores": table}
