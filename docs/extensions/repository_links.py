"""Links to files of the repository that are not pages of the site.

With a public address they lead there; without one the text stays, as code if it is a path, and is no link.
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
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target.partition("#")[0]))
            if target.startswith("#") or not (REPOSITORY_FOLDER / path).exists():
                continue  # MyST finds the heading, or says that nothing of this name exists
            content = [child.deepcopy() for child in node.children]
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
