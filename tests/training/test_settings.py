import dataclasses
import warnings

import numpy as np
import pytest
import torch

from dprnn_lab import CheckpointError
from dprnn_lab.files import data_folder
from dprnn_lab.training import SeparationModule, Settings
from dprnn_lab.training.run import make_model


def test_a_written_file_is_read_back(tmp_path):
    settings = Settings(model={"n_repeats": 2}, splits=["train", "adapt"], minutes=3, flip=True, stop_after=4)
    settings.write(tmp_path / "config.yaml")
    assert Settings.read(tmp_path / "config.yaml") == settings
    assert settings.minutes == 3.0


def test_a_file_may_hold_only_what_differs(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("steps: 500\nmodel: {kernel_size: 16, stride: 8}\n")
    assert Settings.read(path) == Settings(steps=500, model={"kernel_size": 16, "stride": 8})
    path.write_text("")
    assert Settings.read(path) == Settings()


def test_paths_are_kept_as_text(tmp_path):
    settings = Settings(
        data=tmp_path, valid_data=tmp_path / "dev", noise=tmp_path / "noise", init=tmp_path / "a.ckpt"
    )
    assert (settings.data, settings.init) == (str(tmp_path), str(tmp_path / "a.ckpt"))
    settings.write(str(tmp_path / "config.yaml"))
    assert Settings.read(str(tmp_path / "config.yaml")) == settings


def test_every_setting_has_a_help_text():
    for setting in dataclasses.fields(Settings):
        assert setting.metadata["help"].endswith(".") and setting.metadata["panel"], setting.name


def test_a_list_of_one_length_is_that_length():
    assert Settings.of({"seconds": [4]}) == Settings(seconds=4)


def test_changes_of_the_model_are_added_to_it():
    settings = Settings(model={"n_repeats": 2, "bn_chan": 32}).changed(steps=7, model={"bn_chan": 16})
    assert settings.model == {"n_repeats": 2, "bn_chan": 16}
    assert settings.steps == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"step": 5}, "unknown setting 'step': did you mean 'steps'"),
        ({"zzz": 5}, "unknown setting 'zzz': choose from"),
        ({"steps": "many"}, "steps is 'many': expected int"),
        ({"steps": True}, "steps is True: expected int"),
        ({"steps": 0}, "steps is 0: it must be above 0"),
        ({"batch": -1}, "batch is -1"),
        ({"seconds": [2, 0]}, r"seconds is \[2, 0\]: give one or more numbers above 0"),
        ({"seconds": []}, r"seconds is \[\]: give one or more"),
        ({"seconds": ["long"]}, r"seconds is \['long'\]: give one or more"),
        ({"flip": 1}, "flip is 1: expected bool"),
        ({"rt60": [0.3]}, r"rt60 is \[0.3\]: give the lowest and the highest value"),
        ({"minutes": "3"}, "minutes is '3': expected float or null"),
        ({"freeze": "encoder"}, "freeze is 'encoder': expected list"),
        ({"blocks": 6}, "init is not set: give model.n_repeats"),
        ({"hidden": 128}, "init is not set: give model.hid_size"),
        ({"stride": 8}, "init is not set: give model.stride"),
        ({"sample_rate": 16000}, "init is not set: give model.sample_rate"),
        ({"init": "a.ckpt", "model": {"n_repeats": 2}}, "a checkpoint contains its network"),
        ({"rt60": 3}, r"rt60 is 3: expected list of two numbers or null, such as \[0.2, 0.6\]"),
        ({"rt60": [0.5, 0.2]}, r"rt60 is \[0.5, 0.2\]: give the lowest and the highest"),
        ({"snr_db": [float("nan"), 3]}, r"snr_db is \[nan, 3\]: give .* such as \[0.0, 20.0\]"),
        ({"snr_db": ["a", 3]}, r"snr_db is \['a', 3\]: give numbers, such as"),
        ({"freeze": [3]}, r"freeze is \[3\]: give names, such as \[encoder\]"),
        ({"batch": 10**9}, "batch is 1000000000: it must be above 0 and at most 4096, such as 4"),
        ({"batch": 4096, "seconds": 3600.0}, "batch is 4096 and seconds 3600: .* make one of them smaller"),
        ({"workers": -1}, "workers is -1: it must be 0 or more and at most 256"),
        ({"workers": 10**6}, "workers is 1000000"),
        ({"epoch_size": 10**12}, "epoch_size is 1000000000000: it must be above 0 and at most 1000000"),
        ({"devices": 10**6}, "devices is 1000000"),
        ({"seconds": float("inf")}, "seconds is inf: it must be above 0 and at most 3600, such as 1.0"),
        ({"steps": 10**5000}, "steps is a int too large to show: it must be"),
        ({"lr": float("nan")}, "lr is nan: it must be above 0, such as 0.001"),
        ({"lr": 10**400}, "lr is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"ema": 1.5}, "ema is 1.5: it must be 0 or more and at most 1"),
        ({"speed": -10}, "speed is -10: it must be 0 or more"),
        ({"woman_woman": 0.8, "man_man": 0.4}, "woman_woman 0.8, man_man 0.4.* more than 1 together"),
        ({"pair_weights": {"a+b": "x"}}, r"pair_weights has 'a\+b': 'x': give a number"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(values, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Settings.of(values)


def test_a_file_that_can_not_be_read_says_why(tmp_path):
    path = tmp_path / "mine.yaml"
    with pytest.raises(FileNotFoundError, match=r"mine\.yaml: no such settings file"):
        Settings.read(path)
    path.write_text("steps: [1")
    with pytest.raises(ValueError, match=r"mine\.yaml is not YAML"):
        Settings.read(path)
    path.write_text("- steps")
    with pytest.raises(TypeError, match="expected names and values"):
        Settings.read(path)
    path.write_text("stepps: 3")
    with pytest.raises(ValueError, match=r"mine\.yaml: unknown setting 'stepps': did you mean 'steps'"):
        Settings.read(path)


def test_every_setting_has_a_default_of_its_own():
    first, second = Settings(), Settings()
    for field in dataclasses.fields(Settings):
        value = getattr(first, field.name)
        assert not isinstance(value, (list, dict)) or value is not getattr(second, field.name)


def test_the_recipe_for_libri2mix_is_the_papers_network():
    settings = Settings.read(data_folder() / "libri2mix.yaml")
    model = make_model(settings)
    assert (model.config["kernel_size"], model.config["chunk_size"], model.config["hop_size"]) == (
        2,
        250,
        125,
    )
    assert 2.5e6 < sum(p.numel() for p in model.parameters()) < 2.7e6  # the paper says 2.6 million
    SeparationModule(model, settings.lr, optimizer=settings.optimizer, halve_after=settings.halve_after)


def test_numbers_of_numpy_and_tuples_are_settings_too(tmp_path):
    settings = Settings(steps=np.int64(5), lr=np.float32(0.5), rt60=(0.2, 0.5))
    assert (type(settings.steps), settings.lr, settings.rt60) == (int, 0.5, [0.2, 0.5])
    settings.write(tmp_path / "config.yaml")
    assert Settings.read(tmp_path / "config.yaml") == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 5000, "lists in lists|not YAML"),
        ("noise: 2026-99-99\n", "not YAML"),
        ("x" * 2_000_000, "has 2,000,000 bytes; settings have at most"),
    ],
)
def test_a_file_that_would_fill_memory_or_the_stack_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Settings.read(path)


def test_nine_lines_of_yaml_do_not_become_gigabytes(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match="357,449,882,119 values") as caught:
        Settings.read(path)
    assert len(str(caught.value)) < 500


def test_a_network_is_started_from_the_weights_that_prefix_names(tiny, tmp_path):
    state = tiny().state_dict()
    file = tmp_path / "both.pth"
    torch.save({"model": state, "model_ema": {k: v * 0.5 for k, v in state.items()}}, file)
    with pytest.raises(CheckpointError, match="holds 2 complete models"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_model(Settings(init=file))
    for prefix, factor in (("model", 1.0), ("model_ema", 0.5)):
        with pytest.warns(UserWarning, match="assumed"):
            made = make_model(Settings(init=file, prefix=prefix)).state_dict()
        assert all(torch.equal(made[name], state[name] * factor) for name in state)
    with pytest.raises(ValueError, match="prefix is 'model', and init is not set"):
        Settings(prefix="model")
