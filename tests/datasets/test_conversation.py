import itertools

import pytest
import torch

from dprnn_lab.datasets.conversation import count_swaps, make_conversation

RATE = 8000


def test_the_sources_add_up_to_the_mixture_and_fit_in_pcm():
    talk = make_conversation(0, 20)
    assert talk.mixture.shape == (20 * RATE,)
    assert talk.sources.shape == (2, 20 * RATE)
    assert torch.equal(talk.sources.sum(0), talk.mixture)
    assert talk.mixture.abs().max() <= 0.9


def test_a_seed_makes_one_conversation():
    first, again, other = (make_conversation(seed, 10) for seed in (3, 3, 4))
    assert torch.equal(first.mixture, again.mixture)
    assert not torch.equal(first.mixture, other.mixture)


@pytest.mark.parametrize("speakers", [("carlo", "june"), ("june", "allison", "ivrvoice")])
def test_turns_agree_with_the_sources(speakers):
    talk = make_conversation(1, 60, speakers)
    assert talk.speakers == speakers
    assert {turn.speaker for turn in talk.turns} == set(range(len(speakers)))
    for index, source in enumerate(talk.sources):
        silent = torch.ones(len(source), dtype=torch.bool)
        for turn in talk.turns:
            if turn.speaker == index:
                silent[turn.start : turn.stop] = False
                assert source[turn.start : turn.stop].any()
        assert not source[silent].any()
    for one, following in itertools.pairwise(talk.turns):
        assert one.speaker != following.speaker


def gaps(talk):
    return [b.start - a.stop for a, b in itertools.pairwise(talk.turns)]


def test_turns_overlap_as_asked():
    talk = make_conversation(
        2, 120, overlap_seconds=(1, 2), turn_seconds=(4, 6), pause_share=0, silence_share=0
    )
    overlaps = [-gap / RATE for gap in gaps(talk)[:-1]]
    assert min(overlaps) >= 0.99
    assert max(overlaps) <= 2.01


def test_there_are_silences_of_one_and_of_all_as_long_as_asked():
    talk = make_conversation(
        2, 300, silence_share=0.3, silence_seconds=(6, 7), pause_share=0.3, pause_seconds=(5, 6)
    )
    assert sum(5 <= gap / RATE <= 6 for gap in gaps(talk)) >= 3
    assert sum(turn.stop - turn.start > 8 * RATE for turn in talk.turns) >= 3  # 2 to 8 s, and 6 more alone
    assert not any(gap > 0 for gap in gaps(make_conversation(2, 300, pause_share=0)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"speakers": ("carlo",)}, "two or more different ones"),
        ({"speakers": ("carlo", "carlo")}, "two or more different ones"),
        ({"speakers": ("carlo", "nobody")}, "unknown speakers"),
        ({"seconds": 0}, "seconds is 0"),
    ],
)
def test_an_impossible_conversation_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_conversation(0, **arguments)


# Swaps


@pytest.fixture
def sources():
    """Ten seconds: both speak for six, then only the second."""
    sources = 0.1 * torch.randn(2, 10 * RATE)
    sources[0, 6 * RATE :] = 0
    return sources


def test_estimates_in_one_order_have_no_swaps_whichever_it_is(sources):
    for estimates in (sources, sources.flip(0)):
        swaps = count_swaps(estimates, sources)
        assert (swaps.count, swaps.seconds, swaps.lone_seconds, swaps.places) == (0, 0, 0, ())
        assert (swaps.of_seconds, swaps.of_lone_seconds) == (6, 4)


def test_passages_in_the_other_order_are_found_and_counted(sources):
    estimates = sources.clone()
    for start, stop in [(1, 2), (4, 4.5), (7, 8)]:
        part = slice(int(start * RATE), int(stop * RATE))
        estimates[:, part] = sources[:, part].flip(0)
    swaps = count_swaps(estimates, sources)
    assert (swaps.count, swaps.seconds, swaps.lone_seconds) == (2, 1.5, 1.0)
    assert swaps.places == ((1.0, 2.0), (4.0, 4.5))


def test_a_passage_continues_through_a_pause(sources):
    sources[:, 2 * RATE : 3 * RATE] = 0
    estimates = sources.clone()
    estimates[:, RATE : 4 * RATE] = sources[:, RATE : 4 * RATE].flip(0)
    swaps = count_swaps(estimates, sources)
    assert (swaps.count, swaps.seconds, swaps.places) == (1, 2.0, ((1.0, 4.0),))


def test_a_voice_split_among_outputs_is_no_swap_and_one_mostly_in_another_output_is(sources):
    estimates = sources.clone()
    for start, share in [(7, 0.55), (8, 0.9)]:  # of the second voice, alone, in the first output
        part = slice(start * RATE, (start + 1) * RATE)
        estimates[0, part] = share * sources[1, part]
        estimates[1, part] = (1 - share) * sources[1, part]
    swaps = count_swaps(estimates, sources)
    assert (swaps.count, swaps.lone_seconds) == (0, 1.0)


def test_a_rotation_of_three_speakers_is_found():
    sources = 0.1 * torch.randn(3, 6 * RATE)
    estimates = sources.clone()
    estimates[:, RATE : 2 * RATE] = sources[:, RATE : 2 * RATE].roll(1, 0)
    assert count_swaps(estimates, sources).places == ((1.0, 2.0),)


def test_shapes_that_differ_are_an_error(sources):
    for estimates, references in [
        (sources[:1], sources),
        (sources[:, :100], sources[:, :100]),
        (sources[0], sources[0]),
    ]:
        with pytest.raises(ValueError, match="expected two equal"):
            count_swaps(estimates, references)
