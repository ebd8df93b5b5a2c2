"""The exam: faults that do harm, repairs that help, files that look alike, marks for parts."""

import csv
import json
import random
import zipfile
from collections import Counter

import pytest
import torch
from course import NotRight
from course.assignments import NOTEBOOKS
from course.disguise import disguised
from course.errors import CourseError
from course.exam import (
    HARM_DB,
    POINTS,
    SLACK_DB,
    Drawn,
    check_form,
    draw,
    improvement,
    material,
    points,
    read_key,
    repaired_db,
    solution,
)
from course.exam_faults import CHOICES, FAULTS, Material
from course.exam_files import (
    EARLIER,
    NETWORK,
    RECORDING,
    exam_notebook,
    read_students,
    write_exam,
    write_files,
)
from scipy.io import wavfile

from dprnn_lab import load_model
from dprnn_lab.diagnosis import CATALOGUE

# A mixture that the bundled network separates: FixedMixtures("test")[1] improves by 13 dB.
MIXTURE = {"mixture": 1, "level_db": 0.0, "seed": 5}


def drawn(variant: str, student: str = "1001", pass_db: float = 9.0) -> Drawn:
    return Drawn(student, variant, **MIXTURE, pass_db=pass_db)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A folder of a course with the keys of four students."""
    folder = tmp_path_factory.mktemp("course")
    with (folder / "exam_key.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["student", "fault", *Drawn._fields[1:]])
        writer.writeheader()
        for student, variant in (
            ("1001", "mask-tanh"),
            ("1002", "offset"),
            ("1003", "zero-mask"),
            ("a.b", "offset"),
        ):
            row = drawn(variant, student)
            writer.writerow({"fault": row.fault.id, **row._asdict()})
    return folder


def place(course, student):
    return course / "autograded" / student / "find_the_fault"


# The disguise


def test_a_disguised_network_gives_the_same_estimates_with_other_weights():
    model = load_model("small").eval()
    mixture = 0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(1))
    outputs = []
    for seed in (1, 2):
        other = disguised(model, seed)
        with torch.no_grad():
            wanted, found = model(mixture)[0], other(mixture)[0]
        assert min(float((wanted - order).abs().max()) for order in (found, found.flip(0))) < 1e-5
        for name, tensor in model.state_dict().items():
            if tensor.numel() > 2:
                assert not torch.equal(tensor, other.state_dict()[name]), name
        outputs.append(other.state_dict()["encoder.filters"])
    assert not torch.equal(*outputs)


# The faults


def test_every_fault_is_of_the_catalogue_and_can_be_chosen():
    assert {fault.id for fault in FAULTS.values()} <= set(CHOICES) <= set(CATALOGUE)
    assert len(FAULTS) >= 20 and len({fault.id for fault in FAULTS.values()}) >= 7
    assert {CATALOGUE[fault.id].group for fault in FAULTS.values()} == {"A", "B", "C"}


@pytest.mark.slow
@pytest.mark.parametrize("variant", FAULTS)
def test_a_fault_does_harm_and_its_repair_helps(variant):
    """On this mixture the network gains 13 dB and the earlier checkpoint 12; harm of 3 dB is what a draw asks for."""
    given = material(drawn(variant))
    broken = improvement(given.network, given.recording, given.sources)
    repaired = improvement(*FAULTS[variant].repair(*given[:3]), given.sources)
    assert repaired > 10
    assert broken < repaired - 3.5


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files of all faults, for the same mixture and disguise."""
    folder = tmp_path_factory.mktemp("files")
    for variant in (
        "mask-tanh",
        "stride-doubled",
        "norm-cln",
        "zero-mask",
        "nan-weights",
        "offset",
        "rate-22050",
    ):
        (folder / variant).mkdir()
        write_files(drawn(variant), folder / variant)
    return folder


def test_the_files_of_all_faults_have_the_same_names_sizes_tensors_and_facts(files):
    looks = set()
    for folder in files.iterdir():
        assert {path.name for path in folder.iterdir()} == {NETWORK, EARLIER, RECORDING}
        rate, samples = wavfile.read(folder / RECORDING)
        look = [
            sorted((path.name, path.stat().st_size) for path in folder.iterdir()),
            rate,
            samples.shape,
            samples.dtype,
        ]
        for name in (NETWORK, EARLIER):
            content = (folder / name).read_bytes()
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            facts = header.pop("__metadata__")
            assert not json.loads(facts["training"])["note"].strip()
            settings = json.loads(facts["config"])
            look.append((header, list(header), sorted(facts), facts["format"], sorted(settings)))
        text = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
        assert not [word for word in (*FAULTS, *CATALOGUE) if len(word) > 6 and word.encode() in text]
        looks.add(repr(look))
    assert len(looks) == 1


