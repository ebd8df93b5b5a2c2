"""Imports point down: a room may import the rooms below it, never one above; no files import each other in a circle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dprnn_lab"

# The rooms of the package from the ground up. A file imports its own room and those before it in this list.
ROOMS = (
    # single modules: what has no room of its own
    "error_texts", "files", "processes", "audio", "loss_checks", "loss", "compare", "plots", "report_page",
    "model", "checkpoint", "separation", "datasets", "evaluation", "training", "diagnosis", "faults",
    "sweeps", "explorers", "cli",
)  # fmt: skip
# The methods that make a model complete for its user (`model.separate(...)`, `DPRNNTasNet.from_pretrained(...)`)
# import the rooms above when they are called: (file, room).
UPWARD = {("model/tasnet.py", "checkpoint"), ("model/tasnet.py", "separation")}


def modules(package: Path) -> dict[str, Path]:
    """Dotted name below the package to file; a folder's ``__init__`` has the folder's name."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(package: Path) -> Iterator[tuple[str, str, bool]]:
    """(importing module, imported module, whether the import waits inside a function) for the whole package."""
    known = modules(package)
    for name, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        at_start = {id(node) for node in _run_at_import(tree)}
        folder = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(tree):
            for target in _targets(node, folder, known, package.name):
                yield name, target, id(node) not in at_start


def _run_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes outside functions and outside ``if TYPE_CHECKING``."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        waiting.extend(ast.iter_child_nodes(node))


def _targets(node: ast.AST, folder: str, known: dict[str, Path], package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            top, _, rest = alias.name.partition(".")
            if top == package:
                yield rest
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            parts = folder.split(".") if folder else []
            parts = parts[: len(parts) - (node.level - 1)]
        elif (node.module or "").partition(".")[0] == package:
            parts = []
        else:
            return
        module = node.module or ""
        module = module if node.level else module.partition(".")[2]
        base = ".".join([*parts, *([module] if module else [])])
        for alias in node.names:
            inside = f"{base}.{alias.name}" if base else alias.name
            yield inside if inside in known else base


def upward(package: Path) -> list[str]:
    """Every import that points up, in words."""
    height = {room: floor for floor, room in enumerate(ROOMS)}
    found = []
    for name, target, waits in imports(package):
        room, other = name.partition(".")[0], target.partition(".")[0]
        path = name.replace(".", "/") + ".py"
        if room == "" or room == other or (waits and (path, other) in UPWARD):
            continue  # the public names of the package stand above all rooms
        if other == "" or height[other] > height[room]:
            found.append(f"{name} imports {target or package.name}")
    return found


def circles(package: Path) -> list[str]:
    """Files that import each other in a circle, deferred imports counted, the sanctioned ones not."""
    arrows: dict[str, set[str]] = {}
    for name, target, waits in imports(package):
        path = name.replace(".", "/") + ".py"
        if not (waits and (path, target.partition(".")[0]) in UPWARD) and name != target:
            arrows.setdefault(name, set()).add(target)
    for name in modules(package):  # importing a.b runs a/__init__ too, which is the front of its own room
        arrows.setdefault(name, set())
    found, done = [], set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            found.append(" -> ".join((*path[path.index(name) :], name)))
        elif name not in done:
            for target in sorted(arrows.get(name, ())):
                walk(target, (*path, name))
            done.add(name)

    for name in sorted(arrows):
        walk(name, ())
    return found


def test_every_module_lies_in_a_room():
    assert {name.partition(".")[0] for name in modules(PACKAGE)} <= {"", "moved", *ROOMS}


def test_imports_point_down():
    assert upward(PACKAGE) == []


def test_no_circles():
    assert circles(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "names"),
    [
        ("audio.py", "from .datasets import mixing", "audio imports datasets.mixing"),
        ("model/norms.py", "def f():\n    from ..checkpoint import loading", "model.norms imports checkpoint.loading"),
        ("model/tasnet.py", "from ..checkpoint import load_model", "model.tasnet imports checkpoint"),
        ("checkpoint/hub.py", "import dprnn_lab.cli", "checkpoint.hub imports cli"),
        ("loss.py", "from dprnn_lab import load_model", "loss imports dprnn_lab"),
    ],
)  # fmt: skip
def test_a_forbidden_import_is_found(tmp_path, file, line, names):
    house = _copy(tmp_path)
    with (house / file).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    assert upward(house) == [names]


def test_a_circle_is_found(tmp_path):
    house = _copy(tmp_path)
    with (house / "model" / "norms.py").open("a", encoding="utf-8") as source:
        source.write("\ndef f():\n    from . import dual_path\n")
    assert any("model.norms" in circle and "model.dual_path" in circle for circle in circles(house))


def _copy(folder: Path) -> Path:
    """The package's sources in another folder of the same name."""
    for path in PACKAGE.rglob("*.py"):
        copy = folder / "dprnn_lab" / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return folder / "dprnn_lab"
