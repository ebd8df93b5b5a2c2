"""Training on a borrowed GPU, as far as a CPU can tell: packs, mixtures, quick arithmetic, the clock, a whole run."""

import csv
import functools
import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import lfilter
from torchaudio.functional import resample

from dprnn_lab import DPRNNTasNet, load_model, save_model
from dprnn_lab.datasets.mixing import MEAN_RMS
from dprnn_lab.loss import PITLossWrapper, pairwise_neg_sisdr, si_sdr
from dprnn_lab.training.muon import MuonAdam

PARTS = (
    "clock colours evaluating formants keeping mixing norm optimizing packing pairs running sharing speeds stepping "
    "timing"
)
RATE = 8000


@pytest.fixture
def gpu(monkeypatch):
    """The script and its parts, as ``gpu.script`` and ``gpu.mixing`` and so on."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "data")
    found = {name: importlib.import_module(f"gpu_training.{name}") for name in [*PARTS.split(), "voices"]}
    yield SimpleNamespace(script=importlib.import_module("train_on_gpu"), **found)
    for name in [n for n in sys.modules if n == "train_on_gpu" or n.split(".")[0] == "gpu_training"]:
        sys.modules.pop(name)


def voice(pitch: float, seconds: float, seed: int) -> np.ndarray:
    """Something like speech: a buzz of one pitch in syllables with pauses, float64 ``[T]``."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(
        np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6)) / k for k in range(1, int(3500 // pitch))
    )
    return 0.1 * buzz * np.repeat(rng.random(int(seconds * 5) + 1) < 0.7, RATE // 5)[: len(time)]


@pytest.fixture
def bank(gpu):
    """Two men and two women; one of the women may be one of the men's second self."""
    pitches = {"ann": 200.0, "bea": 250.0, "carl": 100.0, "dan": 130.0}
    waves = [np.round(20000 * voice(p, 12, i)).astype(np.int16) for i, p in enumerate(pitches.values())]
    groups = {"ann": {"ann", "x"}, "bea": {"bea"}, "carl": {"carl"}, "dan": {"dan", "x"}}
    voices = [
        gpu.voices.Voice(n, "ffmm"[i], frozenset(groups[n]), ["anna +1", "bert"][i % 2], 0.2)
        for i, n in enumerate(pitches)
    ]
    return gpu.voices.VoiceBank(voices, waves)


KINDS = {"man-woman": 0.4, "woman-woman": 0.35, "man-man": 0.25}


@pytest.fixture
def mixer(gpu, bank):
    def make(seed: int = 0, **options):
        return gpu.mixing.Mixer(
            bank, gpu.pairs.Pairs(bank.voices, KINDS), gpu.mixing.MixingOptions(**options), seed
        )

    return make


@pytest.mark.parametrize("rooms", [0.0, 1.0])
def test_sources_sum_to_the_mixture_at_the_levels_that_models_know(gpu, mixer, rooms):
    mixture, sources = mixer(wide_share=0.0, colours=gpu.colours.Colours(rooms=rooms)).draw(3, 40, 12000)
    assert mixture.shape == (40, 12000)
    assert sources.shape == (40, 2, 12000)
    assert torch.equal(mixture, sources.sum(1))
    assert max(mixture.abs().max(), sources.abs().max()) <= 0.9 + 1e-6
    rms = sources.square().mean(-1).sqrt()
    level = 20 * (rms[:, 0] / rms[:, 1]).log10()
    assert level.abs().max() <= 2.5 + 1e-3
    assert level.abs().max() > 1.5
    unclipped = mixture.abs().amax(-1) < 0.89
    assert torch.allclose(rms.log().mean(1)[unclipped].exp(), torch.tensor(MEAN_RMS), rtol=1e-3)


def test_noise_is_what_the_sources_leave_of_the_mixture(mixer):
    mixture, sources = mixer(noise=1.0).draw(0, 30, 8000)
    noise = mixture - sources.sum(1)
    ratio = 20 * (sources.square().mean(-1).amax(1).sqrt() / noise.square().mean(-1).sqrt()).log10()
    assert 14.9 < ratio.min() < 20
    assert 25 < ratio.max() < 30.1


def test_a_batch_depends_on_seed_and_step_alone(mixer):
    one, other = mixer(), mixer()
    other.draw(7, 5, 4000)
    assert torch.equal(one.draw(2, 5, 4000)[0], other.draw(2, 5, 4000)[0])
    assert not torch.equal(one.draw(2, 5, 4000)[0], one.draw(3, 5, 4000)[0])
    assert not torch.equal(one.draw(2, 5, 4000)[0], mixer(seed=1).draw(2, 5, 4000)[0])


def test_who_may_be_one_person_is_never_mixed(mixer, bank):
    who = mixer().draw_known(0, 4000, 8)[2]
    names = [{bank.voices[i].name for i in pair} for pair in who.tolist()]
    assert {"ann", "dan"} not in names
    kinds = ["".join(sorted(bank.voices[i].sex for i in pair)) for pair in who.tolist()]
    assert kinds.count("fm") / 4000 == pytest.approx(0.4, abs=0.04)
    assert kinds.count("ff") / 4000 == pytest.approx(0.35, abs=0.04)


def test_weights_of_origins(gpu, bank):
    pairs = gpu.pairs.Pairs(bank.voices, {"man-woman": 1.0}, {"anna": 2.0})
    drawn = pairs.draw(torch.rand(9000)).tolist()
    count = {frozenset(p): drawn.count(p) for p in map(list, {tuple(d) for d in drawn})}
    assert count[frozenset([0, 2])] / count[frozenset([2, 1])] == pytest.approx(2.0, rel=0.1)
    with pytest.raises(ValueError, match="no voice is of origin"):
        gpu.pairs.Pairs(bank.voices, KINDS, {"c": 2.0})


def test_segments_have_speech_in_them(gpu):
    wave = np.zeros(100 * RATE, np.int16)
    wave[30 * RATE : 50 * RATE] = 3000 * np.random.default_rng(0).standard_normal(20 * RATE)
    bank = gpu.voices.VoiceBank([gpu.voices.Voice("a", "f", frozenset("a"), "o", 1)], [wave])
    at = bank.starts(
        torch.zeros(500, dtype=torch.long), torch.full((500,), RATE), torch.rand(500, gpu.voices.TRIES)
    )
    heard = ((at > 29.1 * RATE) & (at < 49.9 * RATE)).float().mean()
    assert heard > 0.85  # all ten places are silent in a tenth of the draws


@pytest.mark.parametrize("speed", [85, 100, 110, 118])
def test_speeds_are_those_of_torchaudio(gpu, speed):
    changer = gpu.speeds.SpeedChanger(85, 118)
    audio = (5000 * np.random.default_rng(0).standard_normal(9000)).astype(np.int16)
    audio = torch.from_numpy(audio)
    row = torch.ones(1, dtype=torch.long)
    heard = changer.read(audio, row * 0, row * 9000, row * 1000, row * speed, 4000)[0]
    wanted = audio.float() / 32768
    if speed != 100:
        how = {"lowpass_filter_width": gpu.speeds.ZEROS, "rolloff": gpu.speeds.ROLLOFF}
        begin = 1000 - 5 * speed  # a whole number of products before the segment
        wanted = resample(wanted[begin:], speed, 100, **how)[500:]
    else:
        wanted = wanted[1000:]
    assert torch.allclose(heard, wanted[:4000], atol=1e-5)
    if speed == 100:
        assert torch.equal(heard, wanted[:4000])


def test_short_voices_go_round(gpu):
    changer = gpu.speeds.SpeedChanger(100, 100)
    audio = torch.arange(100, dtype=torch.int16)
    row = torch.ones(1, dtype=torch.long)
    heard = changer.read(audio, row * 20, row * 50, row * 40, row * 100, 120)[0] * 32768
    assert heard.tolist() == [20 + (40 + i) % 50 for i in range(120)]


def test_polarity_is_all_that_flips(mixer, gpu):
    plain = gpu.colours.Colours(0, 0, 0, 0, 0)
    never, always = (mixer(flip=f, colours=plain).draw(0, 6, 4000)[1] for f in (0.0, 1.0))
    assert torch.equal(never, -always)
    half = mixer(flip=0.5, colours=plain).draw(0, 64, 4000)[1]
    same = (half == mixer(flip=0.0, colours=plain).draw(0, 64, 4000)[1]).all(-1).float().mean()
    assert 0.35 < same < 0.65


def test_colours_change_their_share_and_nothing_else(gpu):
    sources = torch.randn(50, 2, 4000)
    generator = torch.Generator().manual_seed(0)
    colours = gpu.colours.Colours
    assert torch.equal(gpu.colours.colour(sources, colours(0, 0, 0, 0, 0), generator), sources)
    for options in (
        colours(0.5, 3, 0, 0, 0),
        colours(0, 0, 0.5, 0, 0),
        colours(0, 0, 0, 0.5, 0),
        colours(0, 0, 0, 0, formants=0.5),
    ):
        changed = gpu.colours.colour(sources, options, generator)
        distance = (changed - sources).square().mean(-1).sqrt()
        assert 0.3 < (distance > 1e-3).float().mean() < 0.7
    rounded = gpu.colours.colour(sources, colours(0, 0, 0, 1, 0), generator)
    assert si_sdr(rounded, sources).min() > 30
    room = gpu.colours.colour(sources, colours(0, 0, 0, 0, 1.0), generator)
    score = si_sdr(room, sources)
    assert 0 < score.mean() < 12  # in place, and heard in a room


def vowel(pitch: int, formant: float) -> torch.Tensor:
    """Pulses through a resonance of 150 Hz bandwidth, float32 ``[16000]``."""
    pulses = np.zeros(16000)
    pulses[:: RATE // pitch] = 1
    radius = np.exp(-np.pi * 150 / RATE)
    signal = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * formant / RATE), radius**2], pulses)
    return torch.from_numpy(signal / np.abs(signal).max() / 2).float()


