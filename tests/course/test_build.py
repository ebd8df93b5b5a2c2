"""The command that builds a course: its secret, and what it refuses before anything is written."""

import pytest
from course import build
from course.errors import CourseError


def test_the_secret_is_drawn_once_and_kept_for_the_lecturer_alone(tmp_path):
    first = build.secret_of(tmp_path, None)
    assert len(first) >= 16
    assert build.secret_of(tmp_path, None) == build.secret_of(tmp_path, first) == first
    assert (tmp_path / "secret.txt").stat().st_mode & 0o077 == 0
    with pytest.raises(CourseError, match="--secret differs from the one in"):
        build.secret_of(tmp_path, "another")


@pytest.mark.parametrize("secret", ["a b", "abc", "x" * 65, "/etc"])
def test_a_secret_of_another_form_is_refused(tmp_path, secret):
    with pytest.raises(CourseError, match="give 4 to 64 letters"):
        build.secret_of(tmp_path / "course", secret)
    assert not (tmp_path / "course").exists()


def test_an_unknown_notebook_or_a_bad_list_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build, "find_spec", lambda name: name)
    out = tmp_path / "course"
    assert build.main(["--out", str(out), "--notebooks", "01", "99"]) == 1
    assert "error: --notebooks 99: choose from 00b, 01" in capsys.readouterr().err
    assert build.main(["--out", str(out), "--exam", str(tmp_path / "none.csv")]) == 1
    assert "can't be read" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("out", ["file", "file/course", "/proc/course"])
def test_a_place_that_can_not_be_written_is_one_sentence(tmp_path, capsys, monkeypatch, out):
    monkeypatch.setattr(build, "find_spec", lambda name: name)
    (tmp_path / "file").write_text("mine")
    assert build.main(["--out", str(tmp_path / out), "--notebooks", "01"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert "choose another" in said or "check the name" in said
    assert (tmp_path / "file").read_text() == "mine"


def test_without_nbgrader_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    assert build.main(["--out", str(tmp_path / "course")]) == 1
    assert 'nbgrader is not installed: pip install -e ".[course]"' in capsys.readouterr().err
    assert not (tmp_path / "course").exists()


def test_the_settings_name_the_folder_of_the_course(tmp_path):
    build.write_sources(tmp_path, "secret", ["01"])
    text = (tmp_path / "nbgrader_config.py").read_text()
    assert "@COURSE@" not in text and repr(str(build.NOTEBOOKS / "course")) in text
    compile(text, "nbgrader_config.py", "exec")
    assert [path.name for path in (tmp_path / "source").iterdir()] == ["01_encoder_decoder"]


@pytest.mark.slow
def test_a_failing_nbgrader_is_reported_in_one_sentence(tmp_path):
    pytest.importorskip("nbgrader", reason="pip install -e .[course]")
    with pytest.raises(CourseError, match="nbgrader autograde --assignment=none failed in") as error:
        build.nbgrader(tmp_path, "autograde", "--assignment=none")
    assert "\n" not in str(error.value)
