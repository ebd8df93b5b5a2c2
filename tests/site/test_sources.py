"""The sources of the site, without building it: settings, completeness, and nothing that names another host."""

import importlib.util
import json
import os
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

import dprnn_lab
from dprnn_lab import load_model

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def load(path: Path):
    """A module that lies in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def build_site():
    return load(DOCS / "build_site.py")


@pytest.fixture
def settings(monkeypatch):
    """What conf.py sets, for an address of the repository."""

    def read(address=""):
        monkeypatch.setenv("DPRNN_LAB_REPOSITORY", address)
        monkeypatch.setattr(sys, "path", list(sys.path))
        return runpy.run_path(str(DOCS / "conf.py"))

    return read


def test_without_an_address_there_is_no_link_to_binder_or_colab(settings):
    conf = settings()
    assert conf["REPOSITORY"] == ""
    assert "launch_buttons" not in conf["html_theme_options"]


def test_the_address_is_one_setting(settings):
    conf = settings("https://github.com/somebody/dprnn-lab/")
    assert conf["repository_address"] == "https://github.com/somebody/dprnn-lab"
    assert set(conf["html_theme_options"]["launch_buttons"]) >= {"binderhub_url", "colab_url"}


def test_a_notebook_page_links_to_binder_and_colab_once_the_address_is_known():
    pytest.importorskip("sphinx", reason="sphinx is not installed: pip install -e .[site]")
    page = load(DOCS / "extensions" / "run_this_page.py")
    links = page.launch_links("notebooks/03_loss_and_pit", "https://github.com/somebody/dprnn-lab", "main")
    assert links["Colab"].endswith("/github/somebody/dprnn-lab/blob/main/notebooks/03_loss_and_pit.ipynb")
    assert "gh/somebody/dprnn-lab/main" in links["Binder"] and "03_loss_and_pit.ipynb" in links["Binder"]
    assert page.launch_links("notebooks/03_loss_and_pit", "", "main") == {}


def test_binder_installs_our_package_too():
    script = ROOT / "postBuild"  # the name that Binder looks for, beside environment.yml
    assert os.access(script, os.X_OK)
    assert "pip install --no-deps -e ." in script.read_text()


def test_notebooks_are_not_executed_and_load_no_widget_scripts(settings):
    conf = settings()
    assert conf["nb_execution_mode"] == "off"
    assert conf["nb_ipywidgets_js"] == {}
    assert "://" not in conf["mathjax_path"]


def test_a_link_to_a_page_of_docs_leads_to_its_place_on_the_site(tmp_path):
    application = pytest.importorskip(
        "sphinx.application", reason="sphinx is not installed: pip install -e .[site]"
    )
    (tmp_path / "conf.py").write_text('extensions = ["myst_parser", "repository_links"]\n')
    (tmp_path / "index.md").write_text("# A\n\n```{toctree}\nlive\nnotebooks/guide\n```\n")
    (tmp_path / "live.md").write_text("# Live\n")
    (tmp_path / "notebooks").mkdir()
    text = "# G\n\n[how](../docs/live.md#place) and [a file](../Makefile)\n"
    (tmp_path / "notebooks" / "guide.md").write_text(text)
    sys.path.insert(0, str(DOCS / "extensions"))
    try:
        app = application.Sphinx(
            tmp_path, tmp_path, tmp_path / "out", tmp_path / "trees", "html", status=None, warning=None
        )
        app.build()
    finally:
        sys.path.remove(str(DOCS / "extensions"))
    page = (tmp_path / "out" / "notebooks" / "guide.html").read_text()
    assert re.search(r'<a [^>]*href="\.\./live\.html#place"><span[^>]*>how</span></a>', page)
    assert 'Makefile"' not in page and "a file" in page  # without a public address: no link


def test_every_page_is_in_a_table_of_contents(build_site, tmp_path):
    matching = pytest.importorskip("sphinx.util.matching", reason="sphinx is not installed")
    staged = [str(path) for path in build_site.stage(tmp_path)]
    names = {Path(name).with_suffix("").as_posix() for name in staged if name.endswith((".md", ".ipynb"))}
    listed = set()
    for block in re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.DOTALL):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                listed |= set(matching.patfilter(names, line))
    assert names - listed == {"index"}
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} <= {Path(n).name for n in listed}


def test_staging_again_changes_nothing_and_drops_what_is_gone(build_site, tmp_path):
    first = build_site.stage(tmp_path)
    times = {path: (tmp_path / path).stat().st_mtime_ns for path in first}
    (tmp_path / "notebooks" / "99_gone.ipynb").write_text("{}")
    assert build_site.stage(tmp_path) == first
    assert not (tmp_path / "notebooks" / "99_gone.ipynb").exists()
    assert {path: (tmp_path / path).stat().st_mtime_ns for path in first} == times


def test_a_machine_without_npm_is_told_what_brings_it(build_site, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *args, **kwargs: None)
    with pytest.raises(build_site.SiteError, match=r"pip install -e \"\.\[site\]\" brings it"):
        build_site.find_npm()


def test_npm_that_fails_is_one_sentence_and_leaves_no_stamp(build_site, monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network unreachable' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(build_site, "find_npm", lambda: str(npm))
    with pytest.raises(build_site.SiteError, match=r"network unreachable.*run make site again"):
        build_site.install_javascript(tmp_path / "js")
    assert not (tmp_path / "js" / "installed").exists()


def test_the_lock_file_names_no_host_and_has_every_package():
    lock = json.loads((DOCS / "package-lock.json").read_text())
    assert "://" not in (DOCS / "package-lock.json").read_text()
    wanted = json.loads((DOCS / "package.json").read_text())["dependencies"]
    assert {name: lock["packages"][f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all("integrity" in entry for name, entry in lock["packages"].items() if name)
    assert "omit-lockfile-registry-resolved=true" in (DOCS / ".npmrc").read_text()


def test_no_script_or_style_of_ours_asks_another_host():
    for path in (DOCS / "_static").rglob("*"):
        if path.suffix in (".js", ".css", ".html"):
            assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", path.read_text()), path


def test_the_glossary_states_the_settings_of_the_bundled_model():
    config = load_model("small").config
    rows = re.findall(
        r"^\| \w \| .* \| `(\w+)` \| (\d+) \|$", (DOCS / "glossary.md").read_text(), re.MULTILINE
    )
    assert len(rows) == 6
    assert {name: int(value) for name, value in rows} == {name: config[name] for name, _ in rows}


def test_the_glossary_has_every_letter_of_the_code():
    text = (DOCS / "glossary.md").read_text()
    assert re.findall(r"^\| ([A-Z]) \| ", text, re.MULTILINE) == list("BSTNLKPCFH")


# The live page's model


def test_the_model_with_tensors_returns_what_the_paths_add(tiny):
    model = tiny()
    mixture = torch.randn(1, 400)
    with torch.no_grad():
        expected = model(mixture)
        traced = load(DOCS / "explainer" / "export_tensors.py").WithTensors(model)
        tensors = dict(zip(traced.names, traced(mixture), strict=True))
    assert torch.equal(tensors["estimates"], expected)
    batch, chunks, size, features = tensors["chunks"].shape
    assert (batch, size, features) == (1, 10, 6) and chunks > 2
    before = tensors["chunks"]
    for number in (1, 2):
        before = before + tensors[f"intra{number}"] + tensors[f"inter{number}"]
        assert torch.allclose(tensors[f"block{number}"], before, atol=1e-5)
    assert torch.allclose(
        model.decode(tensors["masks"] * tensors["encoded"][:, None], samples=400), expected, atol=1e-6
    )


@pytest.mark.parametrize("name", ["site", "explainer"])
def test_pictures_of_the_readme_are_small(name):
    path = DOCS / "pictures" / f"{name}.png"
    assert path.stat().st_size < 150_000
    assert f"docs/pictures/{name}.png" in (ROOT / "README.md").read_text()


# Citation and licences


def test_the_citation_names_this_version_and_both_licences():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == dprnn_lab.__version__
    assert citation["license"] == ["MIT", "CC-BY-4.0"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_readme_and_licence_files_say_the_same():
    readme = (ROOT / "README.md").read_text().partition("## Licence")[2]
    assert "[MIT](LICENSE)" in readme and "[CC BY 4.0](LICENSE-TEXT)" in readme
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert (
        "Creative Commons Attribution 4.0 International Public License" in (ROOT / "LICENSE-TEXT").read_text()
    )


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "README.md"])
def test_links_to_files_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
        assert "://" in target or (ROOT / target).exists(), target
