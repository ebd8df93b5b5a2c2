"""Mixtures on disk, from small trees with the layouts of WHAM!, LibriMix and Asteroid's CSVs."""

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader
from torchaudio.datasets import LibriMix

from dprnn_lab.audio import AudioError
from dprnn_lab.datasets.disk_mixtures import DiskMixtures, FixedSegments, RandomSegments, active_segment
from dprnn_lab.evaluation import evaluate, open_mixtures


def write(path, samples, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.numpy().T, rate, subtype="FLOAT")


@pytest.fixture
def wham(tmp_path):
    """``tt`` of WHAM!: two mixtures with noise and without, two sources."""
    root = tmp_path / "wav8k" / "min" / "tt"
    signals = {}
    for name in ("b_2_c_-2", "a_1_b_-1"):
        sources = torch.randn(2, 1000) * 0.1
        signals[name] = sources
        for i, source in enumerate(sources):
            write(root / f"s{i + 1}" / f"{name}.wav", source)
        write(root / "mix_clean" / f"{name}.wav", sources.sum(0))
        write(root / "mix_both" / f"{name}.wav", sources.sum(0) + 0.01)
        write(root / "noise" / f"{name}.wav", torch.full((1000,), 0.01))
    return root, signals


def test_folders_like_whams(wham):
    root, signals = wham
    mixtures = DiskMixtures(root, mix="mix_clean")
    assert [spec.id for spec in mixtures.specs] == ["a_1_b_-1", "b_2_c_-2"]
    for mixture, sources, spec in mixtures:
        assert torch.allclose(sources, signals[spec.id])
        assert torch.allclose(mixture, signals[spec.id].sum(0))
        assert (spec.kind, spec.sample_rate) == ("mix_clean", 8000)
    noisy = DiskMixtures(root, mix="mix_both")
    assert torch.allclose(noisy[0][0], mixtures[0][0] + 0.01)


def test_two_folders_of_mixtures_need_a_choice(wham):
    with pytest.raises(ValueError, match="mix_both, mix_clean: choose one with mix="):
        DiskMixtures(wham[0])


def test_three_sources_and_flac_in_a_folder_named_mix(tmp_path):
    sources = (torch.rand(3, 400) - 0.5) / 4
    for i, source in enumerate(sources):
        soundfile.write(_made(tmp_path / f"s{i + 1}") / "x.flac", source.numpy(), 16000)
    soundfile.write(_made(tmp_path / "mix") / "x.flac", sources.sum(0).numpy(), 16000)
    mixture, read, spec = DiskMixtures(tmp_path)[0]
    assert read.shape == (3, 400)
    assert spec.sample_rate == 16000
    assert torch.allclose(mixture, sources.sum(0), atol=1e-4)


def _made(folder):
    folder.mkdir(parents=True)
    return folder


def test_a_csv_in_asteroids_style(wham):
    root, signals = wham
    name = "a_1_b_-1"
    csv = root / "mixture_test.csv"
    csv.write_text(
        "mixture_ID,mixture_path,source_1_path,source_2_path,length\n"
        f"one,{root / 'mix_clean' / name}.wav,s1/{name}.wav,s2/{name}.wav,1000\n"
    )
    mixture, sources, spec = DiskMixtures(csv)[0]
    assert (spec.id, spec.kind) == ("one", "mixture_test")
    assert torch.allclose(mixture, signals[name].sum(0))
    assert torch.allclose(sources, signals[name])
    assert len(open_mixtures(str(csv))) == 1
    assert len(open_mixtures(str(root), "mix_both")) == 2


def test_they_can_be_evaluated(wham, tiny):
    table = evaluate(tiny(), DiskMixtures(wham[0], mix="mix_clean"))
    assert table["id"].tolist() == ["a_1_b_-1", "b_2_c_-2"]
    assert table.si_sdri.notna().all()


def test_a_wrong_layout_shows_what_was_found_and_expected(wham, tmp_path):
    root = wham[0]
    with pytest.raises(
        FileNotFoundError, match=r"holds the folders tt: expected mix, mix_clean or mix_both, and s1"
    ):
        DiskMixtures(root.parent)
    with pytest.raises(FileNotFoundError, match=r"expected mix_single, and s1"):
        DiskMixtures(root, mix="mix_single")
    with pytest.raises(FileNotFoundError, match=r"\(none\)"):
        DiskMixtures(root / "s1")
    with pytest.raises(FileNotFoundError, match="neither a folder nor a CSV"):
        DiskMixtures(tmp_path / "nowhere")


