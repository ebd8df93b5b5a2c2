"""What the tests of the course share: answers as a student would write them into a cell."""

import ast
import textwrap

import pytest


def written(setup: str, solution: str, wrong: str, name: str) -> str:
    """A cell that defines ``name`` as a wrong answer of a sheet, with everything that it calls inside a function."""
    *_, last = ast.parse(wrong).body
    lines = wrong.rstrip().splitlines()
    if isinstance(last, ast.Expr):
        lines[last.lineno - 1] = f"return {lines[last.lineno - 1]}"
    else:
        lines.append(f"return {last.name if hasattr(last, 'name') else ast.unparse(last.targets[0])}")
    code = "\n".join([setup, solution, *lines])
    return f"def _written():\n{textwrap.indent(code, '    ')}\n\n\n{name} = _written()"


@pytest.fixture
def cell_with():
    """See :func:`written`."""
    return written
