"""Audio that is not what the network takes: rate, channels, level, samples that are no numbers."""

import soundfile
import torch

from .case import World, fault
from .voices import RATE, in_room, resampled


@fault("rate-mismatch")
def samples_of_sixteen_kilohertz_without_a_rate(world: World):
    """Voices come out slow and deep: an array of 16 kHz, and nobody says so."""
    good = world.voices.separated(111)
    return {"model": good.model, "mixture": resampled(good.mixture, RATE, 16000).numpy()}


@fault("rate-mismatch")
def file_at_the_rate_of_a_cd(world: World):
    """A WAV file of 44.1 kHz goes into the network as it is."""
    good = world.voices.separated(121)
    path = world.folder / "interview.wav"
    soundfile.write(path, resampled(good.mixture, RATE, 44100).numpy(), 44100)
    return {"model": good.model, "mixture": path}


@fault("rate-mismatch")
def header_with_the_wrong_rate(world: World):
    """A recorder's 16 kHz stand under a header of 8 kHz: slow deep voices, outputs close to the mixture."""
    good = world.voices.separated(131)
    path = world.folder / "recorder.wav"
    soundfile.write(path, resampled(good.mixture, RATE, 16000).numpy(), RATE, subtype="FLOAT")
    return {"model": good.model, "mixture": path, "references": resampled(good.sources, RATE, 16000)}


# First it was telephone talk for a 16 kHz network with made-up weights: that separates nothing anyway, and no report
# on such a network has a right order. Then talk with nothing above 2 kHz, and 5 kHz declared as 8: both still separate.
@fault("rate-mismatch", "length")
def references_from_the_folder_of_the_other_rate(world: World):
    """The mixture is from `wav8k`, the references from `wav16k` (LibriMix has both): scores make no sense."""
    good = world.voices.separated(141)
    paths = []
    for i, source in enumerate(resampled(good.sources, RATE, 16000)):
        paths.append(world.folder / f"s{i + 1}.wav")
        soundfile.write(paths[-1], source.numpy(), 16000)
    return {
        "model": good.model, "mixture": good.mixture, "sample_rate": RATE, "references": paths,
        "estimates": good.estimates,
    }  # fmt: skip


@fault("channels")
def second_channel_wired_backwards(world: World):
    """A stereo file whose right channel has the opposite polarity: after averaging nothing is left."""
    good = world.voices.separated(151)
    path = world.folder / "stereo.wav"
    soundfile.write(path, torch.stack((good.mixture, -0.97 * good.mixture), 1).numpy(), RATE)
    return {"model": good.model, "mixture": path}


@fault("channels")
def array_of_four_microphones(world: World):
    """`[4, T]` of a microphone array in a room is taken as a batch of four mixtures."""
    room = in_room(world.voices.sources(161), rt60=0.25, seed=world.seed, microphones=4)
    return {"model": world.voices.model(), "mixture": room.sum(0), "sample_rate": RATE}


@fault("silence", "level", "channels")
def nothing_left_after_averaging(world: World):
    """The user averaged two channels of opposite polarity first: 16-bit rounding noise is what remains."""
    left = (world.voices.sources(171).sum(0) * 32768).round()
    right = -left + (world.noise(len(left)) > 1.5)
    return {"model": world.voices.model(), "mixture": (left + right) / 2 / 32768, "sample_rate": RATE}


@fault("level")
def integers_turned_into_floats(world: World):
    """`samples.astype("float32")` of 16-bit samples: values of thousands."""
    good = world.voices.separated(181)
    return {"model": good.model, "mixture": (good.mixture * 32768).round(), "sample_rate": RATE}


@fault("level")
def recorded_far_too_loud(world: World):
    """A recording that was clipped at the converter and turned down afterwards: flat tops at 0.4."""
    good = world.voices.separated(191)
    top = good.mixture.abs().quantile(0.97)
    clipped = good.mixture.clamp(-top, top)
    return {"model": good.model, "mixture": clipped * (0.4 / top), "sample_rate": RATE}


@fault("not-finite")
def divided_by_the_level_of_a_pause(world: World):
    """Block-wise normalisation divided by zero in a pause: infinite samples, and NaN beside them."""
    good = world.voices.separated(201)
    mixture = good.mixture.clone()
    mixture[12_000:12_003] = torch.tensor([float("inf"), float("nan"), float("-inf")])
    return {"model": good.model, "mixture": mixture, "sample_rate": RATE}


@fault("length")
def snippet_shorter_than_one_chunk(world: World):
    """Detected speech segments of 30 ms are separated one by one: clicks."""
    good = world.voices.separated(211)
    return {"model": good.model, "mixture": good.mixture[9000:9240], "sample_rate": RATE}
