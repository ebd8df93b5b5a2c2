"""Under the title of every notebook page: how to open it and run it."""

from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx

PLACEHOLDER = "https://github.com/NAME/dprnn-lab"


def opening_note(docname: str, repository: str, branch: str) -> nodes.admonition:
    """What stands under the title: the command, and links where the repository has a public address."""
    name = docname.removeprefix("notebooks/")
    text = nodes.paragraph("", "Open in JupyterLab: ")
    text += nodes.literal("", f"make lab NOTEBOOK={name}")
    text += nodes.Text(". ")
    for label, uri in launch_links(docname, repository, branch).items():
        text += nodes.reference("", label, refuri=uri, internal=False)
        text += nodes.Text(". ")
    text += nodes.Text("The page shows the outputs of the authors' run; the widgets need a kernel.")
    return nodes.admonition("", nodes.title("", "Run this notebook"), text, classes=["run-this-page", "note"])


def launch_links(docname: str, repository: str, branch: str) -> dict[str, str]:
    """Label to address; empty without a repository on GitHub, the only place that both services read by name."""
    prefix = "https://github.com/"
    if not repository.startswith(prefix):
        return {}
    name = repository.removeprefix(prefix)
    path = f"{docname}.ipynb"
    return {
        "Binder": f"https://mybinder.org/v2/gh/{name}/{branch}?urlpath={quote(f'lab/tree/{path}', safe='')}",
        "Colab": f"https://colab.research.google.com/github/{name}/blob/{branch}/{path}",
    }


def fill_address(app: Sphinx, doctree: nodes.document) -> None:
    """Put the public address, if there is one, into the code that clones the repository."""
    if address := app.config.repository_address:
        for block in doctree.findall(nodes.literal_block):
            if PLACEHOLDER in block.astext():
                code = block.astext().replace(PLACEHOLDER, address)
                block.rawsource, block.children = code, []
                block += nodes.Text(code)


def add_note(app: Sphinx, doctree: nodes.document) -> None:
    """Insert the note after the first title of a notebook."""
    docname = app.env.current_document.docname
    if not (docname.startswith("notebooks/") and app.env.doc2path(docname).suffix == ".ipynb"):
        return
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is not None:
        place = title.parent.index(title) + 1
        title.parent.insert(
            place, opening_note(docname, app.config.repository_address, app.config.repository_branch)
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both hooks; ``repository_links`` has the settings."""
    app.connect("doctree-read", add_note)
    app.connect("doctree-read", fill_address)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
