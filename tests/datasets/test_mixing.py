import csv
from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

from dprnn_lab.audio import resample, rms_db
from dprnn_lab.datasets.corpus import UNSEEN_SPEAKER, read_metadata
from dprnn_lab.datasets.dynamic_mixing import DynamicMixing
from dprnn_lab.datasets.mixing import PAIR_KINDS, FixedMixtures, MixtureSpec, mix, pair_kind, pairs_by_kind
from dprnn_lab.files import data_folder
from dprnn_lab.loss import si_sdr

SEXES = {"ada": "f", "bea": "f", "carl": "m", "dan": "m"}


def voices(samples=20_000):
    generator = torch.Generator().manual_seed(7)
    return {name: 0.1 * torch.randn(samples, generator=generator) for name in SEXES}


def dynamic(**options):
    return DynamicMixing(voices(), SEXES, **{"samples": 500, "size": 12, **options})


def level_difference(sources):
    return (rms_db(sources[0]) - rms_db(sources[1])).item()


# One mixture


@pytest.mark.parametrize("level_db", [-20.0, -2.5, 0.0, 1.3, 20.0])
def test_the_first_source_lies_exactly_the_level_over_the_second(level_db):
    _, sources = mix(torch.randn(4000) * 3, torch.randn(4000) * 0.01, level_db)
    assert level_difference(sources) == pytest.approx(level_db, abs=1e-4)


@pytest.mark.parametrize("loudness", [1e-3, 1.0, 1e3])
def test_the_sources_sum_exactly_to_the_mixture(loudness):
    mixture, sources = mix(loudness * torch.randn(4000), torch.randn(4000), 2.0)
    assert torch.equal(mixture, sources[0] + sources[1])


def test_a_mixture_does_not_clip_and_is_otherwise_at_speech_level():
    click = torch.zeros(4000)
    click[100] = 1
    mixture, sources = mix(click, torch.randn(4000))
    assert max(mixture.abs().max(), sources.abs().max()) == pytest.approx(0.9)
    _, sources = mix(torch.randn(4000), torch.randn(4000))
    assert rms_db(sources).tolist() == pytest.approx([-26.02, -26.02], abs=0.01)


def test_the_shape_of_a_source_is_kept():
    first = torch.randn(4000)
    _, sources = mix(first, torch.randn(4000), 1.0)
    torch.testing.assert_close(sources[0] / sources[0].norm(), first / first.norm())


@pytest.mark.parametrize(("first", "second"), [((10,), (11,)), ((2, 10), (2, 10)), ((0,), (0,))])
def test_sources_of_other_shapes_are_an_error_that_names_them(first, second):
    with pytest.raises(ValueError) as error:
        mix(torch.ones(first), torch.ones(second))
    assert f"sources have shapes {list(first)} and {list(second)}" in str(error.value)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_source_without_a_level_is_an_error(value):
    with pytest.raises(ValueError, match="a source is silent or not finite"):
        mix(torch.randn(100), torch.full((100,), value))


@pytest.mark.parametrize(
    ("sexes", "kind"), [("fm", "man-woman"), ("mf", "man-woman"), ("ff", "woman-woman"), ("mm", "man-man")]
)
def test_pair_kinds(sexes, kind):
    assert pair_kind(*sexes) == kind


# Dynamic mixing


def test_an_item_is_a_mixture_and_two_sources_that_sum_to_it():
    mixture, sources = dynamic()[0]
    assert mixture.shape == (500,)
    assert sources.shape == (2, 500)
    assert torch.equal(mixture, sources.sum(0))


def test_levels_stay_within_the_bound_and_use_all_of_it():
    levels = [level_difference(sources) for _, sources in dynamic(size=200, level_db=4.0)]
    assert max(levels) <= 4.001
    assert min(levels) >= -4.001
    assert max(levels) > 3.5
    assert min(levels) < -3.5


def test_same_seed_epoch_and_index_give_the_same_item():
    first, second = dynamic(seed=3), dynamic(seed=3)
    second.set_epoch(4)
    second[5]
    first.set_epoch(2)
    second.set_epoch(2)
    assert torch.equal(first[5][1], second[5][1])