@pytest.mark.parametrize("factor", [1 / 1.15, 1.15])
@pytest.mark.parametrize("pitch", [100, 200, 250])
def test_formants_move_and_the_pitch_stays(gpu, pitch, factor):
    before = vowel(pitch, 1300)
    after = gpu.formants.move_formants(before[None], torch.tensor([factor]))[0]
    spectra = [
        torch.fft.rfft(v[4000:12000] * torch.hann_window(8000)).abs().square() for v in (before, after)
    ]
    hertz = torch.arange(4001.0)
    first, last = ((s[100:] * hertz[100:]).sum() / s[100:].sum() for s in spectra)
    assert last / first == pytest.approx(factor, abs=0.06)
    on_harmonics = sum(float(spectra[1][k - 2 : k + 3].sum()) for k in range(pitch, 4000, pitch))
    assert on_harmonics > 0.98 * float(spectra[1].sum())  # nothing but the same harmonics
    assert 0.7 < float(after.std() / before.std()) < 1.3


def test_formants_are_left_where_the_factor_is_one(gpu):
    sources = torch.randn(3, 4000, generator=torch.Generator().manual_seed(0))
    moved = gpu.formants.move_formants(sources, torch.tensor([1.0, 1.1, 1.0]))
    assert torch.equal(moved[[0, 2]], sources[[0, 2]]) and si_sdr(moved[1], sources[1]) < 20
    silent = gpu.formants.move_formants(torch.zeros(1, 4000), torch.tensor([1.1]))
    assert not silent.any()
    factors = gpu.formants.draw_factors(4000, 0.3, 1.15, torch.Generator().manual_seed(0))
    assert 0.66 < (factors == 1).float().mean() < 0.74
    assert 1.1 < factors.max() <= 1.15 + 1e-6 and 1 / 1.1 > factors.min() >= 1 / 1.15 - 1e-6


