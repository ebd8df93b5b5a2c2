"""The precision: what "auto" is on a device, and what a network computes in."""

import pytest
import torch

from dprnn_lab import separate
from dprnn_lab.audio import AudioError, read_audio, write_audio
from dprnn_lab.model.precision import computing_in, has_bfloat16, resolve_precision
from dprnn_lab.separation.file_to_file import separate_file
from dprnn_lab.separation.parallel import describe_compute


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv("DPRNN_LAB_PRECISION", raising=False)


@pytest.mark.parametrize(
    ("avx512_bf16", "amx_tile", "chosen"),
    [
        (True, False, "bfloat16"),
        (False, True, "bfloat16"),
        (True, True, "bfloat16"),
        (False, False, "float32"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_computes_in_it(monkeypatch, avx512_bf16, amx_tile, chosen):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx_tile, raising=False)
    assert resolve_precision("auto") == chosen
    assert resolve_precision("float32") == "float32"
    assert resolve_precision("bfloat16") == "bfloat16"


def test_a_release_that_does_not_say_means_float32(monkeypatch):
    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.delattr(torch.cpu, f"_is_{name}_supported", raising=False)
    assert resolve_precision("auto") == "float32"


@pytest.mark.parametrize("supported", [True, False])
def test_auto_on_a_gpu(monkeypatch, supported):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert has_bfloat16("cuda:0") == supported
    assert not has_bfloat16("mps")


def test_the_environment_variable_decides(monkeypatch):
    monkeypatch.setattr("dprnn_lab.model.precision.has_bfloat16", lambda device: True)
    monkeypatch.setenv("DPRNN_LAB_PRECISION", "float32")
    assert resolve_precision("auto") == "float32"
    assert resolve_precision("bfloat16") == "bfloat16"
    monkeypatch.setenv("DPRNN_LAB_PRECISION", "half")
    with pytest.raises(ValueError, match="DPRNN_LAB_PRECISION is 'half': set it to float32 or bfloat16"):
        resolve_precision("auto")


def test_a_network_computes_in_the_precision(tiny):
    model, mixture = tiny(), torch.randn(2000)
    with torch.no_grad():
        with computing_in("float32"):
            assert model(mixture).dtype == torch.float32
        with computing_in("bfloat16"):
            lower = model(mixture)
    assert lower.dtype == torch.bfloat16
    estimates = separate(model, mixture, scale="none", precision="bfloat16")
    assert estimates.dtype == torch.float32
    assert torch.equal(estimates, lower.float())
    assert not torch.equal(estimates, separate(model, mixture, scale="none"))


def test_files_are_separated_in_what_suits_the_processor_and_samples_in_float32(tiny, tmp_path, monkeypatch):
    model = tiny()
    talk = write_audio(tmp_path / "talk.wav", 0.1 * torch.randn(9000), 8000)
    samples = {}

    def separated(**options):
        result = separate_file(model, talk, float_samples=True, force=True, **options)
        return read_audio(result.outputs[0])[0]

    for has in (True, False):
        monkeypatch.setattr("dprnn_lab.model.precision.has_bfloat16", lambda device, has=has: has)
        samples[has] = separated()
    assert torch.equal(samples[False], separated(precision="float32"))
    assert torch.equal(samples[True], separated(precision="bfloat16"))
    assert not torch.equal(samples[True], samples[False])
    monkeypatch.setattr("dprnn_lab.model.precision.has_bfloat16", lambda device: True)
    assert torch.equal(separate(model, talk), separate(model, talk, precision="float32"))


def test_a_run_is_not_continued_in_another_precision(tiny, tmp_path):
    model = tiny(n_repeats=1)
    talk = write_audio(tmp_path / "talk.wav", 0.1 * torch.randn(20011), 8000)

    class Stopped(Exception):
        pass

    def stop(done, total):
        raise Stopped

    with pytest.raises(Stopped):
        separate_file(model, talk, window=1, precision="bfloat16", progress=stop)
    result = separate_file(model, talk, window=1, precision="float32")
    assert result.notes == ["started anew: another precision than in the run that was interrupted"]


def test_the_choice_is_described(tiny, monkeypatch):
    monkeypatch.setattr("dprnn_lab.model.precision.has_bfloat16", lambda device: True)
    assert describe_compute(tiny(), 2, "auto") == "bfloat16 on the CPU, 2 windows at a time"
    assert describe_compute(tiny(), 1, "float32") == "float32 on the CPU, 1 window at a time"


def test_an_unknown_precision_is_named(tiny, tmp_path):
    with pytest.raises(AudioError, match="precision is 'half': choose one of auto, float32, bfloat16"):
        separate(tiny(), torch.randn(9000), precision="half")
    talk = write_audio(tmp_path / "talk.wav", 0.1 * torch.randn(9000), 8000)
    with pytest.raises(AudioError, match="precision is 'half'"):
        separate_file(tiny(), talk, precision="half")
