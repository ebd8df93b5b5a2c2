"""API pages list a name where it is defined, not where a package passes it on; a property's text stays whole."""

import inspect
import sys

from sphinx.application import Sphinx


def defined_elsewhere(package: str, value: object) -> bool:
    """Whether a package only re-exports a value that one of our modules defines."""
    home = getattr(value, "__module__", None)
    return inspect.isclass(value) or inspect.isroutine(value) if _ours(home) and home != package else False


def _ours(name: object) -> bool:
    return isinstance(name, str) and name.split(".")[0] == "dprnn_lab"


def skip_reexports(
    app: Sphinx, what: str, name: str, value: object, skip: bool, options: object
) -> bool | None:
    """Tell autodoc what to leave out: ``None`` leaves the decision to it."""
    module = app.env.current_document.autodoc_module
    is_package = module in sys.modules and hasattr(sys.modules[module], "__path__")
    return True if what == "module" and is_package and defined_elsewhere(module, value) else None


def keep_colons(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Give a property's first sentence back what Napoleon took for its type: the words before a colon."""
    types = [line for line in lines if line.startswith(":type: ")]
    if what in ("property", "attribute", "data") and types and lines[0].strip():
        lines[0] = f"{types[0].removeprefix(':type: ')}: {lines[0].lstrip()}"
        lines.remove(types[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both hooks."""
    app.connect("autodoc-process-docstring", keep_colons, priority=900)  # after Napoleon
    app.connect("autodoc-skip-member", skip_reexports)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