@pytest.mark.parametrize("variant", ["zero-mask", "nan-weights", "offset"])
def test_the_files_are_those_that_are_graded(files, variant):
    given = material(drawn(variant))
    found = load_model(files / variant / NETWORK, allow_nonfinite=True).state_dict()
    for name, tensor in given.network.state_dict().items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0, equal_nan=True)
    samples = torch.from_numpy(wavfile.read(files / variant / RECORDING)[1].copy())
    torch.testing.assert_close(samples, given.recording, rtol=0, atol=0, equal_nan=True)


# The draw


def test_a_drawn_fault_does_harm_and_its_repair_helps():
    first = draw("1001", "secret")
    given = material(first)
    repaired = improvement(*first.fault.repair(*given[:3]), given.sources)
    assert repaired > first.pass_db > improvement(given.network, given.recording, given.sources)


@pytest.mark.slow
def test_the_same_student_gets_the_same_exam_and_another_another():
    first = draw("1001", "secret")
    assert first == draw("1001", "secret")
    assert first[2:] != draw("1002", "secret")[2:]
    assert first[2:] != draw("1001", "another")[2:]


def test_two_students_rarely_share_a_fault():
    """The first choice of 300 students: a pair shares the variant with probability of about one in the variants."""
    first = [random.Random(f"secret exam {n}").sample(list(FAULTS), len(FAULTS))[0] for n in range(300)]
    counts = Counter(first)
    pairs = sum(n * (n - 1) // 2 for n in counts.values())
    assert set(counts) == set(FAULTS)
    assert pairs / (300 * 299 / 2) < 1.3 / len(FAULTS)


# Marks


def no_repair(network, earlier, recording):
    return network, recording


def test_the_solution_gets_all_points(course, capsys):
    assert points(*solution(place(course, "1001")), place(course, "1001")) == sum(POINTS.values())
    assert "fault config-silent: right, 4 points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "wanted"), [("config-silent", 6), ("config-shape", 2), ("level", 0), ("no such", 0), (..., 0)]
)
@pytest.mark.slow
def test_the_group_and_the_fault_get_points_without_a_repair(course, capsys, fault, wanted):
    assert points(fault, no_repair, place(course, "1001")) == wanted
    assert "repair: SI-SDRi of" in capsys.readouterr().out


def test_a_repair_gets_points_without_the_fault(course):
    assert (
        points("polarity", lambda n, e, x: (n, x - x.mean()), place(course, "1002")) == 2 + 4
    )  # C as level is
    assert points("config-silent", lambda n, e, x: (e, x), place(course, "1003")) == 4


def test_the_answer_of_a_neighbour_is_wrong(course):
    assert points(*solution(place(course, "1002")), place(course, "1001")) == 0


def test_another_network_than_those_of_the_exam_gets_no_points(course, capsys):
    assert points("config-silent", lambda n, e, x: (load_model("small"), x), place(course, "1001")) == 6
    assert "of the network's weights are those of your files: repair these" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("repair", "told"),
    [
        (lambda n, e, x: n, "my_repair returned DPRNNTasNet: return a network and a recording"),
        (lambda n, e, x: (x, n), "my_repair returned Tensor first: it must be a DPRNNTasNet"),
        (lambda n, e, x: (n, x[None]), r"must return the recording as a tensor \[T\]"),
        (lambda n, e, x: (n, [0.0]), r"must return the recording as a tensor \[T\]"),
    ],
)
def test_a_repair_of_another_form_is_told_what_to_return(repair, told):
    small = load_model("small").eval()
    given = Material(small, small, torch.zeros(100), torch.zeros(2, 100))
    with pytest.raises(ValueError, match=told):
        repaired_db(repair, given)


def test_a_repair_can_not_change_what_it_is_judged_with():
    small = load_model("small").eval()
    given = Material(small, small, torch.randn(800), torch.randn(2, 800))

    def spoils(network, earlier, recording):
        for parameter in network.parameters():
            parameter.data.zero_()
        return network, recording

    with pytest.raises(ValueError, match=r"\d% of the network's weights are those"):
        repaired_db(spoils, given)


def test_the_form_is_checked_without_a_key(capsys):
    check_form("level", no_repair)
    assert "Handed in: level (group C)" in capsys.readouterr().out
    with pytest.raises(NotRight, match="Not attempted"):
        check_form(..., no_repair)
    with pytest.raises(NotRight, match="fault is 'loud': it must be an id of the list"):
        check_form("loud", no_repair)
    with pytest.raises(NotRight, match="my_repair must be a function of network, earlier and recording"):
        check_form("level", lambda x: x)


def test_a_folder_without_a_key_and_an_unknown_student_are_refused(course, tmp_path):
    with pytest.raises(LookupError, match=r"no exam_key\.csv above"):
        read_key(tmp_path / "1001" / "find_the_fault")
    with pytest.raises(LookupError, match=r"exam_key\.csv has no student '9999'"):
        read_key(place(course, "9999"))