def test_a_missing_counterpart_is_named(wham):
    (wham[0] / "s2" / "b_2_c_-2.wav").unlink()
    with pytest.raises(ValueError, match=r"1 files are in only one of mix_clean and s2 \(b_2_c_-2"):
        DiskMixtures(wham[0], mix="mix_clean")


def test_an_empty_folder_of_mixtures(wham):
    for file in (wham[0] / "mix_clean").iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no \.wav or \.flac"):
        DiskMixtures(wham[0], mix="mix_clean")


def test_csvs_that_can_not_be_read(tmp_path):
    other, empty = tmp_path / "other.csv", tmp_path / "empty.csv"
    other.write_text("path,speaker\n1,2\n")
    empty.write_text("mixture_ID,mixture_path,source_1_path\n")
    with pytest.raises(
        ValueError, match="has the columns path, speaker: expected mixture_path, source_1_path"
    ):
        DiskMixtures(other)
    with pytest.raises(ValueError, match="has no rows"):
        DiskMixtures(empty)


def test_another_rate_another_length_and_stereo_are_named(wham):
    root = wham[0]
    with pytest.raises(AudioError, match=r"is at 8000 Hz, expected 16000 Hz: use the version"):
        DiskMixtures(root, sample_rate=16000, mix="mix_clean")[0]
    write(root / "s1" / "a_1_b_-1.wav", torch.zeros(900))
    with pytest.raises(AudioError, match=r"a_1_b_-1: the mixture and its sources have \[900, 1000\] samples"):
        DiskMixtures(root, mix="mix_clean")[0]
    write(root / "s1" / "a_1_b_-1.wav", torch.zeros(2, 1000))
    with pytest.raises(AudioError, match="has 2 channels"):
        DiskMixtures(root, mix="mix_clean")[0]


# Segments for training


@pytest.fixture
def libri(tmp_path):
    """``train-100`` of Libri2Mix: 8 mixtures of 0.1 to 0.8 s, with noise in mix_both."""
    root = tmp_path / "Libri2Mix" / "wav8k" / "min" / "train-100"
    for i in range(1, 9):
        sources = 0.1 * torch.randn(2, 800 * i)
        for folder, samples in [("s1", sources[0]), ("s2", sources[1]), ("mix_clean", sources.sum(0))]:
            write(root / folder / f"{i}.wav", samples)
        write(root / "mix_both" / f"{i}.wav", sources.sum(0) + 0.01)
    return root


def as_bytes(items):
    return [mixture.numpy().tobytes() for mixture, *_ in items]


def test_segments_are_cut_from_the_long_mixtures_and_the_short_ones_counted(libri):
    segments = RandomSegments(DiskMixtures(libri, mix="mix_clean"), samples=2000)
    assert (len(segments), segments.skipped) == (6, 2)
    items = list(segments)
    assert len(items) == 6
    for mixture, sources in items:
        assert mixture.shape == (2000,)
        assert sources.shape == (2, 2000)
        assert torch.allclose(mixture, sources.sum(0), atol=1e-6)
        assert mixture.untyped_storage().nbytes() == 2000 * 4
        assert sources.untyped_storage().nbytes() == 2 * 2000 * 4
    whole = {spec.id: mixture for mixture, _, spec in DiskMixtures(libri, mix="mix_clean")}
    homes = [[k for k, v in whole.items() if _within(mixture, v)] for mixture, _ in items]
    assert sorted(homes) == [["3"], ["4"], ["5"], ["6"], ["7"], ["8"]]


def _within(part, whole):
    return len(whole) >= len(part) and any((w == part).all() for w in whole.unfold(0, len(part), 1))


def test_each_epoch_has_new_segments_in_a_new_order_and_is_reproducible(libri):
    mixtures = DiskMixtures(libri, mix="mix_clean")
    segments, again = RandomSegments(mixtures, 1000, seed=3), RandomSegments(mixtures, 1000, seed=3)
    epochs = []
    for epoch in range(2):
        segments.set_epoch(epoch)
        epochs.append(as_bytes(segments))
    again.set_epoch(1)
    assert as_bytes(again) == epochs[1]
    assert not set(epochs[0]) & set(epochs[1])
    assert as_bytes(RandomSegments(mixtures, 1000, seed=4)) != epochs[0]
    orders = []
    for epoch in range(2):
        segments.set_epoch(epoch)
        orders.append(segments.order.tolist())
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == segments.kept
    for index in (len(segments), -1):
        with pytest.raises(IndexError):
            segments[index]