def test_items_epochs_and_seeds_differ():
    dataset, other = dynamic(seed=3), dynamic(seed=4)
    items = [dataset[0][0], dataset[1][0], other[0][0]]
    dataset.set_epoch(1)
    items.append(dataset[0][0])
    assert len({item.numpy().tobytes() for item in items}) == 4


def test_an_epoch_ends():
    dataset = dynamic(size=12)
    assert len(dataset) == len(list(dataset)) == 12
    for index in (12, -1):
        with pytest.raises(IndexError):
            dataset[index]


def as_bytes(loader):
    return [mixture.numpy().tobytes() for batch, _ in loader for mixture in batch]


def test_workers_give_the_same_items_as_the_main_process():
    dataset = dynamic(size=9)
    dataset.set_epoch(3)
    assert as_bytes(DataLoader(dataset, 2, num_workers=2)) == as_bytes(DataLoader(dataset, 2))


def test_two_ranks_share_an_epoch_without_overlap():
    dataset = dynamic(size=12)
    everything = as_bytes(DataLoader(dataset, 3))
    shares = [
        as_bytes(DataLoader(dataset, 3, sampler=DistributedSampler(dataset, 2, rank, shuffle=False)))
        for rank in range(2)
    ]
    assert len(set(everything)) == 12
    assert not set(shares[0]) & set(shares[1])
    assert sorted(shares[0] + shares[1]) == sorted(everything)


def kinds_drawn(dataset, epoch):
    """How often each pair of sexes occurs in an epoch."""
    dataset.set_epoch(epoch)
    return Counter("".join(sorted(SEXES[name] for name in names)) for names in map(names_of, dataset))


def named_voices():
    # Each voice is a distinct tone, which identifies the voices of an item.
    time = torch.arange(20_000) / 8000
    return {
        name: 0.1 * torch.sin(6.2832 * hertz * time) for name, hertz in zip(SEXES, FREQUENCIES, strict=True)
    }


FREQUENCIES = (500, 1000, 1500, 2000)


def strongest(source):
    """Frequency in Hz of the loudest bin, to the nearest 5 Hz."""
    return 5 * round(torch.fft.rfft(source, n=8000).abs().argmax().item() / 5)


def names_of(item):
    return {list(SEXES)[FREQUENCIES.index(strongest(source))] for source in item[1]}


def with_tones(**options):
    return DynamicMixing(named_voices(), SEXES, **{"samples": 2000, "size": 100, **options})


def test_two_sources_are_never_one_speaker():
    assert all(len(names_of(item)) == 2 for item in with_tones())


def test_either_speaker_of_a_pair_can_come_first():
    firsts = {strongest(sources[0]) for _, sources in with_tones(kinds={"man-man": 1.0})}
    assert firsts == {1500, 2000}


def test_kinds_are_drawn_by_their_weights():
    drawn = kinds_drawn(with_tones(size=400, kinds={"man-woman": 3.0, "woman-woman": 1.0}), 0)
    assert set(drawn) == {"fm", "ff"}
    assert 0.65 < drawn["fm"] / 400 < 0.85


def test_the_speakers_of_an_item_are_named_in_the_order_of_its_sources():
    # Each voice is a constant of its own, so that a source tells who it is.
    levels = {name: 0.1 * (i + 1) for i, name in enumerate(SEXES)}
    constant = {name: torch.full((2000,), level) for name, level in levels.items()}
    items = DynamicMixing(constant, SEXES, samples=500, size=20, level_db=0.0, kinds={"man-woman": 1.0})
    drawn = []
    items._segment = lambda name, samples, rng: drawn.append(name) or constant[name][:500]
    orders = set()
    for i in range(len(items)):
        drawn.clear()
        items[i]
        assert items.speakers(i) == tuple(drawn)
        orders.add(SEXES[drawn[0]])
    assert orders == {"f", "m"}  # in random order