@pytest.mark.parametrize("fault", [..., None, "Config-silent", ["config-silent"], {"a": 1}, 3.5])
def test_a_repair_keeps_its_points_whatever_stands_for_the_fault(course, fault):
    assert points(fault, lambda n, e, x: (e, x), place(course, "1003")) == 4


@pytest.mark.parametrize("repair", [None, ..., "network", lambda x: x, lambda n, e, x: 1 / 0])
def test_a_fault_keeps_its_points_whatever_stands_for_the_repair(course, repair):
    assert points("config-silent ", repair, place(course, "1001")) == 6


def test_the_cell_with_the_marks_raises_nothing(course, monkeypatch):
    """nbgrader gives a cell that raises no points: the form is looked at in another one."""
    graded = [c for c in exam_notebook().cells if c.metadata.nbgrader.grade]
    assert len(graded) == 1 and "check_form" not in graded[0].source
    monkeypatch.setattr("course.exam.points", lambda *answers: answers)
    code = graded[0].source.replace("points(globals", "found = points(globals")
    for scope in ({}, {"fault": ...}, {"fault": "level", "my_repair": 7}):
        exec(code, scope)
        assert scope["found"] == (scope.get("fault"), scope.get("my_repair"))


def test_a_fault_of_another_kind_is_no_id(capsys):
    with pytest.raises(NotRight, match=r"fault is \['level'\]: it must be an id of the list"):
        check_form(["level"], no_repair)


# The list and the notebook


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name\nAda\n", "its first line has name: name the column with the numbers 'student'"),
        ("student\n", "no student below the first line"),
        ("student\n1\n1\n", "line 3: student '1' is there twice"),
        ("student\n../x\n", "line 2: student '../x' names a folder"),
        ("student\n\n7+8\n", "line 3: student '7\\+8' names a folder"),
        ("student\nÅsa\n", "line 2: student 'Åsa' names a folder: use the letters A to Z"),
        ("student,name\n,Ada\n", "line 2: student '' names a folder"),
        ("student\n7.zip\n", "line 2: student '7.zip' names a folder"),
    ],
)
def test_a_bad_list_of_students_is_refused(tmp_path, text, told):
    path = tmp_path / "students.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CourseError, match=told):
        read_students(path)


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(CourseError, match="can't be read"):
        read_students(tmp_path / "none.csv")


def test_a_list_from_a_spreadsheet_is_read(tmp_path):
    (tmp_path / "students.csv").write_text("\ufeffname,student\nAda, 1001\nBob,1002 \n", encoding="utf-8")
    assert read_students(tmp_path / "students.csv") == ["1001", "1002"]


def test_numbers_stay_as_they_are_written_and_a_list_may_have_semicolons(tmp_path):
    (tmp_path / "students.csv").write_text("name; student \nAda;0071\nBob;71\nEve;a.b-c_d\n")
    assert read_students(tmp_path / "students.csv") == ["0071", "71", "a.b-c_d"]


def test_a_student_in_the_key_keeps_the_exam(course, tmp_path, monkeypatch):
    (tmp_path / "exam_key.csv").write_bytes((course / "exam_key.csv").read_bytes())
    monkeypatch.setattr("course.exam_files.draw", lambda student, secret: drawn("inverted", student))
    write_exam(tmp_path, "secret", ["1001", "1004"])
    assert read_key(place(tmp_path, "1001")).variant == "mask-tanh"
    assert read_key(place(tmp_path, "1004")).variant == "inverted"
    assert read_key(place(tmp_path, "a.b")).variant == "offset"


def test_an_archive_is_not_compressed_and_always_the_same(tmp_path):
    from course.exam_files import _archive

    (tmp_path / "1001").mkdir()
    (tmp_path / "1001" / "zeros").write_bytes(bytes(5000))
    _archive(tmp_path / "1001")
    first = (tmp_path / "1001.zip").read_bytes()
    assert len(first) > 5000
    _archive(tmp_path / "1001")
    assert (tmp_path / "1001.zip").read_bytes() == first
    assert zipfile.ZipFile(tmp_path / "1001.zip").namelist() == ["zeros"]


def test_the_readme_says_how_many_faults_there_are():
    readme = (NOTEBOOKS / "course" / "README.md").read_text(encoding="utf-8")
    assert f"One of {len(FAULTS)} faults" in " ".join(readme.split())
    assert f"at least {HARM_DB + SLACK_DB:g} dB" in readme


def test_the_notebook_of_the_exam_tells_no_fault_and_lists_all():
    notebook = exam_notebook()
    assert notebook == exam_notebook()
    assert all(f"- `{id}` (" in notebook.cells[0].source for id in CHOICES)
    assert notebook.cells[-1].metadata.nbgrader.points == sum(POINTS.values())
