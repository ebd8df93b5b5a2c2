"""The first cell on Colab, in a virtual environment that has the packages and not ours."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACEHOLDER = "https://github.com/NAME/dprnn-lab"
CELL = (ROOT / "docs" / "colab_cell.py").read_text()
AFTER = """
from pathlib import Path
import dprnn_lab
from claims import claim
from exercises import Exercise
assert Path(dprnn_lab.__file__).is_relative_to(CLONE), dprnn_lab.__file__
dprnn_lab.load_model("small")
print("ready in", Path.cwd().name)
"""


def test_the_address_stands_once():
    assert CELL.count(PLACEHOLDER) == 1


@pytest.mark.slow
def test_it_works_and_works_again(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    # Like Colab, the machine has torch and its kind: linked, all but what is ours.
    machine = tmp_path / "machine"
    machine.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "dprnn" not in entry.name.lower():
            (machine / entry.name).symlink_to(entry)
    site_packages = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (site_packages / "machine.pth").write_text(f"{machine}\n")
    cell = CELL.replace(PLACEHOLDER, ROOT.as_uri())
    clone = tmp_path / "content" / "dprnn-lab"
    (tmp_path / "content").mkdir()
    script = tmp_path / "cell.py"
    script.write_text(f"CLONE = {str(clone)!r}\n{cell}\n{cell}\n{AFTER}")
    result = subprocess.run(
        [str(python), str(script)],
        cwd=tmp_path / "content",
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip().endswith("ready in notebooks")
