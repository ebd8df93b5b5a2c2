"""Where in a checkpoint its objects lie, seen without making any of them.

A pickle is read with every class and function replaced by an inert stand-in, so that nothing of the file runs. What
remains is the layout: dictionaries, lists, and stand-ins that know the name they stand for.

Notebook: 06_failures_at_inference
"""

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..checkpoint.unpickling import foreign_names

__all__ = ["foreign_places"]

MAX_PICKLE_BYTES = 20_000_000
MAX_VISITS = 50_000  # objects looked at
MAX_DEPTH = 6


class _Standin(dict):
    """In place of an object: it takes every call and every state, and does nothing. A dict, for OrderedDict's items."""

    name = ""

    def __init__(self, *arguments: Any, **keywords: Any):
        super().__init__()
        self.arguments = arguments

    def __call__(self, *arguments: Any, **keywords: Any) -> "_Standin":
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, item: Any) -> None:
        """As a list: nothing is kept."""

    def extend(self, items: Any) -> None:
        """As a list: nothing is kept."""

    def add(self, item: Any) -> None:
        """As a set: nothing is kept."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return type("Standin", (_Standin,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        return _Standin()


def foreign_places(path: Path) -> dict[str, str]:
    """Keys at which objects of other classes lie, and their classes: ``{"hyper_parameters.loss": "mine.Loss"}``.

    The key of the file itself is empty. Empty when the file has no such object, or its layout can't be read.
    """
    try:
        foreign = foreign_names(path)
        with zipfile.ZipFile(path) as archive:
            member = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            if archive.getinfo(member).file_size > MAX_PICKLE_BYTES:
                return {}
            content = _Reader(io.BytesIO(archive.read(member))).load()
    except Exception:  # a damaged or crafted file may raise anything here; then the layout is not known
        return {}
    return dict(_walk(content, foreign))


def _walk(content: Any, foreign: set[str]) -> Iterator[tuple[str, str]]:
    """Depth first, within a budget; an object of a foreign class is not entered."""
    waiting: list[tuple[str, Any, int]] = [("", content, 0)]
    seen: set[int] = set()
    while waiting and len(seen) < MAX_VISITS:
        key, value, depth = waiting.pop()
        if id(value) in seen or depth > MAX_DEPTH:
            continue
        seen.add(id(value))
        kind = value if isinstance(value, type) else type(value)
        if issubclass(kind, _Standin) and kind.name in foreign:
            yield key, kind.name
        elif isinstance(value, dict):
            prefix = f"{key}." if key else ""
            waiting += [(f"{prefix}{k}", v, depth + 1) for k, v in reversed(value.items())]
        elif isinstance(value, (list, tuple)):
            waiting += [(f"{key}[{i}]", v, depth + 1) for i, v in reversed(list(enumerate(value)))]
