"""Lists as other programs and systems write them."""

import os
import sys

import pytest
import soundfile
import torch

from dprnn_lab.datasets.disk_mixtures import DiskMixtures
from dprnn_lab.datasets.mixing import FixedMixtures
from dprnn_lab.datasets.speaker_folders import read_sexes
from dprnn_lab.datasets.tables import read_table, table_columns

HEADER = "mixture_ID,mixture_path,source_1_path,source_2_path\n"


@pytest.fixture
def files(tmp_path):
    """``lists/`` and ``wav/{mix,s1,s2}/a.wav`` side by side."""
    sources = torch.randn(2, 1000) * 0.1
    for name, samples in (("mix", sources.sum(0)), ("s1", sources[0]), ("s2", sources[1])):
        (tmp_path / "wav" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "wav" / name / "ä.wav", samples.numpy(), 8000)
    (tmp_path / "lists").mkdir()
    return tmp_path


def listed(files, text, encoding="utf-8"):
    path = files / "lists" / "a.csv"
    path.write_bytes(text.encode(encoding))
    return DiskMixtures(path)


UNIX = HEADER + "one,../wav/mix/ä.wav,../wav/s1/ä.wav,../wav/s2/ä.wav\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators(files, encoding, separator):
    mixtures = listed(files, UNIX.replace(",", separator), encoding)
    assert [spec.id for spec in mixtures.specs] == ["one"]
    assert [f.parent.name for f in (mixtures.specs[0].mixture, *mixtures.specs[0].sources)] == [
        "mix",
        "s1",
        "s2",
    ]
    assert mixtures[0][1].shape == (2, 1000)


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n\n"])
def test_line_ends_of_any_system_and_blank_lines(files, newline):
    assert len(listed(files, "\n" + UNIX.replace("\n", newline))) == 1


@pytest.mark.parametrize("home", ["..\\wav", "D:\\data\\corpus\\wav", "C:/wav", "//server/share/wav"])
def test_paths_of_windows(files, home, monkeypatch):
    monkeypatch.chdir(files)
    text = HEADER + ",".join(["one", *(f"{home}\\{name}\\ä.wav" for name in ("mix", "s1", "s2"))]) + "\n"
    spec = listed(files, text).specs[0]
    assert [f.parent.name for f in (spec.mixture, *spec.sources)] == ["mix", "s1", "s2"]


def test_paths_relative_to_the_working_folder(files, monkeypatch):
    monkeypatch.chdir(files)
    assert len(listed(files, UNIX.replace("../", ""))) == 1


def test_a_file_is_never_found_by_its_last_name_alone(files):
    soundfile.write(files / "lists" / "ä.wav", [0.1] * 1000, 8000)
    with pytest.raises(ValueError, match=r"a\.csv, row 2: mixture_path is 'D:.*and there is no such file"):
        listed(files, HEADER + "one,D:\\x\\mix\\ä.wav,D:\\x\\s1\\ä.wav,D:\\x\\s2\\ä.wav\n")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "two,../wav/mix/ä.wav,../wav/s1/ä.wav\n",
            r"a\.csv, row 4 ends before the column source_2_path: it has 3",
        ),
        ("two,../wav/mix/ä.wav,,../wav/s2/ä.wav\n", r"a\.csv, row 4: the cell of source_1_path is empty"),
        ("two,a,b,c,d\n", r"a\.csv, row 4 has 5 cells and the header 4: put cells that contain ','"),
        (
            "two,../wav/mix/x.wav,a,b\n",
            r"row 4: mixture_path is '\.\./wav/mix/x\.wav', and there is no such file",
        ),
    ],
)
def test_a_row_that_can_not_be_read_is_named(files, row, message):
    with pytest.raises(ValueError, match=message):
        listed(files, UNIX + "\n" + row)