def test_quick_norms_are_the_norms(gpu):
    torch.manual_seed(1)
    model = DPRNNTasNet(n_repeats=2, hid_size=8, bn_chan=8, chunk_size=20).double().float()
    for name, p in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(p, 0.5)
    mixture = torch.randn(3, 2000)
    gradients = []
    for quick in (False, True):
        gpu.norm.use_line_norms(model, quick)
        model.zero_grad()
        estimates = model(mixture)
        estimates.square().mean().backward()
        gradients.append([estimates.detach(), *[p.grad.clone() for p in model.parameters()]])
    for one, other in zip(*gradients, strict=True):
        assert torch.linalg.vector_norm(one - other) <= 1e-4 * torch.linalg.vector_norm(one)


def test_quick_norms_under_autocast(gpu):
    model = DPRNNTasNet(n_repeats=1, hid_size=8, bn_chan=8, chunk_size=20)
    gpu.norm.use_line_norms(model)
    with torch.autocast("cpu", torch.bfloat16):
        estimates = model(torch.randn(2, 2000))
    estimates.float().square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_optimiser_is_muon_adam(gpu):
    torch.manual_seed(2)
    one = DPRNNTasNet(n_repeats=2, hid_size=8, bn_chan=8, chunk_size=20)
    other = DPRNNTasNet(**one.config)
    other.load_state_dict(one.state_dict())
    slow, quick = MuonAdam(one, 1e-2), gpu.optimizing.BatchedMuonAdam(other, clip=1e9)
    start = {n: p.detach().clone() for n, p in one.named_parameters()}
    for step in range(3):
        mixture = torch.randn(2, 2000, generator=torch.Generator().manual_seed(step))
        for model, zero in ((one, slow.zero_grad), (other, quick.zero_grad)):
            zero()
            model(mixture).square().mean().backward()
        slow.step()
        quick.step(1e-2)
    for name, p in one.named_parameters():
        way = torch.linalg.vector_norm(p - start[name])
        gap = torch.linalg.vector_norm(p - dict(other.named_parameters())[name])
        assert gap < 0.05 * way, name  # the iteration is in bfloat16
    before = [p.detach().clone() for p in quick.parameters if p.dim() == 2]
    quick.zero_grad()
    quick.gradient[3] = float("nan")
    quick.step(1e-2)
    assert int(quick.skipped) == 1
    after = [p for p in quick.parameters if p.dim() == 2]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(torch.isfinite(p).all() for p in quick.parameters)


