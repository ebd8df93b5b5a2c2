"""Sphinx settings of the site. ``docs/build_site.py`` stages the sources and calls Sphinx with this file.

The staged tree has the layout of the repository, so that links between files stay as they are written.
"""

import os
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "extensions")]

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# The public address of the repository, such as https://github.com/NAME/dprnn-lab. Without one the pages show the
# command for JupyterLab, and no links to Binder, Colab or source files.
REPOSITORY = (
    os.environ.get("DPRNN_LAB_REPOSITORY") or _PROJECT.get("urls", {}).get("Repository", "")
).rstrip("/")
BRANCH = os.environ.get("DPRNN_LAB_BRANCH", "main")

project = "dprnn-lab"
author = "the dprnn-lab authors"
copyright = "2026 the dprnn-lab authors. Text: CC BY 4.0. Code: MIT"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.apidoc",
    "sphinx.ext.mathjax",
    "api_pages",
    "repository_links",
    "run_this_page",
]
root_doc = "index"
exclude_patterns = ["api/modules.rst"]
suppress_warnings = [
    "mystnb.unknown_mime_type",  # of saved outputs, not of our text
    "misc.highlighting_failure",
    "ref.python",  # fields of one name in several classes: autodoc's own links, not ours
]
repository_address = REPOSITORY
repository_branch = BRANCH

# Notebooks: what the authors committed, never executed here.
nb_execution_mode = "off"
nb_output_stderr = "remove"  # progress bars
nb_merge_streams = True
nb_ipywidgets_js: dict = {}  # the default loads two scripts from public servers; our outputs hold no widget state
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4

# API pages: one for each room of the package.
apidoc_modules = [
    {
        "path": str(ROOT / "dprnn_lab"),
        "destination": "api",
        "max_depth": 2,
        "separate_modules": False,
        "module_first": True,
        "exclude_patterns": [str(ROOT / "dprnn_lab" / name) for name in ("cli", "cli/*", "moved.py")],
    }
]
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # what Lightning says of its own methods stands in its own manual
default_role = "code"  # docstrings write names and shapes between single backticks too
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an "Attributes" section describes fields that autodoc lists too
python_use_unqualified_type_names = True

# Pages: everything from this folder, nothing from another host.
html_theme = "sphinx_book_theme"
html_title = "dprnn-lab"
html_context = {"default_mode": "auto"}  # light or dark as the system has it, until the visitor chooses
html_static_path = [str(ROOT / "docs" / "_static"), str(ROOT / "build" / "site-vendor")]
html_css_files = ["site.css"]
html_copy_source = True
html_show_search_summary = True
html_last_updated_fmt = None  # the same sources give the same pages
mathjax_path = (
    "mathjax/tex-svg-full.js"  # glyphs are in the script: a browser that reads file:// needs no font
)
mathjax3_config = {"options": {"enableMenu": True}, "svg": {"fontCache": "local"}}
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the sidebar has the search
    "use_download_button": True,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "use_sidenotes": False,
}
if REPOSITORY:
    html_theme_options |= {
        "repository_url": REPOSITORY,
        "repository_branch": BRANCH,
        "use_repository_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }
