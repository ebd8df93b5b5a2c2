import dataclasses

import pytest

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
