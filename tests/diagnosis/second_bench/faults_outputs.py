"""What happens after the network: order, level, time, windows."""

import torch

from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr

from .case import World, fault
from .voices import RATE, Separated, resampled

PIT = PITLossWrapper(pairwise_neg_sisdr)


def _brought(good: Separated, estimates: torch.Tensor, **more: object) -> dict:
    return {
        "model": good.model, "mixture": good.mixture, "sample_rate": RATE, "references": good.sources,
        "estimates": estimates, **more,
    }  # fmt: skip


@fault("permutation-flip")
def voices_change_places_halfway(world: World):
    """Output 1 begins with the woman and ends with the man."""
    good = world.voices.separated(311, 4.0)
    half = good.estimates.shape[1] // 2 + 700
    swapped = torch.cat((good.estimates[:, :half], good.estimates.flip(0)[:, half:]), dim=1)
    return _brought(good, swapped)


@fault("permutation-flip")
def voices_change_places_and_no_references(world: World):
    """A recording from life, so without references: the voices change places after two thirds."""
    good = world.voices.separated(321, 6.0)
    at = 2 * good.estimates.shape[1] // 3
    swapped = torch.cat((good.estimates[:, :at], good.estimates.flip(0)[:, at:]), dim=1)
    return {"model": good.model, "mixture": good.mixture, "sample_rate": RATE, "estimates": swapped}


@fault("seam-artefact")
def click_once_a_second(world: World):
    """A streaming script writes a block each second and drops the samples that overlap: a click each time."""
    good = world.voices.separated(331, 5.0)
    broken = good.estimates.clone()
    for at in range(RATE, broken.shape[1], RATE):
        broken[:, at : at + 2] += 0.5 * good.estimates.abs().amax(1, keepdim=True)
    return _brought(good, broken)


@fault("seam-artefact", "permutation-flip", "relative-level-lost", "scale-free")
def blocks_of_half_a_second_joined_end_to_end(world: World):
    """Blocks of 0.5 s, each scaled to its own peak, joined without overlap: the level jumps twice a second."""
    good = world.voices.separated(341, 4.0)
    blocks = good.estimates.unfold(1, RATE // 2, RATE // 2)
    joined = (0.5 * blocks / blocks.abs().amax(-1, keepdim=True).clamp(min=1e-3)).flatten(1)
    return _brought(good, joined)


@fault("relative-level-lost")
def each_output_scaled_to_full_peak(world: World):
    """The person in the background is as loud as the one in front: `x / x.abs().max()` for each file."""
    good = world.voices.separated(351, level_db=9.0)
    return _brought(good, 0.95 * good.estimates / good.estimates.abs().amax(1, keepdim=True))


@fault("scale-free")
def clipped_when_written(world: World):
    """The network's own outputs, several times too large, went into a 16-bit file."""
    good = world.voices.separated(361)
    gain = 4.0 / good.estimates.abs().max()
    return _brought(good, (gain * good.estimates).clamp(-1, 1))


@fault("order-arbitrary")
def scored_against_the_wrong_references(world: World):
    """It sounds right, and the user's own script reports -15 dB."""
    good = world.voices.separated(371)
    wrong = good.estimates.flip(0)
    return _brought(good, wrong, reported=float(si_sdr(wrong, good.sources).mean()))


@fault("order-arbitrary", "polarity")
def one_output_with_the_opposite_sign(world: World):
    """SI-SDR does not see a sign: SNR of one output is -6 dB, and output and reference cancel when added."""
    good = world.voices.separated(381)
    return _brought(good, good.estimates * torch.tensor([[1.0], [-1.0]]))


@fault("late-estimates")
def estimates_fifty_milliseconds_late(world: World):
    """A streaming client adds its buffer in front: it sounds right, SI-SDR is -20 dB."""
    good = world.voices.separated(391)
    late = torch.nn.functional.pad(good.estimates, (400, 0))[:, : good.estimates.shape[1]]
    return _brought(good, late)


# The catalogue has since said of late-estimates that it judges "length and rate of the estimates" against the mixture,
# which is this fault; rate-mismatch and length are about the mixture and the model.
@fault("rate-mismatch", "length", "late-estimates")
def estimates_at_twice_the_rate(world: World):
    """A service returns 16 kHz for an 8 kHz recording; the user compares sample by sample."""
    good = world.voices.separated(401)
    return _brought(good, resampled(good.estimates, RATE, 16000))


# As above: the catalogue's late-estimates is about the length of the estimates.
@fault("length", "late-estimates")
def second_half_is_missing(world: World):
    """A script with a limit of two seconds per file: outputs half as long as the recording."""
    good = world.voices.separated(411, 4.0)
    return _brought(good, good.estimates[:, : good.estimates.shape[1] // 2])


@fault("outputs-alike")
def third_output_is_the_first_again(world: World):
    """A hand-written network of three sources uses mask 1 twice: outputs 1 and 3 sound the same."""
    sources = world.voices.sources(421, 3.0, count=3)
    leak = 0.06 * sources.sum(0)
    estimates = 0.95 * sources + leak
    estimates[2] = estimates[0] * 1.02
    return {"mixture": sources.sum(0), "sample_rate": RATE, "references": sources, "estimates": estimates}


@fault("one-speaker", "dead-output", "domain-mismatch")
def one_output_is_hiss(world: World):
    """Output 1 is the whole mixture, output 2 is steady hiss at the level of speech."""
    good = world.voices.separated(431)
    hiss = 0.03 * world.noise(good.mixture.shape[0])
    return _brought(good, torch.stack((good.mixture - 0.1 * hiss, hiss)))
