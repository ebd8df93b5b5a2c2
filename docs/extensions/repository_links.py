"""Links to files of the repository that are not pages of the site, or that are pages in another place.

A file of ``docs/`` is a page at the top of the site. Any other leads to the public address; without one the text stays,
as code if it is a path, and is no link.
"""

import posixpath
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

REPOSITORY_FOLDER = Path(__file__).resolve().parents[2]


class RepositoryLinks(SphinxPostTransform):
    """Resolve the Markdown links that name no page of the site."""

    default_priority = 8  # just before MyST, which would warn

    def run(self, **kwargs: object) -> None:
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node["reftype"] != "myst" or node.get("refdomain") == "doc":
                continue
            target = node["reftarget"]
            page = node.get("refdoc", self.env.docname)
            file, mark, place = target.partition("#")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), file))
            if target.startswith("#") or not (REPOSITORY_FOLDER / path).exists():
                continue  # MyST finds the heading, or says that nothing of this name exists
            content = [child.deepcopy() for child in node.children]
            document = path.removeprefix("docs/").removesuffix(".md")
            if path == f"docs/{document}.md" and document in self.env.found_docs:
                address = posixpath.relpath(f"{document}.html", posixpath.dirname(page) or ".") + mark + place
                node.replace_self(nodes.reference("", "", *content, refuri=address, internal=True))
            else:
                node.replace_self(self._link(path, content))

    def _link(self, path: str, content: list[nodes.Node]) -> nodes.Node:
        if address := self.config.repository_address:
            uri = f"{address}/blob/{self.config.repository_branch}/{path}"
            return nodes.reference("", "", *content, refuri=uri, internal=False)
        return nodes.inline("", "", *content, classes=["repository-file"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform and the two settings."""
    app.add_config_value("repository_address", "", "env")
    app.add_config_value("repository_branch", "main", "env")
    app.add_post_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
