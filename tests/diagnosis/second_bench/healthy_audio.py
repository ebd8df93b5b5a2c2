"""Recordings and estimates in order: clean voices, rooms, files, rates, levels, other numbers of people."""

import soundfile
import torch

from dprnn_lab import separate
from dprnn_lab.loss import si_sdr

from .case import World, healthy
from .voices import RATE, in_room, resampled, set_snr, wideband


def _all(good, **more) -> dict:
    return {
        "model": good.model, "mixture": good.mixture, "sample_rate": RATE, "references": good.sources,
        "estimates": good.estimates, **more,
    }  # fmt: skip


@healthy
def clean_voices_and_everything_brought(world: World):
    """Model, mixture, references, estimates."""
    return _all(world.voices.separated(601))


@healthy
def clean_voices_and_the_mixture_alone(world: World):
    """A model and a recording."""
    good = world.voices.separated(611)
    return {"model": good.model, "mixture": good.mixture.numpy(), "sample_rate": RATE}


@healthy
def other_clean_voices_of_four_seconds(world: World):
    """Two other people, four seconds, how many they are is said."""
    good = world.voices.separated(622, 4.0)
    return {"model": good.model, "mixture": good.mixture, "sample_rate": RATE, "speakers": 2}


@healthy
def one_voice_seven_decibels_louder(world: World):
    """An unequal pair."""
    return _all(world.voices.separated(631, level_db=7.0))


@healthy
def reported_score_is_right(world: World):
    """The user's own SI-SDR agrees."""
    good = world.voices.separated(641)
    return _all(good, reported=float(si_sdr(good.estimates, good.sources).mean()))


@healthy
def three_minutes_in_windows(world: World):
    """A long file: `separate` takes it in windows, memory is no question."""
    return {
        "model": world.voices.model(), "mixture": world.voices.separated(651, 6.0).mixture.repeat(30),
        "sample_rate": RATE,
    }  # fmt: skip


@healthy
def studio_file_mixed_down_and_resampled(world: World):
    """A stereo file of 48 kHz, read, averaged and resampled before it goes into the network."""
    good = world.voices.separated(661)
    wide = resampled(good.mixture, RATE, 48000)
    path = world.folder / "studio.wav"
    soundfile.write(path, torch.stack((wide, 0.8 * wide), 1).numpy(), 48000, subtype="PCM_24")
    samples, rate = soundfile.read(path, dtype="float32")
    mono = resampled(torch.as_tensor(samples).mean(1), rate, RATE)
    return {"model": good.model, "mixture": mono, "sample_rate": RATE}


@healthy
def file_at_the_rate_of_the_network(world: World):
    """A mono file of 8 kHz, 16 bit, given by its path; references as paths too."""
    good = world.voices.separated(671)
    paths = []
    for name, samples in (("mix", good.mixture), ("s1", good.sources[0]), ("s2", good.sources[1])):
        paths.append(world.folder / f"{name}.wav")
        soundfile.write(paths[-1], samples.numpy(), RATE, subtype="PCM_16")
    return {"model": good.model, "mixture": paths[0], "references": paths[1:]}


@healthy
def integers_of_sixteen_bits(world: World):
    """An int16 array, as scipy reads it."""
    good = world.voices.separated(681)
    return {"model": good.model, "mixture": (good.mixture * 32767).short().numpy(), "sample_rate": RATE}


@healthy
def quiet_recording(world: World):
    """Everything 20 dB lower."""
    good = world.voices.separated(691)
    return {
        "model": good.model, "mixture": 0.1 * good.mixture, "sample_rate": RATE, "references": 0.1 * good.sources
    }  # fmt: skip


@healthy
def small_furnished_room(world: World):
    """A decay time of 0.2 s; the references are what arrived at the microphone."""
    good = world.voices.separated(701, change=lambda s: in_room(s, 0.2, world.seed)[:, 0])
    return _all(good)


@healthy
def faint_background_noise(world: World):
    """White noise 30 dB under the talk, which the network does not mind."""
    good = world.voices.separated(711)
    mixture = good.mixture + set_snr(good.mixture, world.noise(len(good.mixture)), 30.0)
    return {"model": good.model, "mixture": mixture, "sample_rate": RATE}


@healthy
def people_who_take_turns(world: World):
    """One person pauses for a second in the middle; outputs and references are brought."""

    def pause(sources):
        sources = sources.clone()
        sources[0, 12_000:20_000] *= 0.001
        return sources

    return _all(world.voices.separated(721, 4.0, change=pause))


@healthy
def outputs_with_long_pauses(world: World):
    """Ideal outputs of a conversation, person after person, with pauses of exactly a second between sentences."""
    sources = world.voices.sources(731, 6.0).clone()
    block = torch.arange(sources.shape[1]) // RATE
    sources[0, block % 3 == 1] = 0
    sources[1, block % 3 == 2] = 0
    estimates = sources + 0.01 * sources.flip(0)
    return {"mixture": sources.sum(0), "sample_rate": RATE, "references": sources, "estimates": estimates}


@healthy
def silence_before_and_after(world: World):
    """A file that begins and ends with half a second of digital silence."""
    good = world.voices.separated(741)
    padded = torch.nn.functional.pad(good.mixture, (RATE // 2, RATE // 2))
    return {"model": good.model, "mixture": padded, "sample_rate": RATE}


@healthy
def three_sources_from_another_network(world: World):
    """A hand-written network of three: its outputs are 15 dB good, no model is brought."""
    sources = world.voices.sources(751, 3.0, count=3)
    noise = torch.stack([set_snr(s, world.noise(len(s)), 18.0) for s in sources])
    estimates = sources + 0.08 * sources.roll(1, 0) + noise
    return {"mixture": sources.sum(0), "sample_rate": RATE, "references": sources, "estimates": estimates}


@healthy
def four_sources_from_another_network(world: World):
    """Four people, outputs with a little of all others in each."""
    sources = world.voices.sources(761, 3.0, count=4)
    estimates = 0.85 * sources + 0.05 * sources.sum(0)
    return {"mixture": sources.sum(0), "sample_rate": RATE, "references": sources, "estimates": estimates}


@healthy
def denoised_single_voice(world: World):
    """Enhancement: one reference, one output, and noise at 5 dB that is gone."""
    voice = world.voices.talk(world.voices.cast(771)[0], 3.0)
    noise = set_snr(voice, world.noise(len(voice)), 5.0)
    return {
        "mixture": voice + noise, "sample_rate": RATE, "references": voice[None],
        "estimates": (voice + 0.1 * noise)[None], "speakers": 1,
    }  # fmt: skip


@healthy
def outputs_of_files_with_one_gain_for_all(world: World):
    """Both outputs scaled by one factor to a peak of 0.9: relative levels stay."""
    good = world.voices.separated(781, level_db=4.0)
    return _all(good) | {"estimates": good.estimates * (0.9 / good.estimates.abs().max())}


@healthy
def wideband_estimates_without_a_model(world: World):
    """16 kHz throughout, outputs 14 dB good, a service's answer: no model to bring."""
    sources = wideband(world.voices.sources(791, 3.0), world.seed)
    estimates = sources + 0.15 * sources.flip(0)
    return {"mixture": sources.sum(0), "sample_rate": 16000, "references": sources, "estimates": estimates}


@healthy
def outputs_of_ten_seconds_in_windows(world: World):
    """Ten seconds through `separate`, whose windows are of eight, with its outputs."""
    good = world.voices.separated(801, 10.0)
    estimates = separate(good.model, good.mixture.numpy(), RATE)
    return {"model": good.model, "mixture": good.mixture, "sample_rate": RATE, "estimates": estimates}