def test_clipping(gpu):
    model = torch.nn.Linear(4, 3)
    optimizer = gpu.optimizing.BatchedMuonAdam(model, clip=5.0)
    optimizer.zero_grad()
    (100 * model(torch.ones(1, 4))).sum().backward()
    optimizer.step(0.0)
    assert float(optimizer.gradient.norm()) == pytest.approx(5.0, rel=1e-3)


def test_the_loss_is_the_pit_loss(gpu):
    estimates, sources = torch.randn(5, 2, 800), torch.randn(5, 2, 800)
    wanted = PITLossWrapper(pairwise_neg_sisdr)(estimates, sources)
    assert gpu.stepping.best_losses(estimates, sources).mean() == pytest.approx(float(wanted), abs=1e-5)
    assert torch.equal(gpu.stepping.best_losses(sources.flip(1), sources, 30.0), torch.full((5,), -30.0))


def test_checkpointed_blocks_give_the_same_gradient(gpu, mixer):
    model = DPRNNTasNet(n_repeats=2, hid_size=8, bn_chan=8, chunk_size=20)
    batch = mixer().draw(0, 2, 4000)
    norms = []
    for twice in (False, True):
        twin = DPRNNTasNet(**model.config)
        twin.load_state_dict(model.state_dict())
        trainer = gpu.stepping.Trainer(twin, "cpu", "float32", checkpoint_blocks=twice)
        trainer.step(*batch, 0.0)
        norms.append(trainer.optimizer.gradient.clone())
    assert torch.allclose(*norms, atol=1e-6)