def test_skip_bad_leaves_out_the_row_and_says_so(files):
    path = files / "lists" / "a.csv"
    path.write_text(UNIX + "two,../wav/mix/ä.wav,,../wav/s2/ä.wav\n", encoding="utf-8")
    mixtures = DiskMixtures(path, skip_bad=True)
    assert len(mixtures) == 1
    ((file, reason),) = mixtures.left_out
    assert file == path and "row 3: the cell of source_1_path is empty" in reason


def test_what_is_no_list_is_one_sentence(files):
    path = files / "lists" / "a.csv"
    for content, message in [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "holds zero bytes and is no text"),
        (b"\xff\xfeab\xff\xff\x00", "is neither UTF-8 nor utf-16"),
        (b"a,a\n1,2\n", "has the column a twice"),
        (b'a,b\n"1,2\n' + b"x" * 200_000, "row 2: no CSV"),
        (b"a,b\n", "has no rows"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_table(path)
    with pytest.raises(ValueError, match=r"mix is 'mix_clean'.*is a list"):
        path.write_text(UNIX, encoding="utf-8")
        DiskMixtures(path, mix="mix_clean")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_table(files / "none.csv")


def test_numbers_of_a_mixture_list_are_checked_by_row(tmp_path):
    columns = "id,kind,first,first_offset,second,second_offset,level_db,samples"
    path = tmp_path / "mine.csv"
    for row, message in [
        ("x,k,a.flac,zero,b.flac,0,0,800", "row 2: first_offset is 'zero', expected a whole number"),
        ("x,k,a.flac,-5,b.flac,0,0,800", "row 2: the offsets are -5 and 0"),
        ("x,k,a.flac,0,b.flac,0,nan,800", "row 2: level_db is 'nan', expected a number"),
        ("x,k,a.flac,0,b.flac,0,,800", "row 2: the cell of level_db is empty"),
        ("x,k,a.flac,0,b.flac,0,0,1e300", "row 2: samples is '1e300'"),
    ]:
        path.write_text(f"{columns}\n{row}\n")
        with pytest.raises(ValueError, match=message):
            FixedMixtures(path)
    path.write_bytes(f"{columns.replace(',', ';')}\nx;k;a.flac;0;b.flac;1;2,5;800\n".encode("utf-16"))
    spec = FixedMixtures(path).specs[0]
    assert (spec.second_offset, spec.level_db, spec.samples) == (1, 2.5, 800)


def test_a_segment_beyond_its_recording_is_named_by_its_row(tmp_path):
    bundled = FixedMixtures("valid").specs[0]
    path = tmp_path / "mine.csv"
    path.write_text(
        "id,kind,first,first_offset,second,second_offset,level_db,samples\n"
        f"far,k,{bundled.first},99999999,{bundled.second},0,0,800\n"
    )
    with pytest.raises(ValueError, match=rf"far: .*{bundled.first} ends before the 800 samples"):
        FixedMixtures(path)[0]


def test_sexes_from_a_table_of_windows(tmp_path):
    path = tmp_path / "who.csv"
    path.write_bytes("speaker;sex\r\nada;F\r\n\r\nrené;m\r\n".encode("utf-16"))
    assert read_sexes(path) == {"ada": "f", "rené": "m"}
    path.write_bytes("speaker,sex\nrené,m\n".encode("cp1252"))
    assert read_sexes(path) == {"rené": "m"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_list_of_names_that_are_not_utf_8(files):
    for name in ("mix", "s1", "s2"):
        folder = files / "wav" / name
        (folder / "ä.wav").rename(folder / os.fsdecode(b"caf\xe9.wav"))
    path = files / "lists" / "a.csv"
    path.write_bytes(UNIX.encode().replace("ä".encode(), b"caf\xe9").replace(b"one", b""))
    mixtures = DiskMixtures(path)
    assert mixtures[0][0].shape == (1000,)
    assert mixtures.specs[0].id == r"caf\xe9"
    assert table_columns(path)[1] == "mixture_path"
