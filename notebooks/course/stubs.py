"""From the stub in a notebook and the solution on a sheet: one cell with nbgrader's marks around the solution.

nbgrader replaces what is between the marks by its own stub. The text around them, signature and docstring or the parts
of a class that are given, comes from the notebook.
"""

import ast
import textwrap

__all__ = ["BEGIN", "END", "STUB", "solved_cell", "stub_cell"]

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = "...  # your code"  # nbgrader's stub, as in the notebooks


def solved_cell(stub: str, solution: str) -> str:
    """The instructor's cell.

    Args:
        stub: the notebook's cell without its check: a function, a class or a value to complete.
        solution: code whose last definition is the answer, under the same name.

    Raises:
        ValueError: the two do not define the same kind of thing under the same name.
    """
    *before, answer = ast.parse(solution).body
    *intro, wanted = ast.parse(stub).body
    if type(wanted) is not type(answer) or _name(wanted) != _name(answer):
        raise ValueError(
            f"the stub defines {ast.unparse(wanted)[:40]!r}, the solution {ast.unparse(answer)[:40]!r}"
        )
    extra = [ast.get_source_segment(solution, node) or "" for node in before]
    lines = [ast.get_source_segment(stub, node) or "" for node in intro]
    if isinstance(answer, ast.Assign):
        return "\n".join(
            [*lines, stub.splitlines()[wanted.lineno - 1], *_region([*extra, _lines(solution, [answer])])]
        )
    if isinstance(answer, ast.FunctionDef):
        imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in before)
        lines += [] if imports else [*_region(extra), "", ""]
        body = [*(extra if imports else []), _lines(solution, answer.body)]
        return "\n".join([*lines, *_completed(stub, wanted, body)])
    lines += [*_region(extra), "", ""] if extra else []
    return "\n".join([*lines, *_class(stub, wanted, solution, answer)])


def stub_cell(cell: str) -> str:
    """What nbgrader makes of an instructor's cell."""
    kept, inside = [], False
    for line in cell.split("\n"):
        if BEGIN in line:
            kept.append(line[: len(line) - len(line.lstrip())] + STUB)
        inside = (inside or BEGIN in line) and END not in line
        if not inside and END not in line:
            kept.append(line)
    return "\n".join(kept)


def _class(stub: str, wanted: ast.ClassDef, solution: str, answer: ast.ClassDef) -> list[str]:
    """The class of the stub, with the solution's bodies where the stub has ``...``."""
    methods = {node.name: node for node in answer.body if isinstance(node, ast.FunctionDef)}
    lines = [stub.splitlines()[wanted.lineno - 1]]
    for node in wanted.body:
        if isinstance(node, ast.FunctionDef) and _is_open(node):
            given = [ast.dump(part) for part in node.body]
            rest = [part for part in methods[node.name].body if ast.dump(part) not in given]
            lines += [
                "",
                *textwrap.indent("\n".join(_completed(stub, node, [_lines(solution, rest)])), "    ").split(
                    "\n"
                ),
            ]
        else:
            lines += (
                ["", *_lines(stub, [node], indent=4).split("\n")]
                if lines[1:]
                else _lines(stub, [node], 4).split("\n")
            )
    return lines


def _completed(stub: str, function: ast.FunctionDef, body: list[str]) -> list[str]:
    """A function without indentation: the stub's head, docstring and given lines, then the region with the body."""
    source = stub.splitlines()
    head = (
        source[function.lineno - 1].strip().removesuffix("# your code").rstrip().removesuffix("...").rstrip()
    )
    if not head.endswith(":"):
        raise ValueError(f"the head of a stub is one line, not {head!r}")
    given = [node for node in function.body if not _is_ellipsis(node)]
    kept = _lines(stub, given, indent=4).split("\n") if given else []
    return [head, *kept, *textwrap.indent("\n".join(_region(body)), "    ").split("\n")]


def _lines(source: str, nodes: list[ast.stmt], indent: int = 0) -> str:
    """The lines of the nodes, with their comments, indented anew."""
    lines = source.splitlines()[nodes[0].lineno - 1 : nodes[-1].end_lineno]
    return textwrap.indent(textwrap.dedent("\n".join(lines)), " " * indent)


def _region(parts: list[str]) -> list[str]:
    return [BEGIN, *"\n".join(part for part in parts if part).split("\n"), END]


def _is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...


def _is_open(function: ast.FunctionDef) -> bool:
    return any(_is_ellipsis(node) for node in function.body)


def _name(node: ast.stmt) -> str:
    return ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else getattr(node, "name", "")