def test_the_rate_ends_at_zero(gpu, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(gpu.clock.time, "monotonic", lambda: now[0])
    clock = gpu.clock.Clock(60, warmup=10, cooldown=30, began=100.0)
    now[0] = 105.0
    clock.start()
    assert clock.factor() == pytest.approx(0.01)
    clock.reserve = 4.0
    factors = []
    for now[0] in (110.0, 120.0, 126.0, 141.0, 155.7, 156.0, 160.0):
        factors.append(clock.factor())
    assert factors == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.01, 0.0, 0.0])
    assert clock.left() < 0
    later = gpu.clock.Clock(60, 10, 30, before=50, began=160.0)
    assert later.seconds() == pytest.approx(50)


def test_the_cap_leaves_as_much_to_all(gpu):
    assert gpu.packing.even_cap([1, 5, 9], 9) == pytest.approx(4)
    assert gpu.packing.even_cap([1, 2], 9) == 2


@pytest.fixture
def folder(tmp_path):
    """A voices folder of four voices."""
    out = tmp_path / "voices"
    voices, files = [], []
    for i, (name, sex, pitch) in enumerate(
        [("ann", "f", 210), ("bea", "f", 260), ("carl", "m", 100), ("dan", "m", 125)]
    ):
        (out / name).mkdir(parents=True)
        for part in range(6):
            samples = voice(pitch, 3, 10 * i + part)
            soundfile.write(out / name / f"{part}.flac", samples, RATE)
            files.append(
                {
                    "path": f"{name}/{part}.flac",
                    "voice": name,
                    "samples": len(samples),
                    "source": "made",
                    "licence": "none",
                }
            )
        voices.append(
            {"voice": name, "sex": sex, "groups": name, "origin": "made", "language": "en", "minutes": 0.3}
        )
    for table, rows in (("voices", voices), ("metadata", files)):
        with open(out / f"{table}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return out


def fixed_mixtures(gpu, path: Path, noisy: bool = False) -> None:
    rng = np.random.default_rng(0)
    sources = np.stack([np.stack([voice(210, 2, 90 + i), voice(100, 2, 190 + i)]) for i in range(4)])
    sources = np.round(8000 * sources).astype(np.int16)
    mixture = sources.sum(1, dtype=np.int16) + (
        rng.integers(-50, 50, (4, 2 * RATE), np.int16) if noisy else 0
    )
    np.savez(path, mixture=mixture, sources=sources, kind=np.array(["seen", "seen", "other", "other"]))


@pytest.mark.parametrize("noisy", [False, True])
def test_a_pack_holds_the_voices_and_the_mixtures(gpu, folder, tmp_path, noisy):
    npz = tmp_path / "valid.npz"
    fixed_mixtures(gpu, npz, noisy)
    out = tmp_path / "pack"
    table = gpu.packing.pack([folder], out, 5.0, {"valid": str(npz)})
    assert [row["voice"] for row in table["voices"]] == ["ann", "bea", "carl", "dan"]
    bank, fixed = gpu.voices.load_pack(out, "cpu")
    assert bank.lengths.tolist() == pytest.approx([18 * RATE + 6 * 400] * 4, abs=100)
    # Pauses count too.
    assert 20 * np.log10(bank.power.sqrt().numpy() / 32768 / 0.05) == pytest.approx(np.full(4, -2), abs=0.5)
    with np.load(npz) as given:
        assert np.array_equal(fixed["valid"][0], given["mixture"])
        assert np.array_equal(fixed["valid"][1], given["sources"])
        assert fixed["valid"][2] == given["kind"].tolist()
    with np.load(npz) as given:
        real = {name: given[name] / 32767 for name in ("mixture", "sources")} | {"kind": given["kind"]}
    np.savez(npz, **{n: a.astype(np.float32) if n != "kind" else a for n, a in real.items()})
    row = gpu.packing.pack_evaluation("real", str(npz), out, limit=1)
    assert row["kinds"] == ["seen", "other"]
    tracks = soundfile.read(out / row["file"], dtype="int16")[0]
    assert tracks.shape == (2 * 2 * RATE, 3 if noisy else 2)
    assert np.array_equal(tracks[: 2 * RATE, 0], fixed["valid"][1][0, 0])
    again = {file: file.stat().st_mtime_ns for file in out.glob("*.ogg")}
    gpu.packing.pack([folder], out, 5.0, {})
    assert {file: file.stat().st_mtime_ns for file in out.glob("*.ogg")} == again
    short = gpu.packing.pack([folder], out, 0.39, {})  # 0.09 MB for voices
    assert max(row["samples"] for row in short["voices"]) < 16 * RATE
    assert len(list(out.glob("*.ogg"))) == 4
    assert sum(file.stat().st_size for file in out.iterdir()) < 0.39e6


TINY = {
    "bn_chan": 16,
    "hid_size": 8,
    "chunk_size": 25,
    "n_repeats": 1,
    "n_filters": 16,
    "kernel_size": 32,
    "stride": 16,
}


@pytest.fixture
def pack(gpu, folder, tmp_path):
    npz = tmp_path / "valid.npz"
    fixed_mixtures(gpu, npz)
    gpu.packing.pack([folder], tmp_path / "pack", 5.0, {"valid": str(npz)})
    save_model(DPRNNTasNet(**TINY), tmp_path / "tiny.safetensors")
    return tmp_path / "pack"


def command(pack: Path, *more: str) -> list[str]:
    base = pack.parent
    return [
        "train", "--pack", str(pack), "--init", str(base / "tiny.safetensors"), "--out", str(base / "out"),
        "--device", "cpu", "--batch", "2", "--seconds", "1", "2", "--log-every", "5", "--warmup", "0.5", *more,
    ]  # fmt: skip


def rows_of(pack: Path) -> list[dict]:
    with open(pack.parent / "out" / "gpu-curve.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_run_by_the_clock_and_its_continuation(gpu, pack, capsys):
    torch.set_num_threads(1)
    gpu.script.BEGAN = gpu.script.time.monotonic()
    gpu.script.main(command(pack, "--minutes", "0.3", "--stop-after", "0.15", "--every", "3"))
    out = pack.parent / "out"
    first = rows_of(pack)
    assert {f.name for f in out.iterdir()} == {
        f"gpu-{n}" for n in ("model.safetensors", "last.ckpt", "curve.csv", "log.txt")
    }
    assert len(first) >= 3
    assert float(first[-1]["seconds"]) == pytest.approx(9, abs=3)
    assert float(first[-1]["lr"]) > 1e-4
    model = load_model(out / "gpu-model.safetensors")
    fixed = gpu.voices.load_pack(pack, "cpu")[1]
    score = gpu.evaluating.improvements(model, fixed, "cpu")["valid/all"]
    assert score == pytest.approx(float(first[-1]["valid/all"]), abs=2e-3)

    gpu.script.BEGAN = gpu.script.time.monotonic()
    gpu.script.main(command(pack, "--minutes", "0.3", "--resume", "--every", "60"))
    rows = rows_of(pack)
    assert rows[: len(first)] == first
    assert rows[len(first)]["step"] == first[-1]["step"]
    assert float(rows[len(first)]["valid/all"]) == pytest.approx(float(first[-1]["valid/all"]), abs=2e-3)
    assert int(rows[-1]["step"]) > int(first[-1]["step"])
    assert float(rows[-1]["seconds"]) == pytest.approx(18, abs=3)
    assert float(rows[-1]["lr"]) == 0
    assert "goes on at step" in capsys.readouterr().out


@pytest.mark.slow
def test_processes_share_a_step(gpu, pack):
    arguments = command(pack, "--processes", "2", "--precision", "float32", "--plain-norms")
    options = gpu.script._parser().parse_args(arguments)
    options.out.mkdir()

    def make():
        model = gpu.script._model(options)
        return gpu.script._trainer(options, model, torch.device("cpu"), False)

    mixers = [gpu.script._mixer(options, "cpu", process)[0] for process in (0, 1)]
    batches = [mixer.draw(0, 3, 8000) for mixer in mixers]
    assert not torch.equal(batches[0][0], batches[1][0])
    alone, shared = make(), make()
    alone.step(*(torch.cat(parts) for parts in zip(*batches, strict=True)), 1e-3)
    team = gpu.sharing.Team(1, functools.partial(gpu.script._helper, options))
    shared.share = team.average
    try:
        for step in range(2):  # the second time the helper has the weights of the first step
            team.begin(shared.model, step, 3, 8000)
            shared.step(*mixers[0].draw(step, 3, 8000), 1e-3)
            if step == 0:
                one, other = (torch.cat([p.flatten() for p in t.model.parameters()]) for t in (alone, shared))
                # Newton and Schulz's iteration is computed in bfloat16.
                assert torch.allclose(one, other, atol=2e-4)
                assert torch.allclose(
                    alone.optimizer.gradient, shared.optimizer.gradient, rtol=1e-3, atol=1e-5
                )
        alone.step(*(torch.cat(p) for p in zip(*(m.draw(1, 3, 8000) for m in mixers), strict=True)), 1e-3)
        assert torch.allclose(alone.optimizer.gradient, shared.optimizer.gradient, rtol=0.05, atol=1e-2)
    finally:
        team.close()
    assert team.processes == []


@pytest.mark.slow
def test_a_run_of_two_processes(gpu, pack):
    gpu.script.BEGAN = gpu.script.time.monotonic()
    gpu.script.main(command(pack, "--processes", "2", "--minutes", "0.3", "--every", "60"))
    rows = rows_of(pack)
    assert int(rows[-1]["step"]) > 5
    assert int(rows[-1]["mixtures"]) % 2 == 0
    assert int(rows[-1]["mixtures"]) >= 4 * int(rows[-1]["step"])
    assert float(rows[-1]["lr"]) == 0


def test_processes_are_for_a_cpu(gpu, pack):
    with pytest.raises(SystemExit, match="--processes is for training on a CPU"):
        gpu.script.main(command(pack, "--processes", "2", "--time-steps"))


@pytest.mark.slow
def test_a_step_that_does_not_fit_is_made_smaller(gpu, pack, monkeypatch):
    whole = gpu.stepping.Trainer.step
    sizes = []

    def step(self, mixture, sources, lr):
        sizes.append(len(mixture) * mixture.shape[1] // 8000)
        if sizes[-1] > 8:
            raise torch.OutOfMemoryError("no")
        whole(self, mixture, sources, lr)

    monkeypatch.setattr(gpu.running, "quick_norms", lambda *_: True)
    monkeypatch.setattr(gpu.stepping.Trainer, "step", step)
    gpu.script.BEGAN = gpu.script.time.monotonic()
    gpu.script.main(command(pack, "--minutes", "0.1", "--batch", "4"))
    assert sizes[:3] == [16, 12, 8]
    assert set(sizes[2:]) == {8}
    log = (pack.parent / "out" / "gpu-log.txt").read_text()
    assert "step 0 does not fit the memory: 3 mixtures a step from here on" in log


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.slow
def test_what_is_kept_brings_the_training_back(gpu, mixer, tmp_path, monkeypatch, small):
    if small:
        monkeypatch.setattr(gpu.keeping, "MOST", 0)
    trainer = gpu.stepping.Trainer(DPRNNTasNet(**TINY), "cpu", "float32")
    mixing = mixer()
    for step in range(3):
        trainer.step(*mixing.draw(step, 2, 8000), 1e-3)
    gpu.keeping.save(trainer, tmp_path, "a", 12.0, 6, {"note": "none"})
    model, state = gpu.keeping.read_last(tmp_path, "a")
    again = gpu.stepping.Trainer(model, "cpu", "float32")
    gpu.keeping.restore(again, model, state)
    for one in (trainer, again):
        one.step(*mixing.draw(3, 2, 8000), 1e-3)
    assert again.steps == 4
    for (name, p), q in zip(trainer.model.named_parameters(), again.model.parameters(), strict=True):
        assert torch.allclose(p, q, atol=2e-4 if small else 1e-7), name


@pytest.mark.slow
def test_a_tiny_network_learns(gpu, pack):
    torch.set_num_threads(1)
    gpu.script.BEGAN = gpu.script.time.monotonic()
    gpu.script.main(
        command(pack, "--minutes", "0.7", "--every", "60", "--lr", "0.01", "--batch", "1", "--seconds", "1",
                "--decay", "0.98", "--kinds", "woman-woman=0", "man-man=0", "--flip", "0", "--precision", "float32")
    )  # fmt: skip
    rows = rows_of(pack)
    assert float(rows[-1]["valid/all"]) > float(rows[0]["valid/all"]) + 2


def test_steps_are_timed(gpu, mixer, tmp_path, capsys):
    device, out = torch.device("cpu"), tmp_path / "steps.csv"
    how = {"warm": 1, "timed": 2, "seconds": 0.5, "precisions": ("bf16", "float32")}
    rows = gpu.timing.time_steps(DPRNNTasNet(**TINY), mixer(), device, out, (1, 2), **how)
    with open(out, newline="") as file:
        written = list(csv.DictReader(file))
    assert [(r["precision"], r["batch"]) for r in written] == [
        (p, b) for p in ("bf16", "float32") for b in "12"
    ]
    assert all(float(r["ms_step"]) > float(r["ms_mixing"]) > 0 and not r["note"] for r in rows)
    assert "mixtures_per_second" in capsys.readouterr().out
    rows = gpu.timing.time_steps(DPRNNTasNet(**TINY), mixer(), device, out, (1,), limit=-1.0)
    assert {r["note"] for r in rows} == {"left out: no time"}


@pytest.mark.slow
def test_the_timing_command_needs_no_pack(gpu, tmp_path):
    save_model(DPRNNTasNet(**TINY), tmp_path / "tiny.safetensors")
    what = [
        "train",
        "--time-steps",
        "--init",
        str(tmp_path / "tiny.safetensors"),
        "--out",
        str(tmp_path / "out"),
    ]
    gpu.script.main([*what, "--device", "cpu", "--batches", "1", "--precisions", "float32"])
    assert (tmp_path / "out" / "gpu-steps.csv").is_file()


@pytest.mark.slow
def test_a_run_that_is_asked_to_end_keeps_what_it_has(gpu, pack):
    torch.set_num_threads(1)
    gpu.script.BEGAN = gpu.script.time.monotonic()
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(6, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        gpu.script.main(command(pack, "--minutes", "5"))
    finally:
        timer.cancel()
    assert signal.getsignal(signal.SIGTERM) == before
    state = gpu.keeping.read_last(pack.parent / "out", "gpu")[1]
    assert state["steps"] > 0
    assert state["seconds"] < 30


def test_growing_as_the_package_does(gpu):
    model = DPRNNTasNet(**TINY)
    grown = gpu.stepping.grow(model, 8, 12, 2)
    assert [grown.config[k] for k in ("stride", "hid_size", "n_repeats", "chunk_size")] == [8, 12, 2, 50]
    assert gpu.stepping.grow(model, 16, 8, 1) is model


@pytest.mark.slow
def test_the_table_of_a_pack_is_plain_json(gpu, pack):
    table = json.loads((pack / "voices.json").read_text())
    assert table["evaluations"][0]["kinds"] == ["seen", "seen", "other", "other"]