def test_a_curriculum_changes_the_kinds_at_its_epochs():
    dataset = with_tones(
        kinds=[(0, {"man-woman": 1.0}), (3, {"woman-woman": 1.0}), (5, {"man-woman": 1.0, "man-man": 1.0})]
    )
    drawn = [set(kinds_drawn(dataset, epoch)) for epoch in range(7)]
    assert drawn == [{"fm"}] * 3 + [{"ff"}] * 2 + [{"fm", "mm"}] * 2


def test_speeds_move_the_pitch_in_steps_of_five_per_cent():
    dataset = with_tones(speed_percent=10, kinds={"woman-woman": 1.0})
    heard = {strongest(sources[0]) for _, sources in dataset}
    assert heard == {f * s // 100 for f in (500, 1000) for s in (90, 95, 100, 105, 110)}


def test_speeds_keep_the_length():
    for mixture, sources in with_tones(speed_percent=20, samples=1999, size=30):
        assert mixture.shape == (1999,)
        assert sources.shape == (2, 1999)


def test_without_speed_perturbation_a_segment_is_cut_from_the_voice():
    _, sources = dynamic(kinds={"man-man": 1.0})[0]
    windows = [v.unfold(0, 500, 1) for n, v in voices().items() if SEXES[n] == "m"]
    for source in sources:
        matches = [torch.cosine_similarity(w, source[None]).max().item() for w in windows]
        assert max(matches) == pytest.approx(1, abs=1e-5)


def test_segments_of_silence_are_not_drawn():
    gapped = voices()
    for voice in gapped.values():
        voice[:8_000] = 0
    for _, sources in DynamicMixing(gapped, SEXES, samples=500, size=100):
        assert (sources.square().mean(-1) > 0).all()


def test_the_bundled_corpus_mixes_without_the_unseen_speaker():
    dataset = DynamicMixing.from_corpus(
        "valid", speakers=["carlo", "june"], samples=4000, size=3, kinds={"man-woman": 1}
    )
    assert list(dataset.voices) == ["carlo", "june"]
    mixture, sources = dataset[2]
    assert torch.equal(mixture, sources.sum(0))
    assert UNSEEN_SPEAKER not in {
        u.speaker for u in read_metadata(data_folder() / "speech") if u.split == "train"
    }


FINE_TUNING = {"man-woman": 0.25, "woman-woman": 0.25, "seen-unseen": 0.5}


def test_fine_tuning_weighs_the_pairs_with_the_unseen_speaker():
    dataset = DynamicMixing.from_corpus(["train", "adapt"], samples=800, size=3, kinds=FINE_TUNING)
    assert UNSEEN_SPEAKER in dataset.voices
    seen = sorted(set(dataset.voices) - {UNSEEN_SPEAKER})
    assert dataset.pairs["seen-unseen"] == [(name, UNSEEN_SPEAKER) for name in seen]
    others = dataset.pairs["man-woman"] + dataset.pairs["woman-woman"]
    assert len(others) == 6
    assert UNSEEN_SPEAKER not in {name for pair in others for name in pair}


def test_a_pair_with_one_unseen_speaker_is_of_its_own_kind():
    assert pairs_by_kind(SEXES, unseen={"bea", "dan"}) == {
        "seen-unseen": [("ada", "bea"), ("ada", "dan"), ("bea", "carl"), ("carl", "dan")],
        "man-woman": [("ada", "carl"), ("bea", "dan")],
    }
    dataset = with_tones(size=200, kinds={"man-woman": 1, "seen-unseen": 3}, unseen={"dan"})
    drawn = Counter("dan" in names_of(item) for item in dataset)
    assert 0.65 < drawn[True] / 200 < 0.85


def test_the_fixed_mixtures_at_another_rate():
    """The same sound with twice as many samples, and the sources still sum to the mixture."""
    low, high = (
        FixedMixtures("valid", kind="man-woman", limit=1, sample_rate=rate) for rate in (8000, 16000)
    )
    (_, sources, spec), (mixture, resampled, other) = low[0], high[0]
    assert (spec.sample_rate, other.sample_rate, other.id) == (8000, 16000, spec.id)
    assert resampled.shape == (2, 2 * sources.shape[1])
    assert torch.equal(mixture, resampled.sum(0))
    assert (si_sdr(resample(resampled, 16000, 8000), sources) > 20).all()  # the resampler's slope near 4 kHz


def test_a_pair_may_be_drawn_more_often_than_the_others_of_its_kind():
    """Of man-woman pairs (ada, bea with carl, dan) one of four has the weight 7: it is 7 of 10."""
    options = {"size": 300, "kinds": {"man-woman": 1}}
    dataset = with_tones(**options, pair_weights={("carl", "ada"): 7.0})
    drawn = Counter(frozenset(names_of(item)) for item in dataset)
    assert 0.62 < drawn[frozenset({"ada", "carl"})] / 300 < 0.78
    assert len(drawn) == len(dataset.pairs["man-woman"]) == 4
    plain, alike = with_tones(**options), with_tones(**options, pair_weights={})
    assert all(torch.equal(plain[i][1], alike[i][1]) for i in range(20))


@pytest.mark.parametrize("weights", [{("ada", "eve"): 2.0}, {("ada", "ada"): 2.0}, {("ada", "bea"): -1.0}])
def test_weights_of_pairs_that_cannot_be_drawn(weights):
    with pytest.raises(ValueError, match="pair_weights"):
        with_tones(size=3, kinds={"man-woman": 1}, pair_weights=weights)


def test_the_adaptation_voice_does_not_change_the_training_mixtures():
    options = {"samples": 800, "size": 4, "kinds": {"man-woman": 1.0}, "speed_percent": 10}
    before, after = (DynamicMixing.from_corpus(s, **options) for s in ("train", ["train", "adapt"]))
    assert all(torch.equal(before[i][1], after[i][1]) for i in range(4))


@pytest.mark.parametrize(
    ("sexes", "kinds"),
    [(None, {"any": 6}), ({**SEXES, "dan": None}, {"any": 3, "man-woman": 2, "woman-woman": 1})],
)
def test_voices_of_unknown_sex_are_mixed_too(sexes, kinds):
    dataset = DynamicMixing(voices(), sexes, samples=500, size=5)
    assert {kind: len(pairs) for kind, pairs in dataset.pairs.items()} == kinds
    assert dataset.curriculum == [(0, kinds)]
    assert torch.equal(dataset[0][0], dataset[0][1].sum(0))


def test_a_kind_that_the_voices_do_not_have_is_named():
    women = {name: voice for name, voice in voices().items() if SEXES[name] == "f"}
    with pytest.raises(
        ValueError, match=r"no pair of kind \['man-woman'\] among the voices \['ada', 'bea'\]"
    ):
        DynamicMixing(women, SEXES, samples=500)


def test_a_voice_shorter_than_a_segment_is_named():
    with pytest.raises(
        ValueError, match=r"voices \['ada', 'bea', 'carl', 'dan'\] are shorter than one segment"
    ):
        DynamicMixing(voices(500), SEXES, samples=500, speed_percent=10)


@pytest.mark.parametrize(
    "kinds", [[], [(2, {"man-woman": 1})], {"man-woman": 0}, {"man-woman": 2, "woman-woman": -1}, {}], ids=str
)
def test_kinds_that_can_not_be_drawn_are_an_error(kinds):
    with pytest.raises(ValueError, match="kinds are"):
        dynamic(kinds=kinds)


# Fixed mixtures


def table(name):
    with open(data_folder() / "mixtures" / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def utterances():
    return {u.file: u for u in read_metadata(data_folder() / "speech")}


@pytest.mark.parametrize(("name", "count"), [("test", 40), ("valid", 16)])
def test_the_lists_hold_equally_many_of_each_kind(name, count):
    kinds = Counter(row["kind"] for row in table(name))
    assert all(number == count for number in kinds.values())
    assert set(kinds) <= set(PAIR_KINDS)
    assert {"man-woman", "woman-woman"} <= set(kinds)


def test_the_test_list_has_all_three_kinds():
    assert {row["kind"] for row in table("test")} == set(PAIR_KINDS)


@pytest.mark.parametrize("name", ["test", "valid"])
def test_mixtures_are_made_of_their_own_splits_utterances(name):
    known = utterances()
    assert {known[row[side]].split for row in table(name) for side in ("first", "second")} == {name}


@pytest.mark.parametrize("name", ["test", "valid"])
def test_a_kind_agrees_with_its_speakers_and_no_speaker_is_paired_with_himself(name):
    known = utterances()
    for row in table(name):
        pair = [known[row["first"]], known[row["second"]]]
        assert pair[0].speaker != pair[1].speaker  # Allison's English and Spanish are one voice
        unseen = UNSEEN_SPEAKER in {u.speaker for u in pair}
        assert row["kind"] == ("seen-unseen" if unseen else pair_kind(pair[0].sex, pair[1].sex))


@pytest.mark.parametrize("name", ["test", "valid"])
def test_segments_are_four_seconds_inside_their_utterances_at_a_level_within_bounds(name):
    known = utterances()
    for row in table(name):
        assert int(row["samples"]) == 32_000
        assert abs(float(row["level_db"])) <= 2.5
        for side in ("first", "second"):
            assert 0 <= int(row[f"{side}_offset"]) <= round(known[row[side]].seconds * 8000) - 32_000


def test_no_mixture_is_in_the_list_twice():
    rows = table("test")
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({(r["first"], r["first_offset"], r["second"], r["second_offset"]) for r in rows}) == len(rows)


def test_every_pair_of_seen_speakers_is_tested():
    known = utterances()
    pairs = {frozenset((known[r["first"]].speaker, known[r["second"]].speaker)) for r in table("test")}
    assert len(pairs) == 5 * 4 / 2


def test_an_item_agrees_with_its_row():
    for mixture, sources, spec in FixedMixtures("test", limit=3):
        assert isinstance(spec, MixtureSpec)
        assert torch.equal(mixture, sources.sum(0))
        assert sources.shape == (2, 32_000)
        assert level_difference(sources) == pytest.approx(spec.level_db, abs=1e-3)


def test_a_mixture_is_the_same_each_time():
    assert torch.equal(FixedMixtures("test")[7][1], FixedMixtures("test")[7][1])


def test_kind_and_limit_select():
    assert len(FixedMixtures("test")) == 120
    assert {s.kind for s in FixedMixtures("test", kind="seen-unseen").specs} == {"seen-unseen"}
    assert Counter(s.kind for s in FixedMixtures("test", limit=2).specs) == dict.fromkeys(PAIR_KINDS, 2)


def test_another_list_is_read(tmp_path):
    own = tmp_path / "mine.csv"
    lines = (data_folder() / "mixtures" / "test.csv").read_text().splitlines()
    own.write_text("\n".join(lines[:3]) + "\n")
    assert len(FixedMixtures(own)) == len(FixedMixtures(str(own))) == 2


def test_an_unknown_list_or_kind_is_named():
    with pytest.raises(FileNotFoundError, match=r"no mixture list .*dev"):
        FixedMixtures("dev")
    with pytest.raises(
        ValueError, match=r"kind is 'man-man': test\.csv has man-woman, woman-woman, seen-unseen"
    ):
        FixedMixtures("test", kind="man-man")


def test_unknown_sexes_and_columns_are_named(tmp_path):
    with pytest.raises(ValueError, match="'x'"):
        pair_kind("f", "x")
    with pytest.raises(ValueError, match=r"\['b'\] are not in sexes"):
        DynamicMixing({"a": torch.ones(9000), "b": torch.ones(9000)}, {"a": "f"})
    (tmp_path / "list.csv").write_text("id,kind\n1,man-woman\n")
    with pytest.raises(ValueError, match="has the columns id, kind, expected id, kind, first"):
        FixedMixtures(tmp_path / "list.csv")


def test_with_several_lengths_each_step_has_one():
    mixed = dynamic(samples=[500, 300], per_step=3, size=60, speed_percent=10, noise=None)
    lengths = [len(mixture) for mixture, _ in mixed]
    assert lengths == [n for n in lengths[::3] for _ in range(3)]
    assert set(lengths) == {300, 500}
    assert all(sources.shape == (2, len(mixture)) for mixture, sources in mixed)
    # The longest decides which voice is too short.
    with pytest.raises(ValueError, match="shorter than one segment of 20001 samples"):
        dynamic(samples=[500, 20_000])
