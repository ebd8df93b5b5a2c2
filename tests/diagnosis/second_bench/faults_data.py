"""Batches and lists of material that no network can learn from, or that make a test worthless."""

import torch

from .case import World, fault
from .voices import in_room


def _sources(world: World, count: int = 2, size: int = 4, seconds: float = 2.0) -> torch.Tensor:
    return torch.stack([world.voices.sources(world.seed + 5 * b, seconds, count) for b in range(size)])


@fault("targets-inconsistent")
def dry_targets_for_a_mixture_in_a_room(world: World):
    """The mixture was recorded in a room, the targets are the dry voices: the loss stays at -4 dB."""
    sources = _sources(world)
    mixtures = torch.stack([in_room(s, 0.5, world.seed + b)[:, 0].sum(0) for b, s in enumerate(sources)])
    return {"batch": (mixtures, sources)}


@fault("targets-inconsistent")
def each_of_three_targets_normalised_after_mixing(world: World):
    """Each of three sources is scaled to a peak of 0.9 when it is read; the mixture is not."""
    sources = _sources(world, count=3)
    sources = sources * torch.tensor([1.0, 0.5, 0.25])[None, :, None]
    return {"batch": (sources.sum(1), 0.9 * sources / sources.abs().amax(-1, keepdim=True))}


@fault("targets-inconsistent")
def file_lists_sorted_differently(world: World):
    """`mix` sorted by number, `s1` and `s2` by name: each mixture has the sources of another."""
    sources = _sources(world, size=5)
    return {"batch": (sources.sum(1), sources[[0, 3, 1, 4, 2]])}


@fault("silent-target")
def segments_in_which_one_person_is_silent(world: World):
    """Random segments of long recordings: in some, one of three people says nothing, and the loss is +60 dB."""
    sources = _sources(world, count=3)
    sources[1, 2] = 1e-6 * world.noise(sources.shape[-1])
    sources[3, 0] = 0
    return {"batch": (sources.sum(1), sources)}


@fault("same-speaker")
def both_voices_from_one_folder(world: World):
    """Pairs are drawn from files, not from people: in half of them the two voices are one person."""
    train = []
    for i, name in enumerate(world.voices.cast(world.seed, 4)):
        talk = world.voices.talk(name, 4.0, start=i)
        train.append((talk.reshape(2, -1), (name, name)))
        first, second = world.voices.cast(world.seed + 11 * i, 2)
        other = torch.stack((world.voices.talk(first, 2.0, 30 + i), world.voices.talk(second, 2.0, 31 + i)))
        train.append((other, (first, second)))
    test = [(world.voices.sources(world.seed + 991, 2.0), tuple(world.voices.cast(world.seed + 991)))]
    return {"data": {"train": train, "test": test}}


@fault("leakage")
def test_mixtures_made_of_training_sentences(world: World):
    """Mixtures were drawn first and split afterwards: the test has training sentences, louder and in other pairs."""
    train = _sources(world, size=5)
    test = [torch.stack((0.6 * train[i, 0], 1.3 * train[(i + 1) % 5, 1])) for i in range(3)]
    return {"data": {"train": list(train), "test": test}}