def test_workers_cut_the_same_segments(libri):
    segments = RandomSegments(DiskMixtures(libri, mix="mix_clean"), 1000)
    segments.set_epoch(2)
    (none,), (two,) = ([b[0] for b in DataLoader(segments, 7, num_workers=n)] for n in (0, 2))
    assert torch.equal(none, two)


def test_noise_stays_in_the_mixture_and_out_of_the_sources(libri):
    mixture, sources = RandomSegments(DiskMixtures(libri, mix="mix_both"), 1000)[0]
    assert torch.allclose(mixture - sources.sum(0), torch.full((1000,), 0.01), atol=1e-6)


def test_fixed_segments_are_the_same_every_time(libri):
    mixtures = DiskMixtures(libri, mix="mix_clean")
    fixed = FixedSegments(mixtures, 2000)
    assert as_bytes(fixed) == as_bytes(FixedSegments(mixtures, 2000))
    assert [item[2] for item in fixed] == fixed.specs
    assert [spec.id for spec in fixed.specs] == ["3", "4", "5", "6", "7", "8"]
    assert {spec.kind for spec in fixed.specs} == {"mix_clean"}
    some = FixedSegments(mixtures, 2000, limit=3)
    assert [spec.id for spec in some.specs] == ["3", "5", "7"]
    assert as_bytes(some) == as_bytes(fixed)[::2]
    assert len(FixedSegments(mixtures, 2000, limit=100)) == 6


def test_segments_in_which_a_speaker_is_silent_are_avoided(libri):
    sources = 0.1 * torch.randn(2, 8000)
    sources[1, :4000] = 0
    for folder, samples in [("s1", sources[0]), ("s2", sources[1]), ("mix_clean", sources.sum(0))]:
        write(libri / folder / "9.wav", samples)
    segments = RandomSegments(DiskMixtures(libri, mix="mix_clean"), 1000)
    for epoch in range(20):
        segments.set_epoch(epoch)
        assert all(s.square().mean(-1).min() > 1e-4 for _, s in segments)


def test_for_a_speaker_who_is_mostly_silent_the_best_of_ten_places_is_taken():
    sources = torch.stack((torch.ones(4000), torch.linspace(0, 0.01, 4000)))
    sources[1, -1] = 10  # a click that nearly no segment has: all others are far under the level
    starts = np.random.default_rng(5).integers(3001, size=10)
    assert active_segment(sources, 1000, np.random.default_rng(5)) == max(starts)
    assert active_segment(sources[:1], 1000, np.random.default_rng(5)) == starts[0]
    assert active_segment(torch.zeros(2, 100), 100, np.random.default_rng(0)) == 0


def test_lengths_that_do_not_fit_are_an_error(libri):
    mixtures = DiskMixtures(libri, mix="mix_clean")
    with pytest.raises(ValueError, match=r"none of its 8 mixtures has 9000 samples, the longest has 6400"):
        RandomSegments(mixtures, 9000)
    with pytest.raises(ValueError, match="samples is 0"):
        FixedSegments(mixtures, 0)
    with pytest.raises(ValueError, match="limit is 0"):
        FixedSegments(mixtures, 1000, limit=0)


@pytest.mark.parametrize(("task", "mix"), [("sep_clean", "mix_clean"), ("sep_noisy", "mix_both")])
def test_torchaudios_librimix_names_the_same_files(libri, task, mix):
    root = libri.parents[3]
    theirs = LibriMix(root, "train-100", num_speakers=2, sample_rate=8000, task=task, mode="min")
    ours = DiskMixtures(libri, mix=mix)
    assert len(ours) == len(theirs) == 8
    for index, spec in enumerate(ours.specs):
        rate, mixture, sources = theirs.get_metadata(index)
        found = [theirs.root / file for file in (mixture, *sources)]
        assert found == [spec.mixture, *spec.sources]
        assert rate == spec.sample_rate
