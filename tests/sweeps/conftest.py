"""A notebook to sweep over, made for the tests."""

import nbformat
import pytest

# A notebook without PyTorch: a sum, the number of threads, and two ways to fail. A run with a size of at least `held`
# waits for the file go.txt, and holds a lock as long as its kernel lives.
CELLS = (
    "import json, os, time\nfrom pathlib import Path",
    "# Record the start\n"
    "if size >= held:\n"
    "    import fcntl\n"
    "    lock = open('running.lock', 'a')\n"
    "    fcntl.flock(lock, fcntl.LOCK_SH)\n"
    "with open('started.txt', 'a') as file:\n    file.write('.')\n"
    "while size >= held and not Path('go.txt').exists():\n    time.sleep(0.01)",
    "# Divide by the size\nscore = 10 * size + seed + 1 / (size - 3)\nif die:\n    os._exit(3)",
    "threads = int(os.environ['OMP_NUM_THREADS'])\n"
    "if report:\n    Path(report).write_text(json.dumps({'score': score, 'threads': threads}))",
)


@pytest.fixture(scope="session")
def make_notebook():
    """Maker of the notebook: ``make_notebook(path)``, with ``reports=False`` without a parameter ``report``, and with
    ``sounds``, code that writes into the folder of the parameter ``sounds``."""

    def make(path, reports=True, sounds=""):
        path.parent.mkdir(exist_ok=True)
        code = nbformat.v4.new_code_cell
        parameters = ["seed = 0", "size = 1", "held = 99", "die = False"]
        if reports:
            parameters.append("report = ''  # where the result goes")
        if sounds:
            parameters.append("sounds = ''  # where the sounds go")
        cells = [code("\n".join(parameters), metadata={"tags": ["parameters"]})]
        cells += [code(text) for text in (CELLS if reports else CELLS[:-1])]
        if sounds:
            cells.append(code(f"if sounds:\n    {sounds}"))
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
        return path

    return make


@pytest.fixture
def notebook(make_notebook, tmp_path):
    return make_notebook(tmp_path / "lesson" / "tiny.ipynb")
