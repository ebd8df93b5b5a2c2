"""Recordings that the network cannot know or was not made for: people, rooms, noise."""

import torch

from dprnn_lab import load_model, separate

from .case import World, fault
from .voices import RATE, in_room, set_snr


@fault("sources-count")
def three_people_two_outputs(world: World):
    """Two outputs, three voices: one of them is in both."""
    sources = world.voices.sources(221, 3.0, count=3)
    return {
        "model": world.voices.model(), "mixture": sources.sum(0), "sample_rate": RATE, "references": sources
    }  # fmt: skip


@fault("one-speaker", "sources-count")
def one_person_alone(world: World):
    """One voice in the recording; both outputs hold parts of it."""
    name = world.voices.cast(231)[0]
    return {"model": world.voices.model(), "mixture": world.voices.talk(name, 4.0), "sample_rate": RATE}


@fault("one-speaker", "sources-count")
def one_person_alone_and_what_came_out(world: World):
    """A monologue in a quiet room, separated: the user shows both outputs too."""
    name = world.voices.cast(242)[0]
    talk = in_room(world.voices.talk(name, 4.0)[None], rt60=0.2, seed=world.seed)[0, 0]
    model = world.voices.model()
    estimates = separate(model, talk.numpy(), RATE)
    return {"model": model, "mixture": talk, "sample_rate": RATE, "estimates": estimates}


@fault("domain-mismatch")
def street_noise_as_loud_as_the_talk(world: World):
    """Two people beside a road, noise at 0 dB: both outputs are noise with talk."""
    sources = world.voices.sources(251)
    noise = torch.nn.functional.avg_pool1d(world.noise(1, sources.shape[1] + 7), 8, stride=1)[0]
    rumble = noise * (1 + 0.3 * torch.sin(torch.arange(len(noise)) / 4000))
    mixture = sources.sum(0)
    return {
        "model": load_model("small"), "mixture": mixture + set_snr(mixture, rumble, 0.0), "sample_rate": RATE
    }  # fmt: skip


@fault("domain-mismatch")
def two_people_in_a_stairwell(world: World):
    """A decay time of 1.1 s: both outputs are the mixture with its echo."""
    heard = in_room(world.voices.sources(261), rt60=1.1, seed=world.seed)[:, 0]
    return {"model": load_model("small"), "mixture": heard.sum(0), "sample_rate": RATE}


@fault("unseen-speakers", "domain-mismatch")
def clean_voices_that_the_network_does_not_know(world: World):
    """Close microphones, no noise, no room: and yet both outputs are nearly the mixture."""
    strange = world.voices.strange(271)
    return {"model": strange.model, "mixture": strange.mixture, "sample_rate": RATE}


@fault("unseen-speakers", "domain-mismatch")
def unknown_voices_with_their_references(world: World):
    """The same with references and outputs: under 2 dB where the report of the model promises 11."""
    strange = world.voices.strange(302, 4.0)
    return {
        "model": strange.model, "mixture": strange.mixture, "sample_rate": RATE, "references": strange.sources,
        "estimates": strange.estimates,
    }  # fmt: skip
