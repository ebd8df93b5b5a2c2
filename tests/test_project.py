"""The repository itself: package lists that agree, files of a size to clone, nobody's paths in them."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from dprnn_lab import load_model

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIRST_LESSONS = ["00_start_here", "01_encoder_decoder", "02_dual_path", "03_loss_and_pit"]


def parse(requirements):
    """Package to range, by the packages' canonical names."""
    parsed = [Requirement(text) for text in requirements]
    return {r.name.lower().replace("_", "-"): r.specifier for r in parsed}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def conda():
    """environment.yml: conda's own lines and the list under ``pip:``."""
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = [line["pip"] for line in lines if isinstance(line, dict)]
    return [line for line in lines if isinstance(line, str)], pip


def test_both_package_lists_name_the_same_packages_and_ranges(project, conda):
    wanted = parse(project["dependencies"] + project["optional-dependencies"]["test"])
    assert parse(conda[1]) == wanted


def test_both_package_lists_ask_for_the_same_python(project, conda):
    (python,) = [line for line in conda[0] if line.startswith("python")]
    assert Requirement(python).specifier == Requirement(f"python{project['requires-python']}").specifier


def test_every_range_has_a_lower_bound_that_the_installed_package_meets(project):
    from importlib.metadata import version

    for name, specifier in parse(project["dependencies"]).items():
        assert any(s.operator == ">=" for s in specifier), name
        assert specifier.contains(version(name), prereleases=True), name


def test_every_package_folder_is_installed():
    from setuptools import find_packages

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    folders = {path.parent for path in (ROOT / "dprnn_lab").rglob("*.py")}
    # A folder without __init__.py is not found.
    assert {folder.relative_to(ROOT).as_posix().replace("/", ".") for folder in folders} == set(
        find_packages(str(ROOT), **settings)
    )


# Files


@pytest.fixture(scope="module")
def files():
    """Everything that git has or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: there is no list of committed files")
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_folder_of_the_machine_it_was_made_on(files):
    machine = re.compile(r"(?<![\w.~}>-])/(home|root|Users|work|workspace)/\w")
    found = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture, a sound, weights
        if path != Path(__file__) and (machine.search(text) or f"{ROOT}/" in text):
            found.append(path.relative_to(ROOT).as_posix())
    assert not found


def test_binary_files_do_not_either(files):
    here = f"{ROOT}/".encode()
    assert not [
        path for path in files if path.suffix in (".safetensors", ".png") and here in path.read_bytes()
    ]


def test_the_speech_stays_under_55_megabytes(files):
    assert sum(path.stat().st_size for path in files if ROOT / "data" / "speech" in path.parents) < 55e6


def test_nothing_else_is_large(files):
    large = {path.relative_to(ROOT).as_posix() for path in files if path.stat().st_size > 6e6}
    assert large == {f"data/model/{part}large.safetensors" for part in ("", "six-voices/", "many-voices/")}


def test_every_shipped_model_loads():
    models = sorted((ROOT / "data").rglob("*.safetensors"))
    assert models
    for path in models:
        assert load_model(path).sample_rate == 8000


# Notebooks


def test_the_first_lessons_are_there():
    assert set(FIRST_LESSONS) <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_under_2_megabytes(path):
    assert path.stat().st_size < 2e6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_ran_without_errors(path):
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error"]
    counts = [cell["execution_count"] for cell in code if "".join(cell["source"]).strip()]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_no_warnings(path):
    streams = [
        "".join(output["text"])
        for cell in json.loads(path.read_text())["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    ]
    assert not [text for text in streams if "Warning:" in text]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_no_timing_metadata(path):
    notebook = json.loads(path.read_text())
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}
    for cell in notebook["cells"]:
        assert set(cell["metadata"]) <= {"tags", "jp-MarkdownHeadingCollapsed"}
        for output in cell.get("outputs", []):
            assert "execution" not in output.get("metadata", {})
            # A trusted notebook would show an error: the state of the widget is not kept.
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_uses_the_kernel_that_everybody_has(path):
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"
