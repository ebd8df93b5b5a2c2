"""The first cell on Colab, in a virtual environment that has the packages and not ours."""

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
    # Like Colab, the machine has torch and its kind: they are found, not copied. Our package is not there.
    site_packages = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (site_packages / "machine.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    cell = CELL.replace(PLACEHOLDER, ROOT.as_uri())
    clone = tmp_path / "content" / "dprnn-lab"
    (tmp_path / "content").mkdir()
    script = tmp_path / "cell.py"
    script.write_text(f"CLONE = {str(clone)!r}\n{cell}\n{cell}\n{AFTER}")
    result = subprocess.run(
        [str(python), str(script)],
        cwd=tmp_path / "content",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip().endswith("ready in notebooks")
