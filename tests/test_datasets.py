"""Mixtures on disk, from small trees with the layouts of WHAM!, LibriMix and Asteroid's CSVs."""

import pytest
import soundfile
import torch

from dprnn_lab.audio import AudioError
from dprnn_lab.datasets import DiskMixtures
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
